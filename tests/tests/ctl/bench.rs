//! `daedalusctl bench`.

use std::path::PathBuf;

use daedalus_tests::display::Xvfb;
use daedalus_tests::{ctl, driver, process};

use crate::{LIMIT, scratch};

/// A film of 30 small frames.
fn film() -> PathBuf {
    let path = scratch("bench-film").join("film.mkv");
    let mut encode = process::command("ffmpeg");
    encode.args([
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=128x96:rate=30:duration=1",
    ]);
    encode.args(["-c:v", "libx264", "-pix_fmt", "yuv420p"]).arg(&path);
    let done = process::run(&mut encode, LIMIT).unwrap();
    assert!(done.status.success(), "{}", done.log);
    path
}

#[test]
fn every_frame_of_a_film_is_decoded_by_the_driver() {
    let display = Xvfb::start().unwrap();
    let film = film();
    let mut bench = ctl::command().unwrap();
    bench.arg("bench").arg(&film).env("DISPLAY", display.name());
    // It asks libva for the driver by its name.
    bench.env("LIBVA_DRIVERS_PATH", driver::directory().unwrap());
    let done = process::run(&mut bench, LIMIT).unwrap();
    let said = done.text();
    assert!(done.status.success(), "{said}{}", done.log);
    assert!(said.contains("h264, 128x96, 8 bits"), "{said}");
    for way in ["software", "embedded"] {
        let line = said.lines().find(|line| line.starts_with(way)).unwrap_or_default();
        assert!(line.contains(" frames/s ") && line.contains(" 30 frames in "), "{said}");
    }
    // With a driver that does not work ffmpeg would decode by itself: that is no result.
    bench.env("LIBVA_DRIVERS_PATH", scratch("bench-no-driver"));
    let done = process::run(&mut bench, LIMIT).unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", done.text());
    assert!(!done.text().contains("embedded"), "{}", done.text());
    assert!(done.log.contains("daedalusctl status"), "{}", done.log);
}

#[test]
fn without_a_film_one_is_made() {
    let display = Xvfb::start().unwrap();
    let mut bench = ctl::command().unwrap();
    bench.arg("bench").env("DISPLAY", display.name());
    bench.env("LIBVA_DRIVERS_PATH", driver::directory().unwrap());
    // There is no folder that it could lie in.
    bench.env("TMPDIR", "/nonexistent");
    let done = process::run(&mut bench, LIMIT).unwrap();
    let said = done.text();
    assert!(done.status.success(), "{said}{}", done.log);
    assert!(said.starts_with("a clip of its own: h264, 1280x720, 8 bits\n"), "{said}");
    assert_eq!(said.matches(" 300 frames in ").count(), 2, "{said}");
}

#[test]
fn what_is_missing_is_said() {
    let mut bench = ctl::command().unwrap();
    let done = process::run(bench.args(["bench", "/nonexistent.mkv"]), LIMIT).unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(done.log.contains("/nonexistent.mkv: no such file"), "{}", done.log);
    for arguments in [&["bench"][..], &["bench", "/etc/hostname"]] {
        let mut bench = ctl::command().unwrap();
        let done = process::run(bench.args(arguments).env("PATH", "/nonexistent"), LIMIT).unwrap();
        assert_eq!(done.status.code(), Some(1));
        assert!(done.log.contains("is not installed"), "{}", done.log);
    }
}
