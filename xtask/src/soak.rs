//! `./x soak`: a client that lives long, with sessions that open, seek, change size and close, several at once and
//! of each codec; what it and the daemon hold is sampled, plotted, and has to stay as it is.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::kernel::{self, Daemon, Statistics};
use daedalus_tests::{compile, process};

use crate::bed::kernel::{Flavour, Kernel};
use crate::bed::module::Module;
use crate::bed::{Job, command, uml};
use crate::root::named;
use crate::{build, project};

mod films;
mod plot;
mod sample;

use films::KEY;
use sample::{Sample, Series};

/// What `./x soak` takes.
#[derive(Args)]
pub struct Options {
    /// How long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Sessions at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    sessions: u32,
    /// What they do follows from it [default: from the clock]
    #[arg(long)]
    seed: Option<u32>,
    /// What decodes behind the driver; the kernel's device is in user-mode Linux
    #[arg(long, default_value = "embedded")]
    transport: Transport,
    /// The folder for soak.csv and soak.png [default: target/soak/TRANSPORT]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Ourselves in user-mode Linux
    #[arg(long, hide = true)]
    in_guest: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Embedded,
    Kernel,
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64((self.minutes * 60.0).clamp(1.0, 1e6))
    }

    fn output(&self) -> PathBuf {
        let name = if self.transport == Transport::Kernel { "kernel" } else { "embedded" };
        self.output.clone().unwrap_or_else(|| project::target().join("soak").join(name))
    }
}

/// Between two samples: a few hundred of them in all.
fn interval(duration: Duration) -> Duration {
    (duration / 300).clamp(Duration::from_millis(200), Duration::from_secs(10))
}

/// Runs it; the exit status says whether every picture was right and nothing grew.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let folder = options.output();
    fs::create_dir_all(&folder).map_err(named(&folder))?;
    if options.in_guest {
        let daemon = Daemon::start(&folder.join("daemon.log"), &[])?;
        let status = soak(options, &folder, driver::directory()?, Some(&daemon))?;
        Statistics::wait_for_idle()?;
        daemon.stop()?;
        return Ok(status);
    }
    eprintln!("x: building");
    let directory = build::driver(build::Profile::Release)?;
    films::make(&folder)?;
    compile_client(&folder)?;
    if options.transport == Transport::Kernel {
        let daemon = build::daemon(build::Profile::Release)?;
        return in_user_mode_linux(options, &folder, &directory, &daemon);
    }
    soak(options, &folder, directory, None)
}

fn compile_client(folder: &Path) -> Result<(), String> {
    let tests = project::root().join("tests");
    let sources =
        ["soak/soak.c", "bench/packets.c", "bench/process.c"].map(|file| tests.join(file));
    compile::c(&sources, &folder.join("client"), &["libavcodec", "libavutil", "libva"])
}

/// Boots a kernel and has us do it there.
fn in_user_mode_linux(
    options: &Options,
    folder: &Path,
    driver: &Path,
    daemon: &Path,
) -> Result<ExitCode, String> {
    let kernel = Kernel::get(Flavour::Fast)?;
    let own = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
    let mut words: Vec<OsString> = vec![own.into(), "soak".into(), "--in-guest".into()];
    words.extend(["--transport".into(), "kernel".into(), "--output".into(), folder.into()]);
    words.extend(["--minutes".into(), options.minutes.to_string().into()]);
    words.extend(["--sessions".into(), options.sessions.to_string().into()]);
    words.extend(options.seed.iter().flat_map(|seed| ["--seed".into(), seed.to_string().into()]));
    let mut job = Job::new(words);
    job.modules = vec![Module::parse("daedalus")?];
    job.limit = options.duration() + Duration::from_secs(300);
    job.shown = true;
    for (name, value) in [
        (driver::DIRECTORY_VARIABLE, driver.as_os_str()),
        (kernel::DAEMON_VARIABLE, daemon.as_os_str()),
        ("DAEDALUS_DEVICE", kernel::TRANSPORT.as_ref()),
    ] {
        job.environment.retain(|(other, _)| other != name);
        job.environment.push((name.into(), value.to_owned()));
    }
    eprintln!("x: the kernel's device, in user-mode Linux");
    let outcome = uml::run(&kernel, &job)?;
    command::report(&outcome, false);
    // There is no gnuplot's font cache in there, and no hurry out here.
    plot::draw(folder)?;
    Ok(ExitCode::from(outcome.code()))
}

fn soak(
    options: &Options,
    folder: &Path,
    driver: PathBuf,
    daemon: Option<&Daemon>,
) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let environment = Environment { directory: driver, display: display.name().to_owned() };
    let mut client = Client::start(options, folder, &environment)?;
    let (duration, every) = (options.duration(), interval(options.duration()));
    eprintln!("x: {} sessions for {:.1} minutes", options.sessions, duration.as_secs_f64() / 60.0);
    let mut series = Series::create(&folder.join("soak.csv"), daemon.is_some())?;
    let started = Instant::now();
    let mut said = Instant::now();
    // Longer than it may take, because it finishes what it has begun.
    let patience = duration + Duration::from_secs(120);
    let last = loop {
        match client.line(every) {
            Ok(line) => break line?,
            Err(()) if started.elapsed() > patience => {
                return Err("the client hangs".into());
            }
            Err(()) => {}
        }
        let sample = Sample::take(started.elapsed(), client.child.id(), daemon)?;
        if said.elapsed() >= Duration::from_secs(30) {
            said = Instant::now();
            eprintln!("x: {sample}");
        }
        series.add(sample)?;
    };
    let status = client.child.wait().map_err(|e| format!("the client: {e}"))?;
    drop(display);
    if !status.success() {
        let log = fs::read_to_string(folder.join("client.log")).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(10).collect();
        return Err(format!("the client: {status}: {}", tail.join("\n")));
    }
    println!("{}", last.trim());
    let verdicts = series.judge()?;
    let mut good = true;
    for verdict in &verdicts {
        println!("{verdict}");
        good &= verdict.is_flat();
    }
    if daemon.is_none() {
        plot::draw(folder)?;
    }
    println!("{}", folder.join("soak.csv").display());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The client of `tests/soak/soak.c`, past its warming up.
struct Client {
    child: Child,
    lines: mpsc::Receiver<Result<String, String>>,
}

impl Client {
    fn start(
        options: &Options,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Client, String> {
        let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs() as u32);
        let seed = options.seed.unwrap_or_else(|| clock() % 1_000_000);
        println!("seed {seed}");
        let log = folder.join("client.log");
        let file = fs::File::create(&log).map_err(named(&log))?;
        let mut command = process::command(folder.join("client"));
        environment.apply(&mut command);
        command.env("DAEDALUS_LOG", "warn");
        command.arg(options.duration().as_secs_f64().to_string()).arg(seed.to_string());
        command.arg(options.sessions.to_string()).arg(KEY.to_string());
        command.args(films::arguments(folder));
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
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            if send.send(line.map_err(|e| e.to_string())).is_err() {
                return;
            }
        }
    });
    receive
}
