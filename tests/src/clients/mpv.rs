//! mpv, which copies frames back from the surfaces (`--hwdec=vaapi-copy`).

use std::process::Command;

use super::{Client, Failure, Setting, ffmpeg, loaded};
use crate::frames;
use crate::process::{self, Finished};
use crate::stream::{Codec, Stream};

/// See [`Client::decode`].
///
/// mpv writes frames through its encoding output, which hashes them with the same muxer as ffmpeg's
/// but refuses a change of size. Streams that change size are therefore watched by a showinfo filter
/// in its playback chain, whose checksums ffmpeg's run translates: see [`decode_sizes`].
pub(super) fn decode(stream: &Stream, setting: &Setting) -> Result<Vec<String>, Failure> {
    if !stream.is_one_size() {
        return decode_sizes(stream, setting);
    }
    let mut command = player(stream, setting);
    command.arg(format!("--vf=format={}", stream.layout.ffmpeg().trim_end_matches("le")));
    command.args(["--of=framemd5", "--ovc=rawvideo", "--o=-"]).arg(&stream.path);
    let done = checked(process::run(&mut command, setting.limit)?, setting)?;
    Ok(frames::parse_framemd5(&done.text()))
}

/// A stream whose frames change size: mpv's frames are known by their Adler-32 checksums, whose MD5s
/// come from an ffmpeg run over the same stream that logs both.
fn decode_sizes(stream: &Stream, setting: &Setting) -> Result<Vec<String>, Failure> {
    let mut command = player(stream, setting);
    let format = stream.layout.ffmpeg().trim_end_matches("le");
    command.args(["--vo=null", "--untimed", "--framedrop=no"]);
    command.arg(format!("--vf=format={format},lavfi=[showinfo]")).arg(&stream.path);
    let mut done = process::run(&mut command, setting.limit)?;
    // Unless it writes frames there, mpv talks on standard output.
    done.log.push_str(&done.text());
    let done = checked(done, setting)?;
    let translate = ffmpeg::checksums(stream, setting)?;
    let named = |sum: String| match translate.iter().find(|(known, _)| *known == sum) {
        Some((_, md5)) => md5.clone(),
        None => format!("(Adler-32 {sum})"),
    };
    Ok(ffmpeg::showinfo_checksums(&done.log).into_iter().map(named).collect())
}

/// mpv without a window, sound or configuration that may decode through VA-API only.
fn player(stream: &Stream, setting: &Setting) -> Command {
    let mut command = process::command("mpv");
    setting.environment.apply(&mut command);
    command.args(["--no-config", "--no-audio", "--no-sub", "--hwdec=vaapi-copy"]);
    command.args(["--hwdec-codecs=all", "--vd-lavc-software-fallback=no"]);
    // libva's messages show which driver it opens.
    command.args(["--msg-level=all=v,vaapi=trace", "--terminal=yes", "--input-terminal=no"]);
    let container =
        stream.path.extension().is_some_and(|e| ["mp4", "mkv", "ts"].iter().any(|c| e == *c));
    if stream.codec == Codec::H264 && !container {
        // Raw H.264 has no timestamps; mpv makes them up and must not drop frames over it.
        command.arg("--no-correct-pts");
    }
    command
}

/// See [`Client::decode_or_fall_back`].
pub(super) fn decode_or_fall_back(stream: &Stream, setting: &Setting) -> Result<usize, Failure> {
    let mut command = player(stream, setting);
    command.args(["--vd-lavc-software-fallback=yes", "--of=framemd5", "--ovc=rawvideo", "--o=-"]);
    let done = process::run(command.arg(&stream.path), setting.limit)?;
    let done = Client::Mpv.check(done, &[&loaded(&setting.environment)])?;
    Ok(frames::parse_framemd5(&done.text()).len())
}

fn checked(done: Finished, setting: &Setting) -> Result<Finished, Failure> {
    let loaded = loaded(&setting.environment);
    Client::Mpv.check(done, &["Using hardware decoding (vaapi-copy)", &loaded])
}
