//! Y'CbCr of limited range → BGRX.

use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvRange, YuvStandardMatrix};

use super::{Error, Snapshot, snapshot::Samples};

/// How Y'CbCr was made from R'G'B'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// SMPTE 240M.
    Smpte240,
}

/// The snapshot's pixels, four bytes each: blue, green, red, 255. Luma 16 is black and 235 white (64 and
/// 940 with ten bits). The chroma of a block serves all its pixels.
pub(super) fn bgrx(snapshot: &Snapshot, colour: Colour) -> Result<Vec<u8>, Error> {
    let matrix = match colour {
        Colour::Bt601 => YuvStandardMatrix::Bt601,
        Colour::Bt709 => YuvStandardMatrix::Bt709,
        // Kr and Kb. The crate's own table for this standard (yuv 0.8.20, 8 bits) is wrong.
        Colour::Smpte240 => YuvStandardMatrix::Custom(0.212, 0.087),
    };
    let (width, height) = (snapshot.width, snapshot.height);
    let (y_stride, uv_stride) = (width, width.next_multiple_of(2));
    let stride = width * 4;
    let mut pixels = vec![0; stride as usize * height as usize];
    let (range, mode) = (YuvRange::Limited, YuvConversionMode::Balanced);
    match &snapshot.samples {
        Samples::Eight { luma, chroma } => {
            let image = YuvBiPlanarImage {
                y_plane: luma,
                y_stride,
                uv_plane: chroma,
                uv_stride,
                width,
                height,
            };
            yuv::yuv_nv12_to_bgra(&image, &mut pixels, stride, range, matrix, mode)
        }
        Samples::Ten { luma, chroma } => {
            let image = YuvBiPlanarImage {
                y_plane: luma,
                y_stride,
                uv_plane: chroma,
                uv_stride,
                width,
                height,
            };
            yuv::p010_to_bgra(&image, &mut pixels, stride, range, matrix, mode)
        }
    }
    .map_err(|error| Error::Conversion(error.to_string()))?;
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
        for colour in [Colour::Bt601, Colour::Bt709, Colour::Smpte240] {
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
    fn smpte_240_primaries() {
        assert_colour(Colour::Smpte240, [62, 102, 240], RED);
        assert_colour(Colour::Smpte240, [170, 42, 28], GREEN);
        assert_colour(Colour::Smpte240, [35, 240, 116], BLUE);
    }

    #[test]
    fn the_standard_matters() {
        let red = |colour| shown(Format::Nv12, [81, 90, 240], colour)[0];
        assert!(red(Colour::Bt709)[0] == 255 && red(Colour::Bt709)[1] > 10);
    }
}
