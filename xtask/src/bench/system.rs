//! The machine that is measured on, and how busy it is.

use std::fs;
use std::time::Duration;

use daedalus_tests::process;
use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

use crate::project;

/// What a figure is worthless without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Processors that a program may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The first line of `ffmpeg -version`.
    pub ffmpeg: String,
    /// The project's commit, with a mark if files differ from it.
    pub commit: String,
}

impl Machine {
    /// This one.
    pub fn ask(ffmpeg: &str) -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let kernel = uname().map(|names| names.release().to_string_lossy().into_owned());
        Self {
            processor: processor.unwrap_or_default(),
            cores: cores(),
            kernel: kernel.unwrap_or_default(),
            ffmpeg: ffmpeg.to_owned(),
            commit: commit(),
        }
    }
}

/// Processors that we may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn commit() -> String {
    let mut git = process::command("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(project::root());
    process::run(&mut git, Duration::from_secs(30))
        .ok()
        .filter(|done| done.status.success())
        .map_or(String::new(), |done| done.text().trim().to_owned())
}

/// The three load averages.
pub fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
