//! What is played: each codec, 8 and 10 bits, one whose size changes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process;

/// Frames from one that can be decoded by itself to the next.
pub const KEY: u32 = 10;

/// Frames of a film, or of each part of one.
const FRAMES: u32 = 60;

struct Film {
    name: &'static str,
    codec: &'static str,
    pixels: &'static str,
    /// Played one after the other.
    sizes: &'static [&'static str],
    encoder: &'static [&'static str],
}

const FILMS: &[Film] = &[
    Film {
        name: "h264.264",
        codec: "h264",
        pixels: "yuv420p",
        sizes: &["640x360"],
        encoder: &["libx264", "-preset", "veryfast", "-bf", "2", "-sc_threshold", "0"],
    },
    Film {
        name: "h264-sizes.264",
        codec: "h264",
        pixels: "yuv420p",
        sizes: &["320x180", "480x270"],
        encoder: &["libx264", "-preset", "veryfast", "-bf", "2", "-sc_threshold", "0"],
    },
    Film {
        name: "vp9.ivf",
        codec: "vp9",
        pixels: "yuv420p",
        sizes: &["640x360"],
        encoder: &["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
    },
    Film {
        name: "vp9-10bit-sizes.ivf",
        codec: "vp9",
        pixels: "yuv420p10le",
        sizes: &["321x181", "480x270", "160x90"],
        encoder: &["libvpx-vp9", "-profile:v", "2", "-deadline", "realtime", "-cpu-used", "8"],
    },
    Film {
        // FFmpeg 5.1 keeps the surfaces of the first sequence, so a session may not begin with the
        // smaller of two sizes.
        name: "av1.ivf",
        codec: "av1",
        pixels: "yuv420p",
        sizes: &["640x360"],
        encoder: &["libaom-av1", "-cpu-used", "8", "-usage", "realtime"],
    },
    Film {
        name: "av1-10bit.ivf",
        codec: "av1",
        pixels: "yuv420p10le",
        sizes: &["320x180"],
        encoder: &["libaom-av1", "-cpu-used", "8", "-usage", "realtime"],
    },
];

/// Makes those in `folder` that are not there.
pub fn make(folder: &Path) -> Result<(), String> {
    for film in FILMS {
        let path = folder.join(film.name);
        if !path.is_file() {
            let file = film.encode(folder)?;
            fs::write(&path, file).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
}

/// Codec and file of each, for the client.
pub fn arguments(folder: &Path) -> Vec<OsString> {
    FILMS
        .iter()
        .flat_map(|film| [film.codec.into(), folder.join(film.name).into_os_string()])
        .collect()
}

impl Film {
    fn encode(&self, folder: &Path) -> Result<Vec<u8>, String> {
        let mut film = Vec::new();
        let part = folder.join(format!("part-{}", self.name));
        for size in self.sizes {
            self.encode_part(size, &part)?;
            let bytes = fs::read(&part).map_err(|e| format!("{}: {e}", part.display()))?;
            // IVF files have a header each; the frames' own sizes count.
            let header = if self.codec == "h264" || film.is_empty() { 0 } else { 32 };
            film.extend(bytes.get(header..).ok_or_else(|| format!("{}: empty", self.name))?);
        }
        fs::remove_file(&part).map_err(|e| format!("{}: {e}", part.display()))?;
        Ok(film)
    }

    fn encode_part(&self, size: &str, to: &PathBuf) -> Result<(), String> {
        let mut command = process::command("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"]);
        let pixels = self.pixels;
        command.arg(format!("testsrc2=s={size}:r=25,noise=alls=8:all_seed=3,format={pixels}"));
        command.args(["-frames:v", &FRAMES.to_string(), "-c:v"]).args(self.encoder);
        command.args(["-g", &KEY.to_string(), "-keyint_min", &KEY.to_string()]).arg(to);
        let done =
            process::run(&mut command, Duration::from_secs(600)).map_err(|e| e.to_string())?;
        if done.status.success() {
            Ok(())
        } else {
            Err(format!("{}: {}", self.name, done.log_tail(10)))
        }
    }
}
