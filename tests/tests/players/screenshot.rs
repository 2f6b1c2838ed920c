//! Screenshots, and how two of them differ.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::process;

use crate::compositor::BACKGROUND;

/// The most that samples may differ on average, and the share in thousandths of those that may differ by more
/// than [`LARGE`]. Shaders round, and interpolate chroma, a little differently than swscale.
const AVERAGE: f64 = 4.0;
const LARGE: u8 = 24;
const MOST_LARGE: f64 = 10.0;

/// What is in front of the background.
pub struct Screenshot {
    file: PathBuf,
    width: usize,
    height: usize,
    /// Three bytes a pixel.
    pixels: Vec<u8>,
}

impl Screenshot {
    /// Reads an image and cuts the background off.
    pub fn read(file: &Path) -> Result<Screenshot, String> {
        let mut ask = process::command("ffprobe");
        ask.args(["-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0"]);
        let size = run(ask.arg(file))?;
        let size = String::from_utf8_lossy(&size).trim().to_owned();
        let sides =
            size.split_once(',').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let (width, height): (usize, usize) = sides.ok_or(format!("a size of {size:?}"))?;
        let mut read = process::command("ffmpeg");
        read.args(["-nostdin", "-v", "error", "-i"]).arg(file);
        read.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
        let all = run(&mut read)?;
        if all.len() != width * height * 3 {
            return Err(format!("{} bytes of {width}x{height} pixels", all.len()));
        }
        let mut bounds: Option<(usize, usize, usize, usize)> = None;
        for (at, pixel) in all.chunks_exact(3).enumerate() {
            if pixel != BACKGROUND {
                let (x, y) = (at % width, at / width);
                let (left, right, top, bottom) = bounds.unwrap_or((x, x, y, y));
                bounds = Some((left.min(x), right.max(x), top.min(y), bottom.max(y)));
            }
        }
        let Some((left, right, top, bottom)) = bounds else {
            return Ok(Screenshot { file: file.to_owned(), width: 0, height: 0, pixels: vec![] });
        };
        let rows =
            (top..=bottom).map(|y| &all[(y * width + left) * 3..(y * width + right + 1) * 3]);
        Ok(Screenshot {
            file: file.to_owned(),
            width: right - left + 1,
            height: bottom - top + 1,
            pixels: rows.flatten().copied().collect(),
        })
    }

    /// There is nothing but the background.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// A window in which nothing has been drawn yet.
    pub fn is_plain(&self) -> bool {
        let first = self.pixels.get(..3);
        self.pixels.chunks_exact(3).all(|pixel| Some(pixel) == first)
    }

    /// The window and all that is in it are the same.
    pub fn same_pixels(&self, other: &Screenshot) -> bool {
        (self.width, &self.pixels) == (other.width, &other.pixels)
    }

    /// A window of this size, and nothing else.
    pub fn check_size(&self, (width, height): (u32, u32)) -> Result<(), String> {
        if (self.width, self.height) == (width as usize, height as usize) {
            return Ok(());
        }
        Err(format!(
            "{}: a window of {}x{}, expected {width}x{height}",
            self.file.display(),
            self.width,
            self.height
        ))
    }

    /// How it differs from `other`, of the same size.
    pub fn compare(&self, other: &Screenshot) -> Result<Difference, String> {
        if (self.width, self.height) != (other.width, other.height) || self.is_empty() {
            return Err(format!("{self:?} and {other:?} differ in size"));
        }
        let differences = || self.pixels.iter().zip(&other.pixels).map(|(a, b)| a.abs_diff(*b));
        let count = self.pixels.len() as f64;
        Ok(Difference {
            files: [self.file.clone(), other.file.clone()],
            average: differences().map(f64::from).sum::<f64>() / count,
            large: differences().filter(|d| *d > LARGE).count() as f64 * 1000.0 / count,
        })
    }
}

impl fmt::Debug for Screenshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}x{})", self.file.display(), self.width, self.height)
    }
}

/// How two screenshots differ.
pub struct Difference {
    files: [PathBuf; 2],
    average: f64,
    large: f64,
}

impl Difference {
    /// Fails if it is too much.
    pub fn check(&self) -> Result<(), String> {
        if self.average <= AVERAGE && self.large <= MOST_LARGE {
            Ok(())
        } else {
            Err(self.to_string())
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [shown, reference] = self.files.each_ref().map(|file| file.display());
        let Difference { average, large, .. } = self;
        write!(
            f,
            "{shown} against {reference}: {average:.2} on average, {large:.1} ‰ above {LARGE}"
        )
    }
}

/// Runs a program; its output.
pub fn run(command: &mut std::process::Command) -> Result<Vec<u8>, String> {
    let done = process::run(command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if done.status.success() { Ok(done.stdout) } else { Err(done.log_tail(10)) }
}
