//! The control socket of a daemon in its sandbox: what it tells, whom, and what hostile clients can do.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use daedalus_daemon::device::Status as Completion;
use daedalus_uapi::{
    Codec,
    control::{DumpStart, Lost, METRICS_END, Pictures, Session, Status, VERSION},
    record::Record,
};

use support::{
    Bench,
    stream::{ALTREF, Layout, PROFILE2, Stream},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon with a socket.
struct Daemon {
    bench: Bench,
    folder: PathBuf,
}

impl Daemon {
    fn new(name: &str) -> Daemon {
        let folder = std::env::temp_dir().join(format!("daedalus-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Daemon { bench: Bench::with_socket(&folder.join("socket")), folder }
    }

    fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.folder.join("socket")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn status(&self) -> Status {
        serde_json::from_str(&self.connect().ask("1 status")).unwrap()
    }

    /// Decodes pictures of a stream from `first` on, and waits for them.
    fn decode(&mut self, stream: &Stream, session: u64, first: usize, count: usize) {
        for index in first..first + count {
            self.bench.buffer(index as u64, &stream.sizes());
            stream.decode(&mut self.bench, session, index, index as u64);
        }
        for _ in 0..count {
            assert_eq!(self.bench.answer().2, Completion::Ok);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, request: &str) -> String {
        self.send(format!("{request}\n").as_bytes()).unwrap();
        self.line()
    }

    /// Everything up to the end of the connection, however it ends.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8(rest).unwrap()
    }
}

#[test]
fn it_tells_what_was_decoded_for_whom() {
    let stream = Stream::new(PROFILE2, Layout::P010);
    let mut daemon = Daemon::new("told");
    daemon.bench.open(7, Codec::Vp9);
    daemon.decode(&stream, 7, 0, 3);
    // A request whose controls say nothing.
    daemon.bench.decode(7, &[], 0, &[], |_| {});
    assert_eq!(daemon.bench.answer().2, Completion::Failed);
    let status = daemon.status();
    assert_eq!((status.protocol, status.pid), (VERSION, std::process::id()));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.codecs, ["vp9"]);
    assert!(status.sandbox.active && status.sandbox.system_calls.is_some(), "{status:?}");
    assert!(status.cpu_s > 0.0 && status.uptime_s > 0.0, "{status:?}");
    let Session { id, pid, uid, codec, width, height, depth, pictures, queue, fps, .. } =
        status.sessions[0].clone();
    assert_eq!((status.sessions.len(), id, pid, uid, &*codec), (1, 7, 1, 1000, "vp9"));
    assert_eq!((width, height, depth), (stream.width, stream.height, 10));
    let expected = Pictures { done: 3, damaged: 0, failed: 1, cancelled: 0 };
    assert_eq!((pictures, queue), (expected, 0));
    assert!(fps > 0.0, "{status:?}");

    let text = {
        let mut client = daemon.connect();
        let mut text = client.ask("1 metrics");
        while !text.ends_with(&format!("{METRICS_END}\n")) {
            text += &client.line();
        }
        text
    };
    let labels = "session=\"7\",codec=\"vp9\",uid=\"1000\",pid=\"1\"";
    for line in [
        "daedalus_sessions_total{codec=\"vp9\"} 1".to_owned(),
        "daedalus_pictures_total{codec=\"vp9\",outcome=\"done\"} 3".to_owned(),
        format!("daedalus_session_pictures_total{{{labels},outcome=\"failed\"}} 1"),
        format!("daedalus_session_queue{{{labels}}} 0"),
    ] {
        assert!(text.lines().any(|other| other == line), "no {line} in {text}");
    }

    daemon.bench.close(7);
    daemon.bench.open(8, Codec::Vp9);
    daemon.decode(&stream, 8, 0, 1);
    let status = daemon.status();
    assert_eq!(status.sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [8]);
    assert_eq!((status.total.sessions, status.total.pictures.done), (2, 4));
}

#[test]
fn what_is_waiting_is_the_queue_and_what_was_taken_back_is_no_failure() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut daemon = Daemon::new("queue");
    let bench = &mut daemon.bench;
    bench.open(1, Codec::Vp9);
    (0..3).for_each(|buffer| bench.buffer(buffer, &stream.sizes()));
    let gate = bench.gate(bench.next_cookie());
    let first = stream.decode(bench, 1, 0, 0);
    let last = [1, 2].map(|index| stream.decode(bench, 1, index, index as u64))[1];
    bench.until_at_gate(first);
    bench.until_asked(last);
    // The first has been counted before it is given back.
    let session = daemon.status().sessions[0].clone();
    assert_eq!((session.pictures.done, session.queue), (1, 2));
    daemon.bench.flush(1);
    gate.send(()).unwrap();
    for _ in 0..3 {
        daemon.bench.answer();
    }
    let session = daemon.status().sessions[0].clone();
    let Pictures { done, cancelled, failed, .. } = session.pictures;
    // How many of the two were finished before the flush was read is a matter of luck.
    assert_eq!((done + cancelled, failed, session.queue), (3, 0, 0));
}

#[test]
fn what_it_does_not_know_it_refuses_and_goes_on() {
    let daemon = Daemon::new("refused");
    let mut client = daemon.connect();
    for (request, why) in [
        ("", "a request is a version"),
        ("status", "a request is a version"),
        ("2 status", "speaks version 1, not 2"),
        ("1 reboot", "no such request"),
        ("1 dump 99", "there is no session 99"),
    ] {
        let line = client.ask(request);
        assert!(line.starts_with("{\"protocol\":1,\"error\":") && line.contains(why), "{line}");
    }
    assert!(client.ask("1 status").contains("\"sessions\":[]"));
    // Several at once, and an end: all are answered.
    client.send(b"1 status\n1 status\n").unwrap();
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest().lines().count(), 2);
}

