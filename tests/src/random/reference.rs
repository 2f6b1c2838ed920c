//! What must come out: the frames of a software decoder.

use std::path::Path;
use std::time::Duration;

use md5::{Digest, Md5};

use crate::frames::Frame;
use crate::process;
use crate::stream::{Codec, Layout};

const LIMIT: Duration = Duration::from_secs(120);

/// A decoder of ffmpeg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoder(pub &'static str);

impl Decoder {
    /// Whose word counts for `codec`.
    ///
    /// For AV1 the codec's own library: Debian 12's libdav1d is wrong where sizes change.
    pub(super) fn first(codec: Codec) -> Self {
        Self(match codec {
            Codec::H264 => "h264",
            Codec::Vp9 => "vp9",
            Codec::Av1 => "libaom-av1",
        })
    }

    /// Another, written by other people; there is none of H.264.
    pub(super) fn second(codec: Codec) -> Option<Self> {
        match codec {
            Codec::H264 => None,
            Codec::Vp9 => Some(Self("libvpx-vp9")),
            Codec::Av1 => Some(Self("libdav1d")),
        }
    }

    /// Decodes all of `file`, each frame at its own size.
    pub(super) fn decode(self, file: &Path, layout: Layout) -> Result<Decoded, String> {
        let mut command = process::command("ffmpeg");
        command.args([
            "-nostdin",
            "-hide_banner",
            "-xerror",
            "-threads",
            "1",
            "-c:v",
            self.0,
            "-flags",
            "unaligned",
            "-i",
        ]);
        command.arg(file).args(["-map", "0:v:0", "-noautoscale", "-vf", "showinfo"]);
        command.args(["-fps_mode", "passthrough", "-an", "-f", "rawvideo", "-"]);
        let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
        let fail = |what: &str| {
            let ending = done.ending();
            Err(format!("{} ended with {ending}: {what}:\n{}", self.0, done.log_tail(10)))
        };
        // With -xerror, else ffmpeg drops what it cannot decode and goes on; and with one thread, since
        // others may see an error too late to say so.
        if !done.status.success() {
            return fail("not decoded");
        }
        let mut decoded = Decoded { frames: Vec::new(), pixels: Vec::new() };
        let mut rest = done.stdout.as_slice();
        for (size, format) in shown(&done.log) {
            let Some(planes) = Planes::of(format, layout, size) else {
                return fail(&format!("a frame is {format}, not {}", layout.ffmpeg()));
            };
            let Some((frame, after)) = rest.split_at_checked(planes.bytes()) else {
                return fail("its last frame is cut short");
            };
            let pixels = planes.pack(frame);
            decoded.frames.push(Frame { size, md5: format!("{:x}", Md5::digest(&pixels)) });
            decoded.pixels.push(pixels);
            rest = after;
        }
        if !rest.is_empty() || decoded.frames.is_empty() {
            return fail(&format!("{} bytes after {} frames", rest.len(), decoded.frames.len()));
        }
        Ok(decoded)
    }
}

/// The frames of a stream.
pub(super) struct Decoded {
    /// Their sizes and hashes.
    pub frames: Vec<Frame>,
    /// Their samples as NV12 or P010, without padding.
    pub pixels: Vec<Vec<u8>>,
}

/// How ffmpeg writes a planar frame. It is packed here: swscale loses the last chroma column of odd
/// widths in 10 bits, and takes some formats for full range.
struct Planes {
    layout: Layout,
    luma: usize,
    /// Of one plane.
    chroma: usize,
    grey: bool,
}

impl Planes {
    /// `None` if ffmpeg's `format` is not the planar one of `layout`.
    fn of(format: &str, layout: Layout, (width, height): (u32, u32)) -> Option<Self> {
        let grey = match (format, layout) {
            ("yuv420p" | "yuvj420p", Layout::Nv12) | ("yuv420p10le", Layout::P010) => false,
            ("gray", Layout::Nv12) | ("gray10le", Layout::P010) => true,
            _ => return None,
        };
        let (width, height) = (width as usize, height as usize);
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        Some(Self { layout, luma: width * height, chroma, grey })
    }

    fn bytes(&self) -> usize {
        let samples = if self.grey { self.luma } else { self.luma + 2 * self.chroma };
        samples * self.layout.sample_bytes()
    }

    /// As NV12 or P010; no chroma is neutral chroma.
    fn pack(&self, frame: &[u8]) -> Vec<u8> {
        let bytes = self.layout.sample_bytes();
        let (luma, chroma) = frame.split_at(self.luma * bytes);
        let mut packed = luma.to_vec();
        if self.grey {
            let neutral: &[u8] = if bytes == 1 { &[128] } else { &[0, 2] };
            packed.extend(neutral.repeat(2 * self.chroma));
        } else {
            let (u, v) = chroma.split_at(self.chroma * bytes);
            packed.extend(u.chunks(bytes).zip(v.chunks(bytes)).flat_map(|(u, v)| [u, v]).flatten());
        }
        if self.layout == Layout::P010 {
            for sample in packed.chunks_exact_mut(2) {
                let value = u16::from_le_bytes([sample[0], sample[1]]) << 6;
                sample.copy_from_slice(&value.to_le_bytes());
            }
        }
        packed
    }
}

/// The size and format of each frame, which showinfo has written into a log:
/// `... n:   0 pts: ... fmt:yuv420p ... s:131x97 i:P ...`.
fn shown(log: &str) -> Vec<((u32, u32), &str)> {
    let frame = |line: &'_ str| -> Option<((u32, u32), usize)> {
        let (_, rest) = line.split_once(" s:")?;
        let (width, rest) = rest.split_once('x')?;
        let size = (width.parse().ok()?, rest.split_whitespace().next()?.parse().ok()?);
        Some((size, line.find(" fmt:")? + " fmt:".len()))
    };
    log.lines()
        .filter(|line| line.contains("showinfo") && line.contains(" n:"))
        .filter_map(|line| {
            let (size, format) = frame(line)?;
            Some((size, line[format..].split_whitespace().next()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_formats_are_read() {
        let log = "[Parsed_showinfo_0 @ 0x1] config in time_base: 1/30, frame_rate: 30/1\n\
            [Parsed_showinfo_0 @ 0x1] n:   0 pts:      0 pts_time:0 fmt:yuv420p sar:1/1 \
            s:131x97 i:P iskey:1 type:I checksum:1 plane_checksum:[1] mean:[1] stdev:[1]\n";
        assert_eq!(shown(log), [((131, 97), "yuv420p")]);
    }

    #[test]
    fn odd_frames_keep_their_last_chroma() {
        let planes = Planes::of("yuv420p", Layout::Nv12, (3, 1)).unwrap();
        assert_eq!(planes.bytes(), 7);
        assert_eq!(planes.pack(&[1, 2, 3, 10, 11, 20, 21]), [1, 2, 3, 10, 20, 11, 21]);
    }

    #[test]
    fn ten_bits_lie_high_and_grey_is_neutral() {
        let planes = Planes::of("gray10le", Layout::P010, (1, 1)).unwrap();
        assert_eq!(planes.pack(&[1, 0]), [0x40, 0, 0, 0x80, 0, 0x80]);
        assert!(Planes::of("yuv420p", Layout::P010, (1, 1)).is_none());
    }
}
