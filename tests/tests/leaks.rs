//! A decode of one stream per codec under valgrind: no error and no lost memory in the driver.

use std::path::Path;
use std::time::Duration;

use daedalus_tests::catalogue::Tier;
use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::stream::{Codec, Stream};
use daedalus_tests::{corpus, frames, valgrind};

/// Small, and rich in what needs memory: B-pyramid with MMCO, hidden frames, film grain.
const STREAMS: [&str; 3] = [
    "generated/h264/frame-packing.264",
    "generated/vp9/tiny-16x16.ivf",
    "generated/av1/filmgrain2-odd-8b.ivf",
];

fn stream(codec: Codec) -> Stream {
    let streams = corpus::streams(Tier::Core).unwrap().streams;
    let of_codec = |stream: &&Stream| stream.codec == codec;
    let chosen = |stream: &&Stream| STREAMS.contains(&stream.name.as_str());
    // Without the catalogue, the first generated clip of the codec.
    let found = streams.iter().filter(of_codec).find(chosen);
    found.or_else(|| streams.iter().find(of_codec)).expect("a stream of each codec").clone()
}

fn decodes_cleanly(codec: Codec) {
    let stream = stream(codec);
    let display = Xvfb::start().unwrap();
    let environment =
        Environment { directory: driver::directory().unwrap(), display: display.name().into() };
    let mut command = ffmpeg::command(&environment);
    command.args(ffmpeg::input(codec)).arg("-i").arg(&stream.path);
    command.args(ffmpeg::selection(&stream.path));
    command.args(["-vf", &Fetch::Download.filter(stream.layout)]).args(ffmpeg::FRAME_MD5S);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let report = folder.join(format!("valgrind-{codec:?}.xml"));
    let checked = valgrind::run(&command, &report, Duration::from_secs(900)).unwrap();
    assert!(checked.done.status.success(), "{}", checked.done.log_tail(25));
    // A decode that went wrong would prove nothing.
    let got = frames::parse_framemd5(&checked.done.text());
    assert_eq!(frames::compare(&stream.frames, &got), None, "{}", stream.name);
    assert!(checked.done.log.contains(driver::VENDOR), "{}", checked.done.log_tail(25));
    assert!(checked.errors.is_empty(), "{}", checked.errors.join("\n\n"));
}

#[test]
fn h264_leaks_nothing_and_touches_only_its_own_memory() {
    decodes_cleanly(Codec::H264);
}

#[test]
fn vp9_leaks_nothing_and_touches_only_its_own_memory() {
    decodes_cleanly(Codec::Vp9);
}

#[test]
fn av1_leaks_nothing_and_touches_only_its_own_memory() {
    decodes_cleanly(Codec::Av1);
}
