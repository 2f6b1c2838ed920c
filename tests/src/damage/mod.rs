//! Damaged streams: nothing crashes or hangs, and pictures are exact again from the next key frame on.

mod base;
mod deal;
mod units;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub use base::{Base, make_all};

use crate::driver::Environment;
use crate::player::{Picture, Player, pictures};
use crate::random::dice::Dice;
use crate::stream::Codec;
use crate::{process, valgrind};

/// What every trial needs.
#[derive(Debug)]
pub struct Setting {
    /// The whole streams.
    pub bases: Vec<Base>,
    /// Who decodes.
    pub player: Player,
    /// The driver and the display.
    pub environment: Environment,
    /// Where damaged streams lie.
    pub folder: PathBuf,
    /// How long one may take.
    pub limit: Duration,
}

/// What became of a damaged stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exact from the last key frame on.
    Recovered,
    /// Not so, and ffmpeg's own decoder did not get there either.
    Neither,
    /// libavcodec crashed by itself, does without the driver since a picture for which there is none, or had pictures
    /// decoded into surfaces that cannot hold them.
    Client,
    /// A crash, a hang, a leak, or wrong pictures.
    Failed(String),
}

/// One damaged stream.
#[derive(Debug)]
pub struct Trial {
    /// The stream it was, and what was done to it.
    pub title: String,
    /// How it went.
    pub verdict: Verdict,
}

/// Damages a stream as `seed` draws it and plays it; under valgrind as well if `checked`. The file stays if it
/// fails.
pub fn run(setting: &Setting, seed: u64, checked: bool) -> Result<Trial, String> {
    let mut dice = Dice::new(seed);
    let of = |dice: &mut Dice| dice.range(0..=setting.bases.len() as u32 - 1) as usize;
    let base = &setting.bases[of(&mut dice)];
    let other = &setting.bases[of(&mut dice)];
    let foreign = &other.coded.packets;
    let mut coded = base.coded.clone();
    let (done, _) = deal::damage(&mut coded, base.last_key, foreign, &mut dice);
    let extension = if coded.codec == Codec::H264 { "264" } else { "ivf" };
    let file = setting.folder.join(format!("damaged-{seed}.{extension}"));
    fs::write(&file, coded.write()).map_err(|e| format!("{}: {e}", file.display()))?;
    let title = format!("{seed}: {}: {}", base.name, done.join(", "));
    let mut verdict = play(setting, base, &file);
    if checked && verdict == Verdict::Recovered {
        verdict = check(setting, base.coded.codec, &file);
    }
    if !matches!(verdict, Verdict::Failed(_)) {
        fs::remove_file(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(Trial { title, verdict })
}

fn command(setting: &Setting, codec: Codec, file: &Path) -> Command {
    setting.player.command(codec, file, &setting.environment)
}

fn play(setting: &Setting, base: &Base, file: &Path) -> Verdict {
    let codec = base.coded.codec;
    let done = match process::run(&mut command(setting, codec, file), setting.limit) {
        Ok(done) => done,
        Err(error) => return Verdict::Failed(error.to_string()),
    };
    if let Some(signal) = done.killed_by() {
        return crash(setting, codec, file, &format!("{signal}:\n{}", done.log_tail(20)));
    }
    if !done.status.success() {
        return Verdict::Failed(format!("{}:\n{}", done.ending(), done.log_tail(20)));
    }
    if done.log.contains("panicked at") {
        return Verdict::Failed(format!("a panic:\n{}", done.log_tail(20)));
    }
    let shown = pictures(&done.text());
    if ends_with(&shown, base) {
        return Verdict::Recovered;
    }
    // Packets may be lost before the decoder, and pictures after it: libavcodec does the same in software.
    let mut software = command(setting, codec, file);
    software.arg("software");
    match process::run(&mut software, setting.limit) {
        Ok(done) if ends_with(&pictures(&done.text()), base) => {}
        _ => return Verdict::Neither,
    }
    // Its VP9 decoder never asks again after a size that no hardware has. Its AV1 decoder never asks for other surfaces.
    let clients = ["hwaccel initialisation returned error", "libavcodec had a picture of"];
    if clients.iter().any(|said| done.log.contains(said)) {
        return Verdict::Client;
    }
    Verdict::Failed(format!(
        "the last {} of {} pictures are wrong:\n{}\n{}",
        base.tail.len(),
        shown.len(),
        done.text().lines().rev().take(base.tail.len()).collect::<Vec<_>>().join("\n"),
        done.log_tail(10)
    ))
}

/// Whether the last pictures are those of the whole stream.
fn ends_with(shown: &[Picture], base: &Base) -> bool {
    let wanted = base.tail.iter().map(|frame| Some(&frame.md5));
    let from = shown.len().saturating_sub(base.tail.len());
    shown[from..].iter().map(|picture| picture.md5.as_ref()).eq(wanted)
}

/// Whose crash it was: valgrind sees whether the driver was in any stack, or wrote where it may not.
fn crash(setting: &Setting, codec: Codec, file: &Path, what: &str) -> Verdict {
    let report = file.with_extension("xml");
    let checked = valgrind::run(&command(setting, codec, file), &report, setting.limit * 10);
    // It has been read.
    let _ = fs::remove_file(&report);
    match checked {
        // The same end, and the driver had no part in it. Whoever crashes frees nothing.
        Ok(checked)
            if checked.errors.iter().all(|error| error.starts_with("Leak_"))
                && checked.done.killed_by().is_some() =>
        {
            Verdict::Client
        }
        Ok(checked) => Verdict::Failed(format!("{what}\n{}", checked.errors.join("\n"))),
        Err(why) => Verdict::Failed(format!("{what}\n{why}")),
    }
}

/// Under valgrind: no error, no leak in the driver.
fn check(setting: &Setting, codec: Codec, file: &Path) -> Verdict {
    let report = file.with_extension("xml");
    let limit = setting.limit * 10;
    let checked = valgrind::run(&command(setting, codec, file), &report, limit);
    // It has been read.
    let _ = fs::remove_file(&report);
    match checked {
        Err(why) => Verdict::Failed(why),
        Ok(checked) if !checked.done.status.success() => {
            Verdict::Failed(format!("under valgrind: {}", checked.done.ending()))
        }
        Ok(checked) if checked.errors.is_empty() => Verdict::Recovered,
        Ok(checked) => Verdict::Failed(checked.errors.join("\n")),
    }
}
