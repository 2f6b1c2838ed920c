//! The ffmpeg program.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Client, Failure, Setting};
use crate::driver::{Environment, VENDOR};
use crate::frames;
use crate::process;
use crate::stream::{Codec, Layout, Stream};

/// What goes before `-i`: decode through VA-API into surfaces, on the X display, or fail.
///
/// With `-hwaccel_output_format vaapi` a decoder that falls back to software delivers frames that the
/// filters of [`Fetch`] reject.
const VAAPI: [&str; 8] = [
    "-init_hw_device",
    "vaapi=va:,connection_type=x11",
    "-hwaccel",
    "vaapi",
    "-hwaccel_device",
    "va",
    "-hwaccel_output_format",
    "vaapi",
];

/// `VAAPI`, and the decoder that can use it: for AV1 ffmpeg prefers a library to its own.
pub fn input(codec: Codec) -> Vec<&'static str> {
    VAAPI.into_iter().chain(["-c:v", codec.name()]).collect()
}

/// How pixels get out of a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The hwdownload filter.
    Download,
    /// The hwmap filter.
    Map,
}

impl Fetch {
    /// The filter chain that ends in `layout`.
    pub fn filter(self, layout: Layout) -> String {
        let format = layout.ffmpeg();
        match self {
            Fetch::Download => format!("hwdownload,format={format}"),
            Fetch::Map => format!("hwmap=mode=read,format={format}"),
        }
    }
}

/// An ffmpeg that logs in detail and reaches the driver.
pub fn command(environment: &Environment) -> Command {
    let mut command = process::command("ffmpeg");
    environment.apply(&mut command).args(["-nostdin", "-hide_banner", "-v", "verbose"]);
    command
}

/// What goes after the filters: one line with an MD5 per frame, each frame at its own size, none
/// dropped or doubled.
pub const FRAME_MD5S: [&str; 9] =
    ["-noautoscale", "-fps_mode", "passthrough", "-an", "-sn", "-dn", "-f", "framemd5", "-"];

/// Which of a file's streams is decoded: ffmpeg's choice, the largest video or, of an AVIF file, the one
/// with the most frames (from FFmpeg 7.1 on the still pictures are streams as well).
pub fn selection(file: &Path) -> Vec<String> {
    let is_avif = file.extension().is_some_and(|extension| extension == "avif");
    let track = if is_avif { longest_stream(file) } else { None };
    track.map_or(vec![], |index| vec!["-map".into(), format!("0:{index}")])
}

/// The index of the video stream with the most frames, the first of several.
fn longest_stream(file: &Path) -> Option<usize> {
    let mut command = process::command("ffprobe");
    command.args(["-v", "error", "-select_streams", "v", "-of", "csv=p=0"]);
    command.args(["-show_entries", "stream=index,nb_frames"]).arg(file);
    let done = process::run(&mut command, Duration::from_secs(60)).ok()?;
    let stream = |line: &str| {
        let (index, frames) = line.trim().split_once(',')?;
        // A still picture has no count.
        Some((index.parse::<usize>().ok()?, frames.parse::<usize>().unwrap_or(1)))
    };
    let streams: Vec<_> = done.text().lines().filter_map(stream).collect();
    streams.into_iter().rev().max_by_key(|(_, frames)| *frames).map(|(index, _)| index)
}

/// The command that decodes `stream` as `client` does; `None` unless that is ffmpeg.
pub fn command_for(client: Client, stream: &Stream, setting: &Setting) -> Option<Command> {
    let fetch = match client {
        Client::FfmpegDownload => Fetch::Download,
        Client::FfmpegMap => Fetch::Map,
        _ => return None,
    };
    let mut command = command(&setting.environment);
    command.args(input(stream.codec));
    // Surfaces hold the picture without H.264's left and top cropping; ffmpeg applies it by moving
    // pointers only if it may leave them unaligned.
    command.args(["-flags", "unaligned", "-i"]).arg(&stream.path);
    command.args(selection(&stream.path));
    command.args(["-vf", &fetch.filter(stream.layout)]).args(FRAME_MD5S);
    Some(command)
}

