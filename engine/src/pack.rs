//! Planar picture → packed NV12 or P010 in the client's memory.

mod rows;

use crate::{
    Error, Result,
    frame::{FrameLayout, PixelFormat, PlanarView},
};

/// Copies `view`, the rows of a picture from the even row `top` on, into the frame described by `layout`,
/// whose memory is `memory`. What lies beyond the target's edge is cut off; what the picture does not cover
/// stays as it is. Monochrome pictures get neutral chroma. Fails if the formats' depths differ or the memory
/// is too small.
pub(crate) fn pack(
    view: &PlanarView<'_>,
    top: usize,
    layout: &FrameLayout,
    memory: &mut [u8],
) -> Result<()> {
    check(view, layout)?;
    let bytes = layout.format.bytes_per_sample();
    let width = view.width.min(layout.width as usize);
    let height = view.height.min((layout.height as usize).saturating_sub(top));
    let offset =
        [layout.offset[0] + top * layout.pitch[0], layout.offset[1] + top / 2 * layout.pitch[1]];
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));

    let luma_rows = rows_of(memory, offset[0], layout.pitch[0], width * bytes, height)?;
    let (source, pitch) = view.luma;
    for (to, from) in luma_rows.zip(source.chunks(pitch)) {
        match layout.format {
            PixelFormat::Nv12 => to.copy_from_slice(&from[..width]),
            PixelFormat::P010 => rows::widen(to, &from[..width * 2]),
        }
    }
    let chroma_rows =
        rows_of(memory, offset[1], layout.pitch[1], chroma_width * 2 * bytes, chroma_height)?;
    match view.chroma {
        Some([(cb, cb_pitch), (cr, cr_pitch)]) => {
            for ((to, cb), cr) in chroma_rows.zip(cb.chunks(cb_pitch)).zip(cr.chunks(cr_pitch)) {
                let (cb, cr) = (&cb[..chroma_width * bytes], &cr[..chroma_width * bytes]);
                match layout.format {
                    PixelFormat::Nv12 => rows::interleave8(to, cb, cr),
                    PixelFormat::P010 => rows::interleave10(to, cb, cr),
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

/// Fails if a picture cannot be packed into frames of this layout, whatever their memory.
pub(crate) fn check(view: &PlanarView<'_>, layout: &FrameLayout) -> Result<()> {
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
    Ok(())
}

/// The rows of a plane: `count` slices of `length` bytes, `pitch` apart.
fn rows_of(
    memory: &mut [u8],
    offset: usize,
    pitch: usize,
    length: usize,
    count: usize,
) -> Result<impl Iterator<Item = &mut [u8]>> {
    // Rows below the target's edge are none of the target's memory.
    let (offset, length) = if count == 0 { (0, 0) } else { (offset, length) };
    let needed = offset + count.saturating_sub(1) * pitch + length;
    if length > pitch || needed > memory.len() {
        return Err(Error::Target(format!(
            "{count} rows of {length} bytes, pitch {pitch}, at {offset} in {} bytes",
            memory.len()
        )));
    }
    Ok(memory[offset..].chunks_mut(pitch).take(count).map(move |row| &mut row[..length]))
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
        pack(&view, 0, &layout, &mut memory).unwrap();
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
        pack(&view, 0, &layout, &mut memory).unwrap();
        assert_eq!(memory, [0xc0, 0xff, 0x40, 0x00, 0x00, 0x80, 0x00, 0x80]);
    }

    /// A picture in 8 or 10 bits whose samples are all different enough, with gaps between its rows.
    fn picture(width: usize, height: usize, bytes: usize) -> ([Vec<u8>; 3], [usize; 3]) {
        let plane = |number: usize, width: usize, height: usize| {
            let pitch = width * bytes + 6;
            let sample = |at: usize| (at * 13 + number * 91) % if bytes == 2 { 1024 } else { 256 };
            let plane = (0..pitch * height).map(|at| match bytes {
                1 => sample(at) as u8,
                _ => (sample(at / 2) as u16).to_le_bytes()[at % 2],
            });
            (plane.collect(), pitch)
        };
        let half = (width.div_ceil(2), height.div_ceil(2));
        let planes = [plane(0, width, height), plane(1, half.0, half.1), plane(2, half.0, half.1)];
        (planes.clone().map(|(plane, _)| plane), planes.map(|(_, pitch)| pitch))
    }

    /// Sample by sample, with no thought for speed.
    fn naive(view: &PlanarView<'_>, layout: &FrameLayout, memory: &mut [u8]) {
        let bytes = layout.format.bytes_per_sample();
        let mut put = |at: usize, (plane, pitch): (&[u8], usize), x: usize, y: usize| {
            let from = y * pitch + x * bytes;
            match bytes {
                1 => memory[at] = plane[from],
                _ => {
                    let value = (u32::from(plane[from]) + 256 * u32::from(plane[from + 1])) * 64;
                    memory[at] = (value % 256) as u8;
                    memory[at + 1] = (value / 256) as u8;
                }
            }
        };
        let (width, height) =
            (view.width.min(layout.width as usize), view.height.min(layout.height as usize));
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            put(layout.offset[0] + y * layout.pitch[0] + x * bytes, view.luma, x, y);
            if let (Some([cb, cr]), true) = (view.chroma, x % 2 == 0 && y % 2 == 0) {
                let at = layout.offset[1] + y / 2 * layout.pitch[1] + x * bytes;
                put(at, cb, x / 2, y / 2);
                put(at + bytes, cr, x / 2, y / 2);
            }
        }
    }

    #[test]
    fn every_width_is_packed_as_sample_by_sample() {
        for (format, bit_depth) in [(PixelFormat::Nv12, 8), (PixelFormat::P010, 10)] {
            let bytes = format.bytes_per_sample();
            // The surface is larger than the picture, as large, and smaller.
            for (width, height, slack) in
                (1..=67).flat_map(|width| [(width, 5, 3), (width, 4, 0), (width + 2, 6, -2)])
            {
                let (planes, pitches) = picture(width, height, bytes);
                let [luma, cb, cr] = [0, 1, 2].map(|n| (&planes[n][..], pitches[n]));
                let view = PlanarView { width, height, bit_depth, luma, chroma: Some([cb, cr]) };
                let (across, down) =
                    (width.saturating_add_signed(slack), height.saturating_add_signed(slack));
                let pitch = across.next_multiple_of(2) * bytes + 10;
                let layout = FrameLayout {
                    format,
                    width: across as u32,
                    height: down as u32,
                    pitch: [pitch, pitch],
                    offset: [3, 3 + pitch * down],
                };
                let mut packed = vec![0xa5; 3 + pitch * (down + down.div_ceil(2))];
                let mut expected = packed.clone();
                pack(&view, 0, &layout, &mut packed).unwrap();
                naive(&view, &layout, &mut expected);
                assert_eq!(packed, expected, "{width}x{height} to {across}x{down}, {format:?}");
                // In pieces.
                packed.fill(0xa5);
                for top in [0, 2, 4] {
                    let mut piece = view.below(top);
                    piece.height = piece.height.min(2);
                    pack(&piece, top, &layout, &mut packed).unwrap();
                }
                assert_eq!(packed, expected, "in pieces");
            }
        }
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
        assert!(matches!(pack(&view, 0, &layout, &mut [0; 8]), Err(Error::Target(_))));
    }
}
