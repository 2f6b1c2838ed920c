//! Short films that move and then stand still, so that a screenshot has a picture to be right about.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::process;

/// How a film is made.
#[derive(Debug)]
pub struct Film {
    pub name: &'static str,
    /// Width and height.
    pub size: (u32, u32),
    /// The encoder's name and options.
    encoder: &'static [&'static str],
    pixels: &'static str,
    /// `bt601` or `bt709`, `limited` or `full`.
    pub colours: (&'static str, &'static str),
    container: &'static str,
    /// GStreamer's parser and decoder for it.
    pub gstreamer: &'static str,
}

/// Seconds after which a film stands still.
pub const POSITION: f64 = 3.0;

const X264: &[&str] = &["libx264", "-preset", "veryfast", "-bf", "2"];
const VPX: &[&str] = &["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
const SVT: &[&str] = &["libsvtav1", "-preset", "12"];

pub const H264: Film = Film {
    name: "h264",
    size: (320, 180),
    encoder: X264,
    pixels: "yuv420p",
    colours: ("bt601", "limited"),
    container: "mp4",
    gstreamer: "qtdemux ! h264parse ! vah264dec",
};

/// What GStreamer plays: from MP4 it takes the colours' range to be full, whatever the file says.
pub const H264_MKV: Film = Film {
    name: "h264-mkv",
    container: "mkv",
    gstreamer: "matroskademux ! h264parse ! vah264dec",
    ..H264
};

pub const VP9: Film = Film {
    name: "vp9",
    encoder: VPX,
    container: "webm",
    gstreamer: "matroskademux ! vp9parse ! vavp9dec",
    ..H264
};

pub const AV1: Film = Film {
    name: "av1",
    encoder: SVT,
    container: "webm",
    gstreamer: "matroskademux ! av1parse ! vaav1dec",
    ..H264
};

pub const VP9_10BIT: Film = Film { name: "vp9-10bit", pixels: "yuv420p10le", ..VP9 };
pub const BT709: Film = Film { name: "bt709", colours: ("bt709", "limited"), ..H264 };
pub const FULL_RANGE: Film = Film { name: "full-range", colours: ("bt709", "full"), ..H264 };
pub const ODD: Film = Film { name: "odd-size", size: (321, 181), ..VP9 };

impl Film {
    /// Makes it, unless an earlier test has: a second in which everything moves, and a minute of its last
    /// picture. Blurred a little: what chroma is between two samples is everybody's own choice at hard edges.
    pub fn make(&self, folder: &Path) -> Result<PathBuf, String> {
        let path = folder.join(format!("film-{}.{}", self.name, self.container));
        if path.is_file() {
            return Ok(path);
        }
        let ((width, height), (matrix, range)) = (self.size, self.colours);
        let tag = if matrix == "bt601" { "smpte170m" } else { matrix };
        let mut command = process::command("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"]);
        // It has even sizes alone.
        let (even_width, even_height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        command.arg(format!("testsrc2=size={even_width}x{even_height}:rate=5:duration=1"));
        command.arg("-vf").arg(format!(
            "tpad=stop_mode=clone:stop_duration=60,format=gbrp,crop={width}:{height}:exact=1,gblur=sigma=4,\
             scale=out_color_matrix={matrix}:out_range={range},format={}",
            self.pixels
        ));
        command.args(["-colorspace", tag, "-color_primaries", tag, "-color_trc", tag]);
        command.args(["-color_range", if range == "full" { "pc" } else { "tv" }]);
        command.arg("-c:v").args(self.encoder).args(["-g", "30"]).arg(&path);
        let done =
            process::run(&mut command, Duration::from_secs(600)).map_err(|e| e.to_string())?;
        if done.status.success() {
            Ok(path)
        } else {
            Err(format!("no film: {}", done.log_tail(20)))
        }
    }
}
