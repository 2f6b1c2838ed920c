//! The part of a surface's picture that is to be shown, copied out of the surface.

use super::{Error, Field};
use crate::convert::{Format, Layout, Rect};

/// The samples that a rectangle of a picture, or of one of its fields, needs: whole chroma blocks.
#[derive(Debug)]
pub struct Snapshot {
    /// Columns that were copied.
    pub(super) width: u32,
    /// Rows that were copied.
    pub(super) height: u32,
    /// 8-bit samples, rows one after the other without padding. Of ten bits the upper eight are taken:
    /// the drawable has no more.
    pub(super) luma: Vec<u8>,
    /// `width.div_ceil(2)` pairs of Cb, Cr a row.
    pub(super) chroma: Vec<u8>,
    /// The rectangle in the copied part. Fractions of rows occur in fields.
    pub(super) crop: Crop,
}

/// A rectangle with fractions of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crop {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Snapshot {
    /// Copies `rect` (in luma samples of the frame) out of the picture in `memory`. This is all that has to
    /// happen while the surface is locked. Of a field, the chroma rows of the same parity are taken; the
    /// last row stands in where an odd height leaves a field short.
    ///
    /// Fails if the format is neither NV12 nor P010, if the rectangle is empty or not inside the picture,
    /// or if the picture does not fit into its memory.
    pub fn new(
        layout: &Layout,
        memory: &[u8],
        rect: Rect,
        field: Field,
    ) -> Result<Snapshot, Error> {
        layout.check_inside(rect)?;
        layout.check_memory(memory.len())?;
        if rect.width == 0 || rect.height == 0 {
            return Err(crate::convert::Error::Outside(rect, layout.width, layout.height).into());
        }
        let left = rect.x & !1;
        let width = rect.x + rect.width - left;
        let (parity, step) = match field {
            Field::Frame => (0, 1),
            Field::Top => (0, 2),
            Field::Bottom => (1, 2),
        };
        let top = (rect.y / step) & !1;
        let bottom = (rect.y + rect.height).div_ceil(step);
        let rows = |plane: usize, first: u32, count: u32| {
            let last = layout.rows(plane) - 1;
            (first..first + count)
                .map(move |row| (row * step + parity) as usize)
                .map(move |r| r.min(last))
        };
        let height = bottom - top;
        let plane = |index: usize, first: u32, count: u32, column: usize, bytes: usize| {
            let plane = layout.planes[index];
            rows(index, first, count).map(move |row| {
                let start = plane.offset + row * plane.pitch + column;
                &memory[start..start + bytes]
            })
        };
        let sample = layout.format.bytes_per_sample();
        let column = left as usize * sample;
        let luma = plane(0, top, height, column, width as usize * sample);
        let chroma_bytes = width.next_multiple_of(2) as usize * sample;
        let chroma = plane(1, top / 2, height.div_ceil(2), column, chroma_bytes);
        let (luma, chroma) = match layout.format {
            Format::Nv12 => (bytes(luma), bytes(chroma)),
            Format::P010 => (upper_bytes(luma), upper_bytes(chroma)),
            other => return Err(Error::Format(other)),
        };
        let scale = f64::from(step);
        let crop = Crop {
            x: f64::from(rect.x - left),
            y: f64::from(rect.y) / scale - f64::from(top),
            width: f64::from(rect.width),
            height: f64::from(rect.height) / scale,
        };
        Ok(Snapshot { width, height, luma, chroma, crop })
    }
}

fn bytes<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    rows.for_each(|row| all.extend_from_slice(row));
    all
}

/// The upper bytes of little-endian words.
fn upper_bytes<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    rows.for_each(|row| all.extend(row.iter().skip(1).step_by(2)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> (Layout, Vec<u8>) {
        let layout = Layout::new(Format::Nv12, width, height).unwrap();
        let mut memory = vec![0; layout.data_size().unwrap()];
        for (index, plane) in layout.planes[..2].iter().enumerate() {
            for row in 0..layout.rows(index) {
                let start = plane.offset + row * plane.pitch;
                for (column, byte) in memory[start..][..plane.pitch].iter_mut().enumerate() {
                    *byte = (100 * index + 10 * row + column) as u8;
                }
            }
        }
        (layout, memory)
    }

    fn planes(snapshot: &Snapshot) -> (&[u8], &[u8]) {
        (&snapshot.luma, &snapshot.chroma)
    }

    #[test]
    fn an_odd_rectangle_takes_whole_chroma_blocks() {
        let (layout, memory) = picture(8, 6);
        let rect = Rect { x: 3, y: 1, width: 2, height: 2 };
        let snapshot = Snapshot::new(&layout, &memory, rect, Field::Frame).unwrap();
        assert_eq!((snapshot.width, snapshot.height), (3, 3));
        let (luma, chroma) = planes(&snapshot);
        assert_eq!(luma, [2, 3, 4, 12, 13, 14, 22, 23, 24]);
        assert_eq!(chroma, [102, 103, 104, 105, 112, 113, 114, 115]);
        assert_eq!(snapshot.crop, Crop { x: 1.0, y: 1.0, width: 2.0, height: 2.0 });
    }

    #[test]
    fn fields_take_every_second_row() {
        let (layout, memory) = picture(2, 6);
        let rect = Rect { x: 0, y: 0, width: 2, height: 6 };
        let top = Snapshot::new(&layout, &memory, rect, Field::Top).unwrap();
        assert_eq!(planes(&top), (&[0, 1, 20, 21, 40, 41][..], &[100, 101, 120, 121][..]));
        let bottom = Snapshot::new(&layout, &memory, rect, Field::Bottom).unwrap();
        // Three chroma rows leave the bottom field one; the frame's last stands in for the second.
        assert_eq!(planes(&bottom), (&[10, 11, 30, 31, 50, 51][..], &[110, 111, 120, 121][..]));
        assert_eq!(bottom.crop, Crop { x: 0.0, y: 0.0, width: 2.0, height: 3.0 });
    }

    #[test]
    fn a_picture_of_one_row_has_both_fields() {
        let (layout, memory) = picture(1, 1);
        let rect = Rect { x: 0, y: 0, width: 1, height: 1 };
        for field in [Field::Top, Field::Bottom] {
            let snapshot = Snapshot::new(&layout, &memory, rect, field).unwrap();
            assert_eq!(planes(&snapshot), (&[0][..], &[100, 101][..]));
            assert_eq!(snapshot.crop.height, 0.5);
        }
    }

    #[test]
    fn rectangles_that_are_empty_or_outside_are_refused() {
        let (layout, memory) = picture(8, 8);
        for (x, y, width, height) in [(0, 0, 0, 8), (0, 0, 8, 0), (1, 0, 8, 8), (0, 9, 1, 1)] {
            let rect = Rect { x, y, width, height };
            let result = Snapshot::new(&layout, &memory, rect, Field::Frame);
            assert!(matches!(result, Err(Error::Picture(_))), "{rect:?}");
        }
    }
}
