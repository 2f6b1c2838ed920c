//! Copying a part of a picture into another.

use super::{Error, Format, Layout, Rect};

/// Copies `rect` of the picture `src` to (`x`, `y`) of the picture `dst`. The formats may be the same, or
/// any two of NV12, I420 and YV12.
///
/// Luma is copied sample by sample. Chroma stands for blocks of 2x2 luma samples, and *the chroma of every
/// block of `dst` that the copy touches is replaced*, also where only a part of the block is touched. It
/// is replaced by the chroma of the source block whose luma lands on the block's first touched row and
/// column. So, while source and destination start on the same parity, blocks are copied one to one; where
/// the parities differ, chroma is shifted by half a block, since nothing is interpolated.
///
/// An empty rectangle copies nothing. Fails, without having written anything, if the depths differ
/// (`Error::Depth`), if the rectangle does not lie inside both pictures (`Error::Outside`) or if a picture
/// does not fit into its memory (`Error::Memory`).
pub fn copy_region(
    src: &[u8],
    src_layout: &Layout,
    rect: Rect,
    dst: &mut [u8],
    dst_layout: &Layout,
    (x, y): (u32, u32),
) -> Result<(), Error> {
    let (from, to) = (src_layout.format, dst_layout.format);
    if from.bytes_per_sample() != to.bytes_per_sample() {
        return Err(Error::Depth(from, to));
    }
    src_layout.check_inside(rect)?;
    dst_layout.check_inside(Rect { x, y, ..rect })?;
    src_layout.check_memory(src.len())?;
    dst_layout.check_memory(dst.len())?;
    if rect.width == 0 || rect.height == 0 {
        return Ok(());
    }

    let sample = from.bytes_per_sample();
    let length = rect.width as usize * sample;
    for row in 0..rect.height as usize {
        let at = start(src_layout, 0, rect.y as usize + row, rect.x as usize * sample);
        let to = start(dst_layout, 0, y as usize + row, x as usize * sample);
        dst[to..to + length].copy_from_slice(&src[at..at + length]);
    }

    let columns = Blocks::new(rect.x, x, rect.width);
    let rows = Blocks::new(rect.y, y, rect.height);
    for row in 0..rows.count {
        let (src_row, dst_row) = (rows.source(row), rows.first + row);
        if from.planes() == 2 && to.planes() == 2 {
            // The same format: whole blocks.
            let block = from.block_bytes();
            let src_row = &src[start(src_layout, 1, src_row, columns.source(0) * block)..];
            let dst_row = &mut dst[start(dst_layout, 1, dst_row, columns.first * block)..];
            let dst_row = &mut dst_row[..columns.count * block];
            let (repeated, rest) = dst_row.split_at_mut(columns.repeated * block);
            repeated.copy_from_slice(&src_row[..repeated.len()]);
            rest.copy_from_slice(&src_row[..rest.len()]);
        } else {
            for component in [chroma(from, to, 0), chroma(from, to, 1)] {
                let (src_component, dst_component) = component;
                let at = columns.source(0) * src_component.step + src_component.first;
                let to = columns.first * dst_component.step + dst_component.first;
                let src_row = &src[start(src_layout, src_component.plane, src_row, at)..];
                let dst_row = &mut dst[start(dst_layout, dst_component.plane, dst_row, to)..];
                let mut dst_samples = dst_row.iter_mut().step_by(dst_component.step);
                let src_samples = || src_row.iter().step_by(src_component.step);
                for (to, from) in dst_samples.by_ref().take(columns.repeated).zip(src_samples()) {
                    *to = *from;
                }
                let rest = columns.count - columns.repeated;
                for (to, from) in dst_samples.take(rest).zip(src_samples()) {
                    *to = *from;
                }
            }
        }
    }
    Ok(())
}

/// The byte `column` of row `row` of a plane, inside the memory once the layout has been checked.
fn start(layout: &Layout, plane: usize, row: usize, column: usize) -> usize {
    layout.planes[plane].offset + row * layout.planes[plane].pitch + column
}

/// The chroma blocks that a copy touches in one direction.
struct Blocks {
    /// The first one in the destination.
    first: usize,
    /// How many in the destination.
    count: usize,
    /// The source block of the first one.
    source: usize,
    /// 1 if the second block takes the first one's chroma again: the copy starts on a block's first
    /// sample in the source and on a block's second in the destination. Otherwise 0.
    repeated: usize,
}

impl Blocks {
    /// `length` luma samples, at least one, from `src` on to `dst`.
    fn new(src: u32, dst: u32, length: u32) -> Blocks {
        let (src, dst, length) = (src as usize, dst as usize, length as usize);
        let first = dst / 2;
        let count = (dst + length).div_ceil(2) - first;
        let repeated = usize::from(src % 2 == 0 && dst % 2 == 1);
        Blocks { first, count, source: src / 2, repeated }
    }

    /// The source block of the nth block of the destination.
    fn source(&self, n: usize) -> usize {
        self.source + n.saturating_sub(self.repeated)
    }
}

/// Where the samples of Cb or Cr of an 8-bit format lie.
#[derive(Clone, Copy)]
struct Component {
    plane: usize,
    /// Bytes to the first sample of a row.
    first: usize,
    /// Bytes from sample to sample.
    step: usize,
}

/// Cb (0) or Cr (1) of both formats.
fn chroma(from: Format, to: Format, index: usize) -> (Component, Component) {
    let component = |format| match format {
        Format::Nv12 | Format::P010 => Component { plane: 1, first: index, step: 2 },
        Format::I420 => Component { plane: 1 + index, first: 0, step: 1 },
        Format::Yv12 => Component { plane: 2 - index, first: 0, step: 1 },
    };
    (component(from), component(to))
}
