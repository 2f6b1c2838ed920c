//! `./x fresh`: the same commands in a new, minimal Debian, as somebody meets them who has just cloned
//! the project.
//!
//! The root is a folder below the cache. Everything mounted into it is mounted in a mount namespace of
//! this process, so that nothing stays behind however we end.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use clap::ValueEnum;
use daedalus_tests::{catalogue, clips, process};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::{mirror, project};

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

/// Variables of the host that say how registries are reached, by prefix.
const PASSED_ON: [&str; 10] = [
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "DAEDALUS_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "TERM",
];

/// See the module.
pub fn run(
    release: Release,
    what: Option<What>,
    arguments: &[OsString],
) -> Result<ExitCode, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err(format!("making a root needs root: sudo ./x fresh {release}"));
    }
    let cache = clips::cache()?;
    let root = cache.join(format!("fresh-{release}"));
    fs::create_dir_all(&cache).map_err(named(&cache))?;
    let _lock = lock(&cache.join(format!("fresh-{release}.lock")))?;

    let keep = what == Some(What::Shell) && root.join(PROJECT).is_dir();
    if !keep {
        make_root(release, &root)?;
        copy_project(&root)?;
    }
    copy_settings(&root)?;
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

fn make_root(release: Release, root: &Path) -> Result<(), String> {
    if root.exists() {
        eprintln!("x: removing the last root");
        fs::remove_dir_all(root).map_err(named(root))?;
    }
    eprintln!("x: making a minimal {release} in {}", root.display());
    let sources = mirror::sources(&release.to_string())?;
    let mut command = process::command("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--include=ca-certificates"]);
    command.arg(release.to_string()).arg(root);
    if !sources.is_empty() {
        command.arg("-").stdin(Stdio::piped());
    }
    // Its report goes where ours goes: standard output belongs to what runs inside.
    let mut child =
        command.stdout(Stdio::null()).spawn().map_err(|e| format!("cannot run mmdebstrap: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all((sources.join("\n") + "\n").as_bytes())
            .map_err(|e| format!("mmdebstrap does not read its sources: {e}"))?;
    }
    let status = child.wait().map_err(|e| format!("mmdebstrap: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("mmdebstrap failed ({status})")) }
}

/// Copies what git knows and what it would add: no build results.
fn copy_project(root: &Path) -> Result<(), String> {
    let to = root.join(PROJECT);
    let mut list = process::command("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let files =
        list.current_dir(project::root()).output().map_err(|e| format!("cannot run git: {e}"))?;
    if !files.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&files.stderr)));
    }
    for name in files.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        use std::os::unix::ffi::OsStrExt;
        let name = Path::new(OsStr::from_bytes(name));
        let from = project::root().join(name);
        // In the index, but deleted in the tree.
        if !from.exists() {
            continue;
        }
        let file = to.join(name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(named(folder))?;
        }
        fs::copy(&from, &file).map_err(named(&from))?;
    }
    Ok(())
}

/// How this machine reaches name servers, registries and apt's servers, and whose certificates it
/// trusts there.
fn copy_settings(root: &Path) -> Result<(), String> {
    let copy = |from: &Path, to: &Path| -> Result<(), String> {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(named(folder))?;
        }
        fs::copy(from, to).map(|_| ()).map_err(named(from))
    };
    for file in ["etc/resolv.conf", "etc/hosts"] {
        let from = Path::new("/").join(file);
        if from.exists() {
            copy(&from, &root.join(file))?;
        }
    }
    let certificates = Path::new("usr/local/share/ca-certificates");
    if let Ok(folder) = fs::read_dir(Path::new("/").join(certificates)) {
        for entry in folder.flatten().filter(|entry| entry.path().is_file()) {
            copy(&entry.path(), &root.join(certificates).join(entry.file_name()))?;
        }
    }
    let cargo = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let config = cargo.map(|folder| folder.join("config.toml")).filter(|file| file.is_file());
    if let Some(config) = config {
        copy(&config, &root.join("root/.cargo/config.toml"))?;
    }
    let status = chroot(root, &[OsStr::new("update-ca-certificates").to_owned()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| format!("cannot run chroot: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("update-ca-certificates failed ({status})")) }
}

/// Mounts the kernel's file systems and the test vectors, for this process and its children only.
fn mount_all(root: &Path) -> Result<(), String> {
    let failed = |what: &str, e: nix::Error| format!("cannot mount {what}: {e}");
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| format!("no mount namespace of our own: {e}"))?;
    const NONE: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE).map_err(|e| failed("/ as private", e))?;
    mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), NONE)
        .map_err(|e| failed("/proc", e))?;
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some("/dev"), &root.join("dev"), NONE, bind, NONE).map_err(|e| failed("/dev", e))?;
    if let Some(vectors) = catalogue::folder() {
        let to = root.join(VECTORS);
        fs::create_dir_all(&to).map_err(named(&to))?;
        mount(Some(&vectors), &to, NONE, bind, NONE).map_err(|e| failed("the vectors", e))?;
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(NONE, &to, NONE, read_only, NONE).map_err(|e| failed("the vectors read-only", e))?;
    }
    Ok(())
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
    let mut command = chroot(root, words);
    // A shell reads what is typed.
    command.stdin(Stdio::inherit());
    let status = command.status().map_err(|e| format!("cannot run chroot: {e}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A command in the project's folder of the root, with a clean environment.
fn chroot(root: &Path, words: &[OsString]) -> Command {
    let mut command = process::command("chroot");
    command
        .arg(root)
        .args(["sh", "-c", &format!("cd /{PROJECT} && exec \"$@\""), "sh"])
        .args(words);
    command.env_clear();
    for (name, value) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if PASSED_ON.iter().any(|prefix| upper.starts_with(prefix)) {
            command.env(name, value);
        }
    }
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("LANG", "C.UTF-8");
    command
}

/// An I/O error with the path it is about.
fn named(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}
