//! What the daemon says to options and an environment that it cannot understand.

use std::process::{Command, Output};

/// The daemon, which finds no device.
fn run(arguments: &[&str], variable: Option<&str>) -> Output {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_daedalusd"));
    daemon.args(["--device", "/nonexistent/daedalus"]).args(arguments);
    daemon.env_remove("DAEDALUS_LOG").env_remove("JOURNAL_STREAM");
    daemon.envs(variable.map(|value| ("DAEDALUS_LOG", value)));
    daemon.output().unwrap()
}

#[test]
fn a_filter_that_cannot_be_understood_is_a_wrong_option() {
    let done = run(&["--log", "info=x=y"], None);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("--log") && said.contains("info=x=y"), "{said}");
    assert!(!said.contains("DAEDALUS_LOG="), "{said}");
    let done = run(&["--log", "warn,daedalus_daemon=debug"], None);
    assert!(String::from_utf8(done.stderr).unwrap().contains("no such device"));
}

#[test]
fn a_variable_that_cannot_be_understood_leaves_what_is_logged_without_it() {
    let said = String::from_utf8(run(&[], Some("info=x=y")).stderr).unwrap();
    let complaint = said.lines().next().unwrap();
    assert!(complaint.starts_with("daedalusd: DAEDALUS_LOG=info=x=y: "), "{said}");
    assert!(complaint.ends_with("; logging info"), "{said}");
    assert!(said.contains("[INFO ") && said.contains("no such device"), "{said}");
}
