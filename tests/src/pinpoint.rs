//! Where a wrong frame is wrong: plane, position and values of the first sample that differs.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::clients::ffmpeg::{self, Fetch};
use crate::driver::Environment;
use crate::process;
use crate::stream::{Codec, Layout};

/// A sample that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// `Y`, `U` or `V`.
    pub plane: char,
    /// Column in that plane.
    pub x: usize,
    /// Row in that plane.
    pub y: usize,
    /// The right value, as stored (10-bit values in the high bits of 16).
    pub expected: u16,
    /// What came.
    pub got: u16,
    /// How many samples of the frame differ.
    pub count: usize,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spot { plane, x, y, expected, got, count } = self;
        write!(f, "{plane} at ({x}, {y}) is {got}, expected {expected}; {count} samples differ")
    }
}

/// Compares two frames without padding: `None` if they are the same, or not of the given size.
pub fn compare(
    expected: &[u8],
    got: &[u8],
    layout: Layout,
    (width, height): (u32, u32),
) -> Option<Spot> {
    let bytes = layout.sample_bytes();
    let (width, height) = (width as usize, height as usize);
    let luma = width * height;
    let chroma_row = width.div_ceil(2) * 2;
    let samples = luma + chroma_row * height.div_ceil(2);
    if expected.len() != samples * bytes || got.len() != expected.len() {
        return None;
    }
    let pairs = || expected.chunks(bytes).zip(got.chunks(bytes)).enumerate();
    let (at, (want, have)) = pairs().find(|(_, (want, have))| want != have)?;
    let (plane, x, y) = if at < luma {
        ('Y', at % width, at / width)
    } else {
        let at = at - luma;
        let column = at % chroma_row;
        (if column % 2 == 0 { 'U' } else { 'V' }, column / 2, at / chroma_row)
    };
    let value = |sample: &[u8]| sample.iter().rev().fold(0, |v, b| v << 8 | u16::from(*b));
    Some(Spot {
        plane,
        x,
        y,
        expected: value(want),
        got: value(have),
        count: pairs().filter(|(_, (want, have))| want != have).count(),
    })
}

/// Decodes frame `number` of a file with ffmpeg in software and through VA-API and compares.
pub fn frame(
    file: &Path,
    number: usize,
    codec: Codec,
    software: &str,
    layout: Layout,
    size: (u32, u32),
    environment: &Environment,
) -> Option<Spot> {
    let picture = |hardware: Option<Codec>, filter: &str| {
        let filter = format!("{filter},select=eq(n\\,{number})");
        raw(file, hardware, &filter, &["-frames:v", "1"], environment)
    };
    let expected = picture(None, software)?;
    compare(&expected, &picture(Some(codec), &Fetch::Download.filter(layout))?, layout, size)
}

/// All frames of a file as ffmpeg decodes them through VA-API, one after the other, each at its own size.
///
/// The only way to a certain frame of a stream that changes size: filters count anew at each change.
pub fn through_va(
    file: &Path,
    codec: Codec,
    layout: Layout,
    environment: &Environment,
) -> Option<Vec<u8>> {
    let passthrough = ["-fps_mode", "passthrough"];
    raw(file, Some(codec), &Fetch::Download.filter(layout), &passthrough, environment)
}

/// What ffmpeg decodes, through VA-API if `hardware` names a codec, as raw video.
fn raw(
    file: &Path,
    hardware: Option<Codec>,
    filter: &str,
    which: &[&str],
    environment: &Environment,
) -> Option<Vec<u8>> {
    let mut command = ffmpeg::command(environment);
    if let Some(codec) = hardware {
        command.args(ffmpeg::input(codec));
    }
    command.args(["-flags", "unaligned", "-i"]).arg(file).args(ffmpeg::selection(file));
    command.args(["-noautoscale", "-vf", filter]).args(which);
    command.args(["-f", "rawvideo", "-"]);
    process::run(&mut command, Duration::from_secs(120)).ok().map(|done| done.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_sample_is_named_by_plane_and_position() {
        let right = vec![7; 3 * 3 + 4 * 2];
        let mut wrong = right.clone();
        wrong[9 + 4 + 3] = 8;
        let spot = compare(&right, &wrong, Layout::Nv12, (3, 3)).unwrap();
        assert_eq!((spot.plane, spot.x, spot.y, spot.count), ('V', 1, 1, 1));
        wrong[4] = 1;
        let spot = compare(&right, &wrong, Layout::Nv12, (3, 3)).unwrap();
        assert_eq!((spot.plane, spot.x, spot.y, spot.got, spot.count), ('Y', 1, 1, 1, 2));
    }

    #[test]
    fn equal_frames_have_no_spot() {
        assert_eq!(compare(&[1; 12], &[1; 12], Layout::P010, (2, 2)), None);
    }
}
