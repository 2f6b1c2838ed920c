//! A clip of each kind is exact with one decoder thread and with several, under random scheduling delays.
//! `./x threads` does the same with more streams, and for longer.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use daedalus_tests::clients::{self, Setting};
use daedalus_tests::conformance::Expectation;
use daedalus_tests::corpus;
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::jitter::Jitter;
use daedalus_tests::threads::Attempt;
use libtest_mimic::{Arguments, Trial};

/// Fewer than the cores, as many, one that divides nothing, and more.
const COUNTS: [usize; 4] = [1, 2, 3, 8];

/// Each count twice: once with each way to ask for pixels, and with two seeds.
const ROUNDS: usize = 2 * COUNTS.len();

fn main() -> ExitCode {
    run(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("threads: {why}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let scratch = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "threads")?;
    let jitter = Arc::new(Jitter::build(&scratch)?);
    let setting = Arc::new(Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        scratch,
        limit: clients::limit(),
    });
    let mut trials = Vec::new();
    for (number, clip) in corpus::clips()?.into_iter().enumerate() {
        let clip = Arc::new(clip);
        for round in 0..ROUNDS {
            let attempt = Attempt::of_round(round, number, &COUNTS, None, 1);
            let (clip, jitter, setting) = (clip.clone(), jitter.clone(), setting.clone());
            let name = format!("threads::{}: {attempt}", clip.name);
            trials.push(Trial::test(name, move || {
                Ok(attempt.judge(&clip, Expectation::Exact, &jitter, &setting)?)
            }));
        }
    }
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}
