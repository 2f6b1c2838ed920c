//! `./x conformance`: what becomes of every stream of a catalogue or a folder, through each client.

use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use daedalus_tests::catalogue;
use daedalus_tests::clients::{Client, Setting};
use daedalus_tests::conformance::pins::Pins;
use daedalus_tests::conformance::{Case, Verdict, cases, judge, junit};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::Environment;
use daedalus_tests::refusals::{self, Refusal};

use self::options::Transport;
use self::report::{report, summary};
use crate::progress::Progress;
use crate::{build, project};

mod options;
mod report;

pub use self::options::Options;

/// A client with what is known of it.
struct Known {
    client: Client,
    name: String,
    version: String,
    refusals: Vec<Refusal>,
    pins: Option<Pins>,
}

/// One stream through one client.
struct Outcome {
    client: usize,
    case: usize,
    verdict: Verdict,
    elapsed: Duration,
}

/// Runs what `options` ask for; the exit status says whether nothing is worse than pinned, and nothing
/// new is bad.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let clients = clients(options)?;
    let scratch = project::target().join("conformance");
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let cases = chosen(options, &scratch)?;
    if cases.is_empty() {
        return Err("no stream is left to decode".into());
    }
    eprintln!("x: building the driver");
    // Valgrind is slow enough on optimised code.
    let directory = build::driver(build::Profile::Release)?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let Transport::Embedded = options.transport;
    let setting = Setting {
        environment: Environment { directory, display: display.name().to_owned() },
        scratch,
        limit: Duration::from_secs(options.limit),
    };
    let started = Instant::now();
    let outcomes = decode_all(&cases, &clients, &setting, options);
    drop(display);

    println!("\n{}", summary(&cases, &clients, &outcomes));
    if let Some(file) = &options.junit {
        let entry = |outcome: &Outcome| {
            (&clients[outcome.client].name, &cases[outcome.case], outcome.elapsed)
        };
        let entries: Vec<_> = outcomes
            .iter()
            .map(|outcome| {
                let (client, case, elapsed) = entry(outcome);
                let stream = case.stream.name.as_str();
                junit::Entry { client, stream, verdict: &outcome.verdict, elapsed }
            })
            .collect();
        junit::write(file, &entries)?;
        println!("JUnit report: {}", file.display());
    }
    let failed = report(&cases, &clients, &outcomes, options)?;
    let good = outcomes.len() - failed;
    println!("After {} s:\n{good} passed, {failed} failed", started.elapsed().as_secs());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn clients(options: &Options) -> Result<Vec<Known>, String> {
    let table = refusals::table()?;
    let mut clients = Vec::new();
    for name in &options.client {
        let client = name.client();
        if let Some(missing) = client.missing() {
            return Err(missing);
        }
        let version = client.version().map_err(|e| e.to_string())?;
        let applies = |line: &&Refusal| line.applies(client, &version);
        clients.push(Known {
            client,
            name: client.to_string(),
            refusals: table.iter().filter(applies).cloned().collect(),
            pins: Pins::read(client, &version)?,
            version,
        });
    }
    Ok(clients)
}

/// The streams that the options leave.
fn chosen(options: &Options, scratch: &std::path::Path) -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    let default = catalogue::folder();
    let paths = match (&options.paths[..], &default) {
        ([], Some(folder)) => std::slice::from_ref(folder),
        ([], None) => return Err("../shared/vectors is absent: name a folder".into()),
        (paths, _) => paths,
    };
    for path in paths {
        if path.join("catalogue.tsv").is_file() {
            all.extend(cases::of_catalogue(path, scratch)?);
        } else {
            eprintln!("x: decoding {} in software for reference", path.display());
            let skip = |file: &std::path::Path, why: &str| {
                eprintln!("x: skipped {}: {why}", file.display())
            };
            all.extend(cases::of_path(path, skip)?);
        }
    }
    all.retain(|case| {
        let name = &case.stream.name;
        let codec = options.codec.iter().any(|codec| codec.codec() == case.stream.codec);
        let kind = options.kind.iter().any(|kind| kind.kind() == case.expectation.kind());
        (options.codec.is_empty() || codec)
            && (options.kind.is_empty() || kind)
            && (!options.core || case.core)
            && options.filter.as_ref().is_none_or(|filter| name.contains(filter))
    });
    Ok(all)
}

/// Every stream through every client, several at a time, in the order given.
fn decode_all(
    cases: &[Case],
    clients: &[Known],
    setting: &Setting,
    options: &Options,
) -> Vec<Outcome> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or(cores).max(1);
    let total = cases.len() * clients.len();
    let (next, progress) = (AtomicUsize::new(0), Mutex::new(Progress::new(total)));
    let worker = || {
        let mut outcomes = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return outcomes;
            }
            let (client, case) = (number / cases.len(), number % cases.len());
            let known = &clients[client];
            let stream = &cases[case].stream;
            let refusal = known.refusals.iter().find(|line| line.stream == stream.name);
            let started = Instant::now();
            let verdict = judge(&cases[case], known.client, refusal, setting, options.valgrind);
            let elapsed = started.elapsed();
            let news =
                (!verdict.is_good()).then(|| format!("{} {}: {verdict}", known.name, stream.name));
            progress.lock().expect("no panic").saw(news.as_deref());
            outcomes.push(Outcome { client, case, verdict, elapsed });
        }
    };
    let mut outcomes = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("no panic")).collect::<Vec<_>>()
    });
    outcomes.sort_by_key(|outcome| (outcome.client, outcome.case));
    outcomes
}
