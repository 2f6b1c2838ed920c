//! The kernels of user-mode Linux, built from Debian's source and kept below the cache.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use daedalus_tests::{clips, process};

use super::archive::{self, Wanted};
use crate::root::named;

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Flavour {
    /// Speed
    Fast,
    /// Finding what is wrong
    Debug,
}

impl Flavour {
    /// Its name, in folders too.
    pub fn name(self) -> &'static str {
        match self {
            Flavour::Fast => "fast",
            Flavour::Debug => "debug",
        }
    }

    /// Its configuration, without comments: everything else is off.
    fn config(self) -> String {
        let base = include_str!("../../uml/base.config");
        let own = match self {
            Flavour::Fast => include_str!("../../uml/fast.config"),
            Flavour::Debug => include_str!("../../uml/debug.config"),
        };
        let says = |line: &&str| line.starts_with("CONFIG_") || line.ends_with(" is not set");
        let lines: Vec<&str> = base.lines().chain(own.lines()).filter(says).collect();
        lines.join("\n") + "\n"
    }
}

/// The package with the source; which release has it changes as kernels come and go.
const SOURCE: &str = "linux-source-7.2";
const RELEASES: [&str; 2] = ["trixie-backports", "sid"];

/// What modules are built against: the rest of the tree is of no use once the kernel is built.
const KEPT: [&str; 3] = ["include", "scripts", "arch/um"];
/// Of these folders only headers and makefiles.
const HEADERS_KEPT: [&str; 1] = ["arch/x86"];

/// A built kernel.
pub struct Kernel {
    /// What it is for.
    pub flavour: Flavour,
    folder: PathBuf,
}

impl Kernel {
    /// The kernel from the cache, built first where it is not there.
    pub fn get(flavour: Flavour) -> Result<Self, String> {
        let cache = clips::cache()?.join("uml");
        fs::create_dir_all(&cache).map_err(named(&cache))?;
        let name = format!(
            "{}-{}",
            flavour.name(),
            clips::digest(&[SOURCE, &flavour.config(), &compiler()?])
        );
        let _lock = archive::lock(&cache.join(format!("{name}.lock")))?;
        let folder = cache.join(name);
        if !folder.join("version").is_file() {
            let part = folder.with_extension("part");
            build(flavour, &part)?;
            fs::rename(&part, &folder).map_err(named(&folder))?;
        }
        Ok(Self { flavour, folder })
    }

    /// The program that is the kernel.
    pub fn program(&self) -> PathBuf {
        self.folder.join("linux")
    }

    /// The folder that modules are built against.
    pub fn build(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// Takes the place of `/` for modprobe.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The version of the package it is built from.
    pub fn version(&self) -> String {
        fs::read_to_string(self.folder.join("version")).unwrap_or_default().trim().to_owned()
    }
}

/// Another compiler supports other options, and modules must be built with the kernel's.
fn compiler() -> Result<String, String> {
    let mut gcc = process::command("gcc");
    let done = process::run(gcc.arg("-dumpfullversion"), Duration::from_secs(60));
    Ok(done.map_err(|e| e.to_string())?.text())
}

fn build(flavour: Flavour, folder: &Path) -> Result<(), String> {
    let source =
        Wanted { releases: &RELEASES, packages: &[SOURCE], dependencies: false }.fetch()?;
    let version = source.version(SOURCE).unwrap_or("of unknown version").to_owned();
    let what = format!("{} kernel ({version})", flavour.name());
    let started = Instant::now();
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(named(folder))?;
    }
    let tree = folder.join("build");
    fs::create_dir_all(&tree).map_err(named(&tree))?;

    eprintln!("x: {what}: unpacking");
    let mut tar = process::command("tar");
    tar.args(["-x", "--strip-components=1", "-f"]);
    tar.arg(source.root.join(format!("usr/src/{SOURCE}.tar.xz")));
    for unused in ["Documentation", "tools/testing"] {
        tar.arg(format!("--exclude={SOURCE}/{unused}"));
    }
    check("tar", tar.arg("-C").arg(&tree))?;
    // The one file of Documentation that is read.
    let documentation = tree.join("Documentation");
    fs::create_dir(&documentation).map_err(named(&documentation))?;
    fs::write(documentation.join("Kconfig"), "").map_err(named(&documentation))?;

    let wanted = flavour.config();
    let config = tree.join("daedalus.config");
    fs::write(&config, &wanted).map_err(named(&config))?;
    check("make", make(&tree).arg("KCONFIG_ALLCONFIG=daedalus.config").arg("allnoconfig"))?;
    let made = tree.join(".config");
    let made = fs::read_to_string(&made).map_err(named(&made))?;
    let missing = missing(&wanted, &made);
    if !missing.is_empty() {
        return Err(format!("{what} does not take {}", missing.join(", ")));
    }

