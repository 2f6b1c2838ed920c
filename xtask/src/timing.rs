//! How fast ffmpeg decodes a file.

use std::path::Path;
use std::time::Duration;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::driver::Environment;
use daedalus_tests::process;
use daedalus_tests::stream::{Codec, Layout};

/// Enough for a figure; a film need not be decoded twice more.
const FRAMES: usize = 300;

/// Who decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// The driver; the frames are downloaded.
    Va,
    /// ffmpeg's own decoders.
    Software,
}

/// Frames per second over the first frames of `file`, which has `frames`. `None` if ffmpeg failed.
pub fn fps(
    file: &Path,
    frames: usize,
    codec: Codec,
    layout: Layout,
    through: Through,
    environment: &Environment,
) -> Option<f64> {
    let frames = frames.min(FRAMES);
    let mut command = ffmpeg::command(environment);
    command.arg("-benchmark");
    if through == Through::Va {
        command.args(ffmpeg::input(codec));
    }
    command.arg("-i").arg(file).args(["-map", "0:v:0", "-noautoscale", "-an"]);
    if through == Through::Va {
        command.args(["-vf", &Fetch::Download.filter(layout)]);
    }
    command.args(["-fps_mode", "passthrough", "-frames:v", &frames.to_string(), "-f", "null", "-"]);
    let done = process::run(&mut command, Duration::from_secs(600)).ok()?;
    let seconds = done.status.success().then(|| real_time(&done.log)).flatten()?;
    Some(frames as f64 / seconds.max(1e-3))
}

/// The seconds in the last `bench: utime=0.1s stime=0.0s rtime=0.2s`.
fn real_time(log: &str) -> Option<f64> {
    let (_, after) = log.rsplit_once("rtime=")?;
    after.split('s').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::real_time;

    #[test]
    fn the_real_time_is_read() {
        assert_eq!(real_time("x\nbench: utime=0.5s stime=0.1s rtime=0.25s\n"), Some(0.25));
        assert_eq!(real_time("nothing"), None);
    }
}
