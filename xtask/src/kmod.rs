//! `./x kmod`: the kernel module builds without a word against the kernels that Debian ships, and is
//! written as the kernel wants it.
//!
//! Out-of-tree modules want the compiler that built the kernel, so each set of headers is used in a root
//! of its own release. The headers are unpacked there without being installed: that would pull in whole
//! kernels, and for arm64 a whole second system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use daedalus_tests::process;
use nix::fcntl::{Flock, FlockArg};

use crate::project;
use crate::root::{self, Kept, Mounts, Plan, named};
use crate::summary::Summary;

/// A root with kernel headers.
struct Room {
    /// Its name below the cache.
    name: &'static str,
    plan: Plan<'static>,
}

const DEBIAN_12: Room = Room {
    name: "kmod-bookworm",
    plan: Plan {
        codename: "bookworm-backports",
        architectures: &["amd64", "arm64"],
        packages: &[
            "make",
            "gcc",
            "gcc-aarch64-linux-gnu",
            "pahole",
            "sparse",
            "libelf1",
            "libssl3",
        ],
        finish: concat!(
            include_str!("kmod/headers.sh"),
            "headers 'Debian 12 backports' /bookworm-backports\n",
        ),
    },
};

const DEBIAN_13: Room = Room {
    name: "kmod-trixie",
    plan: Plan {
        codename: "trixie-backports",
        architectures: &["amd64", "arm64"],
        packages: &[
            "make",
            "gcc",
            "gcc-aarch64-linux-gnu",
            "sparse",
            "clang-format",
            "perl",
            "python3",
            "xz-utils",
            // What linux-kbuild's programs need.
            "pahole",
            "libelf1t64",
            "libssl3t64",
        ],
        finish: concat!(
            include_str!("kmod/headers.sh"),
            "headers 'Debian 13' ''\n",
            "headers 'Debian 13 backports' /trixie-backports\n",
            include_str!("kmod/style.sh"),
        ),
    },
};

const UNSTABLE: Room = Room {
    name: "kmod-sid",
    plan: Plan {
        codename: "sid",
        architectures: &["amd64", "arm64"],
        packages: &[
            "make",
            "gcc",
            "gcc-aarch64-linux-gnu",
            "sparse",
            "pahole",
            "libelf1t64",
            "libssl3t64",
        ],
        finish: concat!(include_str!("kmod/headers.sh"), "headers 'Debian unstable' ''\n"),
    },
};

/// Where `headers` of headers.sh lists what it has unpacked.
const LIST: &str = "usr/src/headers.tsv";
/// Where style.sh puts the kernel's own checkers.
const STYLE: &str = "/usr/src/linux-style";
/// Where builds happen, in a root.
const WORK: &str = "work";

const LIMIT: Duration = Duration::from_secs(600);

