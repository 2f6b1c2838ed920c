//! What the driver logs in its clients' processes, and how much of it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::{compile, corpus, process};

const LIMIT: Duration = Duration::from_secs(120);

/// Calls that are refused.
const CALLS: usize = 1000;

/// A client whose calls are refused.
fn client(name: &str, filter: &str) -> Client {
    let folder = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), name).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logging/refused.c");
    let program: PathBuf = folder.join("refused");
    compile::c(&[source], &program, &["libva", "libva-x11", "x11"]).unwrap();
    let display = Xvfb::start().unwrap();
    let environment =
        Environment { directory: driver::directory().unwrap(), display: display.name().to_owned() };
    let mut command = process::command(program);
    environment.apply(&mut command).arg(CALLS.to_string());
    command.env("DAEDALUS_LOG", filter).env("LIBVA_MESSAGING_LEVEL", "0");
    command.env_remove("JOURNAL_STREAM");
    Client { command, folder, _display: display }
}

struct Client {
    command: Command,
    folder: PathBuf,
    _display: Xvfb,
}

impl Client {
    /// Runs it; an error if it does not end well.
    fn run(&mut self, stderr: File) -> Result<(), String> {
        let mut child = self.command.stderr(stderr).spawn().unwrap();
        let started = Instant::now();
        loop {
            match child.try_wait().unwrap() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(status.to_string()),
                None if started.elapsed() > LIMIT => child.kill().unwrap(),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

/// What the driver says in a client whose calls are refused.
fn refused(name: &str, filter: &str, journal: bool) -> Vec<String> {
    let mut client = client(name, filter);
    let log = client.folder.join("log");
    let file = File::create(&log).unwrap();
    if journal {
        let metadata = file.metadata().unwrap();
        client.command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
    }
    let ended = client.run(file);
    let said = fs::read_to_string(&log).unwrap();
    assert_eq!(ended, Ok(()), "{said}");
    said.lines().map(String::from).collect()
}

#[test]
fn what_is_refused_again_and_again_takes_few_lines_and_is_counted() {
    let said = refused("logging-limit", "info", false);
    let lines =
        said.iter().filter(|l| l.starts_with("daedalus: info: vaDestroySurfaces: ")).count();
    let left_out = said.iter().filter_map(|line| {
        let rest = line.strip_prefix("daedalus: info: left out ")?;
        assert!(rest.contains(" more like this: vaDestroySurfaces: "), "{line}");
        rest.split(' ').next()?.parse::<usize>().ok()
    });
    assert_eq!(lines + left_out.sum::<usize>(), CALLS, "{said:#?}");
    // Ten, unless the calls took longer than the ten seconds of a window.
    assert!(lines < CALLS / 10, "{lines} lines");
    assert!(said.iter().any(|line| line.starts_with("daedalus: info: version ")), "{said:#?}");
}

#[test]
fn a_target_is_logged_alone() {
    let said = refused("logging-target", "daedalus_drv_video::device=info", false);
    assert!(!said.iter().any(|line| line.contains("vaDestroySurfaces")), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("info: decoding ")), "{said:#?}");
}

#[test]
fn a_filter_that_cannot_be_understood_is_said_and_warnings_are_logged() {
    let said = refused("logging-typo", "info=x=y", false);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("daedalus: DAEDALUS_LOG=info=x=y: "), "{said:#?}");
    assert!(said[0].ends_with("; logging warn"), "{said:#?}");
}

#[test]
fn a_client_whose_standard_error_takes_nothing_decodes_all_the_same() {
    for filter in ["info=x=y", "info"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(client("logging-full", filter).run(full), Ok(()), "{filter}");
    }
}

#[test]
fn lines_for_the_journal_have_a_priority() {
    let said = refused("logging-journal", "info", true);
    assert!(said.len() > 10, "{said:#?}");
    for line in &said {
        assert!(line.starts_with("<6>daedalus: info: "), "{line}");
    }
}
