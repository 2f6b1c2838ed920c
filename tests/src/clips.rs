//! Clips made with ffmpeg's encoders, for machines without the test vectors and for the demo.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use md5::{Digest, Md5};

use crate::process;
use crate::stream::{Codec, Layout};

/// How a clip is made.
pub struct Recipe {
    /// A short name, unique among [`RECIPES`].
    pub name: &'static str,
    /// What is in it, for people.
    pub title: &'static str,
    /// The coded format.
    pub codec: Codec,
    /// The layout of its frames when decoded.
    pub layout: Layout,
    /// The file's extension, which selects the container.
    extension: &'static str,
    /// A filter between the source and the encoder.
    filter: &'static str,
    /// Encoder and options: the first whose encoder this ffmpeg has is used.
    encoders: &'static [&'static [&'static str]],
}

/// One for each thing worth seeing.
pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "h264-high",
        title: "H.264 High",
        codec: Codec::H264,
        layout: Layout::Nv12,
        extension: "mp4",
        filter: "format=yuv420p",
        encoders: &[&["libx264", "-preset", "medium", "-bf", "3", "-b_strategy", "2"]],
    },
    Recipe {
        name: "h264-interlaced",
        title: "H.264 High, interlaced",
        codec: Codec::H264,
        layout: Layout::Nv12,
        extension: "mkv",
        filter: "format=yuv420p,tinterlace=mode=interleave_top:flags=vlpf",
        encoders: &[&[
            "libx264",
            "-preset",
            "medium",
            "-flags",
            "+ilme+ildct",
            "-x264opts",
            "tff=1",
        ]],
    },
    Recipe {
        name: "vp9",
        title: "VP9 profile 0",
        codec: Codec::Vp9,
        layout: Layout::Nv12,
        extension: "webm",
        filter: "format=yuv420p",
        encoders: &[&[
            "libvpx-vp9",
            "-b:v",
            "1500k",
            "-deadline",
            "good",
            "-cpu-used",
            "5",
            "-row-mt",
            "1",
            "-auto-alt-ref",
            "1",
            "-lag-in-frames",
            "16",
        ]],
    },
    Recipe {
        name: "vp9-10bit",
        title: "VP9 profile 2, 10 bit",
        codec: Codec::Vp9,
        layout: Layout::P010,
        extension: "webm",
        filter: "format=yuv420p10le",
        encoders: &[&[
            "libvpx-vp9",
            "-profile:v",
            "2",
            "-b:v",
            "1500k",
            "-deadline",
            "good",
            "-cpu-used",
            "5",
            "-row-mt",
            "1",
            "-lag-in-frames",
            "16",
        ]],
    },
    Recipe {
        name: "av1",
        title: "AV1 main",
        codec: Codec::Av1,
        layout: Layout::Nv12,
        extension: "mp4",
        filter: "format=yuv420p",
        encoders: &[
            &["libsvtav1", "-preset", "9", "-crf", "40"],
            &["libaom-av1", "-cpu-used", "8", "-crf", "40", "-b:v", "0"],
            &["librav1e", "-speed", "10", "-qp", "120"],
        ],
    },
    Recipe {
        name: "av1-10bit",
        title: "AV1 main, 10 bit",
        codec: Codec::Av1,
        layout: Layout::P010,
        extension: "mkv",
        filter: "format=yuv420p10le",
        encoders: &[
            &["libsvtav1", "-preset", "9", "-crf", "40"],
            &["libaom-av1", "-cpu-used", "8", "-crf", "40", "-b:v", "0"],
            &["librav1e", "-speed", "10", "-qp", "120"],
        ],
    },
    Recipe {
        name: "av1-grain",
        title: "AV1 main, film grain",
        codec: Codec::Av1,
        layout: Layout::Nv12,
        extension: "mkv",
        filter: "format=yuv420p,noise=alls=12:allf=t",
        encoders: &[
            &[
                "libaom-av1",
                "-cpu-used",
                "8",
                "-crf",
                "40",
                "-b:v",
                "0",
                "-denoise-noise-level",
                "25",
            ],
            &["libsvtav1", "-preset", "9", "-crf", "40", "-svtav1-params", "film-grain=10"],
        ],
    },
];

/// The size of a clip.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How many.
    pub frames: u32,
}

