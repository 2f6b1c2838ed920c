//! The kernel's device, which only a kernel of our own has: `./x bench` runs itself in user-mode Linux.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::kernel::{self, Daemon};

use super::cases::Case;
use super::clips::Shelf;
use super::report::{FORMAT, Report, Row};
use super::setting::{Setting, Transport};
use super::system::{self, Machine};
use super::{Options, client, measure_all};
use crate::bed::kernel::{Flavour, Kernel};
use crate::bed::module::Module;
use crate::bed::{Ending, Job, command, uml};
use crate::build;
use crate::root::named;

/// How long all may take.
const LIMIT: Duration = Duration::from_secs(4 * 3600);

/// Names the small client to ourselves in there.
const SMALL_CLIENT: &str = "DAEDALUS_BENCH_SMALL_CLIENT";

/// What was built for it.
pub struct Built {
    /// The driver's folder.
    pub driver: PathBuf,
    /// The small client.
    pub small_client: PathBuf,
}

/// Outside: boots a kernel and has us measure there. Returns the rows.
pub fn run(
    options: &Options,
    filters: &[String],
    output: &Path,
    built: &Built,
) -> Result<Vec<Row>, String> {
    let daemon = build::daemon(build::Profile::Release)?;
    let kernel = Kernel::get(Flavour::Fast)?;
    let folder = output.join("kernel");
    // What an earlier run has left must not be taken for this one's.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(named(&folder))?;
    let own = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
    let mut words: Vec<OsString> = vec![own.into(), "bench".into(), "--in-guest".into()];
    words.extend(["--output".into(), folder.clone().into()]);
    words.extend(["--pairs".into(), options.pairs().to_string().into()]);
    if let Some(threads) = options.threads {
        words.extend(["--threads".into(), threads.to_string().into()]);
    }
    if options.quick {
        words.push("--quick".into());
    }
    words.extend(filters.iter().map(OsString::from));
    let mut job = Job::new(words);
    job.modules = vec![Module::parse("daedalus")?];
    // Eight sessions at 1080p, and files of the clips in the page cache.
    job.memory = "6G".into();
    job.limit = LIMIT;
    job.shown = true;
    for (name, value) in [
        (driver::DIRECTORY_VARIABLE, built.driver.as_os_str()),
        (kernel::DAEMON_VARIABLE, daemon.as_os_str()),
        (SMALL_CLIENT, built.small_client.as_os_str()),
    ] {
        job.environment.retain(|(other, _)| other != name);
        job.environment.push((name.into(), value.to_owned()));
    }
    eprintln!("x: the kernel's device, in user-mode Linux");
    let outcome = uml::run(&kernel, &job)?;
    command::report(&outcome, false);
    if outcome.ending == Ending::Interrupted {
        return Err("interrupted".into());
    }
    let mut rows = Report::load(&folder.join("bench.json"))?.rows;
    let complaints = outcome.complaints();
    // Rows that failed have said so themselves, and are why the job did.
    if !complaints.is_empty() && rows.iter().all(|row| row.failure.is_none()) {
        let failure = Some(complaints.join("; "));
        let transport = Transport::Kernel.name().into();
        let measure = rows.first().map_or("throughput".into(), |row| row.measure.clone());
        rows.push(Row { measure, name: "kernel".into(), transport, failure, ..Row::default() });
    }
    Ok(rows)
}

/// Inside: starts a daemon, and measures.
pub fn measure(options: &Options, wanted: &[Case]) -> Result<ExitCode, String> {
    let folder = options.output.clone().ok_or("--in-guest needs --output")?;
    let small_client =
        std::env::var_os(SMALL_CLIENT).ok_or(format!("{SMALL_CLIENT} is not set"))?;
    let threads = options.threads.map_or_else(system::cores, |threads| threads as usize);
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let mut shelf = Shelf::new()?;
    let setting = Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        transport: Transport::Kernel,
        daemon: Some(Arc::new(Daemon::start(&folder.join("daemon.log"), &[])?)),
        threads,
        pairs: options.pairs(),
        client: client::path(),
        small_client: small_client.into(),
    };
    let mut report = Report {
        format: FORMAT,
        machine: Machine::ask(&shelf.encoders.version),
        threads,
        pairs: setting.pairs,
        quick: options.quick,
        load: [system::load(), String::new()],
        rows: Vec::new(),
    };
    measure_all(&setting, wanted, options.quick, &mut shelf, &mut report, &folder)?;
    if let Some(daemon) = setting.daemon.and_then(Arc::into_inner) {
        daemon.stop()?;
    }
    Ok(if report.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
