//! What is decoded: clips like those that people watch, made once and kept in the cache.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daedalus_tests::clips::{self, Encoders, Extent};
use daedalus_tests::process;
use daedalus_tests::stream::{Codec, Layout};

use crate::root::named;

/// How a clip is made.
#[derive(Debug)]
pub struct Recipe {
    /// A short name, unique among [`ALL`].
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The coded format.
    pub codec: Codec,
    /// The layout of its frames when decoded.
    pub layout: Layout,
    /// Whether a picture has parts that can be decoded beside each other.
    pub parts: bool,
    /// Mbit/s at 1080p and 30 fps.
    mbits: f64,
    /// Encoder and options.
    encoder: &'static [&'static str],
}

const X264: [&str; 5] = ["libx264", "-preset", "medium", "-bf", "3"];
const VPX: [&str; 13] = [
    "libvpx-vp9",
    "-deadline",
    "good",
    "-cpu-used",
    "5",
    "-row-mt",
    "1",
    "-threads",
    "4",
    "-auto-alt-ref",
    "1",
    "-lag-in-frames",
    "16",
];
const SVT: [&str; 3] = ["libsvtav1", "-preset", "9"];

/// The clips.
pub const ALL: [Recipe; 9] = [
    Recipe {
        name: "h264",
        title: "H.264 High",
        codec: Codec::H264,
        layout: Layout::Nv12,
        parts: false,
        mbits: 8.0,
        encoder: &X264,
    },
    Recipe {
        name: "h264-10bit",
        title: "H.264 High 10",
        codec: Codec::H264,
        layout: Layout::P010,
        parts: false,
        mbits: 8.0,
        encoder: &X264,
    },
    Recipe {
        name: "h264-slices",
        title: "H.264 High, 4 slices",
        codec: Codec::H264,
        layout: Layout::Nv12,
        parts: true,
        mbits: 8.0,
        encoder: &["libx264", "-preset", "medium", "-bf", "3", "-slices", "4"],
    },
    Recipe {
        name: "vp9",
        title: "VP9 profile 0",
        codec: Codec::Vp9,
        layout: Layout::Nv12,
        parts: false,
        mbits: 6.0,
        encoder: &with(VPX, ["-tile-columns", "0"]),
    },
    Recipe {
        name: "vp9-10bit",
        title: "VP9 profile 2",
        codec: Codec::Vp9,
        layout: Layout::P010,
        parts: false,
        mbits: 6.0,
        encoder: &with(VPX, ["-tile-columns", "0"]),
    },
    Recipe {
        name: "vp9-tiles",
        title: "VP9 profile 0, 4 tiles",
        codec: Codec::Vp9,
        layout: Layout::Nv12,
        parts: true,
        mbits: 6.0,
        encoder: &with(VPX, ["-tile-columns", "2"]),
    },
    Recipe {
        name: "av1",
        title: "AV1 Main",
        codec: Codec::Av1,
        layout: Layout::Nv12,
        parts: false,
        mbits: 5.0,
        encoder: &SVT,
    },
    Recipe {
        name: "av1-10bit",
        title: "AV1 Main, 10 bit",
        codec: Codec::Av1,
        layout: Layout::P010,
        parts: false,
        mbits: 5.0,
        encoder: &SVT,
    },
    Recipe {
        name: "av1-tiles",
        title: "AV1 Main, 2x2 tiles",
        codec: Codec::Av1,
        layout: Layout::Nv12,
        parts: true,
        mbits: 5.0,
        encoder: &["libsvtav1", "-preset", "9", "-svtav1-params", "tile-rows=1:tile-columns=1"],
    },
];

const fn with(base: [&'static str; 13], [option, value]: [&'static str; 2]) -> [&'static str; 15] {
    let mut all = [""; 15];
    let mut index = 0;
    while index < base.len() {
        all[index] = base[index];
        index += 1;
    }
    all[13] = option;
    all[14] = value;
    all
}

/// The recipe called `name`.
pub fn named_recipe(name: &str) -> &'static Recipe {
    ALL.iter().find(|recipe| recipe.name == name).expect("only names in ALL are asked for")
}

/// A clip that is there.
#[derive(Clone, Debug)]
pub struct Clip {
    /// How it was made.
    pub recipe: &'static Recipe,
    /// Its size.
    pub extent: Extent,
    /// An Annex B byte stream, or IVF.
    pub file: PathBuf,
}

