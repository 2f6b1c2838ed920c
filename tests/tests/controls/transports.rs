//! The requests that the daemon gets from GStreamer's v4l2codecs, which reads the stream itself, and from
//! the driver, which is told by VA what is in it: equal, field by field. Where there is a kernel device.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use daedalus_tests::catalogue::Tier;
use daedalus_tests::clients::{self, Client, Setting, gstreamer};
use daedalus_tests::corpus::{self, Corpus};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::kernel::Daemon;
use daedalus_tests::stream::{Codec, Stream};
use daedalus_uapi::Controls;
use daedalus_uapi::record::Record;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::compare::Comparison;
use crate::{av1, h264, masks, vp9};

/// Streams of the catalogue that both clients decode.
const STREAMS: [&str; 9] = [
    "generated/h264/high-mbaff-bff-cavlc.264",
    "generated/h264/main-temporal-direct.264",
    "h264/jvt/FRext/HCAFF1_HHI.264",
    "vp9/libvpx/vp90-2-16-intra-only.webm",
    "vp9/libwebm/test_stereo_left_right.webm",
    "vp9/shaka-player/first-period.webm",
    "generated/av1/sb64.ivf",
    "generated/av1/svt-ra.ivf",
    "generated/av1/tiles4x2.ivf",
];

/// Fields where GStreamer does not do as the kernel's documentation says, or where that leaves it free:
/// what the stream's name begins with, codec.control.field, and what it does.
const GSTREAMER: &[(&str, &str, &str)] = &[
    ("", "av1.tile_group_entry.tile_offset", "sends the frame header in front of the tiles"),
    (
        "h264/jvt/FRext/HCAFF1_HHI.264",
        "h264.decode_params.dpb.pic_num",
        "1.26: for both fields of a frame the number of that of the other parity",
    ),
    (
        "h264/jvt/FRext/HCAFF1_HHI.264",
        "h264.decode_params.top_field_order_cnt",
        "1.26: has that of the first field also with the second, which is a bottom field",
    ),
    ("vp9/", "vp9.frame.seg.pred_probs", "1.26: zeros where no segment is coded"),
    ("vp9/", "vp9.frame.seg.tree_probs", "1.26: zeros where no segment is coded"),
];

/// The tests, on the kernel device.
pub fn test(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let setting = Arc::new(Setting {
        environment: Environment {
            directory: driver::directory()?,
            display: display.name().to_owned(),
        },
        scratch: corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "transports")?,
        limit: clients::limit(),
    });
    // Its plugin has what the device has, so the device has to be there.
    let daemon = Daemon::start(&setting.scratch.join("daemon.log"), &[])?;
    let has_av1 = gstreamer::decodes(Client::GstreamerV4l2, Codec::Av1, &setting);
    daemon.stop()?;
    let Corpus { streams, generated } = corpus::streams(Tier::Core)?;
    let chosen = |stream: &Stream| generated || STREAMS.contains(&stream.name.as_str());
    let mut trials = Vec::new();
    for stream in streams.into_iter().filter(chosen) {
        let setting = Arc::clone(&setting);
        let name = format!("transports::{}", stream.name);
        let missing = stream.codec == Codec::Av1 && !has_av1;
        let trial = Trial::test(name, move || stream_test(&stream, &setting));
        trials.push(trial.with_ignored_flag(missing));
    }
    // One at a time: each has a daemon of its own.
    let arguments = Arguments { test_threads: Some(1), ..arguments.clone() };
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

fn stream_test(stream: &Stream, setting: &Setting) -> Result<(), Failed> {
    let theirs = requests(Client::GstreamerV4l2, stream, setting)?;
    let ours = requests(Client::FfmpegDownload, stream, setting)?;
    let mut comparison = Comparison::default();
    match stream.codec {
        Codec::H264 => h264::compare_records(&theirs, &ours, &mut comparison)?,
        Codec::Vp9 => vp9::compare_records(&theirs, &ours, &mut comparison)?,
        Codec::Av1 => av1::compare_records(&theirs, &ours, &mut comparison)?,
    }
    let mut wrong = BTreeMap::<&str, (usize, String)>::new();
    for difference in &comparison.differences {
        let field = difference.field.as_str();
        let peculiar = |(streams, name, _): &(&str, &str, &str)| {
            *name == field && stream.name.starts_with(streams)
        };
        if masks::find(field).is_some() || GSTREAMER.iter().any(peculiar) {
            continue;
        }
        let line = || {
            format!(
                "request {}: {field}: GStreamer has {}, the driver {}",
                difference.request, difference.expected, difference.got
            )
        };
        wrong.entry(field).or_insert_with(|| (0, line())).0 += 1;
    }
    println!("{}: {} fields of {} requests", stream.name, comparison.fields, ours.len());
    if wrong.is_empty() {
        return Ok(());
    }
    let lines = wrong.into_values().map(|(times, line)| format!("{line} ({times} times)"));
    Err(lines.collect::<Vec<_>>().join("\n").into())
}

/// What the daemon gets when a client decodes a stream.
fn requests(client: Client, stream: &Stream, setting: &Setting) -> Result<Vec<Record>, String> {
    let dump = setting.scratch.join(format!("{client}.json"));
    let log = setting.scratch.join(format!("{client}.log"));
    let path = dump.to_str().ok_or("a path that is not UTF-8")?;
    // The daemon appends.
    let _ = fs::remove_file(&dump);
    let daemon = Daemon::start(&log, &["--dump", path])?;
    client.decode(stream, setting).map_err(|failure| failure.to_string())?;
    daemon.stop()?;
    let text = fs::read_to_string(&dump).map_err(|e| format!("{}: {e}", dump.display()))?;
    let records = text.lines().map(|line| Record::from_json(line).map_err(|e| e.to_string()));
    let mut records: Vec<Record> = records.collect::<Result<_, _>>()?;
    if records.is_empty() {
        return Err(format!("{client} sent no request"));
    }
    // Of pictures that were decoded twice the second counts: later ones refer to that.
    let twice: Vec<bool> =
        records.windows(2).map(|pair| is_decoded_again(&pair[0], &pair[1])).collect();
    let mut twice = twice.into_iter();
    records.retain(|_| !twice.next().unwrap_or(false));
    Ok(records)
}

/// Whether the driver decodes AV1's `first` again, as it does when it has learnt too late in which slots
/// that belongs: when a client fetches a picture before it sends the next one, which is chance.
fn is_decoded_again(first: &Record, second: &Record) -> bool {
    let (Controls::Av1(first), Controls::Av1(second)) = (&first.controls, &second.controls) else {
        return false;
    };
    let mut first = first.clone();
    first.frame.refresh_frame_flags = second.frame.refresh_frame_flags;
    first.frame.reference_frame_ts = second.frame.reference_frame_ts;
    first == *second
}
