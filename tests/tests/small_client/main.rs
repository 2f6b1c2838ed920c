//! The core streams that no installed client decodes through VA-API are exact all the same: High 10
//! through a VA-API client that is small enough to stand here (`va`, `h264`), and an AV1 stream with a
//! metadata OBU that ffmpeg refuses through ffmpeg, without that OBU.
//!
//! This program is the small client as well: run with [`ROLE`] set to a file, it decodes that and
//! prints the MD5 of each frame. A program of its own, as every client is: libva reads its environment,
//! and a crash of the driver is then one failed test.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daedalus_tests::catalogue::{self, Tier};
use daedalus_tests::clients::{self, Client, Setting};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::refusals::{self, Witness};
use daedalus_tests::stream::{Codec, Stream};
use daedalus_tests::{corpus, frames, obu, process};
use libtest_mimic::{Arguments, Failed, Trial};
use md5::{Digest, Md5};

mod h264;
mod va;

/// The environment variable that names a file to the small client.
const ROLE: &str = "DAEDALUS_SMALL_CLIENT_DECODES";

/// With it the small client measures and keeps no frame: `surfaces`, `download` or `wait-each`
/// (see [`h264::Pace`]). `./x bench` uses it, and reads what it prints as what the client in
/// `tests/bench` prints.
const PACE: &str = "DAEDALUS_SMALL_CLIENT_PACE";

/// The streams that are decoded here, by their names in the catalogue.
const STREAMS: [&str; 3] = [
    "generated/h264/high10.264",
    "generated/h264/high10-intra.264",
    "av1/dav1d/10-bit/argon/test185_302.obu",
];

fn main() -> ExitCode {
    let done = match std::env::var_os(ROLE) {
        Some(file) => decode(Path::new(&file)).map(|()| ExitCode::SUCCESS),
        None => test(&Arguments::from_args()),
    };
    done.unwrap_or_else(|why| {
        eprintln!("small-client: {why}");
        ExitCode::FAILURE
    })
}

/// The small client.
fn decode(file: &Path) -> Result<(), String> {
    let stream = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let display = va::Display::open()?;
    eprintln!("small-client: the driver is {}", display.vendor());
    if let Ok(pace) = std::env::var(PACE) {
        return measure(&pace, display, &stream);
    }
    for frame in h264::decode(display, &stream)? {
        println!("{:x}", Md5::digest(&frame));
    }
    Ok(())
}

/// The small client of `./x bench`.
fn measure(pace: &str, display: va::Display, stream: &[u8]) -> Result<(), String> {
    let pace = match pace {
        "surfaces" => h264::Pace::Surfaces,
        "download" => h264::Pace::Download,
        "wait-each" => h264::Pace::WaitEach,
        other => return Err(format!("{PACE}={other} is not known")),
    };
    println!("vendor {}", display.vendor());
    let started = Instant::now();
    let frames = h264::decode_at(pace, display, stream)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("session {frames} {seconds:.6} {frames}\nseconds {seconds:.6}");
    Ok(())
}

fn test(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut trials = vec![Trial::test("every line of refusals.tsv is decoded here", lines)];
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    match catalogue::folder() {
        Some(folder) => {
            let setting = Arc::new(Setting {
                environment: Environment {
                    directory: driver::directory()?,
                    display: display.name().to_owned(),
                },
                scratch: corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "small-client")?,
                limit: clients::limit(),
            });
            let streams = catalogue::streams(&folder, Tier::Core)?;
            for name in STREAMS {
                let stream = streams.iter().find(|stream| stream.name == name);
                let stream = stream.ok_or(format!("catalogue.tsv: no core row {name}"))?.clone();
                let setting = Arc::clone(&setting);
                trials.push(Trial::test(name, move || exact(&stream, &setting)));
            }
        }
        None => {
            // Ignored, so that the summary says that something was left out.
            let absent = |name| {
                let name = format!("{name}: ../shared/vectors is absent");
                Trial::test(name, || Ok(())).with_ignored_flag(true)
            };
            trials.extend(STREAMS.map(absent));
        }
    }
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

/// What `refusals.tsv` says to be exact here is really among the tests.
fn lines() -> Result<(), Failed> {
    for line in refusals::table()? {
        let is_here = STREAMS.contains(&line.stream.as_str());
        if line.exact_through == Witness::SmallClient && !is_here {
            return Err(format!("{} is not decoded here", line.stream).into());
        }
    }
    Ok(())
}

/// Every frame of `stream` is right.
fn exact(stream: &Stream, setting: &Setting) -> Result<(), Failed> {
    let got = match stream.codec {
        Codec::H264 => small_client(stream, setting)?,
        _ => without_metadata(stream, setting)?,
    };
    match frames::compare(&stream.frames, &got) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string().into()),
    }
}

/// The frames that this program decodes when it is the small client.
fn small_client(stream: &Stream, setting: &Setting) -> Result<Vec<String>, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = process::command(own);
    setting.environment.apply(&mut command).env(ROLE, &stream.path);
    let done = process::run(&mut command, Duration::from_secs(120)).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("{}: {}", done.ending(), done.log_tail(25)));
    }
    if !done.log.contains(driver::VENDOR) {
        return Err(format!("not decoded through the driver: {}", done.log_tail(25)));
    }
    Ok(done.text().lines().map(str::to_owned).collect())
}

/// The frames of ffmpeg for `stream` as IVF without metadata.
///
/// Each sequence is a file of its own: ffmpeg 5.1 makes its surfaces for the first sequence's largest
/// frame and keeps them when a later sequence has larger ones, then reads beyond their end.
fn without_metadata(stream: &Stream, setting: &Setting) -> Result<Vec<String>, String> {
    let file = std::fs::read(&stream.path).map_err(|e| e.to_string())?;
    let mut units = obu::temporal_units(&file).map_err(|e| e.to_string())?;
    let all: usize = units.iter().map(Vec::len).sum();
    units.iter_mut().for_each(|obus| obus.retain(|obu| obu.kind != obu::METADATA));
    if all == units.iter().map(Vec::len).sum() {
        return Err("there is no metadata in the stream that could be left out".into());
    }
    let mut md5s = Vec::new();
    for (number, sequence) in obu::sequences(&units).into_iter().enumerate() {
        let path = setting.scratch.join(format!("without-metadata-{number}.ivf"));
        std::fs::write(&path, obu::ivf(sequence))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        let part = Stream { path, ..stream.clone() };
        let decoded = Client::FfmpegDownload.decode(&part, setting);
        md5s.extend(decoded.map_err(|failure| failure.to_string())?);
    }
    Ok(md5s)
}
