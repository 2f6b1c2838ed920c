//! Debian roots: folders in which programs of a Debian release run, whatever this machine has.
//!
//! What is mounted into one is mounted in a mount namespace of this process, so that nothing stays
//! behind however we end.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use daedalus_tests::{clips, process};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::build::quote;
use crate::mirror;

/// What a root is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The release, by its codename; with `-backports` after it, backports can be had as well.
    pub codename: &'a str,
    /// This machine's architecture, then others that packages may come from.
    pub architectures: &'a [&'a str],
    /// Packages besides the essential ones.
    pub packages: &'a [&'a str],
    /// A shell script that runs in it at the end, while apt still has its lists.
    pub finish: &'a str,
}

impl<'a> Plan<'a> {
    /// The essential packages and `packages` of one release.
    pub fn plain(codename: &'a str, packages: &'a [&'a str]) -> Self {
        Self { codename, architectures: &[], packages, finish: "" }
    }
}

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

/// A folder that is kept between runs, such as a root. Several runs may use it at a time: they write
/// only into what they mount.
pub struct Kept {
    path: PathBuf,
    _lock: Flock<fs::File>,
}

impl Kept {
    /// The root called `name` that follows `plan`.
    pub fn root(name: &str, plan: &Plan, renew: bool) -> Result<Self, String> {
        must_be_root()?;
        Self::folder(name, &format!("{plan:#?}\n"), renew, |path| {
            make(plan, path)?;
            copy_settings(path)
        })
    }

    /// The folder called `name`. `make` makes it now, unless the one there was made for the same `recipe`
    /// (and `renew` is not set).
    pub fn folder(
        name: &str,
        recipe: &str,
        renew: bool,
        make: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<Self, String> {
        let cache = clips::cache()?;
        fs::create_dir_all(&cache).map_err(named(&cache))?;
        let path = cache.join(name);
        let lock_file = cache.join(format!("{name}.lock"));
        // The recipe lies beside a folder that is whole.
        let stamp = cache.join(format!("{name}.recipe"));
        let good =
            || path.is_dir() && fs::read_to_string(&stamp).is_ok_and(|there| there == recipe);
        if !renew {
            let lock = wait_for(&lock_file, FlockArg::LockSharedNonblock)?;
            if good() {
                return Ok(Self { path, _lock: lock });
            }
        }
        let lock = wait_for(&lock_file, FlockArg::LockExclusiveNonblock)?;
        // Another run may have made it while we waited.
        if renew || !good() {
            let _ = fs::remove_file(&stamp);
            make(&path)?;
            fs::write(&stamp, recipe).map_err(named(&stamp))?;
        }
        lock.relock(FlockArg::LockShared)
            .map_err(|e| format!("cannot lock {}: {e}", lock_file.display()))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Making and entering roots takes rights that only root has.
pub fn must_be_root() -> Result<(), String> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err("this works in a Debian root of its own, and making one needs root: use sudo".into())
    }
}

/// Locks `path`, with a word if that takes waiting. `how` is one of the kinds that do not block.
pub fn wait_for(path: &Path, how: FlockArg) -> Result<Flock<fs::File>, String> {
    let file = fs::File::create(path).map_err(named(path))?;
    let blocking = match how {
        FlockArg::LockSharedNonblock => FlockArg::LockShared,
        _ => FlockArg::LockExclusive,
    };
    Flock::lock(file, how)
        .or_else(|(file, _)| {
            eprintln!("x: another run holds {}; waiting for it", path.display());
            Flock::lock(file, blocking)
        })
        .map_err(|(_, e)| format!("cannot lock {}: {e}", path.display()))
}

/// Makes the root that `plan` describes in the folder `root`, anew.
pub fn make(plan: &Plan, root: &Path) -> Result<(), String> {
    if root.exists() {
        eprintln!("x: removing the last root");
        fs::remove_dir_all(root).map_err(named(root))?;
    }
    let release = plan.codename.trim_end_matches("-backports");
    let sources = mirror::sources(plan.codename)?;
    if sources.is_empty() && plan.codename != release {
        return Err(format!("apt here knows no server of Debian's to take {} from", plan.codename));
    }
    eprintln!("x: making a minimal {release} in {}", root.display());
    let mut command = process::command("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase"]);
    let packages = [&["ca-certificates"], plan.packages].concat();
    command.arg(format!("--include={}", packages.join(",")));
    if !plan.architectures.is_empty() {
        command.arg(format!("--architectures={}", plan.architectures.join(",")));
    }
    if plan.codename == "sid" {
        // A mirror that lags is no reason to go without: signatures are checked all the same.
        command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    }
    if !plan.finish.is_empty() {
        let script = root.with_extension("finish");
        fs::write(&script, plan.finish).map_err(named(&script))?;
        let script = quote(&script.to_string_lossy());
        command.arg(format!("--customize-hook=chroot \"$1\" sh -eu <{script}"));
    }
    command.arg(release).arg(root);
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

/// How this machine reaches name servers, registries and apt's servers, and whose certificates it
/// trusts there.
pub fn copy_settings(root: &Path) -> Result<(), String> {
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
    let status = command(root, "/", &["update-ca-certificates"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| format!("cannot run chroot: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("update-ca-certificates failed ({status})")) }
}

/// The mounts of this process and its children.
pub struct Mounts(());

impl Mounts {
    /// Mounts from here on are seen by this process and its children only.
    pub fn new() -> Result<Self, String> {
        unshare(CloneFlags::CLONE_NEWNS)
            .map_err(|e| format!("no mount namespace of our own: {e}"))?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(NONE, "/", NONE, private, NONE).map_err(failed("/ as private"))?;
        Ok(Self(()))
    }

    /// The kernel's file systems, in `root`.
    pub fn kernel(&self, root: &Path) -> Result<(), String> {
        mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), NONE)
            .map_err(failed("/proc"))?;
        mount(Some("/dev"), &root.join("dev"), NONE, BIND, NONE).map_err(failed("/dev"))
    }

    /// The folder `from` as `to`, a path in `root`.
    pub fn folder(&self, from: &Path, root: &Path, to: &str) -> Result<(), String> {
        let to = root.join(to);
        fs::create_dir_all(&to).map_err(named(&to))?;
        mount(Some(from), &to, NONE, BIND, NONE).map_err(failed(&from.to_string_lossy()))
    }

    /// As [`Mounts::folder`], and nobody can write to it there.
    pub fn read_only(&self, from: &Path, root: &Path, to: &str) -> Result<(), String> {
        self.folder(from, root, to)?;
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(NONE, &root.join(to), NONE, read_only, NONE)
            .map_err(failed(&format!("{} read-only", from.display())))
    }
}

const NONE: Option<&str> = None;
const BIND: MsFlags = MsFlags::MS_BIND.union(MsFlags::MS_REC);

fn failed(what: &str) -> impl Fn(nix::Error) -> String + '_ {
    move |e| format!("cannot mount {what}: {e}")
}

/// A command in the folder `folder` of the root, with a clean environment.
pub fn command(root: &Path, folder: &str, words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = process::command("chroot");
    let mut script = OsString::from("cd ");
    script.push(quote(folder));
    script.push(" && exec \"$@\"");
    command.arg(root).args(["sh".as_ref(), "-c".as_ref(), script.as_os_str(), "sh".as_ref()]);
    command.args(words);
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
pub fn named(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}
