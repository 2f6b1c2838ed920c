//! Inputs: made of streams, and made few.

use std::ffi::OsStr;
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
    if committed.exists() {
        fs::remove_dir_all(&committed).map_err(named(&committed))?;
    }
    fs::create_dir_all(&committed).map_err(named(&committed))?;
    let (mut count, mut bytes) = (0, 0);
    for (file, size) in files {
        if bytes + size > MOST_BYTES {
            break;
        }
        // libFuzzer's names are digests of what is in them.
        let to = committed.join(file.file_name().unwrap_or_default());
        fs::copy(&file, &to).map_err(named(&to))?;
        (count, bytes) = (count + 1, bytes + size);
    }
    Ok((count, bytes))
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
