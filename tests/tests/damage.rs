//! A few damaged streams, always the same; `./x damage` does it with others, and with thousands.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daedalus_tests::damage::{self, Setting, Verdict};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::player::Player;
use daedalus_tests::{clips, corpus};
use libtest_mimic::{Arguments, Failed, Trial};

/// Seeds of one test.
const EACH: u64 = 20;

/// Tests.
const TESTS: u64 = 10;

/// Of many thousands, those that once showed something wrong.
const FOUND: [u64; 2] = [60_601, 808_873];

fn main() -> ExitCode {
    run(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("damage: {why}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let folder = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "damage")?;
    let setting = Arc::new(Setting {
        bases: damage::make_all(&clips::cache()?.join("damage"))?,
        player: Player::build(&folder)?,
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        folder,
        limit: Duration::from_secs(120),
    });
    let trial = |number: u64| {
        let setting = Arc::clone(&setting);
        let seeds = number * EACH..(number + 1) * EACH;
        let name = format!("damage::seeds_{}_to_{}", seeds.start, seeds.end - 1);
        // One in each test also runs under valgrind.
        Trial::test(name, move || {
            seeds.into_iter().try_for_each(|seed| recovers(&setting, seed, seed % EACH == 0))
        })
    };
    let again = |seed: u64| {
        let setting = Arc::clone(&setting);
        Trial::test(format!("damage::seed_{seed}"), move || recovers(&setting, seed, true))
    };
    let trials = (0..TESTS).map(trial).chain(FOUND.into_iter().map(again)).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

/// With `checked` also under valgrind.
fn recovers(setting: &Setting, seed: u64, checked: bool) -> Result<(), Failed> {
    let trial = damage::run(setting, seed, checked)?;
    match trial.verdict {
        Verdict::Failed(why) => Err(format!("{}\n{why}", trial.title).into()),
        Verdict::Recovered | Verdict::Neither | Verdict::Client => Ok(()),
    }
}
