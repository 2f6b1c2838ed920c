//! Every client decodes every stream exactly: one test per pair, named `client::stream`.
//!
//! The streams are those of the catalogue beside the project; without it, clips made here and decoded
//! in software for reference. `DAEDALUS_TIER=full` takes every stream of the catalogue that must
//! decode, not just the core.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daedalus_tests::clients::{self, Client, Setting, ffmpeg};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::frames::{self, Frame};
use daedalus_tests::refusals::{self, Refusal};
use daedalus_tests::stream::Stream;
use daedalus_tests::{catalogue, clips, process};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match run(&arguments) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("clients: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let setting = Arc::new(Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        scratch: scratch()?,
    });
    let folder = catalogue::folder();
    let streams = match &folder {
        Some(folder) => catalogue::streams(folder, tier()?)?,
        None => generated()?,
    };
    let mut trials = Vec::new();
    if folder.is_none() {
        // Ignored, so that the summary says that something was left out.
        let name = "catalogue: ../shared/vectors is absent, generated clips are used instead";
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    let refusals = refusals::table()?;
    let versions = versions()?;
    for stream in streams.into_iter().map(Arc::new) {
        for client in clients::ALL {
            let refusal = refusals
                .iter()
                .find(|line| line.stream == stream.name && line.applies(client, &versions[&client]))
                .cloned();
            let (stream, setting) = (Arc::clone(&stream), Arc::clone(&setting));
            let name = format!("{client}::{}", stream.name);
            trials.push(Trial::test(name, move || match refusal {
                None => exact(client, &stream, &setting),
                Some(refusal) => refused(&refusal, &stream, &setting),
            }));
        }
    }
    // Grouped by client: a broken client shows as a block.
    trials.sort_by_key(|trial| trial.name().split("::").next().unwrap_or_default().to_owned());
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

/// The client decodes in hardware, as it believes, and every frame is right.
fn exact(client: Client, stream: &Stream, setting: &Setting) -> Result<(), Failed> {
    let got = client.decode(stream, setting).map_err(|failure| failure.to_string())?;
    match frames::compare(&stream.frames, &got) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string().into()),
    }
}

/// The client refuses with the message of the table, and the other client is exact.
fn refused(refusal: &Refusal, stream: &Stream, setting: &Setting) -> Result<(), Failed> {
    match refusal.client.decode(stream, setting) {
        Ok(_) => {
            return Err("decodes, although refusals.tsv says that it is refused: \
                        take the line out"
                .into());
        }
        Err(failure) if !failure.log().contains(&refusal.message) => {
            return Err(format!("fails without saying {:?}: {failure}", refusal.message).into());
        }
        Err(_) => {}
    }
    let witness = refusal.exact_through;
    exact(witness, stream, setting)
        .map_err(|failed| format!("{witness}: {}", failed.message().unwrap_or_default()).into())
}

fn versions() -> Result<HashMap<Client, String>, String> {
    let version = |client: Client| match client.version() {
        Ok(version) => Ok((client, version)),
        Err(why) => Err(format!("{client}: {why}")),
    };
    clients::ALL.into_iter().map(version).collect()
}

fn tier() -> Result<catalogue::Tier, String> {
    match std::env::var("DAEDALUS_TIER").as_deref() {
        Err(_) | Ok("core") => Ok(catalogue::Tier::Core),
        Ok("full") => Ok(catalogue::Tier::Full),
        Ok(other) => Err(format!("DAEDALUS_TIER is {other:?}, neither core nor full")),
    }
}

/// A new folder below cargo's folder for tests, emptied of what an earlier run left.
fn scratch() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {e}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// Small clips of each kind, with what ffmpeg decodes in software as the reference.
fn generated() -> Result<Vec<Stream>, String> {
    let extent = clips::Extent { width: 354, height: 290, frames: 30 };
    let encoders = clips::Encoders::list().map_err(|e| e.to_string())?;
    let mut streams = Vec::new();
    for recipe in clips::RECIPES {
        let path = recipe
            .make(extent, &encoders, |encoder| eprintln!("making {} ({encoder})", recipe.name))
            .map_err(|why| format!("{}: {why}", recipe.name))?;
        let mut command = process::command("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-i"]).arg(&path);
        command.args(["-vf", &format!("format={}", recipe.layout.ffmpeg())]);
        command.args(ffmpeg::FRAME_MD5S);
        let done =
            process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
        let size = (extent.width, extent.height);
        let frames: Vec<Frame> = frames::parse_framemd5(&done.text())
            .into_iter()
            .map(|md5| Frame { size, md5 })
            .collect();
        if frames.is_empty() {
            return Err(format!(
                "{}: software decoding gives no frame:\n{}",
                recipe.name, done.log
            ));
        }
        let (codec, layout) = (recipe.codec, recipe.layout);
        streams.push(Stream { name: recipe.name.into(), path, codec, layout, frames });
    }
    Ok(streams)
}
