//! Scaling of BGRX pixels, strip by strip.

use fast_image_resize::{
    FilterType, ImageView, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x4,
};

use super::{Error, Filter, snapshot::Crop};

/// Pixels that are scaled so that `crop` fills a destination rectangle.
pub(super) struct Scaler<'a> {
    source: TypedImageRef<'a, U8x4>,
    crop: Crop,
    /// Destination size.
    size: (u32, u32),
    filter: Filter,
    resizer: Resizer,
}

impl<'a> Scaler<'a> {
    /// `pixels` are `width * height` of four bytes; `crop` lies inside; `size`, not zero, is what the crop
    /// becomes.
    pub fn new(
        pixels: &'a [u8],
        (width, height): (u32, u32),
        crop: Crop,
        size: (u32, u32),
        filter: Filter,
    ) -> Result<Scaler<'a>, Error> {
        let source = TypedImageRef::from_buffer(width, height, pixels)
            .map_err(|error| Error::Conversion(error.to_string()))?;
        Ok(Scaler { source, crop, size, filter, resizer: Resizer::new() })
    }

    /// The part of the destination that has `width` columns from `x` and `height` rows from `y`. Parts fit
    /// together without seams: a filter sees the whole source.
    pub fn part(&mut self, x: u32, y: u32, width: u32, height: u32) -> Result<Vec<u8>, Error> {
        let steps =
            (self.crop.width / f64::from(self.size.0), self.crop.height / f64::from(self.size.1));
        let (left, width_in) = within(
            self.crop.x + f64::from(x) * steps.0,
            f64::from(width) * steps.0,
            f64::from(self.source.width()),
        );
        let (top, height_in) = within(
            self.crop.y + f64::from(y) * steps.1,
            f64::from(height) * steps.1,
            f64::from(self.source.height()),
        );
        let algorithm = match self.filter {
            Filter::Nearest => ResizeAlg::Nearest,
            Filter::Fast => ResizeAlg::Interpolation(FilterType::Bilinear),
            Filter::Default => ResizeAlg::Convolution(FilterType::Bilinear),
            Filter::High => ResizeAlg::Convolution(FilterType::CatmullRom),
        };
        let options = ResizeOptions::new()
            .resize_alg(algorithm)
            .crop(left, top, width_in, height_in)
            .use_alpha(false);
        let mut pixels = vec![0; width as usize * height as usize * 4];
        // The typed call: the untyped one would compile the resizer for every pixel type there is.
        let mut part = TypedImage::<U8x4>::from_buffer(width, height, &mut pixels)
            .map_err(|error| Error::Conversion(error.to_string()))?;
        self.resizer
            .resize_typed(&self.source, &mut part, &options)
            .map_err(|error| Error::Conversion(error.to_string()))?;
        drop(part);
        Ok(pixels)
    }
}

/// `start` and `length` moved and cut, by rounding errors only, so that they end inside `whole`.
fn within(start: f64, length: f64, whole: f64) -> (f64, f64) {
    let start = start.clamp(0.0, whole);
    let mut length = length.min(whole - start);
    if start + length > whole {
        length -= 2.0 * f64::EPSILON * whole;
    }
    (start, length.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 4] = [Filter::Nearest, Filter::Fast, Filter::Default, Filter::High];

    fn crop(x: f64, y: f64, width: f64, height: f64) -> Crop {
        Crop { x, y, width, height }
    }

    #[test]
    fn a_constant_picture_stays_constant_at_any_size() {
        let pixels = [10, 20, 30, 255].repeat(7 * 5);
        for filter in FILTERS {
            for (width, height) in [(1, 1), (3, 2), (7, 5), (8, 9), (100, 3)] {
                let source = crop(1.0, 0.5, 5.0, 4.5);
                let mut scaler =
                    Scaler::new(&pixels, (7, 5), source, (width, height), filter).unwrap();
                let out = scaler.part(0, 0, width, height).unwrap();
                assert_eq!(out.len() as u32, width * height * 4);
                let all = out.chunks_exact(4).all(|p| p == [10, 20, 30, 255]);
                assert!(all, "{filter:?} {width}x{height}");
            }
        }
    }

    #[test]
    fn the_same_size_copies_the_crop() {
        let pixels: Vec<u8> = (0..6 * 4 * 4).collect();
        for filter in FILTERS {
            let source = crop(2.0, 1.0, 3.0, 2.0);
            let mut scaler = Scaler::new(&pixels, (6, 4), source, (3, 2), filter).unwrap();
            let out = scaler.part(0, 0, 3, 2).unwrap();
            assert_eq!(out[..12], pixels[(6 + 2) * 4..(6 + 5) * 4], "{filter:?}");
            assert_eq!(out[12..], pixels[(12 + 2) * 4..(12 + 5) * 4], "{filter:?}");
        }
    }

    #[test]
    fn parts_fit_together_without_seams() {
        let pixels: Vec<u8> = (0..16 * 16 * 4).map(|i| (i * 31 % 256) as u8).collect();
        // Without `Nearest`, which may take either neighbour where a centre falls between two pixels.
        for filter in [Filter::Fast, Filter::Default, Filter::High] {
            for size in [(37, 29), (5, 7), (16, 16)] {
                let source = crop(1.0, 2.0, 14.0, 13.0);
                let mut scaler = Scaler::new(&pixels, (16, 16), source, size, filter).unwrap();
                let whole = scaler.part(0, 0, size.0, size.1).unwrap();
                for y in 0..size.1 {
                    let row = scaler.part(2, y, size.0 - 2, 1).unwrap();
                    let start = ((y * size.0 + 2) * 4) as usize;
                    let far = whole[start..][..row.len()]
                        .iter()
                        .zip(&row)
                        .map(|(a, b)| a.abs_diff(*b))
                        .max();
                    assert!(far <= Some(1), "{filter:?} {size:?} row {y}: {far:?}");
                }
            }
        }
    }

    #[test]
    fn the_last_strip_of_awkward_sizes_stays_inside() {
        let pixels = vec![1; 1917 * 3 * 4];
        for size in [1u32, 3, 7, 641, 1023, 65535] {
            let source = crop(0.0, 0.0, 1917.0, 3.0);
            let mut scaler =
                Scaler::new(&pixels, (1917, 3), source, (size, size), Filter::Default).unwrap();
            assert_eq!(scaler.part(size - 1, size - 1, 1, 1).unwrap(), [1; 4]);
        }
    }
}
