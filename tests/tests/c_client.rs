//! A VA-API client that is not written in Rust (`tests/c/`, compiled here): every entry point of the
//! driver, also with what it must refuse, and teardown in every order.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::{c_client, process, valgrind};

/// The program, compiled once for all tests of this file.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-client");
        c_client::compile(&program).unwrap();
        program
    })
}

/// The program on a display of its own, which must stay as long as the program runs.
fn client(display: &Xvfb) -> Command {
    let mut command = process::command(program());
    let environment =
        Environment { directory: driver::directory().unwrap(), display: display.name().into() };
    environment.apply(&mut command);
    command
}

#[test]
fn every_entry_point_answers_a_c_program() {
    let display = Xvfb::start().unwrap();
    let done = process::run(&mut client(&display), Duration::from_secs(120)).unwrap();
    assert!(done.status.success(), "{}\n{}{}", done.ending(), done.text(), done.log);
}

#[test]
fn no_entry_point_leaks_or_touches_foreign_memory() {
    let display = Xvfb::start().unwrap();
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("valgrind-c-client.xml");
    let limit = Duration::from_secs(600);
    let checked = valgrind::run(&client(&display), &report, limit).unwrap();
    let done = &checked.done;
    assert!(done.status.success(), "{}\n{}{}", done.ending(), done.text(), done.log);
    assert!(checked.errors.is_empty(), "{}", checked.errors.join("\n\n"));
}
