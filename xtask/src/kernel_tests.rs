//! The tests that need the kernel module, in user-mode Linux.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use daedalus_tests::{driver, kernel};

use crate::bed::kernel::{Flavour, Kernel};
use crate::bed::module::{self, Module};
use crate::bed::{self, Job, Outcome, command, compliance, uml};
use crate::cargo;
use crate::summary::Summary;

/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(3000);

/// What to run.
pub struct Options<'o> {
    /// Parts of test names; all tests if empty.
    pub filters: &'o [Option<&'o str>],
    /// Every client, and long runs of what is repeated.
    pub full: bool,
    /// In the kernel that checks itself.
    pub debug: bool,
    /// The folder of the driver.
    pub driver: &'o Path,
    /// The daemon.
    pub daemon: &'o Path,
    /// More for the tests' environment.
    pub environment: &'o [(&'o str, &'o str)],
}

/// The clients that decode the core rows when not all are asked for: one of each API, as mpv alone takes
/// longer than the others together.
const CLIENTS: [&str; 3] = ["ffmpeg-hwdownload::", "gstreamer-vaapi::", "gstreamer-v4l2::"];

/// Runs the tests; adds what is worth saying at the end to `notes`.
pub fn run(options: &Options<'_>, notes: &mut Vec<String>) -> Result<Summary, String> {
    let flavour = if options.debug { Flavour::Debug } else { Flavour::Fast };
    let uml = Kernel::get(flavour)?;
    let ours = module::build(&uml)?.join("daedalus.ko");
    let mut script = String::from("status=0\n");
    for (test, program) in programs()? {
        for filter in options.filters {
            let filters: &[&str] = match filter {
                Some(filter) => &[filter],
                // The debug kernel looks for races, which pictures of all kinds do not make more likely.
                None if test == "clients" && options.debug => continue,
                None if test == "clients" && !options.full => &CLIENTS,
                None => &[""],
            };
            for filter in filters {
                let program = bed::quoted(&program);
                let filter = bed::quoted(filter);
                script.push_str(&format!("{program} --test-threads 1 {filter} || status=$?\n"));
            }
        }
    }
    script.push_str("exit $status\n");
    let mut job = Job::new(["sh", "-c", &script]);
    // vim2m lends v4l2-compliance buffers, and is a device that nobody may take for a decoder.
    job.modules = vec![Module::parse("daedalus")?, Module::parse("vim2m")?];
    job.limit = if options.full { LIMIT * 4 } else { LIMIT };
    job.shown = true;
    let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        job.environment.retain(|(other, _)| other != name);
        job.environment.push((name.into(), value.as_ref().to_owned()));
    };
    set("DAEDALUS_DEVICE", &kernel::TRANSPORT);
    set("DAEDALUS_MODULE", &ours);
    // For one test: with it, there is a display device.
    set("DAEDALUS_LOAD_VGEM", &Module::parse("vgem")?.load(&uml));
    set(driver::DIRECTORY_VARIABLE, &options.driver);
    set(kernel::DAEMON_VARIABLE, &options.daemon);
    if options.full {
        set("DAEDALUS_KERNEL_ROUNDS", &"full");
    }
    for (name, value) in options.environment {
        set(name, value);
    }
    job.find_programs_in(&compliance::programs()?);
    eprintln!("x: tests of the kernel module, in user-mode Linux ({})", flavour.name());
    let outcome = uml::run(&uml, &job)?;
    command::report(&outcome, false);
    let mut sum = Summary::default();
    count(&outcome, &mut sum, notes);
    Ok(sum)
}

/// Adds up what the test programs of a job have said, and the kernel.
pub fn count(outcome: &Outcome, sum: &mut Summary, notes: &mut Vec<String>) {
    for line in outcome.stdout.lines() {
        sum.add(line);
        if line.starts_with("test ") && line.ends_with("... ignored") {
            notes.push(format!("SKIPPED: {}", line.trim_start_matches("test ")));
        }
    }
    // A failed test has been counted; a kernel that complains, or dies, is a failure of its own.
    if !outcome.complaints().is_empty() && sum.failed == 0 || !outcome.splats.is_empty() {
        sum.failed += 1;
        notes.extend(outcome.complaints().into_iter().map(|why| format!("FAILED: kernel: {why}")));
    }
}

/// The test programs that have something to do in a bed, by name.
fn programs() -> Result<Vec<(&'static str, PathBuf)>, String> {
    build_tests(&["clients", "controls", "kernel"], &[])
}

/// Builds tests of `tests/`, with further options for cargo. Returns their programs, by name.
pub fn build_tests(
    tests: &[&'static str],
    options: &[&str],
) -> Result<Vec<(&'static str, PathBuf)>, String> {
    let mut build = cargo::command("test");
    build.args(["--package", "daedalus-tests", "--no-run"]).args(options);
    build.args(["--message-format", "json-render-diagnostics"]);
    build.args(tests.iter().flat_map(|test| ["--test", test]));
    let done = build
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    let said = String::from_utf8_lossy(&done.stdout);
    let find = |&test: &&'static str| {
        let program = said.lines().find_map(|line| executable(line, test));
        program.map(|program| (test, program)).ok_or(format!("cargo did not build {test}"))
    };
    tests.iter().map(find).collect()
}

/// The executable that a message of cargo's is about, if it is that of a test.
pub fn executable(message: &str, test: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let target = message.get("target")?;
    let is_test = target.get("kind")?.as_array()?.iter().any(|kind| kind == "test");
    let is_this = is_test && target.get("name")? == test;
    let executable = message.get("executable")?.as_str()?;
    is_this.then(|| OsString::from(executable).into())
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_executable_of_a_test_is_found() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"kernel"},"executable":"/t/kernel-1"}"#;
        assert_eq!(executable(message, "kernel"), Some("/t/kernel-1".into()));
        assert_eq!(executable(message, "clients"), None);
        assert_eq!(executable("error: no JSON", "kernel"), None);
    }
}
