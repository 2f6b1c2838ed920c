//! Frames at both ends of packing: the decoder's planar picture and the client's packed target.

use crate::pack::pack;

/// Packed formats that the engine writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// 8-bit 4:2:0: a luma plane and a plane of interleaved Cb, Cr.
    Nv12,
    /// 10-bit 4:2:0 like NV12 with 16-bit little-endian samples, the value in the upper ten bits.
    P010,
}

impl PixelFormat {
    /// Bytes of one sample.
    pub fn bytes_per_sample(self) -> usize {
        match self {
            PixelFormat::Nv12 => 1,
            PixelFormat::P010 => 2,
        }
    }
}

/// Where the two planes of a packed frame lie in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLayout {
    /// The packed format.
    pub format: PixelFormat,
    /// Width in luma samples.
    pub width: u32,
    /// Height in luma samples.
    pub height: u32,
    /// Bytes from one row to the next: luma, chroma.
    pub pitch: [usize; 2],
    /// Bytes from the start of the memory: luma, chroma.
    pub offset: [usize; 2],
}

/// A frame that pictures are written into. The engine writes it and never reads it back.
pub trait Target: Send + Sync {
    /// Format, size and plane positions; constant over the target's life.
    fn layout(&self) -> FrameLayout;

    /// Calls `write` once with the frame's whole memory, which is at least as long as the layout needs.
    /// The target brackets the call with whatever its memory asks for (cache maintenance, fences).
    fn fill(&self, write: &mut dyn FnMut(&mut [u8]));

    /// Whether the target would rather have its next picture as it comes from the decoder, to pack it when
    /// somebody asks for the pixels.
    fn defers(&self) -> bool {
        false
    }

    /// Takes a picture in place of [`Target::fill`], if the target defers and the picture is whole; gives
    /// it back otherwise.
    fn keep(&self, picture: Picture) -> Result<(), Picture> {
        Err(picture)
    }
}

/// A decoded picture that is not packed yet. It outlives its session.
pub struct Picture(Box<dyn Planar>);

impl Picture {
    pub(crate) fn new(planar: Box<dyn Planar>) -> Picture {
        Picture(planar)
    }

    pub(crate) fn into_planar(self) -> Box<dyn Planar> {
        self.0
    }

    /// In luma samples.
    pub fn size(&self) -> (u32, u32) {
        let view = self.0.view();
        (view.width as u32, view.height as u32)
    }

    /// Packs it into a frame, as far as the frame goes. Fails if the formats' depths differ or `memory` is
    /// too small.
    pub fn pack(&self, layout: &FrameLayout, memory: &mut [u8]) -> crate::Result<()> {
        pack(&self.0.view(), 0, layout, memory)
    }
}

/// A decoded planar 4:2:0 or 4:0:0 picture, borrowed from a decoder. 10-bit samples are 16-bit
/// little-endian with the value in the lower bits.
pub(crate) struct PlanarView<'a> {
    /// Width in luma samples of what is valid in the planes.
    pub width: usize,
    /// Height in luma samples.
    pub height: usize,
    /// 8 or 10.
    pub bit_depth: u8,
    /// Luma, Cb, Cr: bytes from the first sample of the plane and the row pitch in bytes. Chroma is
    /// `None` for monochrome pictures.
    pub luma: (&'a [u8], usize),
    /// Cb and Cr.
    pub chroma: Option<[(&'a [u8], usize); 2]>,
}

impl<'a> PlanarView<'a> {
    /// What lies below the first `rows` rows, an even number or all of them.
    pub fn below(&self, rows: usize) -> PlanarView<'a> {
        let skip = |(samples, pitch): (&'a [u8], usize), rows: usize| {
            (samples.get(rows * pitch..).unwrap_or_default(), pitch)
        };
        PlanarView {
            height: self.height.saturating_sub(rows),
            luma: skip(self.luma, rows),
            chroma: self.chroma.map(|planes| planes.map(|plane| skip(plane, rows / 2))),
            ..*self
        }
    }
}

/// A decoded picture that owns (a reference to) its samples.
pub(crate) trait Planar: Send {
    /// Borrows the samples.
    fn view(&self) -> PlanarView<'_>;
}
