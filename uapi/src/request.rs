//! The decode request: what one picture, or one field of a picture, needs to become pixels.

use crate::{av1, h264, vp9};

/// The coded formats that Daedalus decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T H.264, `V4L2_PIX_FMT_H264_SLICE` (`S264`): Annex B slices, frame-based.
    H264,
    /// VP9, `V4L2_PIX_FMT_VP9_FRAME` (`VP9F`): one whole frame with both headers.
    Vp9,
    /// AV1, `V4L2_PIX_FMT_AV1_FRAME` (`AV1F`): bytes in which the tile group entries find the tiles.
    Av1,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::Vp9 => "VP9",
            Codec::Av1 => "AV1",
        })
    }
}

/// The stateless controls of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Controls {
    /// H.264 controls.
    H264(Box<h264::Controls>),
    /// VP9 controls.
    Vp9(Box<vp9::Controls>),
    /// AV1 controls.
    Av1(Box<av1::Controls>),
}

impl Controls {
    /// The codec that these controls belong to.
    pub fn codec(&self) -> Codec {
        match self {
            Controls::H264(_) => Codec::H264,
            Controls::Vp9(_) => Codec::Vp9,
            Controls::Av1(_) => Codec::Av1,
        }
    }
}

/// The timestamp of a reference slot that names no picture. It may be a picture's own, too: V4L2 clients
/// choose timestamps freely, and one that counts from zero refers to its first picture by this. So it names
/// a picture if there is one of that timestamp, else none.
pub const NO_REFERENCE: u64 = 0;

/// One picture (or one H.264 field) to decode. It is complete: together with the requests before it in
/// the same session nothing else is needed to arrive at pixels. `T` is the transport's notion of a
/// target frame.
#[derive(Clone, Debug)]
pub struct DecodeRequest<T> {
    /// Names the picture; later requests of the session refer to it by this number, as V4L2 does.
    /// Nanoseconds. [`Timestamps`] hands out numbers that V4L2 can carry (as a `struct timeval`) and that
    /// are not [`NO_REFERENCE`]. The two fields of one frame have the same timestamp; pictures need not
    /// have different ones.
    pub timestamp: u64,
    /// The codec's stateless controls.
    pub controls: Controls,
    /// The coded bytes. H.264: the slice NAL units of the picture or field, each behind a
    /// `00 00 01` start code. VP9: the whole frame. AV1: bytes in which `tiles` find each tile.
    pub data: Vec<u8>,
    /// V4L2's `HOLD_CAPTURE_BUF`: the next request belongs to the same frame (H.264 second field).
    pub hold_capture: bool,
    /// Where the picture goes, film grain applied. `None`: decoded for its effect on later pictures only.
    pub target: Option<T>,
    /// AV1 film grain only: where the picture without grain goes, if anybody wants it.
    pub ungrained: Option<T>,
}

/// Hands out picture timestamps: 1000, 2000, 3000 ...
#[derive(Debug, Default)]
pub struct Timestamps(u64);

impl Timestamps {
    /// The timestamp of the next picture.
    pub fn advance(&mut self) -> u64 {
        self.0 += 1000;
        self.0
    }
}
