//! Sessions that open, seek, change size and close for a long time, several at once and of each codec; every
//! picture is compared, and what client, daemon and kernel hold is sampled and has to stay as it is.

mod films;
mod sample;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

pub use self::sample::{Sample, Verdict};

use self::films::KEY;
use self::sample::Series;
use crate::driver::Environment;
use crate::kernel::Daemon;
use crate::{compile, process};

/// What it takes.
#[derive(Debug)]
pub struct Setting {
    /// For the client, its log and soak.csv.
    pub folder: PathBuf,
    /// The folder of the films, which [`prepare`] has made.
    pub films: PathBuf,
    /// How long.
    pub duration: Duration,
    /// Sessions at the same time, 1 to 64.
    pub sessions: u32,
    /// What they do follows from it.
    pub seed: u32,
    /// The driver and the display.
    pub environment: Environment,
}

/// What came of it; wrong pictures are an error.
#[derive(Debug)]
pub struct Outcome {
    /// The client's account.
    pub said: String,
    /// On each thing that was sampled.
    pub verdicts: Vec<Verdict>,
}

impl Outcome {
    /// An error names what has become more.
    pub fn is_flat(&self) -> Result<(), String> {
        let growing = self.verdicts.iter().filter(|verdict| !verdict.is_flat());
        let growing: Vec<String> = growing.map(Verdict::to_string).collect();
        if growing.is_empty() { Ok(()) } else { Err(growing.join("; ")) }
    }
}

/// Makes the films that are not there and compiles the client.
pub fn prepare(folder: &Path, films: &Path) -> Result<(), String> {
    for folder in [folder, films] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    films::make(films)?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources =
        ["soak/soak.c", "bench/packets.c", "bench/process.c"].map(|file| tests.join(file));
    compile::c(&sources, &folder.join("client"), &["libavcodec", "libavutil", "libva"])
}

/// Runs it, with a daemon to be watched as well if the kernel's device is used. `tell` gets a sample twice a
/// minute.
pub fn run(
    setting: &Setting,
    daemon: Option<&Daemon>,
    mut tell: impl FnMut(&Sample),
) -> Result<Outcome, String> {
    let mut client = Client::start(setting)?;
    // A few hundred samples in all.
    let every = (setting.duration / 300).clamp(Duration::from_millis(200), Duration::from_secs(10));
    let mut series = Series::create(&setting.folder.join("soak.csv"), daemon.is_some())?;
    let started = Instant::now();
    let mut told = Instant::now();
    // Longer than it may take, because it finishes what it has begun.
    let patience = setting.duration + Duration::from_secs(120);
    let said = loop {
        match client.line(every) {
            Ok(line) => break line?,
            Err(()) if started.elapsed() > patience => return Err("the client hangs".into()),
            Err(()) => {}
        }
        let sample = match Sample::take(started.elapsed(), client.child.id(), daemon) {
            Ok(sample) => sample,
            // It is ending, and has said so; or there is no such excuse.
            Err(why) => match client.line(Duration::from_secs(20)) {
                Ok(line) => break line?,
                Err(()) => return Err(why),
            },
        };
        if told.elapsed() >= Duration::from_secs(30) {
            told = Instant::now();
            tell(&sample);
        }
        series.add(sample)?;
    };
    let status = client.child.wait().map_err(|e| format!("the client: {e}"))?;
    if !status.success() {
        let log = fs::read_to_string(setting.folder.join("client.log")).unwrap_or_default();
        let mut tail: Vec<_> = log.lines().rev().take(10).collect();
        tail.reverse();
        return Err(format!("the client: {status}:\n{}", tail.join("\n")));
    }
    Ok(Outcome { said: said.trim().to_owned(), verdicts: series.judge()? })
}

/// The client of `tests/soak/soak.c`, past its warming up.
struct Client {
    child: Child,
    lines: mpsc::Receiver<Result<String, String>>,
}

impl Client {
    fn start(setting: &Setting) -> Result<Client, String> {
        let log = setting.folder.join("client.log");
        let file = fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let mut command = process::command(setting.folder.join("client"));
        setting.environment.apply(&mut command);
        command.env("DAEDALUS_LOG", "warn");
        command.arg(setting.duration.as_secs_f64().to_string()).arg(setting.seed.to_string());
        command.arg(setting.sessions.to_string()).arg(KEY.to_string());
        command.args(films::arguments(&setting.films));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|e| format!("cannot run the client: {e}"))?;
        let output = child.stdout.take().ok_or("no output")?;
        let client = Client { child, lines: read_lines(output) };
        match client.line(Duration::from_secs(300)) {
            Ok(Ok(line)) if line.trim() == "ready" => Ok(client),
            other => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                Err(format!("the client is not ready: {other:?}: {said}"))
            }
        }
    }

    /// Its next line. `Err` if it has said nothing for so long.
    fn line(&self, wait: Duration) -> Result<Result<String, String>, ()> {
        match self.lines.recv_timeout(wait) {
            Ok(line) => Ok(line),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(()),
            // Its end; the status says more.
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(Ok(String::new())),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(output: ChildStdout) -> mpsc::Receiver<Result<String, String>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            if send.send(line.map_err(|e| e.to_string())).is_err() {
                return;
            }
        }
    });
    receive
}
