//! The whole streams that are damaged: a few of each codec, small, with several key frames.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::units::Coded;
use crate::frames::Frame;
use crate::stream::Codec;
use crate::{clips, process, software};

/// Frames of a stream; every eighth is a key frame.
const FRAMES: u32 = 24;

const LIMIT: Duration = Duration::from_secs(120);

/// How one is made.
struct Recipe {
    name: &'static str,
    codec: Codec,
    size: &'static str,
    /// The pixel format and filters before it.
    filter: &'static str,
    encoder: &'static [&'static str],
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "h264-baseline-slices",
        codec: Codec::H264,
        size: "176x144",
        filter: "format=yuv420p",
        encoder: &[
            "libx264",
            "-profile:v",
            "baseline",
            "-x264-params",
            "keyint=8:min-keyint=8:scenecut=0:slices=4:repeat-headers=1:ref=3",
        ],
    },
    Recipe {
        name: "h264-high",
        codec: Codec::H264,
        size: "208x120",
        filter: "format=yuv420p",
        encoder: &[
            "libx264",
            "-x264-params",
            "keyint=8:min-keyint=8:scenecut=0:repeat-headers=1:bframes=3:b-pyramid=normal:weightp=2:ref=4:8x8dct=1:cqm=jvt",
        ],
    },
    Recipe {
        name: "h264-interlaced",
        codec: Codec::H264,
        size: "176x160",
        filter: "format=yuv420p,tinterlace=mode=interleave_top:flags=vlpf",
        encoder: &[
            "libx264",
            "-flags",
            "+ilme+ildct",
            "-x264-params",
            "keyint=8:min-keyint=8:scenecut=0:repeat-headers=1:bframes=2:tff=1:direct=temporal",
        ],
    },
    Recipe {
        name: "vp9",
        codec: Codec::Vp9,
        size: "176x144",
        filter: "format=yuv420p",
        encoder: &[
            "libvpx-vp9",
            "-deadline",
            "good",
            "-cpu-used",
            "4",
            "-b:v",
            "300k",
            "-g",
            "8",
            "-keyint_min",
            "8",
            "-auto-alt-ref",
            "1",
            "-lag-in-frames",
            "8",
        ],
    },
    Recipe {
        name: "vp9-tiles",
        codec: Codec::Vp9,
        size: "520x64",
        filter: "format=yuv420p",
        encoder: &[
            "libvpx-vp9",
            "-deadline",
            "realtime",
            "-cpu-used",
            "6",
            "-b:v",
            "300k",
            "-g",
            "8",
            "-keyint_min",
            "8",
            "-tile-columns",
            "1",
            "-error-resilient",
            "1",
        ],
    },
    Recipe {
        name: "vp9-10bit",
        codec: Codec::Vp9,
        size: "131x99",
        filter: "format=yuv420p10le",
        encoder: &[
            "libvpx-vp9",
            "-profile:v",
            "2",
            "-deadline",
            "good",
            "-cpu-used",
            "5",
            "-b:v",
            "300k",
            "-g",
            "8",
            "-keyint_min",
            "8",
        ],
    },
    Recipe {
        name: "av1",
        codec: Codec::Av1,
        size: "176x144",
        filter: "format=yuv420p",
        encoder: &[
            "libaom-av1",
            "-cpu-used",
            "6",
            "-b:v",
            "300k",
            "-g",
            "8",
            "-keyint_min",
            "8",
            "-lag-in-frames",
            "6",
        ],
    },
    Recipe {
        name: "av1-tiles",
        codec: Codec::Av1,
        size: "192x192",
        filter: "format=yuv420p",
        encoder: &[
            "libaom-av1",
            "-cpu-used",
            "8",
            "-usage",
            "realtime",
            "-b:v",
            "300k",
            "-g",
            "8",
            "-keyint_min",
            "8",
            "-tiles",
            "2x2",
            "-aom-params",
            "sb-size=64",
        ],
    },
    Recipe {
        name: "av1-10bit",
        codec: Codec::Av1,
        size: "130x98",
        filter: "format=yuv420p10le",
        encoder: &[
            "libaom-av1",
            "-cpu-used",
            "7",
            "-b:v",
            "300k",
            "-g",
            "8",
            "-keyint_min",
            "8",
            "-lag-in-frames",
            "0",
        ],
    },
];

/// A whole stream.
#[derive(Debug)]
pub struct Base {
    /// Unique.
    pub name: &'static str,
    /// The stream.
    pub coded: Coded,
    /// The number of the packet with which its last part begins that decodes by itself.
    pub last_key: usize,
    /// The frames of that part.
    pub tail: Vec<Frame>,
}

/// Makes all of them in `folder`, or takes what is there.
pub fn make_all(folder: &Path) -> Result<Vec<Base>, String> {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    RECIPES.iter().map(|recipe| recipe.make(folder)).collect()
}

impl Recipe {
    fn make(&self, folder: &Path) -> Result<Base, String> {
        let named = |why: String| format!("{}: {why}", self.name);
        let key = clips::digest(&[self.size, self.filter, &self.encoder.join(" ")]);
        let extension = if self.codec == Codec::H264 { "264" } else { "ivf" };
        let file = folder.join(format!("{}-{key}.{extension}", self.name));
        if !file.is_file() {
            self.encode(&file).map_err(named)?;
        }
        let bytes = fs::read(&file).map_err(|e| named(e.to_string()))?;
        let coded = Coded::parse(self.codec, &bytes).map_err(named)?;
        let last_key = coded.last_key().ok_or_else(|| named("no key frame".into()))?;
        let end = folder.join(format!("{}-{key}-end.{extension}", self.name));
        fs::write(&end, coded.from(last_key).write()).map_err(|e| named(e.to_string()))?;
        let frames = |file: &Path| {
            let video = software::probe(file).map_err(|e| named(e.to_string()))?;
            software::frames(file, &video, None, LIMIT).map_err(named)
        };
        let (all, tail) = (frames(&file)?, frames(&end)?);
        // What is expected after damage has to be so without.
        if all.len() <= tail.len() || !all.ends_with(&tail) {
            return Err(named(format!(
                "the last {} of {} frames do not stand by themselves",
                tail.len(),
                all.len()
            )));
        }
        Ok(Base { name: self.name, coded, last_key, tail })
    }

    fn encode(&self, file: &Path) -> Result<(), String> {
        let mut command = process::command("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"]);
        let (size, filter) = (self.size, self.filter);
        command.arg(format!("testsrc2=s={size}:r=25,noise=alls=6:allf=t:all_seed=1,{filter}"));
        command.args(["-frames:v", &FRAMES.to_string(), "-threads", "1", "-c:v"]);
        command.args(self.encoder);
        let unfinished = file.with_extension(format!(
            "{}.part.{}",
            std::process::id(),
            file.extension().unwrap_or_default().to_string_lossy()
        ));
        command.arg(&unfinished);
        let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
        if !done.status.success() {
            return Err(format!("ffmpeg ended with {}: {}", done.ending(), done.log_tail(10)));
        }
        fs::rename(&unfinished, file).map_err(|e| format!("{}: {e}", file.display()))
    }
}
