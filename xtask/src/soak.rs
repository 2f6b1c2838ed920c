//! `./x soak`: a client that lives long, with sessions that open, seek, change size and close, several at once and
//! of each codec; what it and the daemon hold is sampled, plotted, and has to stay as it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::kernel::{self, Daemon, Statistics};
use daedalus_tests::soak::{self, Setting};

use crate::bed::kernel::{Flavour, Kernel};
use crate::bed::module::Module;
use crate::bed::{Job, command, uml};
use crate::{build, project};

mod plot;

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

/// Runs it; the exit status says whether every picture was right and nothing grew.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let folder = options.output();
    if options.in_guest {
        let daemon = Daemon::start(&folder.join("daemon.log"), &[])?;
        let status = soak(options, &folder, driver::directory()?, Some(&daemon))?;
        Statistics::wait_for_idle()?;
        daemon.stop()?;
        return Ok(status);
    }
    eprintln!("x: building");
    let directory = build::driver(build::Profile::Release)?;
    soak::prepare(&folder, &folder)?;
    if options.transport == Transport::Kernel {
        let daemon = build::daemon(build::Profile::Release)?;
        return in_user_mode_linux(options, &folder, &directory, &daemon);
    }
    let status = soak(options, &folder, directory, None)?;
    plot::draw(&folder)?;
    Ok(status)
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
    let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs() as u32);
    let setting = Setting {
        folder: folder.to_owned(),
        films: folder.to_owned(),
        duration: options.duration(),
        sessions: options.sessions,
        seed: options.seed.unwrap_or_else(|| clock() % 1_000_000),
        environment: Environment { directory: driver, display: display.name().to_owned() },
    };
    println!("seed {}", setting.seed);
    eprintln!("x: {} sessions for {:.1} minutes", setting.sessions, options.minutes);
    let outcome = soak::run(&setting, daemon, |sample| eprintln!("x: {sample}"))?;
    drop(display);
    println!("{}", outcome.said);
    let mut good = true;
    for verdict in &outcome.verdicts {
        println!("{verdict}");
        good &= verdict.is_flat();
    }
    println!("{}", folder.join("soak.csv").display());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
