//! Films made for these tests: long enough to be interrupted, with a key frame every [`KEY`] frames, and in
//! formats that `player.c` can take apart.

use std::time::Duration;

use daedalus_tests::frames::Frame;
use daedalus_tests::stream::{Codec, Stream};
use daedalus_tests::{process, software};

use crate::Bed;

/// Frames from one key frame to the next.
pub const KEY: usize = 10;

/// Makes a film, or takes the one that an earlier test has made.
pub fn make(bed: &Bed, codec: Codec, frames: usize) -> Result<Stream, String> {
    let (extension, encoder): (&str, &[&str]) = match codec {
        Codec::H264 => {
            ("264", &["libx264", "-preset", "veryfast", "-bf", "2", "-sc_threshold", "0"])
        }
        Codec::Vp9 => ("ivf", &["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]),
        Codec::Av1 => ("ivf", &["libaom-av1", "-cpu-used", "8", "-usage", "realtime"]),
    };
    let path = bed.file(&format!("film-{frames}-{}.{extension}", codec.name()));
    if !path.is_file() {
        let mut command = process::command("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"]);
        command.arg("testsrc2=size=320x192:rate=25,noise=alls=8:all_seed=3,format=yuv420p");
        command.args(["-frames:v", &frames.to_string(), "-c:v"]).args(encoder);
        command.args(["-g", &KEY.to_string(), "-keyint_min", &KEY.to_string()]).arg(&path);
        let done =
            process::run(&mut command, Duration::from_secs(600)).map_err(|e| e.to_string())?;
        if !done.status.success() {
            return Err(format!("no film: {}", done.log_tail(20)));
        }
    }
    let video = software::probe(&path).map_err(|e| e.to_string())?;
    let expected: Vec<Frame> = software::frames(&path, &video, None, Duration::from_secs(600))?;
    if expected.len() != frames {
        return Err(format!("the film has {} frames, expected {frames}", expected.len()));
    }
    let name = format!("film-{frames}-{}", codec.name());
    Ok(Stream { name, path, codec, layout: video.layout, frames: expected })
}