/// One kernel's headers.
#[derive(Debug, PartialEq, Eq)]
struct Headers {
    /// Where they are from, for people.
    origin: String,
    /// The kernel's release, as `uname -r` says it.
    release: String,
    architecture: Architecture,
    /// Whether the root's sparse is new enough for them.
    sparse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    fn from_debian(name: &str) -> Option<Self> {
        match name {
            "amd64" => Some(Self::Amd64),
            "arm64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Words for make. The roots are of amd64.
    fn make(self) -> &'static [&'static str] {
        match self {
            Self::Amd64 => &["ARCH=x86_64"],
            Self::Arm64 => &["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"],
        }
    }
}

/// See the module. With `filters`, only checks whose names contain one of them.
pub fn run(filters: &[String], renew: bool) -> Result<ExitCode, String> {
    let started = Instant::now();
    let mut checks = Checks { filters, sum: Summary::default() };
    let mut rooms = vec![DEBIAN_13.open(renew)?];
    for (origin, room) in [("Debian 12 backports", DEBIAN_12), ("Debian unstable", UNSTABLE)] {
        match room.open(renew) {
            Ok(open) => rooms.push(open),
            // Unstable and backports cannot be had at all times.
            Err(why) => checks.skip(origin, &why),
        }
    }
    let mounts = Mounts::new()?;
    let (work, _lock) = work_folder()?;
    for (root, all) in &rooms {
        enter(&mounts, root, &work)?;
        for headers in all {
            let name = format!("{} ({})", headers.release, headers.origin);
            if !checks.wants(&format!("build {name}")) && !checks.wants(&format!("sparse {name}")) {
                continue;
            }
            let folder = fresh_copy(&work, &headers.release)?;
            checks.check(&format!("build {name}"), || make(root.path(), headers, &folder, &[]));
            if headers.sparse {
                checks.check(&format!("sparse {name}"), || {
                    make(root.path(), headers, &folder, &["C=2"])
                });
            }
        }
    }
    check_style(&mut checks, &rooms[0].0, &work)?;
    println!("\nAfter {} s:\n{}", started.elapsed().as_secs(), checks.sum);
    let good = checks.sum.failed == 0 && checks.sum.passed > 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A root with headers, for others.
pub struct Open {
    /// The root.
    pub root: Kept,
    /// Where each of this machine's kernels is from, and its release.
    pub kernels: Vec<(String, String)>,
}

/// The names of all roots with headers, below the cache.
pub const ROOMS: [&str; 3] = [DEBIAN_12.name, DEBIAN_13.name, UNSTABLE.name];

/// The root of [`ROOMS`] called `name`, made now unless it is there.
pub fn room(name: &str, renew: bool) -> Result<Open, String> {
    let all = [DEBIAN_12, DEBIAN_13, UNSTABLE];
    let room =
        all.iter().find(|room| room.name == name).ok_or_else(|| format!("no root {name}"))?;
    let (root, headers) = room.open(renew)?;
    let own = headers.into_iter().filter(|one| one.architecture == Architecture::Amd64);
    let kernels = own.map(|one| (one.origin, one.release)).collect();
    Ok(Open { root, kernels })
}

/// The root with the headers of the Debian 13 kernel `release`.
pub fn room_for(release: &str, renew: bool) -> Result<Kept, String> {
    let has = |headers: &[Headers]| headers.iter().any(|headers| headers.release == release);
    let (root, headers) = DEBIAN_13.open(renew)?;
    if has(&headers) {
        return Ok(root);
    }
    // The root is older than the kernel.
    drop(root);
    let (root, headers) = DEBIAN_13.open(true)?;
    if has(&headers) { Ok(root) } else { Err(format!("Debian 13 has no headers of {release} now")) }
}

/// Builds the module in `root` for the kernel `release` and returns its file.
pub fn module(mounts: &Mounts, root: &Kept, release: &str) -> Result<PathBuf, String> {
    let all = list(root)?;
    let headers = all.iter().find(|headers| headers.release == release);
    let headers = headers.ok_or_else(|| format!("no headers of {release}"))?;
    let (work, _lock) = work_folder()?;
    enter(mounts, root, &work)?;
    let folder = fresh_copy(&work, &format!("{release}-vm"))?;
    make(root.path(), headers, &folder, &[])?;
    Ok(work.join(folder).join("daedalus.ko"))
}

/// Whether the project has a kernel module.
pub fn exists() -> bool {
    project::root().join("kmod/Kbuild").is_file()
}

impl Room {
    fn open(&self, renew: bool) -> Result<(Kept, Vec<Headers>), String> {
        let root = Kept::root(self.name, &self.plan, renew)?;
        let headers = list(&root)?;
        Ok((root, headers))
    }
}

fn list(root: &Kept) -> Result<Vec<Headers>, String> {
    let file = root.path().join(LIST);
    let text = fs::read_to_string(&file).map_err(named(&file))?;
    parse_list(&text).ok_or_else(|| format!("{} does not list headers:\n{text}", file.display()))
}

/// Lines of origin, release, architecture and whether sparse will do, with tabs between.
fn parse_list(text: &str) -> Option<Vec<Headers>> {
    text.lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let headers = Headers {
                origin: fields.next()?.to_owned(),
                release: fields.next()?.to_owned(),
                architecture: Architecture::from_debian(fields.next()?)?,
                sparse: fields.next()? == "1",
            };
            fields.next().is_none().then_some(headers)
        })
        .collect()
}

fn enter(mounts: &Mounts, root: &Kept, work: &Path) -> Result<(), String> {
    mounts.kernel(root.path())?;
    mounts.folder(work, root.path(), WORK)
}

/// The folder that roots see as [`WORK`], for one run at a time.
fn work_folder() -> Result<(PathBuf, Flock<fs::File>), String> {
    let folder = project::target().join("kmod");
    fs::create_dir_all(&folder).map_err(named(&folder))?;
    let lock = folder.with_extension("lock");
    Ok((folder, root::wait_for(&lock, FlockArg::LockExclusiveNonblock)?))
}

/// Copies the module's sources to `work` and returns their folder there. Older kernels build nowhere else
/// than beside the sources.
fn fresh_copy(work: &Path, name: &str) -> Result<PathBuf, String> {
    let to = work.join(name);
    if to.exists() {
        fs::remove_dir_all(&to).map_err(named(&to))?;
    }
    project::copy("kmod", &to)?;
    Ok(name.into())
}