/// The source of all clips: a slow zoom behind a moving test pattern, with a cut after two thirds.
fn source(extent: Extent, filter: &str) -> String {
    let Extent { width, height, frames } = extent;
    let cut = frames * 2 / 3;
    // The zoom is costly per pixel, so it is drawn small.
    let (small_width, small_height) = (width / 4 * 2, height / 4 * 2);
    let (box_width, box_height) = (width / 6 * 2, height / 6 * 2);
    format!(
        "mandelbrot=s={small_width}x{small_height}:r=30:maxiter=300:end_pts=200,\
         scale={width}x{height}:flags=bilinear,trim=end_frame={cut},setpts=PTS-STARTPTS[far];\
         testsrc2=s={box_width}x{box_height}:r=30,trim=end_frame={cut}[near];\
         [far][near]overlay=x='(W-w)*abs(sin(2*t))':y='(H-h)*abs(cos(2*t))'[first];\
         testsrc2=s={width}x{height}:r=30,hue=h=90,trim=end_frame={rest}[second];\
         [first]setsar=1,format=yuv444p[a];[second]setsar=1,format=yuv444p[b];\
         [a][b]concat=n=2:v=1,fps=30,{filter}",
        rest = frames - cut,
    )
}

/// The folder for things that are slow to make: `$XDG_CACHE_HOME/daedalus` or `~/.cache/daedalus`.
pub fn cache() -> Result<PathBuf, String> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("daedalus"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".into())
}

/// The encoders and the version of the installed ffmpeg.
pub struct Encoders {
    known: String,
    /// ffmpeg's first words about itself.
    pub version: String,
}

impl Encoders {
    /// Asks ffmpeg.
    pub fn list() -> Result<Self, process::Error> {
        let ask = |what: &str| {
            let mut command = process::command("ffmpeg");
            process::run(command.args(["-hide_banner", what]), Duration::from_secs(60))
        };
        let version = ask("-version")?.text().lines().next().unwrap_or_default().to_owned();
        Ok(Self { known: ask("-encoders")?.text(), version })
    }

    /// Whether this ffmpeg has the encoder `name`.
    pub fn has(&self, name: &str) -> bool {
        self.known.lines().any(|line| line.split_whitespace().nth(1) == Some(name))
    }
}

impl Recipe {
    /// The encoder with its options that this ffmpeg has.
    fn encoder(&self, encoders: &Encoders) -> Option<&'static [&'static str]> {
        self.encoders.iter().copied().find(|encoder| encoders.has(encoder[0]))
    }

    /// The clip's file, made now unless the cache holds it. `making` is told before slow work.
    pub fn make(
        &self,
        extent: Extent,
        encoders: &Encoders,
        making: impl FnOnce(&str),
    ) -> Result<PathBuf, String> {
        let Some(encoder) = self.encoder(encoders) else {
            let names: Vec<&str> = self.encoders.iter().map(|encoder| encoder[0]).collect();
            return Err(format!("this ffmpeg has no encoder of {}", names.join(", ")));
        };
        let graph = source(extent, self.filter);
        let folder = cache()?.join("clips");
        let key = digest(&[&encoders.version, &graph, &encoder.join(" ")]);
        let file = folder.join(format!("{}-{key}.{}", self.name, self.extension));
        if file.is_file() {
            return Ok(file);
        }
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        making(encoder[0]);
        // Under another name until it is whole; a run or a thread beside ours makes its own.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let unfinished = folder.join(format!("{}-{own}.part.{}", self.name, self.extension));
        let made = encode(&graph, encoder, extent, unfinished.as_os_str())
            .and_then(|()| rename(&unfinished, &file));
        if made.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        made.map(|()| file)
    }
}

fn encode(graph: &str, encoder: &[&str], extent: Extent, to: &OsStr) -> Result<(), String> {
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-y", "-filter_complex", graph]);
    command.arg("-c:v").args(encoder).args(["-g", "120"]);
    command.args(["-frames:v", &extent.frames.to_string()]).arg(to);
    let done = process::run(&mut command, Duration::from_secs(600)).map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {}:\n{}", encoder[0], done.ending(), done.log_tail(20)))
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), String> {
    fs::rename(from, to).map_err(|e| format!("{}: {e}", to.display()))
}

/// A name for what the parts say.
pub fn digest(parts: &[&str]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.len().to_le_bytes());
        md5.update(part);
    }
    md5.finalize().iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_recipe_has_another_name() {
        assert_ne!(digest(&["a", "bc"]), digest(&["ab", "c"]));
        assert_eq!(digest(&["a"]), digest(&["a"]));
    }

    #[test]
    fn recipes_have_names_of_their_own() {
        let mut names: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RECIPES.len());
    }
}
