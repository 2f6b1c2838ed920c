//! `./x random`: randomised encodes, each decoded through VA-API and compared frame by frame.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use daedalus_tests::clients::{self, Client, Setting};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::Environment;
use daedalus_tests::random::encoders::{self, Encoder, Installed};
use daedalus_tests::random::{Bench, Choice, Outcome, Recipe, Trial, Witnesses};
use daedalus_tests::stream::Codec;

use crate::{build, project, table};

/// As many as run at the same time.
const WORKERS: usize = 2;

/// How long a client may take over a stream of some dozen small frames.
const LIMIT: Duration = Duration::from_secs(60);

/// One encode in so many may be refused by its encoder; more means that the draw is no good.
const REFUSED: usize = 10;

/// What `./x random` takes.
#[derive(Args)]
pub struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// The first seed; the others follow it [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// Encoders of h264, vp9 or av1 only
    #[arg(long, value_parser = codec)]
    codec: Option<Codec>,
    /// This encoder only, such as x264 or ffmpeg-libaom-av1
    #[arg(long, value_parser = encoder)]
    encoder: Option<Encoder>,
    /// This client only (ffmpeg-hwdownload, ffmpeg-hwmap, mpv, gstreamer-vaapi), or all of them for each
    /// stream [default: one, drawn]
    #[arg(long, value_parser = client)]
    client: Option<Who>,
    /// Keep the streams that are exact, too
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    All,
    One(Client),
}

fn codec(name: &str) -> Result<Codec, String> {
    Codec::named(name).ok_or_else(|| "not one of h264, vp9, av1".into())
}

fn encoder(name: &str) -> Result<Encoder, String> {
    let names = || encoders::ALL.map(|(_, encoder)| encoder.to_string()).join(", ");
    Encoder::named(name).ok_or_else(|| format!("not one of {}", names()))
}

fn client(name: &str) -> Result<Who, String> {
    if name == "all" {
        return Ok(Who::All);
    }
    let names = || clients::ALL.map(|client| client.to_string()).join(", ");
    Client::named(name).map(Who::One).ok_or_else(|| format!("not one of all, {}", names()))
}

impl Arguments {
    /// The command that does `seed` again.
    fn again(&self, seed: u64) -> String {
        let mut command = format!("./x random --seed {seed} --count 1");
        if let Some(codec) = self.codec {
            command.push_str(&format!(" --codec {}", codec.name()));
        }
        if let Some(encoder) = self.encoder {
            command.push_str(&format!(" --encoder {encoder}"));
        }
        match self.client {
            Some(Who::All) => command.push_str(" --client all"),
            Some(Who::One(client)) => command.push_str(&format!(" --client {client}")),
            None => {}
        }
        command
    }
}

/// Runs the seeds; the exit status says whether all was exact.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let installed = Installed::ask();
    let choice = Choice { codec: arguments.codec, encoder: arguments.encoder };
    let (there, absent): (Vec<_>, Vec<_>) =
        choice.encoders().into_iter().map(|(_, e)| e).partition(|e| installed.has(*e));
    for encoder in &absent {
        eprintln!("x: NOT INSTALLED, never drawn: {encoder}");
    }
    if there.is_empty() {
        return Err("no encoder is left to draw".into());
    }
    eprintln!("x: building the driver");
    let directory = build::driver(build::Profile::Dev)?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let folder = project::target().join("random");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let bench = Bench {
        installed,
        witnesses: Witnesses::ask()?,
        setting: Setting {
            environment: Environment { directory, display: display.name().to_owned() },
            scratch: folder.clone(),
            limit: LIMIT,
        },
        folder,
    };
    let first = arguments.seed.unwrap_or_else(seed_of_the_clock);
    let seeds = first..first.saturating_add(arguments.count);
    println!("seeds {} to {}", seeds.start, seeds.end - 1);
    let started = Instant::now();
    let trials = work(&bench, arguments, &choice, seeds)?;
    drop(display);
    let good = summarise(&trials, arguments, &bench.installed);
    println!("After {} s.", started.elapsed().as_secs());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Short enough to type.
fn seed_of_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64 % 1_000_000_000
}

