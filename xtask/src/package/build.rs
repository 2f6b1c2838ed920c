//! Building in a root of the release, with nothing but what the source package says it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use daedalus_tests::process;

use super::source::Sources;
use super::{Options, changelog, folder};
use crate::fresh::Release;
use crate::root::{self, Kept, Mounts, Plan, named};

/// What debian/control asks for, in Debian 12 and later.
const COMMON: [&str; 11] = [
    "build-essential",
    "debhelper",
    "dh-dkms",
    "libavcodec-dev",
    "libclang-dev",
    "libva-dev",
    "lintian",
    "meson",
    "pkg-config",
    "systemd",
    "udev",
];
const BOOKWORM: [&str; 3] = ["cargo-web", "nasm", "rustc-web"];
const TRIXIE: [&str; 4] = ["cargo", "libdav1d-dev", "rustc", "systemd-dev"];

/// Where a root sees the folder of its release.
const WORK: &str = "work";
/// Where it sees what cargo has built there before: crates do not change, and compiling them takes minutes.
const CARGO: &str = "cargo";

/// The root to build in.
pub fn root_of(release: Release, renew: bool) -> Result<Kept, String> {
    let own: &[&str] = match release {
        Release::Bookworm => &BOOKWORM,
        Release::Trixie => &TRIXIE,
    };
    let packages = [&COMMON, own].concat();
    let codename = release.to_string();
    Kept::root(&format!("package-{release}"), &Plan::plain(&codename, &packages), renew)
}

/// Builds for `release`; the packages then lie in the folder of that name.
pub fn run(
    mounts: &Mounts,
    release: Release,
    sources: &Sources,
    options: &Options,
) -> Result<(), String> {
    let root = root_of(release, options.renew)?;
    let place = start(mounts, root.path(), &release.to_string(), sources)?;
    if release == Release::Bookworm {
        changelog::older(&place.join("daedalus/debian/changelog"), &sources.version)?;
    }
    eprintln!("x: building for Debian {release}");
    // One source package is enough.
    let kind = if release == Release::Trixie { "--build=full" } else { "--build=binary" };
    let mut build = inside(root.path(), &["dpkg-buildpackage", "-us", "-uc", kind]);
    if options.no_check {
        build.env("DEB_BUILD_OPTIONS", format!("nocheck {}", parallel()));
    }
    logged(&mut build, &place.join("build.log"))
}

/// `lintian` on what was built for `release`: it has nothing to say.
pub fn lint(mounts: &Mounts, release: Release) -> Result<(), String> {
    let root = root_of(release, false)?;
    let place = folder().join(release.to_string());
    mounts.folder(&place, root.path(), WORK)?;
    lint_in(root.path())
}

/// The same in a root that sees what was built in it.
pub fn lint_in(root: &Path) -> Result<(), String> {
    // Debian has no bug that asks for these packages: they are not Debian's.
    let check = "lintian --allow-root --fail-on error,warning --display-info \
                 --suppress-tags initial-upload-closes-no-bugs daedalus_*.changes";
    let mut lintian = root::command(root, &format!("/{WORK}"), &["sh", "-c", check]);
    let done = lintian.output().map_err(|e| format!("cannot run chroot: {e}"))?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    print!("{said}");
    if done.status.success() { Ok(()) } else { Err("see above".into()) }
}

/// Puts the sources into an empty folder `name` of [`folder`], which the root sees as [`WORK`]. Returns the folder.
pub fn start(
    mounts: &Mounts,
    root: &Path,
    name: &str,
    sources: &Sources,
) -> Result<PathBuf, String> {
    let place = folder().join(name);
    if place.exists() {
        fs::remove_dir_all(&place).map_err(named(&place))?;
    }
    fs::create_dir_all(&place).map_err(named(&place))?;
    let mut copy = process::command("cp");
    copy.arg("-a").arg(&sources.path).arg(place.join("daedalus"));
    let status = copy.status().map_err(|e| format!("cannot run cp: {e}"))?;
    if !status.success() {
        return Err(format!("cp failed ({status})"));
    }
    enter(mounts, root, name)?;
    Ok(place)
}

/// Mounts what builds in the folder `name` of [`folder`] need.
pub fn enter(mounts: &Mounts, root: &Path, name: &str) -> Result<(), String> {
    mounts.kernel(root)?;
    mounts.folder(&folder().join(name), root, WORK)?;
    let cargo = folder().join(format!("cargo-{name}"));
    fs::create_dir_all(&cargo).map_err(named(&cargo))?;
    mounts.folder(&cargo, root, CARGO)
}

/// A command in the copy of the sources.
pub fn inside(root: &Path, words: &[&str]) -> Command {
    let mut command = root::command(root, &format!("/{WORK}/daedalus"), words);
    command.env("DEB_BUILD_OPTIONS", parallel()).env("CARGO_TARGET_DIR", format!("/{CARGO}"));
    command
}

/// Runs `command` with what it says in the file `log`; the end of that is in the error.
pub fn logged(command: &mut Command, log: &Path) -> Result<(), String> {
    let file = fs::File::create(log).map_err(named(log))?;
    let both = file.try_clone().map_err(named(log))?;
    let status = command
        .stdout(file)
        .stderr(both)
        .status()
        .map_err(|e| format!("cannot run chroot: {e}"))?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read(log).map_err(named(log))?;
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    Err(format!("{tail}\n{status}; all of it is in {}", log.display()))
}

fn parallel() -> String {
    format!("parallel={}", std::thread::available_parallelism().map_or(1, |n| n.get()))
}
