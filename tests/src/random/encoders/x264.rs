//! x264: what it knows of H.264 up to High and, where a client decodes it, High 10.
//!
//! Left out: lossless coding (`--qp 0`), which VA-API has no words for, and 4:2:2, 4:4:4 and RGB, which
//! the driver refuses.

use super::{Draft, Traits};
use crate::random::dice::Dice;
use crate::random::options::Options;
use crate::random::shape::{Bounds, Shape};

pub(super) fn draw(dice: &mut Dice, high10: bool) -> Draft {
    let profile = dice.weighted(&[(2, "baseline"), (2, "main"), (6, "high"), (2, "high10")]);
    let profile = if profile == "high10" && !high10 { "high" } else { profile };
    let interlaced = profile != "baseline" && dice.one_in(4);
    // Chroma of a field has half the lines again.
    let step = if interlaced { 4 } else { 2 };
    let bounds = Bounds { least: step, step, pixels: 4_000_000 };
    let mut shape = Shape::draw(dice, bounds);
    shape.interlaced = interlaced;
    if profile == "high10" {
        shape.depth = 10;
    }
    let mut options = Options::default();
    options.set("profile", profile);
    if shape.depth == 10 {
        options.set("output-depth", 10);
    }
    structure(dice, &mut options);
    if interlaced {
        options.flag(dice.pick(&["tff", "bff"]));
    } else if dice.one_in(12) && profile != "baseline" && shape.height % 4 == 0 {
        options.flag("fake-interlaced");
    }
    quality(dice, &mut options);
    tools(dice, interlaced, &mut options);
    let traits = headers(dice, &shape, profile, &mut options);
    let extension = dice.weighted(&[(5, "264"), (2, "mkv"), (1, "flv")]);
    Draft { shape, options, extension, traits }
}

/// Which pictures there are and what they refer to.
fn structure(dice: &mut Dice, options: &mut Options) {
    let presets =
        ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"];
    options.set("preset", dice.pick(&presets));
    if dice.one_in(4) {
        let tunes = [
            "film",
            "animation",
            "grain",
            "stillimage",
            "psnr",
            "ssim",
            "fastdecode",
            "zerolatency",
        ];
        options.set("tune", dice.pick(&tunes));
    }
    if dice.one_in(2) {
        options.set("ref", dice.range(1..=16));
    }
    if dice.one_in(2) {
        options.set("bframes", dice.weighted(&[(1, 0), (2, 1), (3, 3), (2, 7), (1, 16)]));
        options.set("b-adapt", dice.range(0..=2));
    }
    if dice.one_in(2) {
        options.set("b-pyramid", dice.pick(&["none", "strict", "normal"]));
    }
    match dice.range(0..=5) {
        0 => options.set("keyint", 1),
        1 | 2 => {
            let keyint = dice.range(2..=15);
            options.set("keyint", keyint);
            options.set("min-keyint", dice.range(1..=keyint / 2 + 1));
        }
        _ => options.set("keyint", "infinite"),
    }
    if dice.one_in(4) {
        options.flag("open-gop");
    }
    if dice.one_in(6) {
        options.flag("intra-refresh");
    }
    if dice.one_in(3) {
        options.set("scenecut", dice.pick(&[0, 20, 90]));
    }
    match dice.range(0..=7) {
        0 => options.set("slices", dice.range(2..=8)),
        1 => options.set("slice-max-size", dice.range(100..=1500)),
        2 => options.set("slice-max-mbs", dice.range(1..=60)),
        _ => {}
    }
}

fn quality(dice: &mut Dice, options: &mut Options) {
    match dice.range(0..=3) {
        0 => options.set("qp", dice.range(1..=51)),
        1 => {
            let rate = dice.range(40..=800);
            options.set("bitrate", rate);
            if dice.one_in(2) {
                options.set("vbv-maxrate", rate);
                options.set("vbv-bufsize", rate);
                options.set("nal-hrd", dice.pick(&["none", "vbr", "cbr"]));
            }
        }
        _ => options.set("crf", dice.range(5..=45)),
    }
    if dice.one_in(3) {
        options.set("aq-mode", dice.range(0..=3));
    }
    if dice.one_in(3) {
        options.set("chroma-qp-offset", dice.signed(-12..=12));
    }
    if dice.one_in(4) {
        options.flag("no-mbtree");
    }
    if dice.one_in(6) {
        options.set("nr", dice.range(1..=1000));
    }
}

/// The coding tools.
fn tools(dice: &mut Dice, interlaced: bool, options: &mut Options) {
    if dice.one_in(4) {
        options.flag("no-cabac");
    }
    if dice.one_in(4) {
        options.flag("no-8x8dct");
    }
    if dice.one_in(2) {
        options.set("direct", dice.pick(&["none", "spatial", "temporal", "auto"]));
    }
    if dice.one_in(2) {
        options.set("weightp", dice.range(0..=2));
    }
    if dice.one_in(4) {
        options.flag("no-weightb");
    }
    match dice.range(0..=4) {
        0 => options.flag("no-deblock"),
        1 | 2 => {
            options.set("deblock", format!("{}:{}", dice.signed(-6..=6), dice.signed(-6..=6)));
        }
        _ => {}
    }
    // With MBAFF, libavcodec finds that intra blocks of it refer to neighbours that they may not use.
    if dice.one_in(6) && !interlaced {
        options.flag("constrained-intra");
    }
    if dice.one_in(3) {
        let partitions = ["none", "all", "i4x4", "i8x8,i4x4", "p8x8,p4x4,b8x8", "p8x8,b8x8,i8x8"];
        options.set("partitions", dice.pick(&partitions));
    }
    match dice.range(0..=7) {
        0 | 1 => options.set("cqm", "jvt"),
        2 => {
            for name in ["cqm4iy", "cqm4ic", "cqm4py", "cqm4pc", "cqm8i", "cqm8p"] {
                if dice.one_in(2) {
                    let entries = if name.starts_with("cqm8") { 64 } else { 16 };
                    let list: Vec<String> =
                        (0..entries).map(|_| dice.range(4..=64).to_string()).collect();
                    options.set(name, list.join(","));
                }
            }
        }
        _ => {}
    }
    if dice.one_in(4) {
        options.set("subme", dice.range(0..=10));
        options.set("me", dice.pick(&["dia", "hex", "umh"]));
    }
    if dice.one_in(4) {
        options.set("trellis", dice.range(0..=2));
    }
}

/// What stands in the headers only.
fn headers(dice: &mut Dice, shape: &Shape, profile: &str, options: &mut Options) -> Traits {
    let mut traits = Traits::default();
    if dice.one_in(4) {
        options.flag("aud");
    }
    if dice.one_in(6) {
        options.flag("pic-struct");
    }
    if dice.one_in(8) {
        options.set("frame-packing", dice.range(0..=6));
    }
    if dice.one_in(8) {
        options.set("range", "pc");
    }
    if dice.one_in(8) {
        options.flag("bluray-compat");
    }
    if dice.one_in(10) {
        options.flag("stitchable");
    }
    if shape.width > 16 && shape.height > 16 && dice.one_in(12) {
        // Not from the left or the top: VA-API has no word for where a picture begins in its surface,
        // and the clients' copies all begin in the corner.
        options.set("crop-rect", dice.pick(&["0,0,2,0", "0,0,0,4", "0,0,6,8"]));
    }
    if dice.one_in(10) && profile == "high" {
        options.set("output-csp", "i400");
        traits.monochrome = true;
    }
    traits
}
