//! Planar picture → packed NV12 or P010 in the client's memory.

use crate::{
    Error, Result,
    frame::{FrameLayout, PixelFormat, PlanarView},
};

/// Copies `view` into the frame described by `layout`, whose memory is `memory`. What lies beyond the
/// target's edge is cut off; what the picture does not cover stays as it is. Monochrome pictures get
/// neutral chroma. Fails if the formats' depths differ or the memory is too small.
pub(crate) fn pack(view: &PlanarView<'_>, layout: &FrameLayout, memory: &mut [u8]) -> Result<()> {
    let wanted = match view.bit_depth {
        8 => PixelFormat::Nv12,
        10 => PixelFormat::P010,
        other => return Err(Error::Target(format!("{other}-bit pictures have no packed format"))),
    };
    if layout.format != wanted {
        return Err(Error::Target(format!(
            "a {}-bit picture for a {:?} surface",
            view.bit_depth, layout.format
        )));
    }
    let bytes = layout.format.bytes_per_sample();
    let (width, height) =
        (view.width.min(layout.width as usize), view.height.min(layout.height as usize));
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));

    let luma_rows = rows(memory, layout.offset[0], layout.pitch[0], width * bytes, height)?;
    let (source, pitch) = view.luma;
    for (to, from) in luma_rows.zip(source.chunks(pitch)) {
        match layout.format {
            PixelFormat::Nv12 => to.copy_from_slice(&from[..width]),
            PixelFormat::P010 => widen_row(to, &from[..width * 2]),
        }
    }
    let chroma_rows =
        rows(memory, layout.offset[1], layout.pitch[1], chroma_width * 2 * bytes, chroma_height)?;
    match view.chroma {
        Some([(cb, cb_pitch), (cr, cr_pitch)]) => {
            for ((to, cb), cr) in chroma_rows.zip(cb.chunks(cb_pitch)).zip(cr.chunks(cr_pitch)) {
                let (cb, cr) = (&cb[..chroma_width * bytes], &cr[..chroma_width * bytes]);
                match layout.format {
                    PixelFormat::Nv12 => interleave8(to, cb, cr),
                    PixelFormat::P010 => interleave10(to, cb, cr),
                }
            }
        }
        None => {
            for to in chroma_rows {
                match layout.format {
                    PixelFormat::Nv12 => to.fill(128),
                    PixelFormat::P010 => {
                        to.chunks_exact_mut(2).for_each(|s| s.copy_from_slice(&[0x00, 0x80]))
                    }
                }
            }
        }
    }
    Ok(())
}

/// The rows of a plane: `count` slices of `length` bytes, `pitch` apart.
fn rows(
    memory: &mut [u8],
    offset: usize,
    pitch: usize,
    length: usize,
    count: usize,
) -> Result<impl Iterator<Item = &mut [u8]>> {
    let needed = offset + count.saturating_sub(1) * pitch + length;
    if length > pitch || needed > memory.len() {
        return Err(Error::Target(format!(
            "{count} rows of {length} bytes, pitch {pitch}, at {offset} in {} bytes",
            memory.len()
        )));
    }
    Ok(memory[offset..].chunks_mut(pitch).take(count).map(move |row| &mut row[..length]))
}

/// 10-bit samples from the lower to the upper bits.
fn widen_row(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.chunks_exact_mut(2).zip(from.chunks_exact(2)) {
        to.copy_from_slice(&(u16::from_le_bytes([from[0], from[1]]) << 6).to_le_bytes());
    }
}

fn interleave8(to: &mut [u8], cb: &[u8], cr: &[u8]) {
    for ((to, cb), cr) in to.chunks_exact_mut(2).zip(cb).zip(cr) {
        to[0] = *cb;
        to[1] = *cr;
    }
}

fn interleave10(to: &mut [u8], cb: &[u8], cr: &[u8]) {
    for ((to, cb), cr) in to.chunks_exact_mut(4).zip(cb.chunks_exact(2)).zip(cr.chunks_exact(2)) {
        let (first, second) = to.split_at_mut(2);
        widen_row(first, cb);
        widen_row(second, cr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sized_picture_fills_exactly_its_rows() {
        let (luma, cb, cr) =
            ([1u8, 2, 3, 9, 4, 5, 6, 9, 7, 8, 9, 9], [10u8, 11, 12, 13], [20u8, 21, 22, 23]);
        let view = PlanarView {
            width: 3,
            height: 3,
            bit_depth: 8,
            luma: (&luma, 4),
            chroma: Some([(&cb, 2), (&cr, 2)]),
        };
        let layout = FrameLayout {
            format: PixelFormat::Nv12,
            width: 4,
            height: 4,
            pitch: [8, 8],
            offset: [0, 32],
        };
        let mut memory = [0xffu8; 48];
        pack(&view, &layout, &mut memory).unwrap();
        assert_eq!(memory[..8], [1, 2, 3, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(memory[16..24], [7, 8, 9, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(memory[24..32], [0xff; 8], "the fourth row is not the picture's");
        assert_eq!(memory[32..40], [10, 20, 11, 21, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(memory[40..48], [12, 22, 13, 23, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn ten_bit_monochrome_becomes_p010_with_neutral_chroma() {
        let luma = [0xffu8, 0x03, 0x01, 0x00];
        let view =
            PlanarView { width: 2, height: 1, bit_depth: 10, luma: (&luma, 4), chroma: None };
        let layout = FrameLayout {
            format: PixelFormat::P010,
            width: 2,
            height: 1,
            pitch: [4, 4],
            offset: [0, 4],
        };
        let mut memory = [0u8; 8];
        pack(&view, &layout, &mut memory).unwrap();
        assert_eq!(memory, [0xc0, 0xff, 0x40, 0x00, 0x00, 0x80, 0x00, 0x80]);
    }

    #[test]
    fn a_depth_that_the_surface_lacks_is_refused() {
        let luma = [0u8; 2];
        let view =
            PlanarView { width: 1, height: 1, bit_depth: 10, luma: (&luma, 2), chroma: None };
        let layout = FrameLayout {
            format: PixelFormat::Nv12,
            width: 1,
            height: 1,
            pitch: [4, 4],
            offset: [0, 4],
        };
        assert!(matches!(pack(&view, &layout, &mut [0; 8]), Err(Error::Target(_))));
    }
}
