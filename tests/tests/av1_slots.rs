//! The hard case of AV1's reference slots: the client's eight slots hold eight different pictures, so that
//! VA does not say where the next one goes, and its pixels are asked for before the picture after it could
//! tell. It is decoded without being stored then and, if it turns out to be a reference, once more.
//!
//! The streams are shipped (data/README.md); they are exact, and the driver's own count shows that the
//! case really occurred.

use std::fs;
use std::path::Path;
use std::time::Duration;

use daedalus_tests::clients::ffmpeg;
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::frames::{self, Frame};
use daedalus_tests::process;
use daedalus_tests::stream::{Codec, Layout, Stream};

fn shipped(name: &str, layout: Layout) -> Stream {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/av1");
    let text = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    let frame = |line: &str| {
        let [width, height, md5] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        Frame { size: (width.parse().unwrap(), height.parse().unwrap()), md5: md5.into() }
    };
    let frames: Vec<_> = text.lines().map(frame).collect();
    assert!(!frames.is_empty());
    let path = folder.join(format!("{name}.ivf"));
    Stream { name: name.into(), path, codec: Codec::Av1, layout, frames }
}

/// The counts in "AV1: 8 pictures waited for their successor, 5 of them were needed before, 4 of those
/// were decoded again as references": 8, 5 and 4.
fn counts(log: &str) -> Option<[u32; 3]> {
    let line = log.lines().find(|line| line.contains("waited for their successor"))?;
    let (_, said) = line.split_once("AV1: ")?;
    let numbers: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

fn is_exact_although_slots_are_unknown(name: &str, layout: Layout) {
    let stream = shipped(name, layout);
    let display = Xvfb::start().unwrap();
    let environment =
        Environment { directory: driver::directory().unwrap(), display: display.name().into() };
    let mut command = ffmpeg::one_by_one(&stream, &environment);
    command.env("DAEDALUS_LOG", "info");
    let done = process::run(&mut command, Duration::from_secs(120)).unwrap();
    assert!(done.status.success(), "{}", done.log_tail(25));
    let got = frames::parse_framemd5(&done.text());
    assert_eq!(frames::compare(&stream.frames, &got), None);
    let counts = counts(&done.log);
    let [waited, needed, repeated] = counts.unwrap_or_else(|| panic!("{}", done.log_tail(25)));
    assert!(waited >= needed && needed >= repeated, "{counts:?}");
    assert!(repeated > 0, "{counts:?}");
}

#[test]
fn a_libaom_stream_is_exact_although_its_slots_are_unknown() {
    is_exact_although_slots_are_unknown("aom-lag19", Layout::Nv12);
}

#[test]
fn an_svt_av1_stream_is_exact_although_its_slots_are_unknown() {
    is_exact_although_slots_are_unknown("svt-10bit", Layout::P010);
}
