//! rav1e: AV1 Main in 8 and 10 bits.

use super::{Draft, Traits};
use crate::random::dice::Dice;
use crate::random::options::Options;
use crate::random::shape::{Bounds, Shape};

pub(super) fn draw(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 16, step: 1, pixels: 800_000 });
    let mut options = Options::default();
    // It segments by itself.
    let traits = Traits { segments: true, ..Traits::default() };
    if dice.one_in(3) {
        shape.depth = 10;
    }
    options.set("speed", dice.range(7..=10));
    if dice.one_in(4) {
        options.set("bitrate", dice.range(50..=800));
    } else {
        options.set("quantizer", dice.range(0..=255));
    }
    if dice.one_in(3) {
        options.flag("low-latency");
        if dice.one_in(2) {
            options.set("switch-frame-interval", dice.range(2..=8));
        }
    }
    if dice.one_in(2) {
        let keyint = dice.range(2..=16);
        options.set("keyint", keyint);
        options.set("min-keyint", dice.range(1..=keyint));
    }
    if dice.one_in(2) {
        options.set("tile-cols", dice.pick(&[1, 2, 4]));
        options.set("tile-rows", dice.pick(&[1, 2, 4]));
    }
    if dice.one_in(3) {
        options.set("rdo-lookahead-frames", dice.range(1..=20));
    }
    if dice.one_in(4) {
        options.flag("no-scene-detection");
    }
    if dice.one_in(3) {
        options.set("tune", dice.pick(&["Psnr", "Psychovisual"]));
    }
    if dice.one_in(8) {
        options.set("range", "Full");
    }
    if dice.one_in(12) {
        options.flag("still-picture");
        options.set("limit", 1);
        shape.frames = 1;
    }
    Draft { shape, options, extension: "ivf", traits }
}
