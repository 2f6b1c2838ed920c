//! What the guest runs of ours, built against its own libraries and its own kernel.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use daedalus_tests::driver;
use nix::fcntl::FlockArg;

use crate::bed::vm::image::Image;
use crate::root::{self, Kept, Mounts, named};
use crate::{kernel_tests, kmod, project};

/// Where the project and build results are, in that root. Test programs know these places: the guest has
/// them too.
pub const PROJECT: &str = "src/daedalus";
pub const TARGET: &str = "work";

/// The test programs that have something to do in the guest.
pub const TESTS: [&str; 3] = ["players", "clients", "controls"];

/// The roots to build in.
pub struct Rooms<'a> {
    workshop: &'a Kept,
    module: Option<Kept>,
}

impl<'a> Rooms<'a> {
    /// Makes what else is needed, unless it is there: the headers of the image's kernel.
    pub fn get(workshop: &'a Kept, image: &Image, renew: bool) -> Result<Self, String> {
        let module = match kmod::exists() {
            true => Some(kmod::room_for(&image.release, renew)?),
            false => None,
        };
        Ok(Self { workshop, module })
    }

    /// Builds everything there is and puts it into the folders `va`, `bin` and `modules` of `to`; the test
    /// programs, if asked to, into `tests`.
    pub fn build(
        &self,
        mounts: &Mounts,
        image: &Image,
        to: &Path,
        tests: bool,
    ) -> Result<(), String> {
        let _lock =
            root::wait_for(&project::target().join("vm.lock"), FlockArg::LockExclusiveNonblock)?;
        if let Some(room) = &self.module {
            eprintln!("x: building the module for {}", image.release);
            let module = kmod::module(mounts, room, &image.release)?;
            place(&module, &to.join("modules/daedalus.ko"))?;
        }
        eprintln!("x: building for Debian 13");
        self.enter(mounts)?;
        let built = project::target().join("vm/target/release");
        // Debian 13's libdav1d will do.
        self.cargo(
            "build --package daedalus-va-driver --package daedalus-daemon --no-default-features \
             --features daedalus-va-driver/embedded",
        )?;
        let library = format!("lib{}", driver::FILE);
        place(&built.join(library), &to.join("va").join(driver::FILE))?;
        place(&built.join("daedalusd"), &to.join("bin/daedalusd"))?;
        place(&project::root().join("xtask/src/bed/vm/load.sh"), &to.join("bin/load-daedalus"))?;
        if tests { self.tests(to) } else { Ok(()) }
    }

    /// Builds the test programs.
    fn tests(&self, to: &Path) -> Result<(), String> {
        let mut words = String::from(
            "test --package daedalus-tests --no-run --message-format json-render-diagnostics",
        );
        for test in TESTS {
            words.push_str(" --test ");
            words.push_str(test);
        }
        let said = self.cargo(&words)?;
        for test in TESTS {
            let program = said.lines().find_map(|line| kernel_tests::executable(line, test));
            let program = program.ok_or(format!("cargo did not build {test} in Debian 13"))?;
            let inside = Path::new("/").join(TARGET);
            let program = program.strip_prefix(&inside).map_err(|e| e.to_string())?;
            let program = project::target().join("vm/target").join(program);
            place(&program, &to.join("tests").join(test))?;
        }
        self.compile("tests/tests/players/render_device.c", &to.join("bin/render_device.so"))
    }

    /// Compiles a library of C that is preloaded into programs of the guest.
    fn compile(&self, source: &str, to: &Path) -> Result<(), String> {
        let made = "preloaded.so";
        let words = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", source, "-o"];
        let output = format!("/{TARGET}/{made}");
        let words: Vec<_> = words.into_iter().chain([output.as_str()]).collect();
        let mut compile = root::command(self.workshop.path(), &format!("/{PROJECT}"), &words);
        let status = compile.status().map_err(|e| format!("cannot run chroot: {e}"))?;
        if !status.success() {
            return Err(format!("gcc failed in Debian 13 ({status})"));
        }
        place(&project::target().join("vm/target").join(made), to)
    }

    /// Mounts what cargo needs.
    fn enter(&self, mounts: &Mounts) -> Result<(), String> {
        let root = self.workshop.path();
        // Registries may have moved since the root was made.
        root::copy_settings(root)?;
        let target = project::target().join("vm/target");
        fs::create_dir_all(&target).map_err(named(&target))?;
        mounts.read_only(project::root(), root, PROJECT)?;
        mounts.folder(&target, root, TARGET)
    }

    /// Runs cargo with the words of `command`. Returns what it writes to standard output.
    fn cargo(&self, command: &str) -> Result<String, String> {
        let mut words = vec!["cargo"];
        words.extend(command.split_whitespace());
        words.extend(["--release", "--locked"]);
        let mut cargo = root::command(self.workshop.path(), &format!("/{PROJECT}"), &words);
        cargo.env("CARGO_TARGET_DIR", format!("/{TARGET}"));
        cargo.stderr(Stdio::inherit());
        let done = cargo.output().map_err(|e| format!("cannot run chroot: {e}"))?;
        if !done.status.success() {
            return Err(format!("cargo {} failed in Debian 13 ({})", words[1], done.status));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

/// Copies a file. A guest that has the old one open keeps it: the new file replaces the name, not the
/// content.
fn place(from: &Path, to: &Path) -> Result<(), String> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(named(folder))?;
    }
    let unfinished = to.with_extension("part");
    fs::copy(from, &unfinished).map_err(named(from))?;
    fs::rename(&unfinished, to).map_err(named(to))
}
