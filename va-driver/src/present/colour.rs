//! Y'CbCr of limited range → BGRX.

use dcv_color_primitives::{ColorSpace, ImageFormat, PixelFormat, convert_image};

use super::{Error, Snapshot};

/// How Y'CbCr was made from R'G'B'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
}

/// The snapshot's pixels, four bytes each: blue, green, red, 255. Luma 16 is black and 235 white. The
/// chroma of a block serves all its pixels.
pub(super) fn bgrx(snapshot: &Snapshot, colour: Colour) -> Result<Vec<u8>, Error> {
    let color_space = match colour {
        Colour::Bt601 => ColorSpace::Bt601,
        Colour::Bt709 => ColorSpace::Bt709,
    };
    let source = ImageFormat { pixel_format: PixelFormat::Nv12, color_space, num_planes: 2 };
    let target = ImageFormat {
        pixel_format: PixelFormat::Bgra,
        color_space: ColorSpace::Rgb,
        num_planes: 1,
    };
    // The converter takes even sizes only: odd ones get a column or row more, cut off again below.
    let (width, height) = (snapshot.width as usize, snapshot.height as usize);
    let (even_width, even_height) = (width.next_multiple_of(2), height.next_multiple_of(2));
    let mut padded = Vec::new();
    let luma = if (width, height) == (even_width, even_height) {
        &snapshot.luma
    } else {
        for row in snapshot.luma.chunks_exact(width) {
            padded.extend_from_slice(row);
            padded.resize(padded.len().next_multiple_of(2), row[width - 1]);
        }
        padded.resize(even_width * even_height, 0);
        &padded
    };
    let mut pixels = vec![0; even_width * even_height * 4];
    convert_image(
        even_width as u32,
        even_height as u32,
        &source,
        Some(&[even_width, even_width]),
        &[luma, &snapshot.chroma],
        &target,
        Some(&[even_width * 4]),
        &mut [&mut pixels],
    )
    .map_err(|error| Error::Conversion(error.to_string()))?;
    if even_width != width {
        for row in 1..height {
            let start = row * even_width * 4;
            pixels.copy_within(start..start + width * 4, row * width * 4);
        }
    }
    pixels.truncate(width * height * 4);
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        convert::{Format, Layout, Rect},
        present::Field,
    };

    /// Shows a picture of one colour, of odd size, and returns its pixels as red, green, blue.
    fn shown(format: Format, sample: [u16; 3], colour: Colour) -> Vec<[u8; 3]> {
        let layout = Layout::new(format, 5, 3).unwrap();
        let mut bytes = vec![0; layout.data_size().unwrap()];
        for (index, plane) in layout.planes[..2].iter().enumerate() {
            let (first, second) = if index == 0 { (0, 0) } else { (1, 2) };
            let plane = &mut bytes[plane.offset..][..plane.pitch * layout.rows(index)];
            match format {
                Format::P010 => plane.chunks_exact_mut(4).for_each(|pair| {
                    pair[..2].copy_from_slice(&(sample[first] << 6).to_le_bytes());
                    pair[2..].copy_from_slice(&(sample[second] << 6).to_le_bytes());
                }),
                _ => plane.chunks_exact_mut(2).for_each(|pair| {
                    pair.copy_from_slice(&[sample[first] as u8, sample[second] as u8]);
                }),
            }
        }
        let rect = Rect { x: 0, y: 0, width: 5, height: 3 };
        let snapshot = Snapshot::new(&layout, &bytes, rect, Field::Frame).unwrap();
        let pixels = bgrx(&snapshot, colour).unwrap();
        assert_eq!(pixels.len(), 5 * 3 * 4);
        pixels.chunks_exact(4).map(|p| [p[2], p[1], p[0]]).collect()
    }

    fn assert_colour(colour: Colour, sample: [u16; 3], expected: [u8; 3]) {
        for (format, shift) in [(Format::Nv12, 0), (Format::P010, 2)] {
            let sample = sample.map(|s| s << shift);
            for (index, pixel) in shown(format, sample, colour).iter().enumerate() {
                let close = pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2);
                assert!(
                    close,
                    "{colour:?} {format:?} {sample:?} pixel {index}: {pixel:?}, expected {expected:?}"
                );
            }
        }
    }

    const BLACK: [u8; 3] = [0; 3];
    const WHITE: [u8; 3] = [255; 3];
    const RED: [u8; 3] = [255, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 0];
    const BLUE: [u8; 3] = [0, 0, 255];

    #[test]
    fn black_white_and_grey_do_not_depend_on_the_standard() {
        for colour in [Colour::Bt601, Colour::Bt709] {
            assert_colour(colour, [16, 128, 128], BLACK);
            assert_colour(colour, [235, 128, 128], WHITE);
            assert_colour(colour, [126, 128, 128], [128; 3]);
            // Blacker than black and whiter than white are cut off.
            assert_colour(colour, [1, 128, 128], BLACK);
            assert_colour(colour, [254, 128, 128], WHITE);
        }
    }

    #[test]
    fn bt601_primaries() {
        assert_colour(Colour::Bt601, [81, 90, 240], RED);
        assert_colour(Colour::Bt601, [145, 54, 34], GREEN);
        assert_colour(Colour::Bt601, [41, 240, 110], BLUE);
    }

    #[test]
    fn bt709_primaries() {
        assert_colour(Colour::Bt709, [63, 102, 240], RED);
        assert_colour(Colour::Bt709, [173, 42, 26], GREEN);
        assert_colour(Colour::Bt709, [32, 240, 118], BLUE);
    }

    #[test]
    fn the_standard_matters() {
        let red = |colour| shown(Format::Nv12, [81, 90, 240], colour)[0];
        assert!(red(Colour::Bt709)[0] == 255 && red(Colour::Bt709)[1] > 10);
    }
}
