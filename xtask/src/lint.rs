//! Format, clippy, and the documentation of the code.

use std::process::ExitCode;

use crate::cargo;

/// What a lint run has done.
pub struct Report {
    /// What was wrong.
    pub failed: Vec<String>,
    /// What could not be checked here, and why.
    pub skipped: Vec<String>,
    /// How many checks passed.
    pub passed: usize,
}

/// Runs what is installed. Debian's toolchain comes without these components.
pub fn check() -> Report {
    let mut report = Report { failed: Vec::new(), skipped: Vec::new(), passed: 0 };
    let mut format = cargo::command("fmt");
    format.args(["--all", "--check"]);
    let mut clippy = cargo::command("clippy");
    clippy.args(["--workspace", "--all-targets", "--quiet"]).args(cargo::features());
    clippy.args(["--", "-D", "warnings"]);
    let mut doc = cargo::command("doc");
    doc.args(["--workspace", "--no-deps", "--document-private-items", "--quiet"]);
    doc.args(cargo::features()).env("RUSTDOCFLAGS", "-D warnings");
    for (name, command) in [("fmt", &mut format), ("clippy", &mut clippy), ("doc", &mut doc)] {
        if !cargo::has(name) {
            report.skipped.push(format!("cargo {name} is not installed"));
            continue;
        }
        eprintln!("x: cargo {name}");
        match cargo::check(command) {
            Ok(()) => report.passed += 1,
            Err(why) => report.failed.push(why),
        }
    }
    report
}

/// `./x lint`.
pub fn run() -> Result<ExitCode, String> {
    let report = check();
    for skipped in &report.skipped {
        eprintln!("x: SKIPPED: {skipped}");
    }
    match report.failed.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        failed => Err(failed.join("; ")),
    }
}
