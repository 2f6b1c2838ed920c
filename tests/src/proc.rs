//! Numbers that the kernel tells in files of lines (proc(5)).

use std::fs;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(resident(std::process::id()).unwrap() > 100.0);
        assert!(resident(u32::MAX).is_err());
        assert!(field("/proc/meminfo", "Nothing:").is_err());
    }
}
