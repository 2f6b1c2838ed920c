//! `./x threads`: streams through the driver with every number of decoder threads, while random scheduling
//! delays hold threads up, each frame compared.

use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use daedalus_tests::clients::Setting;
use daedalus_tests::conformance::{Case, Expectation, cases};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::Environment;
use daedalus_tests::jitter::Jitter;
use daedalus_tests::threads::{Attempt, CLIENT, Fetch};
use daedalus_tests::{catalogue, corpus, refusals};

use crate::progress::Progress;
use crate::{build, project};

/// What `./x threads` takes.
#[derive(Args)]
pub struct Options {
    /// Only streams that have one of these names, or part of it
    words: Vec<String>,
    /// The whole catalogue, damaged streams as well (which must not crash or hang), not just its core
    #[arg(long)]
    full: bool,
    /// Numbers of decoder threads, such as 1,2,8
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8",
          value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Vec<u8>,
    /// How often each stream is decoded: each time with another seed and the next number of threads
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// The first seed; the others follow it [default: from the clock]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seed: Option<u64>,
    /// When the client asks for pixels
    #[arg(long, default_value = "mixed")]
    fetch: When,
    /// Begin nothing more after so many seconds; what was begun is finished
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// How many clients run at a time [default: one for each core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Seconds after which a client counts as hung
    #[arg(long, default_value_t = 180)]
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// Each way by turns
    Mixed,
    /// Of each frame as soon as it has it
    Each,
    /// After the last picture was sent
    Last,
}

impl When {
    fn fetch(self) -> Option<Fetch> {
        match self {
            When::Mixed => None,
            When::Each => Some(Fetch::EachInTurn),
            When::Last => Some(Fetch::AllAtLast),
        }
    }
}

/// Runs what `options` ask for; the exit status says whether every frame was right.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let scratch = project::target().join("threads");
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let cases = chosen(options, &scratch)?;
    let jitter = Jitter::build(&scratch)?;
    eprintln!("x: building the driver");
    let directory = build::driver(build::Profile::Release)?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let setting = Setting {
        environment: Environment { directory, display: display.name().to_owned() },
        scratch,
        limit: Duration::from_secs(options.limit),
    };
    // Small enough to be typed again.
    let clock =
        || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs() % 1_000_000 + 1);
    let seed = options.seed.unwrap_or_else(clock);
    let counts: Vec<usize> = options.threads.iter().map(|count| (*count).into()).collect();
    println!(
        "{} streams, threads {counts:?}, {} rounds, seeds from {seed} on",
        cases.len(),
        options.rounds
    );
    let started = Instant::now();
    let (done, failures) = decode_all(&cases, &counts, seed, &jitter, &setting, options);
    drop(display);

    for Failure { case, attempt, why } in &failures {
        let name = &cases[*case].stream.name;
        println!("\nFAILED: {name}, {attempt}: {why}\n  again: {}", again(name, attempt));
    }
    let total = cases.len() * options.rounds as usize;
    if done < total {
        println!("\nThe time limit came after {done} of {total} decodes.");
    }
    println!("After {} s:", started.elapsed().as_secs());
    println!("{} passed, {} failed", done - failures.len(), failures.len());
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The command that does `attempt` again. A seed does not fix a schedule: it takes more than one try.
fn again(name: &str, attempt: &Attempt) -> String {
    let Attempt { threads, seed, fetch } = attempt;
    let name = build::quote(name);
    format!("./x threads --full --threads {threads} --seed {seed} --fetch {fetch} {name}")
}

/// The streams that the options leave: those that ffmpeg brings to the driver as they are.
fn chosen(options: &Options, scratch: &std::path::Path) -> Result<Vec<Case>, String> {
    let clip = |stream| Case { stream, expectation: Expectation::Exact, core: true };
    let mut all: Vec<Case> = corpus::clips()?.into_iter().map(clip).collect();
    match catalogue::folder() {
        Some(folder) => all.extend(cases::of_catalogue(&folder, scratch)?),
        None => eprintln!("x: ../shared/vectors is absent: generated clips only"),
    }
    let is_name = |word: &str| all.iter().any(|case| case.stream.name == word);
    // A whole name means that stream alone: "vp9" is one, and part of others.
    let (names, parts): (Vec<&String>, Vec<_>) =
        options.words.iter().partition(|word| is_name(word));
    all.retain(|case| {
        let name = &case.stream.name;
        let named = names.contains(&name) || parts.iter().any(|part| name.contains(*part));
        (options.full || case.core) && (options.words.is_empty() || named)
    });
    let version = CLIENT.version().map_err(|e| e.to_string())?;
    let known: Vec<_> =
        refusals::table()?.into_iter().filter(|line| line.applies(CLIENT, &version)).collect();
    let before = all.len();
    all.retain(|case| {
        !matches!(case.expectation, Expectation::FallBack { .. })
            && !known.iter().any(|line| line.stream == case.stream.name)
    });
    let left_out = before - all.len();
    if left_out > 0 {
        eprintln!(
            "x: without {left_out} streams that {CLIENT} {version} does not bring to the driver"
        );
    }
    if all.is_empty() { Err("no stream is left to decode".into()) } else { Ok(all) }
}

struct Failure {
    case: usize,
    attempt: Attempt,
    why: String,
}

/// All rounds, several streams at a time; how many decodes that were, and which failed. A round takes every
/// stream once, so that a time limit falls on all streams alike.
fn decode_all(
    cases: &[Case],
    counts: &[usize],
    seed: u64,
    jitter: &Jitter,
    setting: &Setting,
    options: &Options,
) -> (usize, Vec<Failure>) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or(cores).max(1);
    let total = cases.len() * options.rounds as usize;
    let end = options.time_limit.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (next, progress) = (AtomicUsize::new(0), Mutex::new(Progress::new(total)));
    let worker = || {
        let (mut done, mut failures) = (0, Vec::new());
        while end.is_none_or(|end| Instant::now() < end) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                break;
            }
            let (round, case) = (number / cases.len(), number % cases.len());
            let Case { stream, expectation, .. } = &cases[case];
            let attempt = Attempt::of_round(round, case, counts, options.fetch.fetch(), seed);
            let verdict = attempt.judge(stream, *expectation, jitter, setting);
            let news = verdict.as_ref().err().map(|why| {
                let first = why.lines().next().unwrap_or_default();
                format!("{}, {attempt}: {first}", stream.name)
            });
            progress.lock().expect("no panic").saw(news.as_deref());
            done += 1;
            failures.extend(verdict.err().map(|why| Failure { case, attempt, why }));
        }
        (done, failures)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        let (mut done, mut failures) = (0, Vec::new());
        for worker in workers {
            let (its_done, its_failures) = worker.join().expect("no panic");
            done += its_done;
            failures.extend(its_failures);
        }
        failures.sort_by_key(|failure| (failure.case, failure.attempt.seed));
        (done, failures)
    })
}
