//! Inputs: made of streams, and made few.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::clients::ffmpeg;
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::{catalogue, process, software};

use super::program::Program;
use super::targets::{self, Target};
use crate::root::named;
use crate::{cargo, project};

/// The most that a target's part of the project's corpus may have: what comes first is kept, and libFuzzer
/// begins with what is small.
const MOST_BYTES: u64 = 40_000;

/// The same where pictures are decoded, whose coded bytes take room.
const MOST_BYTES_DECODING: u64 = 120_000;

/// Begins the names of inputs that are kept although others reach as much: a whole picture of each
/// codec and depth. `fuzz/src/bin/seeds.rs` makes them, `fuzz/tests/replay.rs` looks for them.
const WHOLE: &str = "whole-";

/// How long merging may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// Streams larger than this are not played for seeds.
const MOST_STREAM: u64 = 100_000;

/// Replaces the committed inputs of `target` by the fewest of all that reach as much; returns how many
/// there are, and their bytes.
pub fn minimise(program: &Program, target: &Target) -> Result<(usize, u64), String> {
    let fewest = target.folder().join("minimised");
    if fewest.exists() {
        fs::remove_dir_all(&fewest).map_err(named(&fewest))?;
    }
    fs::create_dir_all(&fewest).map_err(named(&fewest))?;
    let mut command = program.command(target);
    command.arg("-set_cover_merge=1").arg(&fewest).args(target.inputs());
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("merging ended with {}:\n{}", done.ending(), done.log_tail(20)));
    }
    let mut files = files(&fewest)?;
    files.sort_by_key(|(_, size)| *size);
    let committed = target.committed();
    let whole = whole(target)?;
    if committed.exists() {
        fs::remove_dir_all(&committed).map_err(named(&committed))?;
    }
    fs::create_dir_all(&committed).map_err(named(&committed))?;
    let most = if whole.is_empty() { MOST_BYTES } else { MOST_BYTES_DECODING };
    let (mut count, mut bytes) = (0, 0);
    for (name, content) in &whole {
        let to = committed.join(name);
        fs::write(&to, content).map_err(named(&to))?;
        (count, bytes) = (count + 1, bytes + content.len() as u64);
    }
    for (file, size) in files {
        if bytes + size > most {
            break;
        }
        let content = fs::read(&file).map_err(named(&file))?;
        if whole.values().any(|known| *known == content) {
            continue;
        }
        // libFuzzer's names are digests of what is in them.
        let to = committed.join(file.file_name().unwrap_or_default());
        fs::write(&to, content).map_err(named(&to))?;
        (count, bytes) = (count + 1, bytes + size);
    }
    Ok((count, bytes))
}

/// The inputs that are kept in any case, by name: those of the seeds, or else those committed.
fn whole(target: &Target) -> Result<BTreeMap<OsString, Vec<u8>>, String> {
    let mut whole = BTreeMap::new();
    for folder in [target.committed(), target.seeds()] {
        if !folder.is_dir() {
            continue;
        }
        for (file, _) in files(&folder)? {
            let name = file.file_name().unwrap_or_default();
            if name.to_string_lossy().starts_with(WHOLE) {
                let content = fs::read(&file).map_err(named(&file))?;
                whole.insert(name.to_owned(), content);
            }
        }
    }
    Ok(whole)
}

/// The files of a folder, with their sizes.
fn files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, String> {
    let entries = fs::read_dir(folder).map_err(named(folder))?;
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.map_err(named(folder))?;
        let size = entry.metadata().map_err(named(&entry.path()))?.len();
        Ok((entry.path(), size))
    };
    entries.map(file).collect()
}

/// Plays streams through a driver that writes down what it is given, and makes first inputs of that.
pub fn seeds() -> Result<usize, String> {
    let folder = targets::folder().join("recorder");
    fs::create_dir_all(&folder).map_err(named(&folder))?;
    eprintln!("x: building the recorder");
    let mut build = cargo::command("build");
    build.args([
        "--package",
        "daedalus-recorder",
        "--package",
        "daedalus-fuzz",
        "--lib",
        "--bin",
        "seeds",
    ]);
    cargo::check(build.args(cargo::daemon_features()))?;
    let built = project::target().join("debug");
    let library = built.join("libdaedalus_recorder.so");
    fs::copy(&library, folder.join(driver::FILE)).map_err(named(&library))?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let environment = Environment { directory: folder.clone(), display: display.name().to_owned() };
    let mut recordings = Vec::new();
    for stream in streams()? {
        match record(&stream, &folder, &environment) {
            Ok(recording) => recordings.push(recording),
            Err(why) => eprintln!("x: no seeds of {}: {why}", stream.display()),
        }
    }
    drop(display);
    let seeds = targets::folder().join("seeds");
    let mut command = process::command(built.join("seeds"));
    let done = process::run(command.arg(&seeds).args(&recordings), Duration::from_secs(60))
        .map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("making seeds ended with {}:\n{}", done.ending(), done.log_tail(20)));
    }
    // What there is nothing of.
    eprint!("{}", done.log);
    Ok(recordings.len())
}

/// Streams of the project's own, and those made for its tests; what others have made stays out of the
/// corpus.
fn streams() -> Result<Vec<PathBuf>, String> {
    let mut folders: Vec<_> =
        ["engine/tests/data", "tests/data/av1"].map(|folder| project::root().join(folder)).into();
    if let Some(vectors) = catalogue::folder() {
        let made = vectors.join("generated");
        folders.extend(["h264", "vp9", "av1"].map(|codec| made.join(codec)));
    }
    let mut streams = Vec::new();
    for folder in folders {
        for (file, size) in files(&folder)? {
            let kinds = ["h264", "264", "ivf", "obu", "mp4"];
            let kind = file.extension().and_then(OsStr::to_str).unwrap_or_default();
            if kinds.contains(&kind) && size <= MOST_STREAM {
                streams.push(file);
            }
        }
    }
    streams.sort();
    Ok(streams)
}

fn record(stream: &Path, folder: &Path, environment: &Environment) -> Result<PathBuf, String> {
    let video = software::probe(stream).map_err(|why| why.to_string())?;
    let name = stream.with_extension("").to_string_lossy().replace('/', "-");
    let short = name.rsplit("-data-").next().and_then(|name| name.rsplit("generated-").next());
    let recording = folder.join(short.unwrap_or(&name)).with_extension("recording");
    if recording.exists() {
        fs::remove_file(&recording).map_err(named(&recording))?;
    }
    let mut command = ffmpeg::command(environment);
    command.env("DAEDALUS_RECORDING", &recording).env("DAEDALUS_DEVICE", "embedded");
    command.args(ffmpeg::input(video.codec)).arg("-i").arg(stream);
    command.args(["-frames:v", "24", "-f", "null", "-"]);
    // Some streams this ffmpeg does not decode through VA-API; that shows here.
    process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if recording.exists() { Ok(recording) } else { Err("ffmpeg rendered nothing".into()) }
}
