//! Numbers that the kernel tells in files of lines (proc(5)).

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// The number behind `name` in such a file: `VmRSS:` in /proc/PID/status is KiB.
pub fn field(file: &str, name: &str) -> Result<f64, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).ok_or_else(|| format!("{file} has no {name}"))
}

/// Resident KiB of a process.
pub fn resident(id: u32) -> Result<f64, String> {
    field(&format!("/proc/{id}/status"), "VmRSS:")
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
    fn what_is_not_there_is_an_error() {
        assert!(resident(std::process::id()).unwrap() > 100.0);
        assert!(resident(u32::MAX).is_err());
        assert!(field("/proc/meminfo", "Nothing:").is_err());
    }

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
