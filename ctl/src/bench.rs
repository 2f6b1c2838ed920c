//! `daedalusctl bench`: how many frames a second the driver decodes here.
//!
//! ffmpeg is the client: it fetches every frame through the driver, and is told to fail rather than to decode by
//! itself. What it does without the driver stands beside it.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::Deserialize;

use crate::{
    arguments::Bench,
    look::{self, Opening},
    program,
};

/// A video.
struct Clip {
    path: PathBuf,
    codec: String,
    /// Bits per sample.
    depth: u32,
    size: String,
    /// What was made for the measurement: `path` leads to it as long as it is open.
    made: Option<File>,
}

/// What ffmpeg measured.
#[derive(Debug, PartialEq)]
struct Measured {
    frames: u64,
    seconds: f64,
    processor: f64,
}

/// Measures, and prints a line for each way.
pub fn run(options: &Bench) -> Result<ExitCode, String> {
    let clip = match &options.file {
        Some(path) => inspect(path)?,
        None => make()?,
    };
    let Clip { path, codec, depth, size, made } = &clip;
    let name = match made {
        Some(_) => "a clip of its own".into(),
        None => program::harmless(&path.strip_prefix(".").unwrap_or(path).display().to_string()),
    };
    program::print(&format!("{name}: {codec}, {size}, {depth} bits\n"))?;
    let display = display()?;
    let mut failed = Vec::new();
    let mut line = |name: &str, measured: Result<Measured, String>| {
        let said = match measured {
            Ok(Measured { frames, seconds, processor }) => format!(
                "{:>8.1} frames/s   {frames} frames in {seconds:.2} s, {processor:.2} s of processor time",
                frames as f64 / seconds
            ),
            Err(why) => {
                failed.push(format!("{name}: {why}"));
                "failed".into()
            }
        };
        program::print(&format!("{name:<10} {said}\n"))
    };
    line("software", measure(&mut software(&clip)))?;
    line("embedded", measure(&mut driver(&clip, &display, "embedded")))?;
    match kernel() {
        Ok(()) => line("kernel", measure(&mut driver(&clip, &display, "kernel")))?,
        Err(why) => program::print(&format!("{:<10} not measured: {why}\n", "kernel"))?,
    };
    match failed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(failed.join("; ")),
    }
}

/// Whether the kernel's device can be used.
fn kernel() -> Result<(), String> {
    let facts = look::module();
    let device = facts.devices.first().ok_or("there is no device (daedalusctl status says why)")?;
    match (&device.video.opening, device.attached) {
        (Opening::Opens, Some(false)) => Err("no daemon is attached".into()),
        (Opening::Opens, _) => Ok(()),
        _ => Err(format!("{} cannot be opened", device.video.path.display())),
    }
}

/// What ffmpeg calls the display.
fn display() -> Result<String, String> {
    let name = match look::our_driver().outcome {
        look::Outcome::Works { display, .. } => display,
        look::Outcome::Fails { display, error } => {
            return Err(format!(
                "libva finds no driver on {display}: {error} (daedalusctl status says why)"
            ));
        }
        look::Outcome::NoDisplay(_) => {
            return Err(
                "there is neither a render node nor an X display, which ffmpeg needs (DISPLAY=:0, \
                        xvfb-run daedalusctl bench, or modprobe vgem)"
                    .into(),
            );
        }
        _ => return Err("libva does not work: daedalusctl status says why".into()),
    };
    Ok(match name.as_str() {
        "x11" => "vaapi=va:,connection_type=x11".into(),
        node => format!("vaapi=va:{node},connection_type=drm"),
    })
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "info", "-benchmark"]);
    command
}

fn software(clip: &Clip) -> Command {
    let mut command = ffmpeg();
    command.arg("-i").arg(&clip.path).args(["-map", "0:v:0", "-f", "null", "-"]);
    command
}

fn driver(clip: &Clip, display: &str, device: &str) -> Command {
    let mut command = ffmpeg();
    command.env("DAEDALUS_DEVICE", device).env("LIBVA_DRIVER_NAME", "daedalus");
    command.args(["-init_hw_device", display, "-hwaccel", "vaapi", "-hwaccel_device", "va"]);
    // Frames that ffmpeg decoded by itself cannot be downloaded.
    command.args(["-hwaccel_output_format", "vaapi"]);
    if clip.codec == "av1" {
        // Its own decoder for it, which asks VA-API, is not its first choice.
        command.args(["-c:v", "av1"]);
    }
    let format = if clip.depth > 8 { "p010le" } else { "nv12" };
    command.arg("-i").arg(&clip.path).args(["-map", "0:v:0", "-vf"]);
    command.arg(format!("hwdownload,format={format}")).args(["-f", "null", "-"]);
    command
}

