//! `./x test`: everything that is checked.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use clap::Args;
use daedalus_tests::{ctl, driver};

use crate::summary::Summary;
use crate::{build, cargo, kernel_tests, lint};

/// What to test.
#[derive(Args)]
pub struct Options {
    /// Parts of test names, such as `mpv::` or `altref`
    filters: Vec<String>,
    /// Every stream of the catalogue that must decode, not just its core; every client on the kernel's
    /// device, and long runs of what is repeated there
    #[arg(long)]
    full: bool,
    /// Leave out what needs the kernel module, and so a kernel of our own
    #[arg(long)]
    host: bool,
    /// Only what needs the kernel module
    #[arg(long, conflicts_with = "host")]
    kernel: bool,
    /// Use the kernel that checks itself (KASAN, lockdep ...); implies --kernel
    #[arg(long, conflicts_with = "host")]
    debug_kernel: bool,
}

/// Lints, builds and tests; with filters only the tests whose names contain one of them.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let Options { filters, full, .. } = options;
    let kernel_only = options.kernel || options.debug_kernel;
    let started = Instant::now();
    let mut sum = Summary::default();
    let mut notes = Vec::new();
    if filters.is_empty() && !kernel_only {
        let report = lint::check();
        sum.passed += report.passed;
        sum.failed += report.failed.len();
        sum.skipped += report.skipped.len();
        notes.extend(report.failed.into_iter().map(|why| format!("FAILED: {why}")));
        notes.extend(report.skipped.into_iter().map(|why| format!("SKIPPED: {why}")));
    }
    eprintln!("x: building the driver, the daemon and its tool");
    let directory = build::driver(build::Profile::Dev)?;
    let daemon = build::daemon(build::Profile::Dev)?;
    let tool = build::ctl(build::Profile::Dev)?;
    // The runners take one filter each.
    let filters: Vec<Option<&str>> = match &filters[..] {
        [] => vec![None],
        some => some.iter().map(|filter| Some(filter.as_str())).collect(),
    };
    if !kernel_only {
        for filter in &filters {
            let tests = cargo_test(*filter, *full, (&directory, &tool), &mut notes)?;
            sum.passed += tests.passed;
            sum.failed += tests.failed;
            sum.skipped += tests.skipped;
        }
    }
    if options.host {
        sum.skipped += 1;
        notes.push("SKIPPED: what needs the kernel module".into());
    } else {
        let options = kernel_tests::Options {
            filters: &filters,
            full: *full,
            debug: options.debug_kernel,
            driver: &directory,
            daemon: &daemon,
            environment: &[],
        };
        match kernel_tests::run(&options, &mut notes) {
            Ok(tests) => {
                sum.passed += tests.passed;
                sum.failed += tests.failed;
                sum.skipped += tests.skipped;
            }
            // What has been found out before is still worth telling.
            Err(why) => {
                sum.failed += 1;
                notes.push(format!("FAILED: kernel: {why}"));
            }
        }
    }
    println!();
    for note in &notes {
        println!("{note}");
    }
    println!("After {} s:", started.elapsed().as_secs());
    println!("{sum}");
    let good = sum.failed == 0 && sum.passed > 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo test` on everything, with one filter.
fn cargo_test(
    filter: Option<&str>,
    full: bool,
    (directory, tool): (&Path, &Path),
    notes: &mut Vec<String>,
) -> Result<Summary, String> {
    let mut command = cargo::command("test");
    command.args(["--workspace", "--no-fail-fast"]).args(cargo::features());
    command.args(filter.map(|filter| ["--", filter]).into_iter().flatten());
    command.env(driver::DIRECTORY_VARIABLE, directory).env(ctl::VARIABLE, tool);
    if full {
        command.env("DAEDALUS_TIER", "full");
    }
    eprintln!("x: cargo test{}", filter.map_or(String::new(), |filter| format!(" -- {filter}")));
    let mut tests = Summary::default();
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot run cargo: {e}"))?;
    let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    for line in stdout.lines() {
        let line = line.map_err(|e| format!("cannot read what cargo test says: {e}"))?;
        println!("{line}");
        tests.add(&line);
        if line.starts_with("test ") && line.ends_with("... ignored") {
            notes.push(format!("SKIPPED: {}", line.trim_start_matches("test ")));
        }
    }
    let status = child.wait().map_err(|e| format!("cargo test: {e}"))?;
    if !status.success() && tests.failed == 0 {
        // It did not build, or a runner died before it could count.
        tests.failed += 1;
        notes.push(format!("FAILED: cargo test ended with {status}"));
    }
    Ok(tests)
}
