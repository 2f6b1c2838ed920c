//! `./x conformance`: what becomes of every stream of a catalogue or a folder, through each client.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use daedalus_tests::catalogue::{self, Kind};
use daedalus_tests::clients::{Client, Setting};
use daedalus_tests::conformance::pins::{Change, Pins};
use daedalus_tests::conformance::{Case, Verdict, cases, judge, junit};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::Environment;
use daedalus_tests::refusals::{self, Refusal};
use daedalus_tests::stream::Codec;

use crate::{build, project, table};

/// What to run.
#[derive(Args, Debug)]
pub struct Options {
    /// Catalogues (folders with a catalogue.tsv), other folders, or files, which are compared with what
    /// ffmpeg decodes in software; default: ../shared/vectors
    paths: Vec<PathBuf>,
    /// Only this codec
    #[arg(long)]
    codec: Vec<CodecName>,
    /// The clients to decode with
    #[arg(long, default_value = "ffmpeg")]
    client: Vec<ClientName>,
    /// What decodes: in the client's process
    #[arg(long, default_value = "embedded")]
    transport: Transport,
    /// Only rows of this kind: must be exact, damaged, or not supported
    #[arg(long)]
    kind: Vec<KindName>,
    /// Only the rows that every test run includes
    #[arg(long)]
    core: bool,
    /// Only streams whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// Write what becomes of the streams into the pin files
    #[arg(long)]
    pin: bool,
    /// Run ffmpeg under valgrind and look for misused and lost memory instead of comparing frames
    #[arg(long)]
    valgrind: bool,
    /// Write a JUnit report here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How many clients run at a time; default: one for each core
    #[arg(long)]
    jobs: Option<usize>,
    /// Seconds after which a client counts as hung
    #[arg(long, default_value_t = 180)]
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecName {
    H264,
    Vp9,
    Av1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClientName {
    /// ffmpeg, frames fetched with hwdownload
    Ffmpeg,
    /// ffmpeg, frames mapped with hwmap
    FfmpegHwmap,
    /// mpv --hwdec=vaapi-copy
    Mpv,
    /// gstreamer1.0-vaapi
    GstVaapi,
    /// GStreamer's newer va plugin (needs a DRM render node)
    GstVa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindName {
    Ok,
    Invalid,
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Embedded,
}

impl CodecName {
    fn codec(self) -> Codec {
        match self {
            CodecName::H264 => Codec::H264,
            CodecName::Vp9 => Codec::Vp9,
            CodecName::Av1 => Codec::Av1,
        }
    }
}

impl ClientName {
    fn client(self) -> Client {
        match self {
            ClientName::Ffmpeg => Client::FfmpegDownload,
            ClientName::FfmpegHwmap => Client::FfmpegMap,
            ClientName::Mpv => Client::Mpv,
            ClientName::GstVaapi => Client::Gstreamer,
            ClientName::GstVa => Client::GstreamerVa,
        }
    }
}

impl KindName {
    fn kind(self) -> Kind {
        match self {
            KindName::Ok => Kind::Ok,
            KindName::Invalid => Kind::Invalid,
            KindName::Unsupported => Kind::Unsupported,
        }
    }
}

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
            let line = format!("{} {}: {verdict}", known.name, stream.name);
            progress.lock().expect("no panic").saw(&verdict, &line);
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

/// Whatever is not as hoped at once, and how far the run is.
struct Progress {
    done: usize,
    total: usize,
    terminal: bool,
    said: Instant,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self { done: 0, total, terminal: std::io::stderr().is_terminal(), said: Instant::now() }
    }

    fn saw(&mut self, verdict: &Verdict, line: &str) {
        self.done += 1;
        if !verdict.is_good() {
            let clear = if self.terminal { "\r\x1b[K" } else { "" };
            eprintln!("{clear}{line}");
        }
        let (done, total) = (self.done, self.total);
        if self.terminal {
            eprint!("\r\x1b[K{done} of {total}");
            // Cosmetic: a terminal that is gone gets no progress.
            let _ = std::io::stderr().flush();
            if done == total {
                eprintln!();
            }
        } else if self.said.elapsed() >= Duration::from_secs(15) || done == total {
            eprintln!("x: {done} of {total}");
            self.said = Instant::now();
        }
    }
}

/// A table: client, codec and kind against verdicts.
fn summary(cases: &[Case], clients: &[Known], outcomes: &[Outcome]) -> String {
    const WORDS: [&str; 9] = [
        "exact",
        "as-software",
        "survives",
        "falls-back",
        "refused",
        "differs",
        "error",
        "crash",
        "timeout",
    ];
    let mut counts: BTreeMap<(usize, String, String), BTreeMap<&str, usize>> = BTreeMap::new();
    for outcome in outcomes {
        let case = &cases[outcome.case];
        let codec = format!("{:?}", case.stream.codec);
        let kind = format!("{:?}", case.expectation.kind()).to_lowercase();
        let row = counts.entry((outcome.client, codec, kind)).or_default();
        *row.entry(outcome.verdict.word()).or_default() += 1;
    }
    let used: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| counts.values().any(|row| row.contains_key(word)))
        .collect();
    let header = ["client", "codec", "kind", "streams"].into_iter().chain(used.iter().copied());
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    for ((client, codec, kind), row) in &counts {
        let client = format!("{} {}", clients[*client].name, clients[*client].version);
        let mut cells =
            vec![client, codec.clone(), kind.clone(), row.values().sum::<usize>().to_string()];
        cells.extend(used.iter().map(|word| match row.get(word) {
            Some(count) => count.to_string(),
            None => "-".into(),
        }));
        rows.push(cells);
    }
    table::render(&rows, 3)
}

/// Compares with the pins, or writes them. How many outcomes count as failed.
fn report(
    cases: &[Case],
    clients: &[Known],
    outcomes: &[Outcome],
    options: &Options,
) -> Result<usize, String> {
    let mut failed = 0;
    for (number, known) in clients.iter().enumerate() {
        let own = || outcomes.iter().filter(|outcome| outcome.client == number);
        if options.pin && !options.valgrind {
            let mut pins = known.pins.clone().unwrap_or_default();
            own().for_each(|o| pins.set(&cases[o.case].stream.name, &o.verdict));
            println!("pinned: {}", pins.write(known.client, &known.version)?.display());
        }
        // Memory is right or wrong; no pin makes it acceptable.
        let pins = known.pins.as_ref().filter(|_| !options.valgrind);
        for outcome in own() {
            let stream = &cases[outcome.case].stream.name;
            let change = pins.map_or(Change::New, |pins| pins.change(stream, &outcome.verdict));
            let bad = match &change {
                Change::Worse(_) => true,
                Change::New => outcome.verdict.is_bad(),
                Change::Same | Change::Better(_) => false,
            };
            failed += usize::from(bad);
            match change {
                Change::Worse(was) => {
                    println!("WORSE: {} {stream}: was {was}, now {}", known.name, outcome.verdict)
                }
                Change::Better(was) => {
                    println!("better: {} {stream}: was {was}, now {}", known.name, outcome.verdict)
                }
                Change::New if bad => {
                    println!("FAILED: {} {stream}: {}", known.name, outcome.verdict)
                }
                Change::New | Change::Same => {}
            }
        }
    }
    Ok(failed)
}
