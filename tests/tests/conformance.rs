//! The whole catalogue through ffmpeg: what becomes of each stream is what the pin file says, one test per
//! stream. What must decode exactly and is run with every client (`clients.rs`) is left out.
//!
//! `./x conformance` does the same for other clients and other streams.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use daedalus_tests::catalogue::{self, Kind};
use daedalus_tests::clients::{self, Client, Setting};
use daedalus_tests::conformance::pins::{Change, Pins};
use daedalus_tests::conformance::{Case, cases, judge};
use daedalus_tests::corpus;
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::refusals::{self, Refusal};
use libtest_mimic::{Arguments, Failed, Trial};

const CLIENT: Client = Client::FfmpegDownload;

fn main() -> ExitCode {
    run(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("conformance: {why}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let mut trials = Vec::new();
    match catalogue::folder() {
        Some(folder) => trials.extend(of_catalogue(&folder, &display)?),
        None => {
            // Ignored, so that the summary says that something was left out.
            let name = "conformance: ../shared/vectors is absent";
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
        }
    }
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

fn of_catalogue(folder: &Path, display: &Xvfb) -> Result<Vec<Trial>, String> {
    let setting = Arc::new(Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        scratch: corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "conformance")?,
        limit: clients::limit(),
    });
    let version = CLIENT.version().map_err(|e| e.to_string())?;
    let pins = Arc::new(Pins::read(CLIENT, &version)?);
    let refusals: Vec<_> =
        refusals::table()?.into_iter().filter(|line| line.applies(CLIENT, &version)).collect();
    let cases = cases::of_catalogue(folder, &setting.scratch)?;
    let mut trials = vec![match &*pins {
        Some(known) => {
            let failure = unpinned(known, &cases, &refusals);
            Trial::test("pins: the catalogue's streams and no others", move || match failure {
                None => Ok(()),
                Some(why) => Err(why.into()),
            })
        }
        None => {
            let name = format!("pins: none for {CLIENT} {version}; what is bad fails all the same");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }];
    for case in cases {
        if case.core && case.expectation.kind() == Kind::Ok {
            continue;
        }
        let refusal = refusals.iter().find(|line| line.stream == case.stream.name).cloned();
        let (setting, pins) = (Arc::clone(&setting), Arc::clone(&pins));
        let name = format!("conformance::{}", case.stream.name);
        let judged = move || judged(&case, refusal.as_ref(), pins.as_ref().as_ref(), &setting);
        trials.push(Trial::test(name, judged));
    }
    Ok(trials)
}

fn judged(
    case: &Case,
    refusal: Option<&Refusal>,
    pins: Option<&Pins>,
    setting: &Setting,
) -> Result<(), Failed> {
    let verdict = judge(case, CLIENT, refusal, setting, false);
    match pins.map_or(Change::New, |pins| pins.change(&case.stream.name, &verdict)) {
        Change::Same | Change::Better(_) => Ok(()),
        Change::Worse(was) => Err(format!("was {was}, now {verdict}").into()),
        Change::New if verdict.is_bad() => Err(verdict.to_string().into()),
        Change::New => Ok(()),
    }
}

/// What is amiss between the pins, the catalogue and the known faults of the client.
fn unpinned(pins: &Pins, cases: &[Case], refusals: &[Refusal]) -> Option<String> {
    let pinned: BTreeSet<&str> = pins.iter().map(|(stream, _)| stream).collect();
    let present: BTreeSet<&str> = cases.iter().map(|case| case.stream.name.as_str()).collect();
    let different: Vec<_> = pinned.symmetric_difference(&present).collect();
    if !different.is_empty() {
        return Some(format!("in one of the two only: {different:?}"));
    }
    let explained = |stream| refusals.iter().any(|line| line.stream == stream);
    let bare: Vec<_> = pins
        .iter()
        .filter(|(stream, word)| {
            !["exact", "survives", "falls-back"].contains(word) && !explained(*stream)
        })
        .collect();
    (!bare.is_empty()).then(|| format!("refusals.tsv does not say why: {bare:?}"))
}