#[test]
fn a_dump_has_the_requests_from_then_on_and_ends_with_the_session() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut daemon = Daemon::new("dump");
    daemon.bench.open(1, Codec::Vp9);
    daemon.bench.open(2, Codec::Vp9);
    daemon.decode(&stream, 1, 0, 1);
    let mut client = daemon.connect();
    let start: DumpStart = serde_json::from_str(&client.ask("1 dump 1")).unwrap();
    assert_eq!(start, DumpStart { protocol: VERSION, dump: 1 });
    daemon.decode(&stream, 2, 0, 1);
    daemon.decode(&stream, 1, 1, 2);
    for _ in 0..2 {
        let record = Record::from_json(&client.line()).unwrap();
        assert_eq!((record.session, record.codec(), record.shown), (1, Codec::Vp9, true));
    }
    daemon.bench.close(1);
    assert_eq!(client.rest(), "{\"end\":\"the session has ended\"}\n");
}

#[test]
fn who_does_not_read_a_dump_loses_lines_and_holds_up_nothing() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut daemon = Daemon::new("slow");
    daemon.bench.open(1, Codec::Vp9);
    // Once a picture has come back, the session is there.
    daemon.decode(&stream, 1, 0, 1);
    let mut client = daemon.connect();
    assert_eq!(client.ask("1 dump 1"), "{\"protocol\":1,\"dump\":1}\n");
    // More than the socket and the queue hold: a line has some 4 KiB.
    let requests = 600;
    for _ in 0..requests {
        stream.decode(&mut daemon.bench, 1, 0, 0);
        assert_eq!(daemon.bench.answer().2, Completion::Ok);
    }
    daemon.bench.close(1);
    let (mut records, mut lost) = (0, 0);
    for line in client.rest().lines() {
        if let Ok(missing) = serde_json::from_str::<Lost>(line) {
            lost += missing.lost;
        } else if Record::from_json(line).is_ok() {
            records += 1;
        }
    }
    assert!(lost > 0, "{records} requests were kept");
    assert_eq!(records + lost, requests);
}

#[test]
fn hostile_clients_keep_nobody_else_from_being_answered() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut daemon = Daemon::new("hostile");
    daemon.bench.open(1, Codec::Vp9);
    // Never ends its request; sends without reading; half a request; connects and is silent.
    let mut endless = daemon.connect();
    let _ = endless.send(&[b'x'; 1 << 16]);
    assert!(endless.rest().contains("at most 256 bytes"));
    let mut greedy = daemon.connect();
    greedy.0.get_ref().set_nonblocking(true).unwrap();
    while greedy.send(b"1 metrics\n").is_ok() {}
    let _silent = [daemon.connect(), daemon.connect()];
    daemon.decode(&stream, 1, 0, 4);
    assert_eq!(daemon.status().total.pictures.done, 4);
    let mut half = daemon.connect();
    half.send(b"1 stat").unwrap();
    assert_eq!(daemon.status().total.pictures.done, 4);
    assert!(half.ask("us").contains("\"sessions\""));
    // And more than there is room for, as whom this test is run.
    let many: Vec<Client> = (0..40).map(|_| daemon.connect()).collect();
    let told = many.into_iter().rev().any(|mut client| {
        client.0.get_ref().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut line = String::new();
        client.0.read_line(&mut line).is_ok() && line.contains("too many connections")
    });
    assert!(told);
    daemon.decode(&stream, 1, 4, 1);
}