/// See [`Client::decode`].
pub(super) fn decode(
    client: Client,
    stream: &Stream,
    setting: &Setting,
) -> Result<Vec<String>, Failure> {
    let mut command = command_for(client, stream, setting).expect("client is ffmpeg");
    frames_of(client, &mut command, setting.limit)
}

/// The MD5s that `command`, one of this file's, writes.
pub fn frames_of(
    client: Client,
    command: &mut Command,
    limit: Duration,
) -> Result<Vec<String>, Failure> {
    let done = client.check(process::run(command, limit)?, &[VENDOR])?;
    Ok(frames::parse_framemd5(&done.text()))
}

/// See [`Client::decode_or_fall_back`]. As people call it: which decoder, and whether it takes frames
/// from surfaces, is ffmpeg's choice.
pub(super) fn decode_or_fall_back(
    client: Client,
    stream: &Stream,
    setting: &Setting,
) -> Result<usize, Failure> {
    let mut command = command(&setting.environment);
    command.args(&VAAPI[..6]).arg("-i").arg(&stream.path);
    command.args(selection(&stream.path)).args(FRAME_MD5S);
    let done = client.check(process::run(&mut command, setting.limit)?, &[VENDOR])?;
    Ok(frames::parse_framemd5(&done.text()).len())
}

/// The command that decodes `stream` and fetches each frame before it decodes the next picture, as
/// programs do that have ffmpeg copy frames back for them. Falling back to software is not prevented.
pub fn one_by_one(stream: &Stream, environment: &Environment) -> Command {
    let mut command = command(environment);
    // Without -hwaccel_output_format the decoder's own thread fetches the frames.
    command.args(&VAAPI[..6]).args(["-c:v", stream.codec.name(), "-i"]).arg(&stream.path);
    command.args(selection(&stream.path)).args(["-pix_fmt", stream.layout.ffmpeg()]);
    command.args(FRAME_MD5S);
    command
}

/// The command that decodes `stream`, which has at most `surfaces` frames of one size, and fetches none of
/// them before the last one was sent.
pub fn all_at_last(stream: &Stream, surfaces: usize, environment: &Environment) -> Command {
    let mut command = command(environment);
    command.args(input(stream.codec)).args(["-extra_hw_frames", &surfaces.to_string()]);
    command.args(["-flags", "unaligned", "-i"]).arg(&stream.path);
    command.args(selection(&stream.path));
    // The filter holds everything back to turn it around, and does not look at the pixels.
    let filter = format!("reverse,reverse,{}", Fetch::Download.filter(stream.layout));
    command.args(["-vf", &filter]).args(FRAME_MD5S);
    command
}

/// The Adler-32 checksum and the MD5 of every frame of `stream`, decoded through VA-API.
pub(super) fn checksums(
    stream: &Stream,
    setting: &Setting,
) -> Result<Vec<(String, String)>, Failure> {
    let mut command = command(&setting.environment);
    command.args(input(stream.codec)).arg("-i").arg(&stream.path);
    let filter = format!("{},showinfo", Fetch::Download.filter(stream.layout));
    command.args(selection(&stream.path)).args(["-vf", &filter]).args(FRAME_MD5S);
    let done =
        Client::FfmpegDownload.check(process::run(&mut command, setting.limit)?, &[VENDOR])?;
    let md5s = frames::parse_framemd5(&done.text());
    Ok(showinfo_checksums(&done.log).into_iter().zip(md5s).collect())
}

/// The frame checksums that showinfo has written into a log, in order.
pub(super) fn showinfo_checksums(log: &str) -> Vec<String> {
    log.lines()
        .filter_map(|line| line.split_once(" checksum:"))
        .filter_map(|(_, rest)| rest.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