/// Builds; whatever is said on standard error is a failure.
fn make(root: &Path, headers: &Headers, folder: &Path, more: &[&str]) -> Result<(), String> {
    let mut words = vec![
        "make".to_owned(),
        format!("-j{}", std::thread::available_parallelism().map_or(1, |n| n.get())),
        format!("M=/{WORK}/{}", folder.display()),
        "W=1".to_owned(),
    ];
    words.extend(headers.architecture.make().iter().chain(more).map(|&word| word.to_owned()));
    words.push("modules".to_owned());
    silent(root, &format!("/usr/src/linux-headers-{}", headers.release), &words)
}

/// Runs a command that is to succeed without a word on standard error.
fn silent(root: &Path, folder: &str, words: &[String]) -> Result<(), String> {
    let mut command = root::command(root, folder, words);
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!(
            "{}{}{} ended with {}",
            done.text(),
            done.log,
            words[0],
            done.ending()
        ));
    }
    if done.log.is_empty() { Ok(()) } else { Err(done.log) }
}

/// The kernel's own checkers, on every file of the module.
fn check_style(checks: &mut Checks, root: &Kept, work: &Path) -> Result<(), String> {
    let folder = fresh_copy(work, "style")?;
    let inside = format!("/{WORK}/{}", folder.display());
    let files = sources(&work.join(&folder))?;
    for file in &files {
        let run = |words: &[&str]| -> Result<(), String> {
            let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            words.push(file.clone());
            silent(root.path(), &inside, &words)
        };
        let checkpatch = format!("{STYLE}/scripts/checkpatch.pl");
        checks.check(&format!("checkpatch kmod/{file}"), || {
            run(&[&checkpatch, "--strict", "--no-tree", "--no-summary", "--quiet", "-f"])
        });
        if !file.ends_with(".c") && !file.ends_with(".h") {
            continue;
        }
        let kernel_doc = format!("{STYLE}/scripts/kernel-doc");
        checks.check(&format!("kernel-doc kmod/{file}"), || {
            run(&[&kernel_doc, "-none", "-Wall", "-Werror"])
        });
        if work.join(&folder).join(".clang-format").is_file() {
            checks.check(&format!("clang-format kmod/{file}"), || {
                run(&["clang-format", "--dry-run", "-Werror"])
            });
        }
    }
    Ok(())
}

/// C files and makefiles below `folder`, by their paths from there, in order.
fn sources(folder: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let here = folder.join(&inner);
        for entry in fs::read_dir(&here).map_err(named(&here))? {
            let entry = entry.map_err(named(&here))?;
            let path = inner.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if is_source(&path) {
                found.push(path.to_str().ok_or("a file name is not UTF-8")?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    let is = |name: Option<&std::ffi::OsStr>, any: &[&str]| {
        name.is_some_and(|name| any.iter().any(|other| name == *other))
    };
    is(path.extension(), &["c", "h"]) || is(path.file_name(), &["Kbuild", "Makefile", "Kconfig"])
}

/// Checks that count themselves.
struct Checks<'a> {
    filters: &'a [String],
    sum: Summary,
}

impl Checks<'_> {
    fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    fn check(&mut self, name: &str, check: impl FnOnce() -> Result<(), String>) {
        if !self.wants(name) {
            return;
        }
        let started = Instant::now();
        match check() {
            Ok(()) => {
                self.sum.passed += 1;
                println!("{name} ... ok ({:.1} s)", started.elapsed().as_secs_f32());
            }
            Err(why) => {
                self.sum.failed += 1;
                println!("{name} ... FAILED\n{}", why.trim_end());
            }
        }
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.sum.skipped += 1;
        println!("{name} ... SKIPPED: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_headers_is_read() {
        let list =
            "Debian 13\t6.12.1+deb13-amd64\tamd64\t1\nunstable\t7.2.13+deb14-arm64\tarm64\t0\n";
        let headers = parse_list(list).unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(headers[0].release, "6.12.1+deb13-amd64");
        assert_eq!(headers[1].architecture, Architecture::Arm64);
        assert!(headers[0].sparse && !headers[1].sparse);
    }

    #[test]
    fn a_torn_list_is_noticed() {
        assert_eq!(parse_list("Debian 13\t6.12.1"), None);
    }

    #[test]
    fn sources_are_told_from_other_files() {
        for yes in ["main.c", "uapi/daedalus.h", "Kbuild", "sub/Makefile"] {
            assert!(is_source(Path::new(yes)), "{yes}");
        }
        for no in ["daedalus.ko", "README.md", ".clang-format", "dkms.conf"] {
            assert!(!is_source(Path::new(no)), "{no}");
        }
    }
}
