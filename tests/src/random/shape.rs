//! How large a stream is.

use super::dice::Dice;

/// The frames that an encoder gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How many.
    pub frames: u32,
    /// Bits per sample: 8 or 10.
    pub depth: u32,
    /// Whether each frame holds two fields of different times.
    pub interlaced: bool,
}

/// What an encoder can take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The smallest width and height.
    pub least: u32,
    /// Width and height are multiples of this.
    pub step: u32,
    /// How many pixels in all it codes in a second or two.
    pub pixels: u32,
}

impl Shape {
    /// Draws a size, mostly small, and as many frames as the encoder has time for.
    pub(super) fn draw(dice: &mut Dice, bounds: Bounds) -> Self {
        // Below a block, around superblocks, several of them, more than a tile's smallest width.
        let (least, most) =
            dice.weighted(&[(2, (1, 16)), (3, (17, 96)), (6, (97, 256)), (3, (257, 400))]);
        let mut edge = || {
            let edge = dice.range(least..=most).max(bounds.least);
            edge.next_multiple_of(bounds.step)
        };
        let (width, height) = (edge(), edge());
        let most = (bounds.pixels / (width * height)).clamp(8, 40);
        let frames = dice.range(8..=most);
        Self { width, height, frames, depth: 8, interlaced: false }
    }

    /// The bytes of one frame as planar 4:2:0.
    pub(super) fn frame_bytes(&self) -> usize {
        let (width, height) = (self.width as usize, self.height as usize);
        let samples = width * height + 2 * (width.div_ceil(2) * height.div_ceil(2));
        samples * if self.depth > 8 { 2 } else { 1 }
    }
}
