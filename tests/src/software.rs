//! What a file holds and what its frames are when ffmpeg decodes it in software: the reference for
//! streams that no catalogue describes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::clients::ffmpeg;
use crate::frames::{self, Frame};
use crate::process;
use crate::stream::{Codec, Layout};

/// The first video stream of a file, of a codec and format that the driver decodes.
#[derive(Clone, Debug)]
pub struct Video {
    /// The coded format.
    pub codec: Codec,
    /// As ffmpeg names the codec.
    pub name: String,
    /// As ffmpeg names the profile.
    pub profile: String,
    /// Width and height of the first frames, visible area.
    pub size: (u32, u32),
    /// The layout to compare frames in.
    pub layout: Layout,
    /// The filter that turns software frames into `layout` without touching a sample's value.
    pub to_layout: String,
}

/// Why a file cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// It is no video, or of another codec or format. Nothing is wrong with that.
    #[error("{0}")]
    Other(String),
    /// It could not be found out.
    #[error(transparent)]
    Process(#[from] process::Error),
}

/// What ffprobe says of a file's first video stream.
pub fn probe(file: &Path) -> Result<Video, NotOurs> {
    let mut command = process::command("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-of", "default=noprint_wrappers=1"]);
    command.args(["-show_entries", "stream=codec_name,profile,width,height,pix_fmt"]).arg(file);
    let done = process::run(&mut command, Duration::from_secs(60))?;
    let text = done.text();
    let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    let other = |what: String| Err(NotOurs::Other(what));
    let Some(name) = value("codec_name") else {
        return other(format!("ffprobe finds no video in it\n{}", done.log_tail(5)));
    };
    let Some(codec) = Codec::named(name) else {
        return other(format!("its codec is {name}; the driver decodes H.264, VP9 and AV1"));
    };
    let format = value("pix_fmt").unwrap_or("unknown");
    let layout = match format {
        "yuv420p" | "yuvj420p" | "gray" => Layout::Nv12,
        "yuv420p10le" | "gray10le" => Layout::P010,
        _ => {
            return other(format!(
                "its pixel format is {format}; the driver decodes 4:2:0 in 8 and 10 bits"
            ));
        }
    };
    let size = |key: &str| value(key).and_then(|v| v.parse().ok()).unwrap_or(0);
    // To swscale these formats are full range and NV12 is not: without a word it would scale values.
    let full_range = format.starts_with("yuvj") || format.starts_with("gray");
    let keep = if full_range { "scale=in_range=pc:out_range=pc," } else { "" };
    Ok(Video {
        codec,
        name: name.to_owned(),
        profile: value("profile").unwrap_or_default().to_owned(),
        size: (size("width"), size("height")),
        layout,
        to_layout: format!("{keep}format={}", layout.ffmpeg()),
    })
}

/// All frames of `file` in output order, decoded by ffmpeg's decoder `decoder` or, without one, by the
/// one that ffmpeg prefers.
pub fn frames(
    file: &Path,
    video: &Video,
    decoder: Option<&str>,
    limit: Duration,
) -> Result<Vec<Frame>, String> {
    let mut command = decode(decoder);
    command.arg("-i").arg(file).args(ffmpeg::selection(file));
    command.args(["-vf", &format!("{},showinfo", video.to_layout)]).args(ffmpeg::FRAME_MD5S);
    let done = process::run(&mut command, limit).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!(
            "software decoding ended with {}:\n{}",
            done.ending(),
            done.log_tail(9)
        ));
    }
    let sizes = showinfo_sizes(&done.log);
    let md5s = frames::parse_framemd5(&done.text());
    if md5s.is_empty() || sizes.len() != md5s.len() {
        return Err(format!("software decoding gives no frames:\n{}", done.log_tail(9)));
    }
    Ok(sizes.into_iter().zip(md5s).map(|(size, md5)| Frame { size, md5 }).collect())
}

/// An ffmpeg that decodes in software what is named next.
pub fn decode(decoder: Option<&str>) -> Command {
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "info", "-flags", "unaligned"]);
    command.args(decoder.into_iter().flat_map(|name| ["-c:v", name]));
    command
}

/// The frame sizes that showinfo has written into a log, in order.
fn showinfo_sizes(log: &str) -> Vec<(u32, u32)> {
    let size = |line: &str| {
        let (_, rest) = line.split_once(" s:")?;
        let (width, height) = rest.split_whitespace().next()?.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    log.lines().filter(|line| line.contains(" checksum:")).filter_map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_frame_lines_only() {
        let log = "[Parsed_showinfo_1 @ 0x1] config in time_base: 1/25\n\
            [Parsed_showinfo_1 @ 0x1] n:   0 pts:0 fmt:nv12 cl:left sar:0/1 s:176x144 i:P iskey:1 \
            type:I checksum:1A2B plane_checksum:[1 2]\n";
        assert_eq!(showinfo_sizes(log), [(176, 144)]);
    }
}