impl Clip {
    /// For people: what, how large, how many.
    pub fn title(&self) -> String {
        let Extent { width, height, frames } = self.extent;
        let bytes = fs::metadata(&self.file).map_or(0, |data| data.len());
        let mbits = bytes as f64 * 8.0 * RATE / f64::from(frames) / 1e6;
        let title = self.recipe.title;
        format!("{title}, {width}x{height}, {frames} frames, {mbits:.1} Mbit/s")
    }
}

/// Frames per second.
const RATE: f64 = 30.0;

/// A slow zoom and a drift of light behind textures that pan and change, with a moving box of sharp edges in
/// front, and a camera's noise over everything.
fn source(extent: Extent, layout: Layout) -> String {
    let Extent { width, height, .. } = extent;
    let even = |n: u32, by: u32| n / by / 2 * 2;
    // What is smooth is drawn small, as it is costly per pixel.
    let (small_width, small_height) = (even(width, 4), even(height, 4));
    let (cells_width, cells_height) = (even(width, 6), even(height, 6));
    let format = match layout {
        Layout::Nv12 => "yuv420p",
        Layout::P010 => "yuv420p10le",
    };
    let enlarge = |how: &str| {
        format!("format=gbrp,scale={width}x{height}:flags={how},setsar=1,format={format}")
    };
    let (smooth, sharp) = (enlarge("bilinear"), enlarge("bicubic"));
    format!(
        "mandelbrot=s={small_width}x{small_height}:r=30:maxiter=200:end_pts=400,{sharp}[far];\
         gradients=s={small_width}x{small_height}:r=30:speed=0.02:n=4:seed=5,{smooth}[light];\
         life=s={cells_width}x{cells_height}:r=8:ratio=0.3:mold=20:life_color=#c0a080:\
         mold_color=#304050:seed=1,{sharp},fps=30,scroll=h=0.002:v=0.001[leaves];\
         testsrc2=s={cells_width}x{cells_height}:r=30,setsar=1,format={format}[near];\
         [far][light]blend=all_mode=average[lit];\
         [lit][leaves]blend=all_mode=softlight[scene];\
         [scene][near]overlay=x='(W-w)*abs(sin(t))':y='(H-h)*abs(cos(0.8*t))':format={overlay},\
         noise=alls=5:allf=t:all_seed=7,format={format}",
        overlay = if layout == Layout::Nv12 { "yuv420" } else { "yuv420p10" },
    )
}

impl Recipe {
    /// Encoder, options, rate and distance of key frames.
    fn options(&self, extent: Extent) -> Vec<String> {
        let full_hd = 1920.0 * 1080.0;
        let share = f64::from(extent.width) * f64::from(extent.height) / full_hd;
        // Larger pictures need fewer bits per pixel.
        let kbits = self.mbits * 1000.0 * share.powf(0.75);
        let mut options: Vec<String> = self.encoder.iter().map(|&word| word.into()).collect();
        options.extend(["-b:v".into(), format!("{kbits:.0}k"), "-g".into(), "240".into()]);
        options
    }

    fn extension(&self) -> &'static str {
        if self.codec == Codec::H264 { "264" } else { "ivf" }
    }

    /// The clip, made now unless the cache has it.
    pub fn make(&'static self, extent: Extent, encoders: &Encoders) -> Result<Clip, String> {
        if !encoders.has(self.encoder[0]) {
            return Err(format!("this ffmpeg has no {}", self.encoder[0]));
        }
        let folder = clips::cache()?.join("bench");
        let (graph, options) = (source(extent, self.layout), self.options(extent));
        let frames = extent.frames.to_string();
        let key = clips::digest(&[&encoders.version, &graph, &options.join(" "), &frames]);
        let size = format!("{}x{}", extent.width, extent.height);
        let file = folder.join(format!("{}-{size}-{key}.{}", self.name, self.extension()));
        let clip = Clip { recipe: self, extent, file: file.clone() };
        if file.is_file() {
            return Ok(clip);
        }
        fs::create_dir_all(&folder).map_err(named(&folder))?;
        remove_unfinished(&folder);
        // Under another name until it is whole; a run beside ours makes its own.
        let name = format!("{}-{}.part.{}", self.name, std::process::id(), self.extension());
        let unfinished = folder.join(name);
        let what = format!("{}, {size}", self.title);
        let made = encode(&graph, &options, extent, &unfinished, &what)
            .and_then(|()| fs::rename(&unfinished, &file).map_err(named(&file)));
        if made.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        made.map(|()| clip).map_err(|why| format!("{what}: {why}"))
    }
}

