//! vpxenc: VP9 profiles 0 and 2 (10 bit).

use super::{Draft, Traits};
use crate::random::dice::Dice;
use crate::random::options::Options;
use crate::random::shape::{Bounds, Shape};

pub(super) fn draw(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 1, step: 1, pixels: 3_000_000 });
    let mut options = Options::default();
    if dice.one_in(3) {
        shape.depth = 10;
        options.set("profile", 2);
        options.set("bit-depth", 10);
        options.set("input-bit-depth", 10);
    }
    let mut traits = Traits::default();
    if dice.one_in(3) {
        options.flag("rt");
        options.set("cpu-used", dice.range(5..=9));
        options.set("passes", 1);
        options.set("lag-in-frames", 0);
        realtime_rate(dice, &shape, &mut options, &mut traits);
    } else {
        options.flag("good");
        options.set("cpu-used", dice.range(2..=5));
        options.set("passes", dice.range(1..=2));
        let lag = dice.pick(&[0, 1, 5, 12, 19, 25]);
        options.set("lag-in-frames", lag);
        // It wants to look further ahead than a group of frames is long.
        if dice.one_in(4) && (lag == 0 || lag >= 5) {
            let most = if lag == 0 { 16 } else { lag - 2 };
            let least = dice.range(1..=most);
            options.set("min-gf-interval", least);
            options.set("max-gf-interval", dice.range(least.max(2)..=most.max(2)));
        }
        // Above 1: a pyramid of hidden frames, shown later by a frame of one byte.
        options.set("auto-alt-ref", dice.range(0..=6));
        rate(dice, &mut options);
        if dice.one_in(6) {
            // Coded smaller than it is to be shown.
            options.set("resize-allowed", 1);
            options.set("resize-width", (shape.width * 2 / 3).max(1));
            options.set("resize-height", (shape.height * 3 / 4).max(1));
            traits.resizes = true;
        }
    }
    tools(dice, &mut options, &mut traits);
    let extension = dice.weighted(&[(2, "ivf"), (1, "webm")]);
    options.flag(extension);
    Draft { shape, options, extension, traits }
}

fn rate(dice: &mut Dice, options: &mut Options) {
    match dice.range(0..=3) {
        0 => options.set("lossless", 1),
        1 => {
            options.set("end-usage", dice.pick(&["vbr", "cbr"]));
            options.set("target-bitrate", dice.range(20..=800));
        }
        _ => {
            options.set("end-usage", "q");
            options.set("cq-level", dice.range(0..=63));
        }
    }
}

fn realtime_rate(dice: &mut Dice, shape: &Shape, options: &mut Options, traits: &mut Traits) {
    options.set("end-usage", "cbr");
    let rate = dice.range(20..=400);
    options.set("target-bitrate", rate);
    // A buffer that runs dry makes the encoder scale down between key frames.
    if shape.width >= 64 && shape.height >= 64 && dice.one_in(2) {
        options.set("resize-allowed", 1);
        options.set("target-bitrate", rate / 5);
        options.set("buf-sz", 300);
        options.set("buf-initial-sz", 100);
        options.set("buf-optimal-sz", 200);
        traits.resizes = true;
    }
    if dice.one_in(4) {
        options.set("drop-frame", dice.range(1..=60));
    }
}

fn tools(dice: &mut Dice, options: &mut Options, traits: &mut Traits) {
    if dice.one_in(3) {
        options.set("aq-mode", dice.range(1..=4));
        traits.segments = true;
    }
    if dice.one_in(6) {
        options.set("alt-ref-aq", 1);
        traits.segments = true;
    }
    if dice.one_in(4) {
        // 2 and 3 are for VP8: libvpx's own decoder rejects what VP9 makes of them.
        options.set("error-resilient", 1);
    }
    if dice.one_in(3) {
        options.set("frame-parallel", dice.range(0..=1));
    }
    if dice.one_in(2) {
        options.set("tile-columns", dice.range(0..=3));
        options.set("tile-rows", dice.range(0..=2));
    }
    if dice.one_in(3) {
        options.set("tune-content", dice.pick(&["screen", "film"]));
    }
    if dice.one_in(4) {
        options.set("sharpness", dice.range(0..=7));
    }
    if dice.one_in(4) {
        options.set("disable-loopfilter", dice.range(1..=2));
    }
    if dice.one_in(3) {
        options.set("kf-max-dist", dice.range(0..=12));
    }
    if dice.one_in(4) {
        options.set("arnr-maxframes", dice.range(0..=15));
        options.set("arnr-strength", dice.range(0..=6));
    }
    if dice.one_in(6) {
        options.set("static-thresh", dice.range(0..=1000));
    }
    if dice.one_in(6) {
        options.set("frame-boost", 1);
    }
    if dice.one_in(6) {
        options.set("row-mt", 1);
    }
    if dice.one_in(8) {
        options.set("color-space", dice.pick(&["bt601", "bt709", "bt2020", "smpte170"]));
    }
}
