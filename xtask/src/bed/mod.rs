//! Test beds: kernels of our own, for what this machine's kernel cannot show.
//!
//! A [`Job`] is a command that runs inside one, with the project's files at their usual places. An
//! [`Outcome`] is what came of it: how it ended, and what the kernel had to say.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use self::splat::Splat;
use crate::build::quote;
use crate::project;
use crate::root::named;

pub mod archive;
pub mod command;
pub mod compliance;
pub mod kernel;
pub mod module;
pub mod selftest;
pub mod signals;
pub mod splat;
pub mod uml;
pub mod vm;

/// A command for a bed.
#[derive(Clone, Debug)]
pub struct Job {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Where it runs.
    pub directory: PathBuf,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// What is loaded before it, and unloaded after it.
    pub modules: Vec<module::Module>,
    /// Memory of the machine, such as `2G`.
    pub memory: String,
    /// How long all of it may take.
    pub limit: Duration,
    /// Whether to look for memory that the kernel has lost, where the kernel can.
    pub leaks: bool,
    /// Whether what it says is also shown as it comes.
    pub shown: bool,
}

/// Variables that say how to run, by prefix. What tells of the host's session (displays, buses,
/// runtime folders) stays outside.
const PASSED_ON: [&str; 22] = [
    "AV_",
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "DAEDALUS_",
    "FF",
    "G_",
    "GST_",
    "HOME",
    "LANG",
    "LC_",
    "LIBVA_",
    "LOGNAME",
    "MESA_",
    "MPV_",
    "NO_COLOR",
    "PATH",
    "RUST",
    "TZ",
    "USER",
    "V4L",
    "VA_",
    "XDG_CACHE_HOME",
];

impl Job {
    /// A job in the project's folder, with what of our environment says how programs run.
    pub fn new<Word: AsRef<OsStr>>(command: impl IntoIterator<Item = Word>) -> Self {
        let passed = |(name, _): &(OsString, OsString)| {
            let name = name.to_string_lossy();
            PASSED_ON.iter().any(|prefix| name.starts_with(prefix))
        };
        Self {
            command: command.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            directory: project::root().to_owned(),
            environment: std::env::vars_os().filter(passed).collect(),
            modules: Vec::new(),
            memory: "2G".into(),
            limit: Duration::from_secs(300),
            leaks: false,
            shown: false,
        }
    }

    /// Puts a folder in front of the job's `PATH`.
    pub fn find_programs_in(&mut self, folder: &Path) {
        let mut path = folder.as_os_str().to_owned();
        match self.environment.iter_mut().find(|(name, _)| name == "PATH") {
            Some((_, rest)) => {
                path.push(":");
                path.push(&*rest);
                *rest = path;
            }
            None => self.environment.push(("PATH".into(), path)),
        }
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Status(u8),
    /// It was killed at its time limit.
    TimedOut,
    /// It was killed because we were asked to end.
    Interrupted,
    /// The kernel ended before it.
    KernelDied,
}

/// What came of a job.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Why the bed itself could not do what the job asks for (load a module, say).
    pub failure: Option<String>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// What the kernel wrote to its log.
    pub log: String,
    /// Complaints in there.
    pub splats: Vec<Splat>,
    /// The kernel's taint flags.
    pub tainted: u64,
    /// Seconds from the start of the kernel to that of the job, and to its end, as the kernel counts.
    pub seconds: Option<(f64, f64)>,
    /// Where all of that lies: stdout, stderr, dmesg, console.
    pub folder: PathBuf,
}

/// Taint flags that a sound kernel does not get from the modules we load: a forced removal, a machine
/// check, a bad page, an oops, a warning, a soft lockup.
const BAD_TAINT: u64 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14;

impl Outcome {
    /// What is wrong, one line each; none if the job succeeded in a kernel that had nothing to say.
    pub fn complaints(&self) -> Vec<String> {
        let mut all = Vec::new();
        match self.ending {
            Ending::Status(0) => (),
            Ending::Status(status) => all.push(format!("the command ended with status {status}")),
            Ending::TimedOut => all.push("the time limit passed".into()),
            Ending::Interrupted => all.push("interrupted".into()),
            Ending::KernelDied => all.push("the kernel died".into()),
        }
        all.extend(self.failure.clone());
        all.extend(self.splats.iter().map(|splat| format!("the kernel says: {}", splat.title)));
        if self.tainted & BAD_TAINT != 0 && self.splats.is_empty() {
            all.push(format!("the kernel is tainted ({:#x})", self.tainted));
        }
        all
    }

    /// The status for whoever has asked: the command's own, and never success if anything is wrong.
    pub fn code(&self) -> u8 {
        match self.ending {
            Ending::Status(0) if self.failure.is_some() => 125,
            Ending::Status(0) if self.complaints().is_empty() => 0,
            Ending::Status(0) => 1,
            Ending::Status(status) => status,
            // As timeout(1) and shells have it.
            Ending::TimedOut => 124,
            Ending::Interrupted => 130,
            Ending::KernelDied => 125,
        }
    }
}

/// A folder for one job at a time; its files stay until another job gets it.
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    _lock: Flock<fs::File>,
}

impl Folder {
    /// The first that no running job has: results of the latest job are mostly in the first.
    pub fn take(kind: &str) -> Result<Self, String> {
        let all = project::target().join(kind);
        for number in 0..100 {
            let path = all.join(format!("job-{number}"));
            fs::create_dir_all(&path).map_err(named(&path))?;
            let lock = path.with_extension("lock");
            let lock = fs::File::create(&lock).map_err(named(&lock))?;
            let Ok(lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) else { continue };
            fs::remove_dir_all(&path).map_err(named(&path))?;
            fs::create_dir(&path).map_err(named(&path))?;
            return Ok(Self { path, _lock: lock });
        }
        Err(format!("all folders in {} are in use", all.display()))
    }

    /// Writes one of its files.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let file = self.path.join(name);
        fs::write(&file, text).map_err(named(&file))?;
        Ok(file)
    }

    /// Reads one of its files; empty if it is not there.
    pub fn read(&self, name: &str) -> String {
        read(&self.path.join(name))
    }
}

fn read(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// A word for a shell. Bytes that are no UTF-8 are lost.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    quote(&word.as_ref().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ending: Ending, log: &str, tainted: u64) -> Outcome {
        Outcome {
            ending,
            failure: None,
            stdout: String::new(),
            stderr: String::new(),
            log: log.into(),
            splats: splat::find(log),
            tainted,
            seconds: None,
            folder: PathBuf::new(),
        }
    }

    #[test]
    fn success_needs_a_quiet_kernel() {
        // Out of tree, unsigned.
        assert_eq!(outcome(Ending::Status(0), "[    1.0] hello", 1 << 12 | 1 << 13).code(), 0);
        assert_eq!(outcome(Ending::Status(0), "[    1.0] BUG: something", 0).code(), 1);
        assert_eq!(outcome(Ending::Status(0), "", 1 << 9).code(), 1);
        assert_eq!(outcome(Ending::Status(3), "[    1.0] BUG: something", 0).code(), 3);
        assert_eq!(outcome(Ending::KernelDied, "", 0).code(), 125);
    }

    #[test]
    fn a_quoted_word_is_one_word() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
