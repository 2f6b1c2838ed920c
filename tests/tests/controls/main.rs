//! The controls that the driver derives from VA's buffers equal, field by field, those that a V4L2
//! stateless client makes of the same stream: one test per stream of the catalogue, independent of pixels.
//!
//! A real client decodes the stream through VA-API while the driver logs its requests (`capture`). The
//! stream is parsed a second time by parsers that share nothing with the driver (`h264`, `vp9`, `av1`), and
//! controls are made of that as the kernel's documentation and the clients of V4L2 do. Fields that VA
//! cannot tell are in [`masks::MASKS`], with the reason, and in `docs/controls.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use capture::Decoder;
use compare::Comparison;
use daedalus_tests::catalogue::Tier;
use daedalus_tests::clients::{self, Client, Setting};
use daedalus_tests::corpus::{self, Corpus};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::kernel;
use daedalus_tests::refusals::{self, Witness};
use daedalus_tests::stream::{Codec, Stream};
use libtest_mimic::{Arguments, Failed, Trial};

mod av1;
mod capture;
mod compare;
mod demux;
mod h264;
mod masks;
mod pieces;
mod small;
mod syntax;
mod timestamps;
mod transports;
mod vp9;

fn main() -> ExitCode {
    if let Some(file) = std::env::var_os(small::ROLE) {
        return match small::decode(Path::new(&file)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("small client: {why}");
                ExitCode::FAILURE
            }
        };
    }
    test(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("controls: {why}");
        ExitCode::FAILURE
    })
}

/// What the tests of all streams found, for the test of the masks.
#[derive(Default)]
struct Tally {
    streams: usize,
    requests: usize,
    fields: usize,
    /// By masked field: where it differed first, and how often it did.
    masked: BTreeMap<&'static str, (String, usize)>,
    /// Stream and field where the other parser was wrong, as is known.
    witness_faults: BTreeSet<(String, String)>,
}

fn test(arguments: &Arguments) -> Result<ExitCode, String> {
    if kernel::is_wanted() {
        return transports::test(arguments);
    }
    let tier = tier()?;
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let setting = Arc::new(Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        scratch: corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "controls")?,
        limit: clients::limit(),
    });
    let Corpus { streams, generated } = corpus::streams(tier)?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut trials = masks::documentation();
    if generated {
        // Ignored, so that the summary says that something was left out.
        let name = "catalogue: ../shared/vectors is absent, generated clips are used instead";
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    let decoders = decoders(&streams)?;
    let count = streams.len();
    for stream in streams {
        let name = format!("{}::{}", name_of(stream.codec), stream.name);
        if let Some(why) = masks::unread(&stream.name) {
            trials.push(Trial::test(format!("{name}: {why}"), || Ok(())).with_ignored_flag(true));
            continue;
        }
        trials.push(match decoders.get(&stream.name) {
            Some(decoder) => {
                let (decoder, setting, tally) =
                    (*decoder, Arc::clone(&setting), Arc::clone(&tally));
                Trial::test(name, move || stream_test(decoder, &stream, &setting, &tally))
            }
            // VA has no words for it, so no client sends a request.
            None => Trial::test(name, || Ok(())).with_ignored_flag(true),
        });
    }
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(|e| e.into_inner()));
    println!(
        "compared {} fields of {} requests of {} streams",
        tally.fields, tally.requests, tally.streams
    );
    let whole = !generated && tally.streams == decoders.len() && count > 0;
    let trials = if whole {
        let mut trials = masks::used(&tally.masked, tier);
        trials.extend(masks::witness_faults_seen(&tally.witness_faults, |stream| {
            decoders.contains_key(stream)
        }));
        trials
    } else {
        // Ignored, so that the summary says that something was left out.
        let name =
            "mask: only a run over all streams of the catalogue can tell that one is of no use";
        vec![Trial::test(name, || Ok(())).with_ignored_flag(true)]
    };
    let after = libtest_mimic::run(arguments, trials);
    let failed = conclusion.has_failed() || after.has_failed();
    Ok(if failed { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

fn name_of(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::Vp9 => "vp9",
        Codec::Av1 => "av1",
    }
}

/// Who decodes each stream: ffmpeg, or who the table of refusals says to be exact. No entry for a stream
/// that nobody can decode through VA.
fn decoders(streams: &[Stream]) -> Result<HashMap<String, Decoder>, String> {
    let client = Client::FfmpegDownload;
    let version = client.version().map_err(|e| e.to_string())?;
    let table = refusals::table()?;
    let decoder = |stream: &Stream| {
        let line =
            table.iter().find(|line| line.stream == stream.name && line.applies(client, &version));
        match line.map(|line| line.exact_through) {
            None => Some(Decoder::Installed(client)),
            Some(Witness::Client(other)) => Some(Decoder::Installed(other)),
            // AV1 is not for the small client: ffmpeg decodes it in pieces.
            Some(Witness::SmallClient) if stream.codec == Codec::Av1 => Some(Decoder::Pieces),
            Some(Witness::SmallClient) => Some(Decoder::Small),
            Some(Witness::Nobody) => None,
        }
    };
    let read = streams.iter().filter(|stream| masks::unread(&stream.name).is_none());
    Ok(read.filter_map(|stream| Some((stream.name.clone(), decoder(stream)?))).collect())
}

/// Decodes a stream, parses it, and compares.
fn stream_test(
    decoder: Decoder,
    stream: &Stream,
    setting: &Setting,
    tally: &Mutex<Tally>,
) -> Result<(), Failed> {
    let mut comparison = Comparison::default();
    let mut requests = 0;
    for path in pieces::of(decoder, stream, setting)? {
        let got = capture::requests(decoder, stream, &path, setting)?;
        requests += got.len();
        match stream.codec {
            Codec::H264 => h264::compare(&path, &got, &mut comparison)?,
            Codec::Vp9 => vp9::compare(&path, &got, &mut comparison)?,
            Codec::Av1 => av1::compare(&demux::ivf(&path)?, &got, &mut comparison)?,
        }
    }
    let mut tally = tally.lock().unwrap_or_else(|e| e.into_inner());
    tally.streams += 1;
    tally.requests += requests;
    tally.fields += comparison.fields;
    let mut wrong = BTreeMap::<&str, (usize, String)>::new();
    for difference in &comparison.differences {
        if masks::is_witness_fault(&stream.name, &difference.field) {
            tally.witness_faults.insert((stream.name.clone(), difference.field.clone()));
            continue;
        }
        if let Some(mask) = masks::find(&difference.field) {
            let entry = tally.masked.entry(mask.field).or_insert((stream.name.clone(), 0));
            entry.1 += 1;
            continue;
        }
        // The first request in which each field differs: the rest mostly follows from it.
        let line = || {
            format!(
                "request {}: {}: expected {}, got {}",
                difference.request, difference.field, difference.expected, difference.got
            )
        };
        wrong.entry(&difference.field).or_insert_with(|| (0, line())).0 += 1;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let mut lines = vec![format!("{} of {requests} requests:", stream.name)];
    lines.extend(wrong.into_values().map(|(times, line)| format!("{line} ({times} times)")));
    Err(lines.join("\n").into())
}

fn tier() -> Result<Tier, String> {
    match std::env::var("DAEDALUS_TIER").as_deref() {
        Err(_) | Ok("core") => Ok(Tier::Core),
        Ok("full") => Ok(Tier::Full),
        Ok(other) => Err(format!("DAEDALUS_TIER is {other:?}, neither core nor full")),
    }
}
