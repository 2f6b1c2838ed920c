//! Counting what the test runners report.

use std::fmt;

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Ran and passed.
    pub passed: usize,
    /// Ran and failed.
    pub failed: usize,
    /// Not run here, and said so.
    pub skipped: usize,
}

impl Summary {
    /// Adds a runner's closing line; `false` if `line` is none.
    ///
    /// `test result: ok. 14 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s`
    pub fn add(&mut self, line: &str) -> bool {
        let Some(counts) = line.trim().strip_prefix("test result: ") else { return false };
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(kind)) =
                (words.next().map(str::parse::<usize>), words.next())
            else {
                continue;
            };
            match kind {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
        true
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn closing_lines_add_up() {
        let mut sum = Summary::default();
        let ok = "test result: ok. 14 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert!(sum.add(ok));
        assert!(sum.add("test result: FAILED. 1 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s"));
        assert!(!sum.add("running 3 tests"));
        assert_eq!(sum, Summary { passed: 15, failed: 5, skipped: 2 });
        assert_eq!(sum.to_string(), "15 passed, 5 failed, 2 skipped");
    }
}
