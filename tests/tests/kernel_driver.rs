//! The driver on the kernel's device: what it costs, and what becomes of programs when there is no daemon,
//! or no longer one.
//!
//! Without the module (`./x uml` and `./x vm` have it) there is nothing to test.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::kernel::{self, Daemon, Statistics};
use daedalus_tests::stream::{Codec, Stream};
use daedalus_tests::{catalogue::Tier, corpus, frames, process};

const LIMIT: Duration = Duration::from_secs(120);

/// What a test needs. There is one device, so one test at a time has it.
struct Bed {
    environment: Environment,
    _display: Xvfb,
    _turn: MutexGuard<'static, ()>,
}

impl Bed {
    /// `None` on a machine without the module.
    fn new() -> Option<Bed> {
        static TURN: Mutex<()> = Mutex::new(());
        if !kernel::is_there() {
            eprintln!("no kernel device here: nothing is tested");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let display = Xvfb::start().unwrap();
        let environment =
            Environment { directory: driver::directory().unwrap(), display: display.name().into() };
        Some(Bed { environment, _display: display, _turn: turn })
    }

    fn daemon(&self, name: &str) -> Daemon {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        Daemon::start(&log, &[]).unwrap()
    }

    /// An ffmpeg that decodes `stream` on the device that `DAEDALUS_DEVICE` names, with `before` among its
    /// input options.
    fn decode(&self, device: &str, stream: &Stream, before: &[&str]) -> Command {
        let mut command = ffmpeg::command(&self.environment);
        command.env("DAEDALUS_DEVICE", device).env("DAEDALUS_LOG", "info").args(before);
        command.args(ffmpeg::input(stream.codec)).arg("-i").arg(&stream.path);
        command.args(ffmpeg::selection(&stream.path));
        command.args(["-vf", &Fetch::Download.filter(stream.layout)]).args(ffmpeg::FRAME_MD5S);
        command
    }

    /// Decodes with `command`, which must be exact; returns the log.
    fn exact(&self, command: &mut Command, stream: &Stream) -> String {
        let done = process::run(command, LIMIT).unwrap();
        assert!(done.status.success(), "{}", done.log_tail(25));
        let got = frames::parse_framemd5(&done.text());
        assert_eq!(frames::compare(&stream.frames, &got), None, "{}", stream.name);
        done.log
    }
}

fn stream() -> Stream {
    let streams = corpus::streams(Tier::Core).unwrap().streams;
    let h264 = || streams.iter().filter(|stream| stream.codec == Codec::H264);
    let chosen = h264().find(|stream| stream.name == "generated/h264/main-cavlc-b.264");
    chosen.or_else(|| h264().next()).expect("an H.264 stream").clone()
}

/// Runs `command` for its first `frames` frames under strace; returns the requests that were queued, and
/// the media and video ioctls in all.
fn traced(command: &Command, frames: usize) -> (usize, usize) {
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ioctls-{frames}"));
    let mut traced = process::command("strace");
    traced.args(["-f", "-e", "trace=ioctl", "-o"]).arg(&report).arg(command.get_program());
    // An output option goes before the output's name, which is last.
    let arguments: Vec<_> = command.get_args().collect();
    let (output, options) = arguments.split_last().unwrap();
    traced.args(options).args(["-frames:v", &frames.to_string()]).arg(output);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    let done = process::run(&mut traced, LIMIT).unwrap();
    assert!(done.status.success(), "{}", done.log_tail(25));
    let trace = std::fs::read_to_string(&report).unwrap();
    let ioctls =
        trace.lines().filter(|line| line.contains("VIDIOC_") || line.contains("MEDIA_")).count();
    (trace.matches("MEDIA_REQUEST_IOC_QUEUE").count(), ioctls)
}

#[test]
fn a_picture_costs_seven_ioctls() {
    let Some(bed) = Bed::new() else { return };
    let daemon = bed.daemon("seven");
    let stream = stream();
    let decode = bed.decode("kernel", &stream, &["-threads", "1"]);
    // The set-up is the same for few frames and for many.
    let (few, many) = (traced(&decode, 4), traced(&decode, stream.frames.len().min(24)));
    let (pictures, ioctls) = (many.0 - few.0, many.1 - few.1);
    assert!(pictures > 0);
    // What the device still has when the program ends is not taken back: that may be more for the few.
    assert!(ioctls <= 7 * pictures + 8, "{ioctls} ioctls for {pictures} pictures");
    daemon.stop().unwrap();
}

#[test]
fn without_a_daemon_streams_are_decoded_in_the_program() {
    let Some(bed) = Bed::new() else { return };
    let stream = stream();
    // The device is there once a daemon has been.
    let daemon = bed.daemon("auto");
    let before = Statistics::read().unwrap().completed;
    let log = bed.exact(&mut bed.decode("auto", &stream, &[]), &stream);
    assert!(log.contains("decoding on /dev/video"), "{log}");
    let after = Statistics::read().unwrap().completed;
    assert!(after >= before + stream.frames.len() as u64, "{before} to {after}");
    daemon.stop().unwrap();

    let log = bed.exact(&mut bed.decode("auto", &stream, &[]), &stream);
    assert!(log.contains("decoding in this process: /dev/video"), "{log}");
    assert_eq!(Statistics::read().unwrap().completed, after);
    Statistics::wait_for_idle().unwrap();
}

#[test]
fn a_daemon_that_dies_fails_pictures_and_leaves_no_program_waiting() {
    let Some(bed) = Bed::new() else { return };
    let stream = stream();
    let daemon = bed.daemon("dies");
    let before = Statistics::read().unwrap().completed;
    // For ever, if nothing happens.
    let mut command = bed.decode("kernel", &stream, &["-stream_loop", "-1"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut client = command.spawn().unwrap();
    let started = Instant::now();
    while Statistics::read().unwrap().completed < before + 20 {
        assert!(started.elapsed() < LIMIT, "nothing is decoded");
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.kill().unwrap();
    // The picture on its way fails, and ffmpeg ends when it fetches one that failed.
    let killed = Instant::now();
    let status = loop {
        if let Some(status) = client.try_wait().unwrap() {
            break status;
        }
        if killed.elapsed() > LIMIT {
            client.kill().unwrap();
            panic!("the program waits for a picture that does not come");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(!status.success(), "{status}");
    Statistics::wait_for_idle().unwrap();
}
