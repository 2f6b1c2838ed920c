//! The machine that is measured on, and how busy it is.

use std::fs;
use std::time::Duration;

use daedalus_tests::process;
use nix::sys::utsname::uname;
use nix::unistd::{SysconfVar, sysconf};
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

/// What a process that goes on running has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Seconds of processor time.
    pub processor: f64,
    /// The most memory that was resident at a time, in KiB.
    pub peak: u64,
}

/// What the process `pid` has used.
pub fn used(pid: u32) -> Option<Used> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    Some(Used {
        processor: ticks_of(&read("stat")?)? as f64 / ticks as f64,
        peak: peak_of(&read("status")?)?,
    })
}

/// User and system time from a `stat` file, in ticks.
fn ticks_of(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, which may itself have spaces and those.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut times = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Asks the kernel to count the process's peak of memory from now on. Only root may, for some kernels; then
/// the peak is that of its whole life.
pub fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 100 1 1";
        assert_eq!(ticks_of(stat), Some(300));
        assert_eq!(ticks_of("7 (x) S 1"), None);
    }

    #[test]
    fn the_peak_is_found() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t   1234 kB\n"), Some(1234));
        assert_eq!(peak_of("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(used(std::process::id()).unwrap().peak > 100);
    }
}
