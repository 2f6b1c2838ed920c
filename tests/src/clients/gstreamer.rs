//! gst-launch-1.0 with the decoders of gstreamer1.0-vaapi, of the newer `va` plugin, or of `v4l2codecs`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use md5::{Digest, Md5};

use super::{Client, Failure, Setting, loaded};
use crate::process;
use crate::stream::{Codec, Layout, Stream};

/// See [`Client::decode`].
///
/// The frames go to a file as raw video in GStreamer's own layout, whose row and plane padding is taken
/// off here: the expected sizes say where each frame lies.
pub(super) fn decode(
    client: Client,
    stream: &Stream,
    setting: &Setting,
) -> Result<Vec<String>, Failure> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let file = setting.scratch.join(format!("gst-{}-{run}.raw", std::process::id()));
    let mut command = command(client, stream, setting);
    command
        .env("GST_DEBUG", "vaapi*:4,va*:4,v4l2codecs*:4,2")
        .args(["!", "filesink", "async=false"])
        .arg({
            let mut location = OsString::from("location=");
            location.push(&file);
            location
        });
    let done = process::run(&mut command, setting.limit);
    let raw = fs::read(&file);
    // Absent if the pipeline never started.
    let _ = fs::remove_file(&file);
    let sign = match client {
        // The element has spoken with a device: nothing else does that.
        Client::GstreamerV4l2 => "v4l2codecs-decoder".to_owned(),
        _ => loaded(&setting.environment),
    };
    let done = client.check(done?, &[&sign])?;
    let raw = raw.map_err(|e| Failure::Output {
        client,
        what: format!("no output file: {e}"),
        log: done.log.clone(),
    })?;
    let frames = match split(&raw, stream) {
        // It passes over pictures that it cannot decode.
        Ok(frames) if frames.is_empty() => Err("no frame came out".into()),
        other => other,
    };
    frames.map_err(|what| Failure::Output { client, what, log: done.log })
}

