//! A VA-API client that is not written in Rust (`tests/c/`, compiled here): every entry point of the
//! driver, also with what it must refuse, and teardown in every order.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::{process, valgrind};

/// The program, compiled once for all tests of this file.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
        let mut sources: Vec<PathBuf> = std::fs::read_dir(&folder)
            .expect("tests/c is there")
            .map(|entry| entry.expect("tests/c is readable").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
            .collect();
        sources.sort();
        assert!(!sources.is_empty(), "no C source in {}", folder.display());
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-client");
        let mut compile = process::command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compile.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
        compile.args(&sources).arg("-o").arg(&program).args(libraries());
        let done = process::run(&mut compile, Duration::from_secs(120)).unwrap();
        assert!(done.status.success(), "{}", done.log);
        program
    })
}

/// The compiler's and linker's options for libva and X.
fn libraries() -> Vec<String> {
    let mut ask = process::command("pkg-config");
    ask.args(["--cflags", "--libs", "libva", "libva-x11", "x11"]);
    let done = process::run(&mut ask, Duration::from_secs(30)).unwrap();
    assert!(done.status.success(), "{}", done.log);
    done.text().split_whitespace().map(str::to_owned).collect()
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
