//! What the driver logs in its clients' processes, and how much of it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::{compile, corpus, process};

const LIMIT: Duration = Duration::from_secs(120);

/// Calls that are refused.
const CALLS: usize = 1000;

/// What the driver says in a client whose calls are refused.
fn refused(name: &str, filter: &str, journal: bool) -> Vec<String> {
    let folder = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), name).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logging/refused.c");
    let program: PathBuf = folder.join("refused");
    compile::c(&[source], &program, &["libva", "libva-x11", "x11"]).unwrap();
    let display = Xvfb::start().unwrap();
    let environment =
        Environment { directory: driver::directory().unwrap(), display: display.name().to_owned() };
    let log = folder.join("log");
    let file = File::create(&log).unwrap();
    let mut client = process::command(program);
    environment.apply(&mut client).arg(CALLS.to_string());
    client.env("DAEDALUS_LOG", filter).env("LIBVA_MESSAGING_LEVEL", "0");
    if journal {
        let metadata = file.metadata().unwrap();
        client.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
    } else {
        client.env_remove("JOURNAL_STREAM");
    }
    let mut child = client.stderr(file).spawn().unwrap();
    let started = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let said = fs::read_to_string(&log).unwrap();
    assert!(status.success(), "{status}: {said}");
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
fn lines_for_the_journal_have_a_priority() {
    let said = refused("logging-journal", "info", true);
    assert!(said.len() > 10, "{said:#?}");
    for line in &said {
        assert!(line.starts_with("<6>daedalus: info: "), "{line}");
    }
}