/// gst-launch-1.0 with the pipeline from the file to raw video in system memory; a sink has to follow.
pub fn command(client: Client, stream: &Stream, setting: &Setting) -> Command {
    let mut command = process::command("sh");
    setting.environment.apply(&mut command);
    command
        // AV1 may ask for pictures to be shown at any size, for which v4l2codecs would take gigabytes.
        .args(["-c", r#"ulimit -v 2000000 && exec gst-launch-1.0 "$@""#, "gst-launch-1.0"])
        // Accept a vendor that the plugin does not know.
        .env("GST_VAAPI_ALL_DRIVERS", "1")
        .env("GST_VA_ALL_DRIVERS", "1")
        .env("GST_GL_PLATFORM", "none")
        // The plugin's elements depend on the driver: a registry of our own, made by this run's driver.
        .env("GST_REGISTRY", setting.scratch.join("gst-registry.bin"))
        .env("GST_DEBUG_NO_COLOR", "1")
        // A crash is to be one, and no wait for a debugger.
        .args(["-q", "--no-fault"])
        .args(pipeline(client, stream));
    command
}

/// The decoder of a plugin.
fn element(client: Client, codec: Codec) -> String {
    let prefix = match client {
        Client::GstreamerVa => "va",
        Client::GstreamerV4l2 => "v4l2sl",
        _ => "vaapi",
    };
    format!("{prefix}{}dec", codec.name())
}

/// Whether the plugin has a decoder for `codec`: Debian 12's v4l2codecs was built without the kernel's AV1
/// controls.
pub fn decodes(client: Client, codec: Codec, setting: &Setting) -> bool {
    let mut command = process::command("gst-inspect-1.0");
    setting.environment.apply(&mut command);
    command.env("GST_REGISTRY", setting.scratch.join("gst-registry.bin"));
    command.args(["--exists", &element(client, codec)]);
    process::run(&mut command, setting.limit).is_ok_and(|done| done.status.success())
}

/// The elements from the file to raw video in system memory.
fn pipeline(client: Client, stream: &Stream) -> Vec<OsString> {
    let mut source = OsString::from("location=");
    source.push(&stream.path);
    let decoder = element(client, stream.codec);
    let raw = format!("video/x-raw,format={}", stream.layout.gstreamer());
    let mut elements: Vec<OsString> = vec!["filesrc".into(), source, "!".into()];
    // No type finder knows bare OBU streams.
    if stream.path.extension().is_some_and(|extension| extension == "obu") {
        let framing = if begins_with_delimiter(&stream.path) {
            "stream-format=obu-stream"
        } else {
            "stream-format=annexb,alignment=tu"
        };
        elements.push(format!("video/x-av1,{framing}").into());
        elements.extend(["!", "av1parse"].map(OsString::from));
    } else {
        elements.push("parsebin".into());
    }
    elements.extend(["!", &decoder, "!"].map(OsString::from));
    elements.push(raw.into());
    elements
}

/// Whether a file begins with a temporal delimiter that has its size, as OBU streams do that are not in
/// the framing of the standard's Annex B.
fn begins_with_delimiter(file: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == [0x12, 0]
}

/// Cuts raw video into the frames of `stream` and hashes the visible area of each.
fn split(raw: &[u8], stream: &Stream) -> Result<Vec<String>, String> {
    if let Some(frames) = coded_frames(raw, stream) {
        return Ok(frames);
    }
    let mut rest = raw;
    let mut md5s = Vec::new();
    // Whatever comes beyond the last expected frame has the last one's size.
    let sizes = stream.frames.iter().map(|frame| frame.size);
    for size in sizes.chain(stream.frames.last().map(|frame| frame.size).into_iter().cycle()) {
        if rest.is_empty() {
            break;
        }
        let picture = Picture::new(size, stream.layout);
        let (frame, after) = rest.split_at_checked(picture.bytes).ok_or(format!(
            "{} bytes left after frame {}, which is no whole frame of {}x{}",
            rest.len(),
            md5s.len(),
            size.0,
            size.1
        ))?;
        md5s.push(picture.md5(frame));
        rest = after;
    }
    Ok(md5s)
}

/// Frames that lie in the upper left corner of larger ones: the plugin may hand out whole macroblocks (or
/// pairs of them, of interlaced video) of a cropped stream, or frames of one size for a stream that
/// changes its size, and leave what is visible to metadata, which a file has no place for. `None` if the
/// length does not say so.
fn coded_frames(raw: &[u8], stream: &Stream) -> Option<Vec<String>> {
    let sizes = || stream.frames.iter().map(|frame| frame.size);
    let own: usize = sizes().map(|size| Picture::new(size, stream.layout).bytes).sum();
    if raw.len() == own {
        return None;
    }
    let largest = (sizes().map(|size| size.0).max()?, sizes().map(|size| size.1).max()?);
    let coded = |rows| (largest.0.next_multiple_of(16), largest.1.next_multiple_of(rows));
    // The AV1 sequence header's largest frame, which may be higher than any frame of the stream.
    let stride = Picture::new(largest, stream.layout).stride;
    let rows = raw.len() / stream.frames.len() * 2 / 3 / stride;
    let highest = (largest.0, u32::try_from(rows).ok()?.max(largest.1));
    let whole = [largest, coded(16), coded(32), highest];
    let whole = whole.map(|size| Picture::new(size, stream.layout));
    // With frames too few or too many the length may still be one of whole frames, though less surely.
    let all = |picture: &&Picture| raw.len() == stream.frames.len() * picture.bytes;
    let some = |picture: &&Picture| raw.len() % picture.bytes == 0;
    let whole = match whole.iter().find(all) {
        Some(whole) => whole,
        None if stream.is_one_size() => whole.iter().find(some)?,
        None => return None,
    };
    // Whatever comes beyond the last expected frame has the last one's size.
    let sizes = sizes().chain(stream.frames.last().map(|frame| frame.size).into_iter().cycle());
    let frames = raw.chunks_exact(whole.bytes).zip(sizes);
    Some(frames.map(|(frame, size)| whole.visible(size, stream.layout).md5(frame)).collect())
}

/// How GStreamer lays out a frame of raw video by default (gst_video_info_set_format).
struct Picture {
    stride: usize,
    row: usize,
    rows: usize,
    chroma_row: usize,
    chroma_rows: usize,
    chroma: usize,
    bytes: usize,
}

impl Picture {
    fn new((width, height): (u32, u32), layout: Layout) -> Self {
        let (width, height) = (width as usize, height as usize);
        let sample = layout.sample_bytes();
        let stride = (width * sample).next_multiple_of(4);
        let chroma = stride * height.next_multiple_of(2);
        let chroma_rows = height.div_ceil(2);
        Picture {
            stride,
            row: width * sample,
            rows: height,
            chroma_row: width.div_ceil(2) * 2 * sample,
            chroma_rows,
            chroma,
            bytes: chroma + stride * chroma_rows,
        }
    }

    /// The same frame in memory of which only the upper left part is looked at.
    fn visible(&self, size: (u32, u32), layout: Layout) -> Self {
        let part = Picture::new(size, layout);
        Picture { stride: self.stride, chroma: self.chroma, bytes: self.bytes, ..part }
    }

    fn md5(&self, frame: &[u8]) -> String {
        let mut md5 = Md5::new();
        for row in frame.chunks(self.stride).take(self.rows) {
            md5.update(&row[..self.row]);
        }
        for row in frame[self.chroma..].chunks(self.stride).take(self.chroma_rows) {
            md5.update(&row[..self.chroma_row]);
        }
        md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_count() {
        let picture = Picture::new((3, 3), Layout::Nv12);
        assert_eq!((picture.stride, picture.chroma, picture.bytes), (4, 16, 24));
        let mut frame: Vec<u8> = (0..24).collect();
        let before = picture.md5(&frame);
        // The fourth sample of a row and the fourth row are padding.
        for padding in [3, 7, 11, 12, 13, 14, 15] {
            frame[padding] = 99;
        }
        assert_eq!(picture.md5(&frame), before);
        // The chroma rows are full: two pairs.
        frame[19] = 99;
        assert_ne!(picture.md5(&frame), before);
    }

    #[test]
    fn ten_bit_rows_are_twice_as_long() {
        let picture = Picture::new((16, 8), Layout::P010);
        assert_eq!((picture.stride, picture.bytes), (32, 32 * 12));
    }
}