/// Does all seeds, several at a time, and prints each as it ends.
fn work(
    bench: &Bench,
    arguments: &Arguments,
    choice: &Choice,
    seeds: std::ops::Range<u64>,
) -> Result<Vec<Trial>, String> {
    let only = match arguments.client {
        Some(Who::All) => Some(clients::ALL.to_vec()),
        Some(Who::One(client)) => Some(vec![client]),
        None => None,
    };
    let count = seeds.end - seeds.start;
    let next = AtomicU64::new(seeds.start);
    let (send, receive) = mpsc::channel();
    let mut trials = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (send, next, only) = (send.clone(), &next, only.as_deref());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let recipe = (seed < seeds.end)
                        .then(|| Recipe::draw(seed, choice, &bench.installed, &bench.witnesses));
                    // A closed channel means that the run has been given up.
                    let Some(recipe) = recipe.flatten() else { return };
                    if send.send(bench.run(recipe, only)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for trial in receive {
            let line = line(&trial);
            println!(
                "[{:>3}/{count}] {}",
                trials.len() + 1,
                line.lines().next().unwrap_or_default()
            );
            clear(&trial, arguments, &bench.installed)?;
            trials.push(trial);
        }
        Ok::<(), String>(())
    })?;
    Ok(trials)
}

/// What is printed of every seed.
fn line(trial: &Trial) -> String {
    let clients: Vec<String> = trial.clients.iter().map(Client::to_string).collect();
    let clients = if clients.is_empty() { "-".into() } else { clients.join(",") };
    let notes: String = trial.notes.iter().map(|note| format!(" [{note}]")).collect();
    let Recipe { seed, .. } = &trial.recipe;
    let seconds = trial.elapsed.as_secs_f32();
    let (title, told, outcome) = (trial.recipe.title(), trial.recipe.told(), &trial.outcome);
    format!("seed {seed}: {title} | {told} | {clients}{notes} | {seconds:.1} s | {outcome}")
}

/// Takes away what nobody will look at; leaves the script beside what stays.
fn clear(trial: &Trial, arguments: &Arguments, installed: &Installed) -> Result<(), String> {
    let folder = &trial.folder;
    let done = if trial.outcome.is_failure() || arguments.keep {
        fs::write(folder.join("encode.sh"), trial.recipe.script(installed))
    } else {
        fs::remove_dir_all(folder)
    };
    done.map_err(|e| format!("{}: {e}", folder.display()))
}

/// Prints the counts and every failure; whether all is well.
fn summarise(trials: &[Trial], arguments: &Arguments, installed: &Installed) -> bool {
    println!("\n{}", table::render(&counts(trials), 1));
    let mut by_client: BTreeMap<String, usize> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Exact { .. })) {
        for client in &trial.clients {
            *by_client.entry(client.to_string()).or_default() += 1;
        }
    }
    for (client, exact) in &by_client {
        println!("exact through {client}: {exact}");
    }
    let failures: Vec<&Trial> = trials.iter().filter(|t| t.outcome.is_failure()).collect();
    for trial in &failures {
        println!("\n{}", line(trial));
        println!("  again:  {}", arguments.again(trial.recipe.seed));
        println!("  files:  {}", trial.folder.display());
        println!("  made by {}", trial.recipe.command(installed).join(" "));
    }
    let refused = trials.iter().filter(|t| matches!(t.outcome, Outcome::EncoderRefused(_))).count();
    let exact = by_client.values().sum::<usize>() > 0;
    // One recipe alone may be refused and still is no failure, but then nothing was shown either.
    let too_many = refused * REFUSED > trials.len();
    if too_many {
        println!("\nToo many encodes refused by their encoders: {refused} of {}.", trials.len());
    }
    println!(
        "\n{} seeds: {} exact, {} failed, {refused} refused by their encoders.",
        trials.len(),
        trials.len() - failures.len() - refused,
        failures.len()
    );
    exact && failures.is_empty() && !too_many
}

/// A row per encoder, a column per outcome.
fn counts(trials: &[Trial]) -> Vec<Vec<String>> {
    let mut words: Vec<&str> = trials.iter().map(|trial| trial.outcome.word()).collect();
    words.sort_unstable();
    words.dedup();
    let header = ["encoder"].into_iter().chain(words.iter().copied()).map(String::from).collect();
    let mut rows = vec![header];
    for (_, encoder) in encoders::ALL {
        let of: Vec<&Trial> = trials.iter().filter(|t| t.recipe.encoder == encoder).collect();
        if of.is_empty() {
            continue;
        }
        let count =
            |word: &&str| of.iter().filter(|t| t.outcome.word() == *word).count().to_string();
        rows.push([encoder.to_string()].into_iter().chain(words.iter().map(count)).collect());
    }
    rows
}
