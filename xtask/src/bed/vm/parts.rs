//! What the guest runs of ours, built against its own libraries and its own kernel.

use std::fs;
use std::path::{Path, PathBuf};

use daedalus_tests::driver;
use nix::fcntl::FlockArg;

use crate::bed::vm::image::Image;
use crate::root::{self, Kept, Mounts, named};
use crate::{kmod, project};

/// Where the project and build results are, in that root.
const PROJECT: &str = "src/daedalus";
const TARGET: &str = "work";

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

    /// Builds everything there is and puts it into the folders `va`, `bin` and `modules` of `to`.
    pub fn build(&self, mounts: &Mounts, image: &Image, to: &Path) -> Result<(), String> {
        let _lock =
            root::wait_for(&project::target().join("vm.lock"), FlockArg::LockExclusiveNonblock)?;
        if let Some(room) = &self.module {
            eprintln!("x: building the module for {}", image.release);
            let module = kmod::module(mounts, room, &image.release)?;
            place(&module, &to.join("modules/daedalus.ko"))?;
        }
        eprintln!("x: building for Debian 13");
        let built = self.cargo(mounts)?;
        let library = format!("lib{}", driver::FILE);
        place(&built.join(library), &to.join("va").join(driver::FILE))?;
        place(&built.join("daedalusd"), &to.join("bin/daedalusd"))?;
        place(&project::root().join("xtask/src/bed/vm/load.sh"), &to.join("bin/load-daedalus"))
    }

    fn cargo(&self, mounts: &Mounts) -> Result<PathBuf, String> {
        let root = self.workshop.path();
        // Registries may have moved since the root was made.
        root::copy_settings(root)?;
        let target = project::target().join("vm/target");
        fs::create_dir_all(&target).map_err(named(&target))?;
        mounts.read_only(project::root(), root, PROJECT)?;
        mounts.folder(&target, root, TARGET)?;
        // Debian 13's libdav1d will do.
        let words = "cargo build --release --locked --package daedalus-va-driver \
                     --package daedalus-daemon --no-default-features \
                     --features daedalus-va-driver/embedded";
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut cargo = root::command(root, &format!("/{PROJECT}"), &words);
        cargo.env("CARGO_TARGET_DIR", format!("/{TARGET}"));
        let status = cargo.status().map_err(|e| format!("cannot run chroot: {e}"))?;
        if !status.success() {
            return Err(format!("cargo build failed in Debian 13 ({status})"));
        }
        Ok(target.join("release"))
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
