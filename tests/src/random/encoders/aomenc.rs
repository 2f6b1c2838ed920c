//! aomenc: AV1 Main in 8 and 10 bits.
//!
//! Left out: large-scale tile coding, which is no stream to play, and Annex B, whose framing the tests
//! of the clients cover. And forward key frames (`--enable-fwd-kf`): where one is shown, GStreamer has it
//! replace one reference instead of all, and so has ffmpeg (and mpv) with film grain; what ffmpeg forgets
//! of it without grain, the driver makes up for.

use super::{Draft, Traits};
use crate::random::dice::Dice;
use crate::random::options::Options;
use crate::random::shape::{Bounds, Shape};

pub(super) fn draw(dice: &mut Dice) -> Draft {
    let mut shape = Shape::draw(dice, Bounds { least: 1, step: 1, pixels: 1_200_000 });
    let mut options = Options::default();
    let mut traits = Traits::default();
    if dice.one_in(3) {
        shape.depth = 10;
        options.set("bit-depth", 10);
        options.set("input-bit-depth", 10);
    }
    let realtime = match dice.range(0..=9) {
        0..=5 => {
            options.flag("good");
            options.set("cpu-used", dice.range(4..=6));
            options.set("passes", dice.range(1..=2));
            options.set("lag-in-frames", dice.pick(&[0, 1, 5, 12, 19, 25, 35]));
            false
        }
        6 | 7 => {
            options.flag("rt");
            options.set("cpu-used", dice.range(6..=10));
            options.set("passes", 1);
            options.set("lag-in-frames", 0);
            true
        }
        8 => {
            options.flag("allintra");
            options.set("cpu-used", dice.range(5..=9));
            options.set("passes", 1);
            false
        }
        _ => {
            // One frame gets the reduced header of a still picture, unless told otherwise.
            options.set("limit", 1);
            options.set("cpu-used", 6);
            options.set("passes", 1);
            if dice.one_in(2) {
                options.flag("full-still-picture-hdr");
            }
            shape.frames = 1;
            false
        }
    };
    rate(dice, realtime, &mut options);
    sizes(dice, realtime, &shape, &mut options, &mut traits);
    structure(dice, &shape, &mut options, traits);
    if dice.one_in(12) {
        options.flag("monochrome");
        traits.monochrome = true;
    }
    tools(dice, &mut options, &mut traits);
    grain(dice, &shape, &mut options);
    colours(dice, &mut options);
    let extension = dice.weighted(&[(3, "ivf"), (1, "obu"), (2, "webm")]);
    // For WebM it reads its own sequence header again, and dies of timing information (3.6).
    if extension != "webm" && dice.one_in(6) {
        options.set("timing-info", dice.pick(&["constant", "model"]));
    }
    options.flag(extension);
    Draft { shape, options, extension, traits }
}

fn rate(dice: &mut Dice, realtime: bool, options: &mut Options) {
    match dice.range(0..=5) {
        0 if !realtime => options.set("lossless", 1),
        1 | 2 => {
            options.set("end-usage", if realtime { "cbr" } else { "vbr" });
            options.set("target-bitrate", dice.range(20..=600));
        }
        _ => {
            options.set("end-usage", "q");
            options.set("cq-level", dice.range(1..=63));
        }
    }
}

/// Super-resolution and coded sizes other than the shown one.
fn sizes(
    dice: &mut Dice,
    realtime: bool,
    shape: &Shape,
    options: &mut Options,
    traits: &mut Traits,
) {
    // The encoder has no scaled size for less.
    if realtime || shape.width < 32 || shape.height < 32 {
        return;
    }
    let (superres, resize) = (dice.one_in(4), dice.one_in(4));
    // Two fixed scales may come to less than half, which it takes for an error of its own.
    let both = superres && resize;
    if superres {
        let mode = if both { 2 } else { dice.weighted(&[(2, 1), (3, 2), (1, 3), (1, 4)]) };
        options.set("superres-mode", mode);
        if mode == 1 {
            options.set("superres-denominator", dice.range(8..=16));
            options.set("superres-kf-denominator", dice.range(8..=16));
        }
        if mode == 4 {
            // With the model it stops at an assertion (3.6).
            options.set("enable-tpl-model", 0);
        }
    }
    if resize {
        let mode = if both { 2 } else { dice.weighted(&[(2, 1), (3, 2)]) };
        options.set("resize-mode", mode);
        if mode == 1 {
            options.set("resize-denominator", dice.range(8..=16));
            options.set("resize-kf-denominator", dice.range(8..=16));
        }
        traits.resizes = true;
    }
}