/// Removes what runs that were interrupted have left.
fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.split_once(".part.").and_then(|(start, _)| start.rsplit_once('-'));
        if maker.is_some_and(|(_, pid)| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn encode(
    graph: &str,
    options: &[String],
    extent: Extent,
    to: &Path,
    what: &str,
) -> Result<(), String> {
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-y", "-progress", "pipe:1"]);
    command.args(["-filter_complex", graph, "-c:v"]).args(options);
    command.args(["-frames:v", &extent.frames.to_string()]).arg(to);
    // SVT-AV1 talks by itself.
    command.env("SVT_LOG", "1");
    let mut progress = Progress::new(what, extent.frames);
    let limit = Duration::from_secs(3600);
    let done = process::run_watched(&mut command, limit, |bytes| progress.saw(bytes))
        .map_err(|e| e.to_string())?;
    progress.end();
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {}:\n{}", options[0], done.ending(), done.log_tail(20)))
    }
}

/// Says on standard error how far an encoder is: always on a terminal, elsewhere now and then.
struct Progress<'w> {
    what: &'w str,
    all: u32,
    said: Instant,
    terminal: bool,
}

impl<'w> Progress<'w> {
    const PAUSE: Duration = Duration::from_secs(15);

    fn new(what: &'w str, all: u32) -> Self {
        let terminal = std::io::stderr().is_terminal();
        if !terminal {
            eprintln!("x: making a clip: {what}");
        }
        Self { what, all, said: Instant::now(), terminal }
    }

    fn saw(&mut self, bytes: &[u8]) {
        let Some(frame) = latest_frame(&String::from_utf8_lossy(bytes)) else { return };
        if self.terminal {
            eprint!("\rx: making a clip: {}: frame {frame} of {}", self.what, self.all);
            // Cosmetic: a terminal that is gone gets no progress.
            let _ = std::io::stderr().flush();
        } else if self.said.elapsed() > Self::PAUSE {
            eprintln!("x: making a clip: {}: frame {frame} of {}", self.what, self.all);
            self.said = Instant::now();
        }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

/// The last `frame=` of what ffmpeg's `-progress` writes.
fn latest_frame(text: &str) -> Option<u32> {
    text.lines().rev().find_map(|line| line.strip_prefix("frame=")?.trim().parse().ok())
}

/// Clips by name and size, made as they are asked for.
pub struct Shelf {
    /// What this ffmpeg is.
    pub encoders: Encoders,
    made: BTreeMap<(&'static str, u32, u32, u32), Clip>,
}

impl Shelf {
    /// An empty one.
    pub fn new() -> Result<Self, String> {
        let encoders = Encoders::list().map_err(|e| e.to_string())?;
        Ok(Self { encoders, made: BTreeMap::new() })
    }

    /// The clip.
    pub fn clip(&mut self, recipe: &'static Recipe, extent: Extent) -> Result<Clip, String> {
        let key = (recipe.name, extent.width, extent.height, extent.frames);
        if let Some(clip) = self.made.get(&key) {
            return Ok(clip.clone());
        }
        let clip = recipe.make(extent, &self.encoders)?;
        self.made.insert(key, clip.clone());
        Ok(clip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL_HD: Extent = Extent { width: 1920, height: 1080, frames: 240 };

    #[test]
    fn recipes_have_names_of_their_own() {
        let mut names: Vec<&str> = ALL.iter().map(|recipe| recipe.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn rates_follow_the_size() {
        let options = named_recipe("h264").options(FULL_HD).join(" ");
        assert_eq!(options, "libx264 -preset medium -bf 3 -b:v 8000k -g 240");
        let small = Extent { width: 640, height: 360, ..FULL_HD };
        assert!(named_recipe("h264").options(small).contains(&"1540k".to_owned()));
        let tiles = named_recipe("vp9-tiles").options(FULL_HD).join(" ");
        assert!(tiles.contains("-lag-in-frames 16 -tile-columns 2 -b:v 6000k"), "{tiles}");
    }

    #[test]
    fn progress_is_read() {
        assert_eq!(latest_frame("frame=3\nfps=1\nprogress=continue\nframe=17\nfps="), Some(17));
        assert_eq!(latest_frame("fps=1\n"), None);
    }
}
