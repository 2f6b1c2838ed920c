//! The outcome of a run as a JUnit report, which continuous integration services show.

use std::fs;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Verdict;

/// One stream of a run.
pub struct Entry<'a> {
    /// The client, the name of a suite.
    pub client: &'a str,
    /// The stream.
    pub stream: &'a str,
    /// What became of it.
    pub verdict: &'a Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

/// Writes `entries` to `file`: a suite per client, in order of appearance.
pub fn write(file: &Path, entries: &[Entry<'_>]) -> Result<(), String> {
    let mut report = Report::new("daedalus conformance");
    let mut clients: Vec<&str> = Vec::new();
    for entry in entries {
        if !clients.contains(&entry.client) {
            clients.push(entry.client);
        }
    }
    for client in clients {
        let mut suite = TestSuite::new(client);
        for entry in entries.iter().filter(|entry| entry.client == client) {
            let mut case = TestCase::new(entry.stream, status(entry.verdict));
            case.set_classname(client).set_time(entry.elapsed);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    let named = |e: String| format!("{}: {e}", file.display());
    let mut text = Vec::new();
    report.serialize(&mut text).map_err(|e| named(e.to_string()))?;
    fs::write(file, text).map_err(|e| named(e.to_string()))
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    let kind = match verdict {
        Verdict::Exact | Verdict::AmongOthers | Verdict::Survives | Verdict::FallsBack => {
            return TestCaseStatus::success();
        }
        Verdict::Refused(why) => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(why.as_str());
            return skipped;
        }
        Verdict::Differs(_) => NonSuccessKind::Failure,
        Verdict::Error(_) | Verdict::Crash(_) | Verdict::Timeout => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(verdict.word()).set_message(verdict.detail());
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_a_suite_and_each_verdict_a_status() {
        let file = std::env::temp_dir().join(format!("daedalus-junit-{}.xml", std::process::id()));
        let verdicts =
            [Verdict::Exact, Verdict::Refused("no".into()), Verdict::Differs("Y at (1, 2)".into())];
        let entries: Vec<_> = verdicts
            .iter()
            .map(|verdict| Entry {
                client: "mpv",
                stream: "a<b",
                verdict,
                elapsed: Duration::from_millis(1500),
            })
            .collect();
        write(&file, &entries).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let counts = r#"tests="3" skipped="1" errors="0" failures="1""#;
        assert!(text.contains(&format!("<testsuite name=\"mpv\" {counts}")), "{text}");
        assert!(text.contains("a&lt;b"), "{text}");
        assert!(text.contains("Y at (1, 2)"), "{text}");
    }
}