/// Which frames there are and what they refer to.
fn structure(dice: &mut Dice, shape: &Shape, options: &mut Options, traits: Traits) {
    if dice.one_in(3) {
        options.set("kf-max-dist", dice.range(0..=12));
    }
    // Where sizes change, it codes S-frames that its own decoder rejects (3.6).
    if dice.one_in(8) && !traits.resizes {
        options.set("sframe-dist", dice.range(3..=8));
        options.set("sframe-mode", dice.range(1..=2));
    }
    if dice.one_in(5) {
        options.set("error-resilient", 1);
    }
    if dice.one_in(5) {
        options.set("frame-parallel", 1);
    }
    if dice.one_in(4) {
        options.set("gf-max-pyr-height", dice.range(0..=5));
    }
    if dice.one_in(4) {
        let (least, more) = (dice.range(1..=6), dice.range(0..=10));
        options.set("min-gf-interval", least);
        options.set("max-gf-interval", (least + more).max(2));
    }
    if dice.one_in(5) {
        options.set("max-reference-frames", dice.range(3..=7));
    }
    if dice.one_in(6) {
        options.set("reduced-reference-set", 1);
    }
    if dice.one_in(6) {
        options.set("enable-overlay", dice.range(0..=1));
    }
    if dice.one_in(6) {
        options.set("enable-keyframe-filtering", dice.range(0..=2));
    }
    // Super-resolution may leave less than the smallest width of a tile.
    if dice.one_in(2) && (!options.has("superres-mode") || shape.width < 128) {
        options.set("tile-columns", dice.range(0..=3));
        options.set("tile-rows", dice.range(0..=3));
    }
    if dice.one_in(5) {
        options.set("num-tile-groups", dice.range(2..=6));
    }
}

/// The coding tools: most switches stay where the encoder has them.
fn tools(dice: &mut Dice, options: &mut Options, traits: &mut Traits) {
    const SWITCHES: [&str; 34] = [
        "enable-cdef",
        "enable-restoration",
        "enable-palette",
        "enable-intrabc",
        "enable-warped-motion",
        "enable-global-motion",
        "enable-obmc",
        "enable-ref-frame-mvs",
        "enable-order-hint",
        "enable-dual-filter",
        "enable-chroma-deltaq",
        "enable-intra-edge-filter",
        "enable-tx64",
        "enable-flip-idtx",
        "enable-rect-tx",
        "enable-dist-wtd-comp",
        "enable-masked-comp",
        "enable-onesided-comp",
        "enable-interintra-comp",
        "enable-diff-wtd-comp",
        "enable-interinter-wedge",
        "enable-interintra-wedge",
        "enable-filter-intra",
        "enable-smooth-intra",
        "enable-paeth-intra",
        "enable-cfl-intra",
        "enable-diagonal-intra",
        "enable-angle-delta",
        "enable-rect-partitions",
        "enable-ab-partitions",
        "enable-1to4-partitions",
        "enable-qm",
        "reduced-tx-type-set",
        "delta-lf-mode",
    ];
    for switch in SWITCHES {
        let set = dice.one_in(7).then(|| dice.range(0..=1));
        // Lossless has no quantiser to vary.
        let excluded = options.has("lossless") && switch == "enable-chroma-deltaq";
        if let Some(value) = set.filter(|_| !excluded) {
            options.set(switch, value);
        }
    }
    if dice.one_in(3) {
        options.set("sb-size", dice.pick(&["64", "128", "dynamic"]));
    }
    if dice.one_in(4) {
        options.set("cdf-update-mode", dice.range(0..=2));
    }
    // The one client that decodes monochrome streams does not decode segments; lossless has none.
    if dice.one_in(4) && !traits.monochrome && !options.has("lossless") {
        options.set("aq-mode", dice.range(0..=3));
        traits.segments = true;
    }
    if dice.one_in(4) && !options.has("lossless") {
        options.set("deltaq-mode", dice.range(0..=3));
    }
    if dice.one_in(6) {
        options.set("loopfilter-control", dice.range(0..=3));
    }
    if dice.one_in(5) {
        options.set("sharpness", dice.range(1..=7));
    }
    if dice.one_in(3) {
        let content = dice.pick(&["screen", "film"]);
        // Film means grain, in the chroma too.
        if content == "screen" || !traits.monochrome {
            options.set("tune-content", content);
        }
    }
    if dice.one_in(6) {
        let least = dice.range(0..=15);
        options.set("qm-min", least);
        options.set("qm-max", dice.range(least..=15));
    }
    if dice.one_in(6) {
        options.set("min-partition-size", dice.pick(&[4, 8, 16]));
        options.set("max-partition-size", dice.pick(&[32, 64, 128]));
    }
}

/// Film grain.
fn grain(dice: &mut Dice, shape: &Shape, options: &mut Options) {
    match dice.range(0..=7) {
        // The test vectors have grain in the chroma.
        0 | 1 if !options.has("monochrome") => {
            options.set("film-grain-test", dice.range(1..=16));
        }
        // The denoiser works on blocks of 32.
        2 if shape.width >= 64 && shape.height >= 64 && !options.has("monochrome") => {
            options.set("denoise-noise-level", dice.range(1..=50));
            options.set("enable-dnl-denoising", dice.range(0..=1));
        }
        _ => {}
    }
}

/// What stands in the sequence header only.
fn colours(dice: &mut Dice, options: &mut Options) {
    if dice.one_in(8) {
        options.set("color-primaries", "bt2020");
        options.set("transfer-characteristics", dice.pick(&["smpte2084", "hlg"]));
        options.set("matrix-coefficients", "bt2020ncl");
    }
}
