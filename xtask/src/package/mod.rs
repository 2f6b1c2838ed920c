//! `./x package`: Debian packages, built in roots of their own, and what becomes of a machine that gets them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::fresh::Release;
use crate::project;
use crate::root::{self, Mounts};
use crate::summary::Summary;

mod arm64;
mod build;
mod changelog;
mod dkms;
mod guest;
mod layer;
mod lifecycle;
mod source;

/// What `--help` says at its end.
const HELP: &str = "\
Packages lie in target/packages/bookworm, trixie and trixie-arm64 afterwards, the source package in
target/packages/trixie. Crates are downloaded once, into target/packages/vendor; builds have no need of a
network.

  ./x package                    build for Debian 12 and 13, with the tests of the crates and lintian
  ./x package trixie             for Debian 13 alone
  ./x package --test             build; install, upgrade, remove and purge in clean roots
  ./x package --dkms             build; have DKMS build the module for the kernels of Debian 12 (backports), 13
                                 and unstable
  ./x package --arm64            cross-build for arm64, and run the tests of uapi, engine and va-driver, and a decode check
                                 with qemu-user
  ./x package --guest            install in a fresh Debian 13 guest, start it again, see that an ordinary
                                 user's vainfo and mpv decode on the kernel's device, remove
  ./x package --no-build --test  the same with the packages that are there";

/// What to do.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Options {
    /// Debian 12 or 13 [default: both]
    releases: Vec<Release>,
    /// Take the packages that were built last
    #[arg(long)]
    no_build: bool,
    /// Build without running the tests of the crates
    #[arg(long)]
    no_check: bool,
    /// Install, upgrade, remove and purge them in clean roots
    #[arg(long)]
    test: bool,
    /// Have DKMS build the module for Debian's kernels
    #[arg(long)]
    dkms: bool,
    /// Cross-build for arm64 (Debian 13) and test what was built with qemu-user, instead of this machine's architecture
    #[arg(long, conflicts_with_all = ["test", "dkms", "guest", "releases"])]
    arm64: bool,
    /// Install them in a fresh Debian 13 guest, in an emulated machine
    #[arg(long)]
    guest: bool,
    /// Make the roots anew
    #[arg(long)]
    renew: bool,
}

/// The three packages.
pub const NAMES: [&str; 3] = ["daedalus-va-driver", "daedalusd", "daedalus-dkms"];

/// See the module.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    root::must_be_root()?;
    let mounts = Mounts::new()?;
    let mut checks = Checks { started: Instant::now(), sum: Summary::default() };
    if options.arm64 {
        arm64::run(&mounts, options, &mut checks)?;
        return Ok(checks.verdict());
    }
    let mut releases = options.releases.clone();
    if releases.is_empty() {
        // The guest is a Debian 13.
        releases = match options.guest && !options.test && !options.dkms {
            true => vec![Release::Trixie],
            false => vec![Release::Bookworm, Release::Trixie],
        };
    }
    if !options.no_build {
        let sources = source::prepare()?;
        for &release in &releases {
            let done = build::run(&mounts, release, &sources, options);
            if !checks.say(&format!("build for {}", name(release)), done) {
                return Ok(checks.verdict());
            }
            checks.say(&format!("lintian in {}", name(release)), build::lint(&mounts, release));
            if release == Release::Trixie {
                let whole = source::check_package(&folder().join(release.to_string()));
                checks.say("the source package has all of its crates", whole);
            }
        }
    }
    if options.test {
        for &release in &releases {
            lifecycle::run(&mounts, release, options.renew, &mut checks);
        }
    }
    if options.dkms {
        dkms::run(&mounts, &releases, options.renew, &mut checks);
    }
    if options.guest {
        guest::run(&mounts, options.renew, &mut checks)?;
    }
    Ok(checks.verdict())
}

/// The release's name for people.
fn name(release: Release) -> &'static str {
    match release {
        Release::Bookworm => "Debian 12",
        Release::Trixie => "Debian 13",
    }
}

/// The folder of everything that is made here.
fn folder() -> PathBuf {
    project::target().join("packages")
}

/// The three packages that were built for `kind` (a release, or `trixie-arm64`).
fn built(kind: impl fmt::Display) -> Result<Vec<PathBuf>, String> {
    let folder = folder().join(kind.to_string());
    let mut packages = Vec::new();
    for name in NAMES {
        let found = find(&folder, name)?;
        packages.push(
            found.ok_or_else(|| format!("no {name} in {}: build it first", folder.display()))?,
        );
    }
    Ok(packages)
}

/// The package `name` in `folder`.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>, String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
    let is_it = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.strip_prefix(name).is_some_and(|rest| rest.starts_with('_')) && file.ends_with(".deb")
    };
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_it).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(format!("several packages {name} in {}", folder.display())),
    }
}

/// Checks that count themselves.
struct Checks {
    started: Instant,
    sum: Summary,
}

impl Checks {
    /// Says what became of a check, and whether it passed.
    fn say(&mut self, name: &str, outcome: Result<(), String>) -> bool {
        let seconds = self.started.elapsed().as_secs();
        match &outcome {
            Ok(()) => {
                self.sum.passed += 1;
                println!("{name} ... ok (after {seconds} s)");
            }
            Err(why) => {
                self.sum.failed += 1;
                println!("{name} ... FAILED (after {seconds} s)\n{}", why.trim_end());
            }
        }
        outcome.is_ok()
    }

    /// Says that a check could not be made.
    fn skip(&mut self, name: &str, why: &str) {
        self.sum.skipped += 1;
        println!("{name} ... SKIPPED: {why}");
    }

    fn verdict(&self) -> ExitCode {
        println!("\nAfter {} s:\n{}", self.started.elapsed().as_secs(), self.sum);
        let good = self.sum.failed == 0 && self.sum.passed > 0;
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
