//! Runs of the ffmpeg program.

use std::time::Duration;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::driver;
use daedalus_tests::process::{self, Finished};

use super::clips::Clip;
use super::outcome::Run;
use super::setting::{Setting, Transport};

/// How long a run may take: clips are short, but user-mode Linux is slow.
const LIMIT: Duration = Duration::from_secs(1200);

/// How ffmpeg decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through VA-API. Frames stay in their surfaces and are dropped there, except for the last few, which
    /// are downloaded: the clock stops when they are there, and so are then all before them.
    Surfaces,
    /// Through VA-API; every frame is downloaded.
    Download,
    /// With so many threads, every frame converted to NV12 or P010.
    Software(usize),
}

/// How many frames at the end are downloaded: the picture that is decoded last is not always shown last, but
/// at most one group of B-frames earlier.
const LAST: u64 = 4;

/// Decodes `clip`. It is an error if any frame is missing, or if somebody else than was asked decoded.
pub fn run(setting: &Setting, clip: &Clip, way: Way) -> Result<Run, String> {
    let (layout, frames) = (clip.recipe.layout, u64::from(clip.extent.frames));
    let mut command = ffmpeg::command(&setting.environment);
    setting.apply(&mut command);
    command.arg("-benchmark");
    // Through VA-API that would be the number of pictures that ffmpeg has under way, and not of threads that
    // decode: what it does by itself is what people get.
    if let Way::Software(threads) = way {
        let threads = threads.to_string();
        command.args(["-filter_threads", &threads, "-threads", &threads]);
    }
    let (filter, given) = match way {
        Way::Surfaces => {
            let download = Fetch::Download.filter(layout);
            (format!("select=gte(n\\,{}),{download}", frames - LAST), LAST)
        }
        Way::Download => (Fetch::Download.filter(layout), frames),
        Way::Software(_) => (format!("format={}", layout.ffmpeg()), frames),
    };
    let through_va = !matches!(way, Way::Software(_));
    if through_va {
        command.args(ffmpeg::input(clip.recipe.codec));
    }
    command.arg("-i").arg(&clip.file).args(["-map", "0:v:0", "-vf", &filter, "-noautoscale"]);
    command.args(["-fps_mode", "passthrough", "-f", "null", "-"]);
    let (done, daemon) = setting.beside_daemon(|| process::run(&mut command, LIMIT));
    let done = done.map_err(|e| e.to_string())?;
    check(&done, through_va, setting.transport)?;
    let count = |what| counted(&done.log, what).unwrap_or(0);
    let (decoded, encoded) = (count("frames decoded"), count("frames encoded"));
    if (decoded, encoded) != (frames, given) {
        return Err(format!(
            "ffmpeg decoded {decoded} frames and gave {encoded}, not {frames} and {given}:\n{}",
            done.log_tail(20)
        ));
    }
    let seconds = real_time(&done.log).ok_or("ffmpeg does not say how long it took")?;
    Ok(Run::new(decoded, seconds, &done, daemon))
}

/// A good exit, and our driver where it is to be.
fn check(done: &Finished, through_va: bool, transport: Transport) -> Result<(), String> {
    if !done.status.success() {
        return Err(format!("ffmpeg ended with {}:\n{}", done.ending(), done.log_tail(20)));
    }
    if through_va != done.log.contains(driver::VENDOR) {
        return Err(format!("ffmpeg used another decoder than asked:\n{}", done.log_tail(20)));
    }
    if through_va {
        transport.check(&done.log)?;
    }
    Ok(())
}

/// Whether this ffmpeg decodes `clip` through VA-API at all: FFmpeg 5.1 does not know High 10 there.
pub fn can(setting: &Setting, clip: &Clip) -> bool {
    let mut command = ffmpeg::command(&setting.environment);
    setting.apply(&mut command).args(ffmpeg::input(clip.recipe.codec));
    command.arg("-i").arg(&clip.file).args(["-vf", &Fetch::Download.filter(clip.recipe.layout)]);
    command.args(["-frames:v", "1", "-f", "null", "-"]);
    process::run(&mut command, LIMIT).is_ok_and(|done| done.status.success())
}

/// The seconds of wall clock in the last `bench: utime=0.1s stime=0.0s rtime=0.2s`.
fn real_time(log: &str) -> Option<f64> {
    let (_, after) = log.rsplit_once("rtime=")?;
    after.split('s').next()?.parse().ok()
}

/// The number before the words `what`, where ffmpeg sums up.
fn counted(log: &str, what: &str) -> Option<u64> {
    let (before, _) = log.rsplit_once(&format!(" {what}"))?;
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "  Input stream #0:0 (video): 240 packets read (9 bytes); 239 frames decoded; \n\
        Output stream #0:0 (video): 1 frames encoded; 1 packets muxed (488 bytes); \n\
        bench: utime=0.543s stime=0.1s rtime=0.251s\nbench: maxrss=134172kB\n";

    #[test]
    fn the_summary_of_ffmpeg_is_read() {
        assert_eq!(counted(LOG, "frames decoded"), Some(239));
        assert_eq!(counted(LOG, "frames encoded"), Some(1));
        assert_eq!(counted("nothing", "frames decoded"), None);
        assert_eq!(real_time(LOG), Some(0.251));
        assert_eq!(real_time("nothing"), None);
    }
}
