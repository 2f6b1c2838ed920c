//! `./x damage`: damaged streams through a real client: no crash, no hang, no leak, and exact again from the
//! next key frame on.

use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use daedalus_tests::damage::{self, Setting, Verdict};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::Environment;
use daedalus_tests::player::Player;

use crate::progress::Progress;
use crate::{build, kernel_tests, project};

/// As many as run at the same time.
const WORKERS: usize = 2;

/// What `./x damage` takes.
#[derive(Args)]
pub struct Options {
    /// How many damaged streams
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// The first seed; the others follow it [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// One in so many also runs under valgrind, which takes ten times as long; 0 for none
    #[arg(long, default_value_t = 200)]
    valgrind: u64,
    /// What decodes behind the driver; the kernel's device is in user-mode Linux
    #[arg(long, default_value = "embedded")]
    transport: Transport,
    /// Seconds after which a client counts as hung
    #[arg(long, default_value_t = 60)]
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Embedded,
    Kernel,
}

/// Runs the seeds; the exit status says whether all went well.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_millis() as u64);
    let first = options.seed.unwrap_or_else(|| clock() % 1_000_000_000);
    println!("seeds {first} to {}", first.saturating_add(options.count - 1));
    if options.transport == Transport::Kernel {
        return kernel(options, first);
    }
    let folder = project::target().join("damage");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    eprintln!("x: building the driver");
    let directory = build::driver(build::Profile::Dev)?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let setting = Setting {
        bases: damage::make_all(&folder.join("whole"))?,
        player: Player::build(&folder)?,
        environment: Environment { directory, display: display.name().to_owned() },
        folder,
        limit: Duration::from_secs(options.limit),
    };
    let started = Instant::now();
    let sum = work(&setting, options, first)?;
    drop(display);
    println!("After {} s:", started.elapsed().as_secs());
    println!(
        "{} exact from the last key frame on, {} not, as in ffmpeg's own decoder, {} ended or went past the driver in \
         libavcodec, {} also ran under valgrind, {} failed",
        sum.recovered, sum.neither, sum.client, sum.checked, sum.failed
    );
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// In user-mode Linux the test of that name does it.
fn kernel(options: &Options, first: u64) -> Result<ExitCode, String> {
    let directory = build::driver(build::Profile::Dev)?;
    let daemon = build::daemon(build::Profile::Dev)?;
    let mut notes = Vec::new();
    let sum = kernel_tests::run(
        &kernel_tests::Options {
            filters: &[Some("damage::")],
            full: true,
            debug: false,
            driver: &directory,
            daemon: &daemon,
            environment: &[("DAEDALUS_DAMAGE", &format!("{first} {}", options.count))],
        },
        &mut notes,
    )?;
    notes.iter().for_each(|note| println!("{note}"));
    println!("{sum}");
    Ok(if sum.failed == 0 && sum.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Sum {
    recovered: u64,
    neither: u64,
    client: u64,
    checked: u64,
    failed: u64,
}

/// Does all seeds, several at a time.
fn work(setting: &Setting, options: &Options, first: u64) -> Result<Sum, String> {
    let next = AtomicU64::new(0);
    let mut progress = Progress::new(usize::try_from(options.count).unwrap_or(usize::MAX));
    let mut sum = Sum::default();
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        for _ in 0..WORKERS {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.count {
                        return;
                    }
                    let checked = options.valgrind > 0 && number % options.valgrind == 0;
                    let trial = damage::run(setting, first.saturating_add(number), checked);
                    if send.send((checked, trial)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (checked, trial) in receive {
            let trial = trial.inspect_err(|_| next.store(options.count, Ordering::Relaxed))?;
            sum.checked += u64::from(checked);
            let mut news = None;
            match trial.verdict {
                Verdict::Recovered => sum.recovered += 1,
                Verdict::Neither => sum.neither += 1,
                Verdict::Client => sum.client += 1,
                Verdict::Failed(why) => {
                    sum.failed += 1;
                    let seed = trial.title.split(':').next().unwrap_or_default();
                    news = Some(format!(
                        "FAILED: {}\n{why}\nagain: ./x damage --count 1 --seed {seed}",
                        trial.title
                    ));
                }
            }
            progress.saw(news.as_deref());
        }
        Ok(sum)
    })
}
