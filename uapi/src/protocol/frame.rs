//! The frame that a request's picture goes to: its format, and where its planes lie.

use super::{DecodeMessage, Flaw, MAX_PLANES};

/// The pixel format of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFormat {
    /// 8-bit 4:2:0, a luma plane and one of interleaved Cb, Cr; in one dma-buf (`V4L2_PIX_FMT_NV12`) or
    /// in two (`V4L2_PIX_FMT_NV12M`).
    Nv12,
    /// 10-bit 4:2:0 like NV12 with 16-bit samples, the value in the upper bits (`V4L2_PIX_FMT_P010`).
    P010,
}

/// Where a plane lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Which dma-buf: an index into [`Frame::buffers`].
    pub buffer: usize,
    /// Bytes from the start of the dma-buf.
    pub offset: u32,
    /// Bytes from one row to the next.
    pub pitch: u32,
}

/// A frame. All rows of both planes lie inside their dma-bufs and do not reach into the next row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The pixel format.
    pub format: FrameFormat,
    /// In luma samples.
    pub width: u32,
    /// In luma samples.
    pub height: u32,
    /// Bytes of each dma-buf: one, or two.
    pub buffers: Vec<u32>,
    /// Luma, chroma.
    pub planes: [Plane; MAX_PLANES],
}

const PIX_FMT_NV12: u32 = u32::from_le_bytes(*b"NV12");
const PIX_FMT_NV12M: u32 = u32::from_le_bytes(*b"NM12");
const PIX_FMT_P010: u32 = u32::from_le_bytes(*b"P010");

impl Frame {
    pub(super) fn of(message: &DecodeMessage) -> Result<Frame, Flaw> {
        let (format, bytes, buffers) = match message.pixelformat {
            PIX_FMT_NV12 => (FrameFormat::Nv12, 1, 1),
            PIX_FMT_NV12M => (FrameFormat::Nv12, 1, 2),
            PIX_FMT_P010 => (FrameFormat::P010, 2, 1),
            other => return Err(Flaw::PixelFormat(other)),
        };
        if message.num_buffers as usize != buffers {
            return Err(Flaw::Buffers { got: message.num_buffers, expected: buffers });
        }
        let &DecodeMessage { width, height, .. } = message;
        if width == 0 || height == 0 {
            return Err(Flaw::Size { width, height });
        }
        let plane = |index: usize| Plane {
            buffer: index.min(buffers - 1),
            offset: message.offset[index],
            pitch: message.pitch[index],
        };
        let planes = [plane(0), plane(1)];
        // Rows, and bytes in each; in 64 bits nothing overflows.
        let sizes = [
            (height, u64::from(width) * bytes),
            (height.div_ceil(2), u64::from(width).div_ceil(2) * 2 * bytes),
        ];
        for (plane, (rows, row)) in planes.iter().zip(sizes) {
            let Plane { offset, pitch, .. } = *plane;
            let size = message.buffer_size[plane.buffer];
            let end = u64::from(offset) + u64::from(rows - 1) * u64::from(pitch) + row;
            if row > pitch.into() || end > size.into() {
                return Err(Flaw::Plane { rows, row, pitch, offset, size });
            }
        }
        let buffers = message.buffer_size[..buffers].to_vec();
        Ok(Frame { format, width, height, buffers, planes })
    }
}
