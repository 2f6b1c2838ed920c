//! `daedalusctl dump`: what becomes of what the daemon says.

use std::fs;
use std::path::Path;

use daedalus_tests::{ctl, process};

use crate::{LIMIT, fake};

const START: &str = "{\"protocol\":1,\"dump\":5}\n";

fn dump(socket: &Path, options: &[&str]) -> process::Finished {
    let mut dump = ctl::command().unwrap();
    process::run(dump.arg("--socket").arg(socket).args(["dump", "5"]).args(options), LIMIT).unwrap()
}

#[test]
fn requests_are_written_and_what_happens_to_them_is_said() {
    let folder = fake::folder("dump");
    let said = "{\"timestamp\":1}\n{\"lost\":7}\n{\"timestamp\":2}\n{\"end\":\"it has ended\"}\n";
    let socket = fake::daemon(&folder, &format!("{START}{said}"));
    let requests = "{\"timestamp\":1}\n{\"timestamp\":2}\n";
    let done = dump(&socket, &[]);
    assert!(done.status.success(), "{}", done.log);
    assert_eq!(done.text(), requests);
    let told =
        "daedalusctl: after line 1, 7 requests are missing: too slow\ndaedalusctl: it has ended\n";
    assert_eq!(done.log, told);
    // To a file.
    let file = folder.join("requests.json");
    let done = dump(&socket, &["-o", file.to_str().unwrap()]);
    assert!(done.status.success(), "{}", done.log);
    assert_eq!((done.text(), fs::read_to_string(&file).unwrap()), (String::new(), requests.into()));
    // Not all of them.
    let done = dump(&socket, &["--count", "1"]);
    assert!(done.status.success() && done.log.is_empty(), "{}", done.log);
    assert_eq!(done.text(), "{\"timestamp\":1}\n");
    // Nowhere to write to.
    let done = dump(&socket, &["-o", "/nonexistent/file"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(done.log.contains("/nonexistent/file: "), "{}", done.log);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_answer_that_is_none_or_is_cut_off_is_an_error() {
    let folder = fake::folder("dump-cut");
    let line = "{\"timestamp\":1}\n";
    for (number, (answer, written, why)) in [
        ("", "", "the daemon ended the connection"),
        (START, "", "the daemon ended the connection"),
        (&format!("{START}{line}"), line, "the daemon ended the connection"),
        (&format!("{START}{line}{{\"timest"), line, "the daemon ended the connection"),
        ("nonsense\n", "", "no answer that can be understood: nonsense"),
        (&format!("{START}{line}\x1b[2J\n"), line, "no answer that can be understood: ?[2J"),
        ("{\"protocol\":1,\"error\":\"there is no session 5\"}\n", "", "there is no session 5"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = folder.join(number.to_string());
        fs::create_dir(&folder).unwrap();
        let socket = fake::daemon_that_hangs_up(&folder, answer);
        let done = dump(&socket, &[]);
        assert_eq!(done.status.code(), Some(1), "{answer:?}");
        assert_eq!(done.text(), written, "{answer:?}");
        assert_eq!(done.log, format!("daedalusctl: {}: {why}\n", socket.display()));
    }
    fs::remove_dir_all(folder).unwrap();
}
