//! Randomised encodes with fixed seeds: one test per encoder and seed, named `encoder::seed`.
//!
//! `./x random` does the same for seeds that nobody has seen before.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daedalus_tests::clients::Setting;
use daedalus_tests::corpus;
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::random::encoders::{Encoder, Installed};
use daedalus_tests::random::{Bench, Choice, Outcome, Recipe, Witnesses};
use libtest_mimic::{Arguments, Failed, Trial};

/// A few small encodes of every encoder, the richer ones more often.
const SEEDS: [(Encoder, u64); 14] = [
    (Encoder::X264, 1),
    (Encoder::X264, 2),
    (Encoder::Vpxenc, 1),
    (Encoder::Vpxenc, 2),
    (Encoder::Aomenc, 1),
    (Encoder::Aomenc, 2),
    (Encoder::SvtAv1, 1),
    (Encoder::Rav1e, 1),
    (Encoder::FfmpegX264, 1),
    (Encoder::FfmpegOpenh264, 1),
    (Encoder::FfmpegVpx, 1),
    (Encoder::FfmpegAom, 1),
    (Encoder::FfmpegSvt, 1),
    (Encoder::FfmpegRav1e, 1),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match run(&arguments) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("random: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let folder = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "random")?;
    let bench = Arc::new(Bench {
        installed: Installed::ask(),
        witnesses: Witnesses::ask()?,
        setting: Setting {
            environment: Environment {
                directory: driver::directory()?,
                display: display.name().to_owned(),
            },
            scratch: folder.clone(),
            limit: Duration::from_secs(120),
        },
        folder,
    });
    let mut trials = Vec::from(SEEDS.map(|(encoder, seed)| {
        let name = format!("{encoder}::{seed}");
        if !bench.installed.has(encoder) {
            // Ignored, so that the summary says that something was left out.
            return Trial::test(format!("{name}: not installed"), || Ok(()))
                .with_ignored_flag(true);
        }
        let bench = Arc::clone(&bench);
        Trial::test(name, move || exact(encoder, seed, &bench))
    }));
    let again = Arc::clone(&bench);
    trials.push(Trial::test("a seed makes the same stream again", move || same_again(&again)));
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

/// What comes out twice is the same, for seeds that draw every kind of scene among them. Files may
/// differ: Matroska has random numbers in it.
fn same_again(bench: &Bench) -> Result<(), Failed> {
    for seed in 100..106 {
        let choice = Choice { codec: None, encoder: Some(Encoder::X264) };
        let make = || {
            let recipe = Recipe::draw(seed, &choice, &bench.installed, &bench.witnesses);
            recipe.map(|recipe| bench.run(recipe, Some(&[])).frames)
        };
        let frames = make().ok_or("x264 is not installed")?;
        if frames.is_empty() || make() != Some(frames) {
            return Err(format!("seed {seed} made no stream, or another the second time").into());
        }
    }
    Ok(())
}

/// The seeds are chosen so that the encoder takes what they draw: a refusal is a failure here.
fn exact(encoder: Encoder, seed: u64, bench: &Bench) -> Result<(), Failed> {
    let choice = Choice { codec: None, encoder: Some(encoder) };
    let recipe = Recipe::draw(seed, &choice, &bench.installed, &bench.witnesses)
        .ok_or("no encoder to draw")?;
    let trial = bench.run(recipe, None);
    match trial.outcome {
        Outcome::Exact { .. } => Ok(()),
        outcome => {
            let recipe = &trial.recipe;
            let (title, told) = (recipe.title(), recipe.told());
            let again = format!("./x random --encoder {encoder} --seed {seed} --count 1");
            Err(format!("{title} | {told}\n{outcome}\nagain: {again}").into())
        }
    }
}
