//! Where the samples of a picture lie.

use libva_sys as va;

use super::Error;
use crate::memory::ALIGNMENT;

/// The formats that surfaces and images have, all 4:2:0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 8 bits: luma, then one plane of interleaved Cb, Cr.
    Nv12,
    /// Like NV12 with 16-bit little-endian samples, the value in the upper ten bits.
    P010,
    /// 8 bits: luma, Cb, Cr.
    I420,
    /// 8 bits: luma, Cr, Cb.
    Yv12,
}

impl Format {
    /// Every format, those of surfaces first.
    pub const ALL: [Format; 4] = [Format::Nv12, Format::P010, Format::I420, Format::Yv12];

    /// The format that a `VA_FOURCC_*` names.
    pub fn from_fourcc(fourcc: u32) -> Option<Format> {
        Format::ALL.into_iter().find(|f| f.fourcc() == fourcc)
    }

    /// Its `VA_FOURCC_*`.
    pub fn fourcc(self) -> u32 {
        match self {
            Format::Nv12 => va::VA_FOURCC_NV12,
            Format::P010 => va::VA_FOURCC_P010,
            Format::I420 => va::VA_FOURCC_I420,
            Format::Yv12 => va::VA_FOURCC_YV12,
        }
    }

    /// How many planes it has.
    pub fn planes(self) -> usize {
        match self {
            Format::Nv12 | Format::P010 => 2,
            Format::I420 | Format::Yv12 => 3,
        }
    }

    /// Bytes of one sample.
    pub fn bytes_per_sample(self) -> usize {
        match self {
            Format::P010 => 2,
            Format::Nv12 | Format::I420 | Format::Yv12 => 1,
        }
    }

    /// Bits of a pixel in memory on average, as `VAImageFormat.bits_per_pixel` counts.
    pub fn bits_per_pixel(self) -> u32 {
        match self {
            Format::P010 => 24,
            Format::Nv12 | Format::I420 | Format::Yv12 => 12,
        }
    }

    /// Bytes of one chroma block (the chroma of 2x2 luma samples) in a chroma plane.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Format::Nv12 => 2,
            Format::P010 => 4,
            Format::I420 | Format::Yv12 => 1,
        }
    }
}

/// A rectangle in luma samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Where a plane lies, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plane {
    /// From the start of the memory to the plane's first sample.
    pub offset: usize,
    /// From one row to the next.
    pub pitch: usize,
}

/// A picture in memory. The fields may come from anywhere: whoever uses a layout checks it against the
/// memory at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The samples' format.
    pub format: Format,
    /// Width in luma samples. Chroma planes have `width.div_ceil(2)` columns.
    pub width: u32,
    /// Height in luma samples. Chroma planes have `height.div_ceil(2)` rows.
    pub height: u32,
    /// The planes in memory order; those that the format lacks are ignored.
    pub planes: [Plane; 3],
}

/// Planes of new layouts have room for rows in multiples of this many luma rows: whole macroblocks.
const ROW_ALIGNMENT: usize = 16;

impl Layout {
    /// The layout of a new surface or image: planes one after the other, pitches aligned to 64 bytes,
    /// room for whole macroblocks. It is one for both, because GStreamer 1.22 maps a derived image with
    /// the offsets of a created one. Fails if a side is zero or the whole does not fit into
    /// `VAImage.data_size`, 32 bits.
    pub fn new(format: Format, width: u32, height: u32) -> Result<Layout, Error> {
        let mut layout = Layout { format, width, height, planes: [Plane::default(); 3] };
        let too_large = || Error::Size(width, height);
        if width == 0 || height == 0 {
            return Err(too_large());
        }
        let mut end = 0usize;
        for index in 0..format.planes() {
            let pitch = layout
                .row_bytes(index)
                .and_then(|bytes| bytes.checked_next_multiple_of(ALIGNMENT))
                .ok_or_else(too_large)?;
            layout.planes[index] = Plane { offset: end, pitch };
            end = pitch
                .checked_mul(layout.padded_rows(index))
                .and_then(|size| end.checked_add(size))
                .filter(|end| u32::try_from(*end).is_ok())
                .ok_or_else(too_large)?;
        }
        Ok(layout)
    }

    /// Bytes that the memory of a layout made by [`Layout::new`] has: `VAImage.data_size`.
    /// `None` if that cannot be counted.
    pub fn data_size(&self) -> Option<usize> {
        (0..self.format.planes()).try_fold(0usize, |size, index| {
            let plane = self.planes[index];
            let end =
                plane.pitch.checked_mul(self.padded_rows(index))?.checked_add(plane.offset)?;
            Some(size.max(end))
        })
    }

