//! Decoding that begins in the middle of a stream: after a seek ffmpeg gives the frames through VA-API that
//! it gives in software. The client's references then are not those of the pictures before.
//!
//! Streams with a key frame every ten frames, with open groups of pictures and with gradual intra refresh
//! are made here; a few of the catalogue's come on top.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::display::Xvfb;
use daedalus_tests::driver::{self, Environment};
use daedalus_tests::frames::{self, Frame};
use daedalus_tests::stream::Codec;
use daedalus_tests::{catalogue, corpus, process, software};
use libtest_mimic::{Arguments, Failed, Trial};

const LIMIT: Duration = Duration::from_secs(120);

/// Frames of the clips made here, 25 a second.
const FRAMES: usize = 50;

/// Where to seek to, in parts of the whole: amid groups of pictures.
const PLACES: [f64; 3] = [0.26, 0.53, 0.79];

/// Clips: name with extension, encoder and options.
const CLIPS: [(&str, &[&str]); 6] = [
    ("closed.mkv", &["libx264", "-g", "10", "-bf", "2"]),
    ("open.mkv", &["libx264", "-g", "10", "-bf", "3", "-x264opts", "open-gop=1:b-pyramid=normal"]),
    ("refresh.mkv", &["libx264", "-g", "20", "-intra-refresh", "1", "-bf", "0"]),
    (
        "fields.mkv",
        &["libx264", "-g", "10", "-flags", "+ilme+ildct", "-x264opts", "tff=1:open-gop=1"],
    ),
    ("hidden.webm", &["libvpx-vp9", "-g", "10", "-lag-in-frames", "8", "-deadline", "realtime"]),
    ("av1.mkv", &["libaom-av1", "-g", "10", "-cpu-used", "8", "-lag-in-frames", "8"]),
];

/// Files of the catalogue in which one can seek.
const STREAMS: [&str; 8] = [
    "h264/media/sample.mkv",
    "h264/media/fragmented_captions.mp4",
    "h264/shaka-player/seg-5-v1-a1.ts",
    "vp9/libvpx/vp90-2-10-show-existing-frame2.webm",
    "vp9/media/bbb_642x642_768kbps_30fps_vp9.webm",
    "av1/media/sample_av1.mp4",
    "av1/media/sample_with_av1c.mp4",
    "av1/torchcodec/av1_video.mkv",
];

fn main() -> ExitCode {
    run(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("seeks: {why}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let display = Xvfb::start().map_err(|e| e.to_string())?;
    let name = display.name().to_owned();
    let environment = Arc::new(Environment { directory: driver::directory()?, display: name });
    let scratch = corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), "seeks")?;
    let mut trials = Vec::new();
    for (name, encoder) in CLIPS {
        let (file, environment) = (scratch.join(name), Arc::clone(&environment));
        trials.push(Trial::test(format!("seeks::made::{name}"), move || {
            make(&file, encoder)?;
            seek(&file, &environment)
        }));
    }
    let vectors = catalogue::folder();
    for name in STREAMS {
        let trial = match &vectors {
            Some(folder) => {
                let (file, environment) = (folder.join(name), Arc::clone(&environment));
                Trial::test(format!("seeks::{name}"), move || seek(&file, &environment))
            }
            // Ignored, so that the summary says that something was left out.
            None => Trial::test(format!("seeks::{name}: ../shared/vectors is absent"), || Ok(()))
                .with_ignored_flag(true),
        };
        trials.push(trial);
    }
    let conclusion = libtest_mimic::run(arguments, trials);
    // The display goes before the process does: `conclusion.exit()` would skip its destructor.
    drop(display);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

fn make(file: &PathBuf, encoder: &[&str]) -> Result<(), String> {
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"]);
    command.arg("testsrc2=size=324x184:rate=25,noise=alls=12:all_seed=7,format=yuv420p");
    command.args(["-frames:v", &FRAMES.to_string(), "-c:v"]).args(encoder).arg(file);
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    if done.status.success() { Ok(()) } else { Err(done.log_tail(20)) }
}

/// From each of [`PLACES`] on both ways give the same frames, fewer the later one begins.
fn seek(file: &Path, environment: &Environment) -> Result<(), Failed> {
    let video = software::probe(file).map_err(|why| why.to_string())?;
    let duration = duration(file)?;
    let mut before = usize::MAX;
    for place in PLACES {
        let start = format!("{:.3}", duration * place);
        let mut plain = software::decode((video.codec == Codec::Av1).then_some("libdav1d"));
        plain.args(["-ss", &start, "-i"]).arg(file).args(ffmpeg::selection(file));
        plain.args(["-vf", &video.to_layout]).args(ffmpeg::FRAME_MD5S);
        let mut va = ffmpeg::command(environment);
        va.args(ffmpeg::input(video.codec)).args(["-flags", "unaligned", "-ss", &start, "-i"]);
        va.arg(file).args(ffmpeg::selection(file));
        va.args(["-vf", &Fetch::Download.filter(video.layout)]).args(ffmpeg::FRAME_MD5S);
        let expected = md5s(&mut plain, None)?;
        if expected.is_empty() || expected.len() >= before {
            return Err(format!("from {start} s on: {} frames in software", expected.len()).into());
        }
        before = expected.len();
        let frame = |md5| Frame { size: video.size, md5 };
        let expected: Vec<Frame> = expected.into_iter().map(frame).collect();
        let got = md5s(&mut va, Some(driver::VENDOR))?;
        if let Some(difference) = frames::compare(&expected, &got) {
            return Err(format!("from {start} s on: {difference}").into());
        }
    }
    Ok(())
}

fn md5s(command: &mut std::process::Command, sign: Option<&str>) -> Result<Vec<String>, String> {
    let done = process::run(command, LIMIT).map_err(|e| e.to_string())?;
    if !done.status.success() || sign.is_some_and(|sign| !done.log.contains(sign)) {
        return Err(format!("{}: {}", done.ending(), done.log_tail(25)));
    }
    Ok(frames::parse_framemd5(&done.text()))
}

/// In seconds.
fn duration(file: &Path) -> Result<f64, String> {
    let mut command = process::command("ffprobe");
    command.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(file);
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    done.text().trim().parse().map_err(|_| format!("no duration: {}", done.text()))
}
