//! The libraries as ffmpeg drives them: with fewer options than the encoders' own programs, but in the
//! containers that ffmpeg writes, with the headers that it takes out of the stream for them.

use super::{Draft, Traits};
use crate::random::dice::Dice;
use crate::random::options::Options;
use crate::random::shape::{Bounds, Shape};

/// Sets the pixel format, once in three times with 10 bits.
fn depth(dice: &mut Dice, shape: &mut Shape, options: &mut Options) {
    let ten = dice.one_in(3);
    shape.depth = if ten { 10 } else { 8 };
    options.set("pix_fmt", if ten { "yuv420p10le" } else { "yuv420p" });
}

pub(super) fn x264(dice: &mut Dice) -> Draft {
    let interlaced = dice.one_in(4);
    let step = if interlaced { 4 } else { 2 };
    let mut shape = Shape::draw(dice, Bounds { least: step, step, pixels: 4_000_000 });
    shape.interlaced = interlaced;
    let mut options = Options::default();
    options.set("preset", dice.pick(&["ultrafast", "veryfast", "fast", "medium", "slow"]));
    options.set("crf", dice.range(10..=45));
    options.set("g", dice.range(1..=40));
    options.set("bf", dice.range(0..=6));
    options.set("refs", dice.range(1..=8));
    if interlaced {
        options.set("flags", "+ilme+ildct");
        options.set("x264opts", dice.pick(&["tff=1", "bff=1"]));
    } else if dice.one_in(2) {
        options.set("flags", dice.pick(&["-cgop", "+cgop", "-loop"]));
    }
    if dice.one_in(3) {
        options.set("slices", dice.range(2..=6));
    }
    if dice.one_in(3) {
        options.set("coder", dice.range(0..=1));
    }
    let extension = dice.pick(&["mp4", "mkv", "ts", "mov"]);
    Draft { shape, options, extension, traits: Traits::default() }
}

pub(super) fn openh264(dice: &mut Dice) -> Draft {
    let shape = Shape::draw(dice, Bounds { least: 16, step: 2, pixels: 4_000_000 });
    let mut options = Options::default();
    options.set("profile:v", dice.pick(&["constrained_baseline", "high"]));
    options.set("b:v", format!("{}k", dice.range(50..=1000)));
    options.set("g", dice.range(1..=40));
    if dice.one_in(2) {
        options.set("slices", dice.range(1..=8));
    }
    let extension = dice.pick(&["mp4", "mkv", "264"]);
    Draft { shape, options, extension, traits: Traits::default() }
}

pub(super) fn vpx(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 2, step: 1, pixels: 3_000_000 });
    let mut options = Options::default();
    depth(dice, &mut shape, &mut options);
    options.set("deadline", dice.pick(&["good", "realtime"]));
    options.set("cpu-used", dice.range(3..=8));
    options.set("crf", dice.range(5..=63));
    options.set("b:v", 0);
    options.set("g", dice.range(1..=40));
    options.set("lag-in-frames", dice.range(0..=25));
    options.set("auto-alt-ref", dice.range(0..=1));
    if dice.one_in(2) {
        options.set("tile-columns", dice.range(0..=2));
        options.set("tile-rows", dice.range(0..=2));
    }
    if dice.one_in(3) {
        // Layers in time, each with references of its own.
        let temporal = "ts_number_layers=3:ts_target_bitrate=100,200,400:ts_rate_decimator=4,2,1:\
                        ts_periodicity=4:ts_layer_id=0,2,1,2:ts_layering_mode=3";
        options.set("ts-parameters", temporal);
        options.set("error-resilient", "default");
    }
    let extension = dice.pick(&["webm", "mkv", "mp4", "ivf"]);
    Draft { shape, options, extension, traits: Traits::default() }
}

pub(super) fn aom(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 8, step: 1, pixels: 1_200_000 });
    let mut options = Options::default();
    depth(dice, &mut shape, &mut options);
    let usage = dice.pick(&["good", "realtime", "allintra"]);
    options.set("usage", usage);
    options.set("cpu-used", dice.range(6..=8));
    options.set("crf", dice.range(5..=63));
    options.set("b:v", 0);
    // The other usages look at no frame to come, and all intra knows no groups.
    if usage == "good" {
        options.set("lag-in-frames", dice.range(0..=25));
    }
    if usage != "allintra" {
        options.set("g", dice.range(1..=40));
    }
    if dice.one_in(3) {
        // ffmpeg refuses tiles that would be empty, where the encoder takes as many as there can be.
        let most = |edge: u32| (edge / 64).checked_ilog2().unwrap_or(0).min(2);
        options.set("tile-columns", dice.range(0..=most(shape.width)));
        options.set("tile-rows", dice.range(0..=most(shape.height)));
    }
    if dice.one_in(3) {
        let mut told = Options::default();
        told.set("film-grain-test", dice.range(1..=16));
        options.set("aom-params", told.joined());
    }
    let extension = dice.pick(&["mp4", "mkv", "webm", "ivf", "obu"]);
    Draft { shape, options, extension, traits: Traits::default() }
}

pub(super) fn svt(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 64, step: 2, pixels: 2_000_000 });
    let mut options = Options::default();
    depth(dice, &mut shape, &mut options);
    options.set("preset", dice.range(5..=12));
    options.set("crf", dice.range(5..=63));
    options.set("g", dice.range(4..=40));
    let mut told = Options::default();
    told.set("lp", 1);
    if dice.one_in(2) {
        told.set("pred-struct", 1);
    }
    if dice.one_in(3) {
        told.set("film-grain", dice.range(1..=50));
    }
    if dice.one_in(3) {
        told.set("scm", 1);
    }
    options.set("svtav1-params", told.joined());
    let extension = dice.pick(&["mp4", "mkv", "webm", "ivf", "obu"]);
    Draft { shape, options, extension, traits: Traits { segments: true, ..Traits::default() } }
}

pub(super) fn rav1e(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 16, step: 1, pixels: 800_000 });
    let mut options = Options::default();
    depth(dice, &mut shape, &mut options);
    options.set("speed", dice.range(7..=10));
    options.set("qp", dice.range(1..=255));
    options.set("g", dice.range(4..=40));
    if dice.one_in(2) {
        options.set("tiles", dice.pick(&[1, 2, 4, 8]));
    }
    if dice.one_in(2) {
        options.set("rav1e-params", "low_latency=true");
    }
    let extension = dice.pick(&["mp4", "mkv", "ivf", "obu"]);
    Draft { shape, options, extension, traits: Traits { segments: true, ..Traits::default() } }
}