fn output(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{name} is not installed: bench needs it (the package ffmpeg)")
        }
        _ => format!("cannot run {name}: {error}"),
    })?;
    match done.status.success() {
        true => Ok(done),
        false => {
            let log = String::from_utf8_lossy(&done.stderr).into_owned();
            let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            Err(format!("{name}: {}: {last}", done.status))
        }
    }
}

fn measure(command: &mut Command) -> Result<Measured, String> {
    let done = output(command)?;
    let log = String::from_utf8_lossy(&done.stderr);
    measured(&log).ok_or_else(|| "ffmpeg does not say what it measured".into())
}

/// Reads ffmpeg's log: its last count of frames, and what `-benchmark` prints.
fn measured(log: &str) -> Option<Measured> {
    // Progress is written over itself.
    let lines = || log.split(['\n', '\r']);
    let frames =
        lines().filter_map(|line| number(line.trim_start().strip_prefix("frame=")?)).next_back()?;
    let bench = lines().find_map(|line| line.split_once("bench: utime=").map(|(_, rest)| rest))?;
    let value = |name: &str| number(bench.split_once(name)?.1);
    let seconds = value("rtime=")?;
    (frames > 0.0 && seconds > 0.0).then_some(Measured {
        frames: frames as u64,
        seconds,
        processor: number(bench)? + value("stime=")?,
    })
}

/// The number at the beginning of a text.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

#[derive(Deserialize)]
struct Probed {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: String,
    width: u32,
    height: u32,
    pix_fmt: String,
}

/// Asks ffprobe what a file is.
fn inspect(path: &Path) -> Result<Clip, String> {
    let named = |why: String| format!("{}: {why}", path.display());
    // What begins with a dash would be an option to ffmpeg, and what comes before a colon a protocol.
    let path = &Path::new(".").join(path);
    if !path.is_file() {
        return Err(named("no such file".into()));
    }
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "v:0", "-of", "json"]);
    probe.args(["-show_entries", "stream=codec_name,width,height,pix_fmt"]).arg(path);
    let done = output(&mut probe)?;
    let probed: Probed =
        serde_json::from_slice(&done.stdout).map_err(|error| named(format!("ffprobe: {error}")))?;
    let stream = probed.streams.into_iter().next().ok_or_else(|| named("no video in it".into()))?;
    let depth = match stream.pix_fmt.as_str() {
        "yuv420p" | "yuvj420p" => 8,
        "yuv420p10le" => 10,
        other => return Err(named(format!("{other} is not decoded: 4:2:0 with 8 or 10 bits is"))),
    };
    if !["h264", "vp9", "av1"].contains(&stream.codec_name.as_str()) {
        return Err(named(format!("{} is not decoded: H.264, VP9 and AV1 are", stream.codec_name)));
    }
    let size = format!("{}x{}", stream.width, stream.height);
    Ok(Clip { path: path.to_owned(), codec: stream.codec_name, depth, size, made: None })
}

/// Has ffmpeg make a clip. It lies in memory: in the folder for temporary files others could have put a link
/// before it, and it would stay there if this was ended.
fn make() -> Result<Clip, String> {
    let file = memfd_create("daedalusctl-bench", MFdFlags::MFD_CLOEXEC);
    let file = File::from(file.map_err(|errno| format!("memory for a clip: {errno}"))?);
    // ffmpeg opens it anew: each reads from the beginning.
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    let mut encode = Command::new("ffmpeg");
    encode.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i"]);
    encode.arg("testsrc2=size=1280x720:rate=30:duration=10");
    encode.args(["-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p"]);
    encode.args(["-f", "matroska"]).arg(&path);
    match output(&mut encode).and_then(|_| inspect(&path)) {
        Ok(clip) => Ok(Clip { made: Some(file), ..clip }),
        Err(why) => Err(format!("no clip could be made ({why}): name a video file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ffmpeg_measured_is_read() {
        let log = "Output #0, null\nframe=  100 fps=0.0 q=-0.0 size=N/A\rframe=  300 fps=250 q=-0.0 Lsize=N/A \
                   time=00:00:10\nvideo:1kB audio:0kB\nbench: utime=1.530s stime=0.062s rtime=1.200s\n\
                   bench: maxrss=92340kB\n";
        let expected = Measured { frames: 300, seconds: 1.2, processor: 1.592 };
        let read = measured(log).unwrap();
        assert_eq!((read.frames, read.seconds), (expected.frames, expected.seconds));
        assert!((read.processor - expected.processor).abs() < 1e-9);
        assert_eq!(measured("frame=0\nbench: utime=0s stime=0s rtime=1s"), None);
        assert_eq!(measured("frame=  300"), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_said() {
        let error = inspect(Path::new("/nonexistent.mkv")).err().unwrap();
        assert_eq!(error, "/nonexistent.mkv: no such file");
    }
}
