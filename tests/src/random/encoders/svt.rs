//! SvtAv1EncApp: AV1 Main in 8 and 10 bits.
//!
//! Left out: S-frames, which version 1.4 codes so that libaom's decoder rejects the stream.

use super::{Draft, Traits};
use crate::random::dice::Dice;
use crate::random::options::Options;
use crate::random::shape::{Bounds, Shape};

pub(super) fn draw(dice: &mut Dice) -> Draft {
    // It takes sizes from 64 on, even ones only.
    let mut shape = Shape::draw(dice, Bounds { least: 64, step: 2, pixels: 2_000_000 });
    let mut options = Options::default();
    let mut traits = Traits::default();
    // Else version 1.4 codes scaled frames larger than the sequence allows.
    let scaled = dice.range(0..=3);
    if scaled < 2 {
        shape.width = shape.width.next_multiple_of(8);
        shape.height = shape.height.next_multiple_of(8);
    }
    if dice.one_in(3) {
        shape.depth = 10;
        options.set("input-depth", 10);
    }
    let preset = dice.range(4..=12);
    options.set("preset", preset);
    let low_delay = dice.one_in(3);
    options.set("pred-struct", if low_delay { 1 } else { 2 });
    if dice.one_in(2) {
        options.set("hierarchical-levels", dice.range(2..=5));
    }
    match dice.range(0..=4) {
        0 => {
            options.set("rc", if low_delay { 2 } else { 1 });
            options.set("tbr", dice.range(50..=800));
        }
        1 => {
            options.set("rc", 0);
            let segments = dice.one_in(2);
            options.set("aq-mode", u32::from(segments));
            options.set("qp", dice.range(1..=63));
            traits.segments = segments;
        }
        _ => options.set("crf", dice.range(1..=63)),
    }
    if dice.one_in(2) {
        options.set("keyint", dice.range(4..=20));
        options.set("irefresh-type", dice.range(1..=2));
    }
    // Segments and tiles exclude each other.
    if dice.one_in(2) && !traits.segments {
        options.set("tile-columns", dice.range(0..=2));
        options.set("tile-rows", dice.range(0..=2));
    }
    if dice.one_in(4) {
        options.set("film-grain", dice.range(1..=50));
        options.set("film-grain-denoise", dice.range(0..=1));
    }
    if dice.one_in(3) {
        options.set("scm", dice.range(0..=2));
    }
    match scaled {
        0 if !low_delay => {
            let mode = dice.range(1..=4);
            options.set("superres-mode", mode);
            if mode == 1 {
                options.set("superres-denom", dice.range(8..=16));
                options.set("superres-kf-denom", dice.range(8..=16));
            }
        }
        // Version 1.4 spoils its memory where less than a superblock is left.
        1 if shape.width >= 128 && shape.height >= 128 => {
            let mode = dice.range(1..=2);
            options.set("resize-mode", mode);
            if mode == 1 {
                options.set("resize-denom", dice.range(8..=16));
                options.set("resize-kf-denom", dice.range(8..=16));
            }
            traits.resizes = true;
        }
        _ => {}
    }
    for switch in ["enable-dlf", "enable-cdef", "enable-restoration", "enable-mfmv", "enable-tf"] {
        if dice.one_in(6) {
            options.set(switch, 0);
        }
    }
    for switch in ["enable-qm", "rmv"] {
        if dice.one_in(6) {
            options.set(switch, 1);
        }
    }
    if !low_delay && dice.one_in(5) {
        options.set("enable-overlays", 1);
    }
    if preset <= 10 && dice.one_in(6) {
        options.set("fast-decode", 1);
    }
    Draft { shape, options, extension: "ivf", traits }
}