    compile(&tree, &what)?;
    let install = format!("INSTALL_MOD_PATH={}", folder.join("root").display());
    check("make", make(&tree).arg(install).arg("modules_install"))?;
    let (linux, kept) = (tree.join("linux"), folder.join("linux"));
    fs::rename(&linux, &kept).map_err(named(&linux))?;
    trim(&tree)?;
    let file = folder.join("version");
    fs::write(&file, format!("{version}\n")).map_err(named(&file))?;
    eprintln!("x: {what}: built in {} s", started.elapsed().as_secs());
    Ok(())
}

/// `make` for user-mode Linux in a tree.
pub fn make(tree: &Path) -> Command {
    let mut command = process::command("make");
    command.arg("-C").arg(tree).arg("ARCH=um");
    command
}

/// Builds the kernel and its modules, saying now and then how far it is.
fn compile(tree: &Path, what: &str) -> Result<(), String> {
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get());
    eprintln!("x: {what}: building ({jobs} at a time; 4 to 8 minutes of processor time)");
    let log = tree.join("build.log");
    let file = fs::File::create(&log).map_err(named(&log))?;
    let mut command = process::command("nice");
    let inner = make(tree);
    command.arg(inner.get_program()).args(inner.get_args());
    command.arg(format!("-j{jobs}")).args(["linux", "modules"]);
    let errors = file.try_clone().map_err(named(&log))?;
    command.stdout(Stdio::piped()).stderr(errors);
    let mut child = command.spawn().map_err(|e| format!("cannot run make: {e}"))?;
    let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let (mut compiled, mut last) = (0, Instant::now());
    for line in stdout.lines() {
        let line = line.map_err(|e| format!("cannot read what make says: {e}"))?;
        writeln!(&file, "{line}").map_err(named(&log))?;
        compiled += usize::from(line.trim_start().starts_with("CC "));
        if last.elapsed() > Duration::from_secs(20) {
            last = Instant::now();
            eprintln!("x: {what}: {compiled} files compiled");
        }
    }
    let status = child.wait().map_err(|e| format!("make: {e}"))?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    Err(format!("make ended with {status}; it said:\n{}", tail(&said, 40)))
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Runs a command of a few minutes that says something worth reading only if it fails.
pub fn check(name: &str, command: &mut Command) -> Result<(), String> {
    let done = process::run(command, Duration::from_secs(600)).map_err(|e| e.to_string())?;
    if done.status.success() {
        return Ok(());
    }
    let said = tail(&format!("{}{}", done.text(), done.log), 40);
    Err(format!("{name} ended with {}; it said:\n{said}", done.ending()))
}

/// The options of `wanted` that `made` has not: renamed, or in want of another one.
fn missing<'a>(wanted: &'a str, made: &str) -> Vec<&'a str> {
    let made: Vec<&str> = made.lines().collect();
    wanted.lines().filter(|line| line.starts_with("CONFIG_") && !made.contains(line)).collect()
}

/// Removes what building modules does not read.
fn trim(tree: &Path) -> Result<(), String> {
    for entry in fs::read_dir(tree).map_err(named(tree))?.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if name == "arch" || KEPT.iter().any(|kept| name == *kept) {
            continue;
        }
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(named(&path))?;
        } else if name.to_string_lossy().contains("vmlinux") {
            fs::remove_file(&path).map_err(named(&path))?;
        }
    }
    for entry in fs::read_dir(tree.join("arch")).map_err(named(tree))?.flatten() {
        let path = entry.path();
        let part = path.strip_prefix(tree).expect("it lies in the tree");
        if HEADERS_KEPT.iter().any(|kept| part == Path::new(kept)) {
            keep_headers(&path)?;
        } else if path.is_dir() && !KEPT.iter().any(|kept| part == Path::new(kept)) {
            fs::remove_dir_all(&path).map_err(named(&path))?;
        }
    }
    Ok(())
}

fn keep_headers(folder: &Path) -> Result<(), String> {
    for entry in fs::read_dir(folder).map_err(named(folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            keep_headers(&path)?;
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let kept = name.ends_with(".h") || name.starts_with("Makefile") || name == "Kbuild";
        if !kept {
            fs::remove_file(&path).map_err(named(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_no_comments() {
        let config = Flavour::Debug.config();
        assert!(config.contains("\nCONFIG_KASAN=y\n"));
        assert!(config.contains("\n# CONFIG_DEBUG_KMEMLEAK_AUTO_SCAN is not set\n"));
        assert!(!config.contains("# For"));
    }

    #[test]
    fn an_option_that_did_not_take_is_named() {
        let wanted = "# why\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"c\"\n";
        assert_eq!(missing(wanted, "CONFIG_A=y\nCONFIG_C=\"d\"\n"), ["CONFIG_C=\"c\""]);
        assert!(missing(wanted, wanted).is_empty());
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 2), "a");
    }
}
