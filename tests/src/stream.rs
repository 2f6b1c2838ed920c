//! A stream to decode and what must come out.

use std::path::PathBuf;

use crate::frames::Frame;

/// The coded format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
}

impl Codec {
    /// The codec that ffmpeg and the catalogue call `name`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "h264" => Some(Codec::H264),
            "vp9" => Some(Codec::Vp9),
            "av1" => Some(Codec::Av1),
            _ => None,
        }
    }

    /// Its name: the reverse of [`Self::named`].
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "h264",
            Codec::Vp9 => "vp9",
            Codec::Av1 => "av1",
        }
    }
}

/// The layout in which frames are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 8-bit 4:2:0, interleaved chroma.
    Nv12,
    /// 10-bit 4:2:0 in the high bits of 16, interleaved chroma.
    P010,
}

impl Layout {
    /// As ffmpeg and mpv name it.
    pub fn ffmpeg(self) -> &'static str {
        match self {
            Layout::Nv12 => "nv12",
            Layout::P010 => "p010le",
        }
    }

    /// As GStreamer names it.
    pub fn gstreamer(self) -> &'static str {
        match self {
            Layout::Nv12 => "NV12",
            Layout::P010 => "P010_10LE",
        }
    }

    /// Bytes per sample.
    pub fn sample_bytes(self) -> usize {
        match self {
            Layout::Nv12 => 1,
            Layout::P010 => 2,
        }
    }
}

/// A stream and its frames in output order.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Unique: the catalogue's path, or the clip's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The coded format.
    pub codec: Codec,
    /// The layout of `frames`.
    pub layout: Layout,
    /// What must come out.
    pub frames: Vec<Frame>,
}

impl Stream {
    /// Whether all frames have one size.
    pub fn is_one_size(&self) -> bool {
        self.frames.windows(2).all(|pair| pair[0].size == pair[1].size)
    }
}