    /// Rows that a plane of a new layout has room for.
    fn padded_rows(&self, plane: usize) -> usize {
        let luma = (self.height as usize).next_multiple_of(ROW_ALIGNMENT);
        if plane == 0 { luma } else { luma / 2 }
    }

    /// Rows of a plane.
    pub fn rows(&self, plane: usize) -> usize {
        match plane {
            0 => self.height as usize,
            _ => self.height.div_ceil(2) as usize,
        }
    }

    /// Bytes of a plane's row that hold samples. `None` if they cannot be counted.
    fn row_bytes(&self, plane: usize) -> Option<usize> {
        match plane {
            0 => (self.width as usize).checked_mul(self.format.bytes_per_sample()),
            _ => (self.width.div_ceil(2) as usize).checked_mul(self.format.block_bytes()),
        }
    }

    /// Fails unless `rect` lies inside the picture.
    pub fn check_inside(&self, rect: Rect) -> Result<(), Error> {
        let inside = |start: u32, length: u32, whole: u32| {
            start.checked_add(length).is_some_and(|end| end <= whole)
        };
        if inside(rect.x, rect.width, self.width) && inside(rect.y, rect.height, self.height) {
            Ok(())
        } else {
            Err(Error::Outside(rect, self.width, self.height))
        }
    }

    /// Fails unless every row of every plane lies inside `memory` bytes and rows do not overlap.
    pub fn check_memory(&self, memory: usize) -> Result<(), Error> {
        for index in 0..self.format.planes() {
            let Plane { offset, pitch } = self.planes[index];
            let fits = self.row_bytes(index).is_some_and(|bytes| {
                let end = self.rows(index).saturating_sub(1).checked_mul(pitch);
                let end =
                    end.and_then(|e| e.checked_add(bytes)).and_then(|e| e.checked_add(offset));
                bytes <= pitch && end.is_some_and(|end| end <= memory)
            });
            if !fits {
                return Err(Error::Memory { plane: index, offset, pitch, memory });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_layouts_have_aligned_pitches_and_room_for_macroblocks() {
        let plane = |offset, pitch| Plane { offset, pitch };
        let nv12 = Layout::new(Format::Nv12, 65, 3).unwrap();
        assert_eq!(nv12.planes[..2], [plane(0, 128), plane(16 * 128, 128)]);
        assert_eq!(nv12.data_size(), Some(24 * 128));

        let p010 = Layout::new(Format::P010, 33, 17).unwrap();
        assert_eq!(p010.planes[..2], [plane(0, 128), plane(32 * 128, 128)]);
        assert_eq!(p010.data_size(), Some(48 * 128));

        let i420 = Layout::new(Format::I420, 129, 5).unwrap();
        let (cb, cr) = (16 * 192, 16 * 192 + 8 * 128);
        assert_eq!(i420.planes, [plane(0, 192), plane(cb, 128), plane(cr, 128)]);
        assert_eq!(i420.data_size(), Some(16 * 192 + 16 * 128));
    }

    #[test]
    fn sizes_that_cannot_be_laid_out_are_refused() {
        for (width, height) in [(0, 16), (16, 0), (1 << 17, 1 << 17), (u32::MAX, u32::MAX)] {
            assert_eq!(Layout::new(Format::P010, width, height), Err(Error::Size(width, height)));
        }
    }

    #[test]
    fn memory_is_checked_without_overflow() {
        let mut layout = Layout::new(Format::Nv12, 16, 16).unwrap();
        // The last row need not be padded to the pitch.
        assert_eq!(layout.check_memory(16 * 64 + 7 * 64 + 16), Ok(()));
        assert!(matches!(
            layout.check_memory(16 * 64 + 7 * 64 + 15),
            Err(Error::Memory { plane: 1, .. })
        ));
        layout.planes[1].offset = usize::MAX;
        assert!(matches!(layout.check_memory(usize::MAX), Err(Error::Memory { plane: 1, .. })));
        layout.planes[0].pitch = usize::MAX;
        assert!(matches!(layout.check_memory(usize::MAX), Err(Error::Memory { plane: 0, .. })));
        assert_eq!(layout.data_size(), None);
        layout.planes[0].pitch = 15;
        assert!(matches!(layout.check_memory(1 << 20), Err(Error::Memory { plane: 0, .. })));
    }

    #[test]
    fn every_format_is_found_by_its_fourcc() {
        for format in Format::ALL {
            assert_eq!(Format::from_fourcc(format.fourcc()), Some(format));
        }
        assert_eq!(Format::from_fourcc(0), None);
    }
}
