//! `./x fresh`: the same commands in a new, minimal Debian, as somebody meets them who has just cloned
//! the project.
//!
//! The root is a folder below the cache.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use clap::ValueEnum;
use daedalus_tests::{catalogue, clips};
use nix::fcntl::{Flock, FlockArg};

use crate::project;
use crate::root::{self, Mounts, Plan, named};

/// A Debian release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Release {
    /// Debian 12
    Bookworm,
    /// Debian 13
    Trixie,
}

/// What to run in the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// `./x demo`
    Demo,
    /// `./x test`
    Test,
    /// A shell, in the root of the last run if there is one
    Shell,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Release::Bookworm => "bookworm",
            Release::Trixie => "trixie",
        })
    }
}

/// Where the project and the vectors lie in the root.
const PROJECT: &str = "src/daedalus";
const VECTORS: &str = "src/shared/vectors";

/// See the module.
pub fn run(
    release: Release,
    what: Option<What>,
    arguments: &[OsString],
) -> Result<ExitCode, String> {
    root::must_be_root()?;
    let cache = clips::cache()?;
    let root = cache.join(format!("fresh-{release}"));
    fs::create_dir_all(&cache).map_err(named(&cache))?;
    let _lock = lock(&cache.join(format!("fresh-{release}.lock")))?;

    let keep = what == Some(What::Shell) && root.join(PROJECT).is_dir();
    if !keep {
        root::make(&Plan::plain(&release.to_string(), &[]), &root)?;
        project::copy("", &root.join(PROJECT))?;
    }
    root::copy_settings(&root)?;
    mount_all(&root)?;
    match what {
        Some(What::Shell) => enter(&root, &[OsStr::new("bash").to_owned()]),
        Some(What::Demo) => run_x(&root, "demo", arguments),
        Some(What::Test) => run_x(&root, "test", arguments),
        None => {
            let demo = run_x(&root, "demo", &[])?;
            let test = run_x(&root, "test", &[])?;
            Ok(if demo == ExitCode::SUCCESS { test } else { demo })
        }
    }
}

/// Only one run at a time uses a root.
fn lock(path: &Path) -> Result<Flock<fs::File>, String> {
    let file = fs::File::create(path).map_err(named(path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        format!("another `./x fresh` is using this root ({} is locked)", path.display())
    })
}

/// Mounts the kernel's file systems and the test vectors.
fn mount_all(root: &Path) -> Result<(), String> {
    let mounts = Mounts::new()?;
    mounts.kernel(root)?;
    match catalogue::folder() {
        Some(vectors) => mounts.read_only(&vectors, root, VECTORS),
        None => Ok(()),
    }
}

fn run_x(root: &Path, command: &str, arguments: &[OsString]) -> Result<ExitCode, String> {
    eprintln!("x: ./x {command} in {}", root.display());
    let started = Instant::now();
    let mut words = vec![OsString::from("./x"), command.into()];
    words.extend_from_slice(arguments);
    let code = enter(root, &words)?;
    let verdict = if code == ExitCode::SUCCESS { "passed" } else { "FAILED" };
    eprintln!("x: ./x {command} {verdict} after {} s", started.elapsed().as_secs());
    Ok(code)
}

fn enter(root: &Path, words: &[OsString]) -> Result<ExitCode, String> {
    let mut command = root::command(root, &format!("/{PROJECT}"), words);
    // A shell reads what is typed.
    command.stdin(Stdio::inherit());
    let status = command.status().map_err(|e| format!("cannot run chroot: {e}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
