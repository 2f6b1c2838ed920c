//! Global motion parameters (AV1 sections 5.9.24 to 5.9.28): coded relative to those saved with the
//! primary reference frame.

use daedalus_uapi::av1::{GlobalMotion, warp_model};

use super::bits::{Bits, invalid};
use crate::Result;

/// gm_params of one frame, by reference name.
pub(super) type Params = [[i32; 6]; 8];

const WARPEDMODEL_PREC_BITS: u32 = 16;
const GM_ABS_ALPHA_BITS: u32 = 12;
const GM_ALPHA_PREC_BITS: u32 = 15;
const GM_ABS_TRANS_ONLY_BITS: u32 = 9;
const GM_TRANS_ONLY_PREC_BITS: u32 = 3;
const GM_ABS_TRANS_BITS: u32 = 12;
const GM_TRANS_PREC_BITS: u32 = 6;

const LAST_FRAME: usize = 1;
const ALTREF_FRAME: usize = 7;

/// The parameters of no motion at all.
pub(super) const DEFAULT_PARAMS: Params = {
    let one = 1 << WARPEDMODEL_PREC_BITS;
    [[0, 0, one, 0, 0, one]; 8]
};

/// global_motion_params() of an inter frame. Returns gm_params as a decoder arrives at them, to be saved
/// with the frame.
pub(super) fn global_motion_params(
    w: &mut Bits,
    gm: &GlobalMotion,
    allow_high_precision_mv: bool,
    prev_gm_params: &Params,
) -> Result<Params> {
    let mut gm_params = DEFAULT_PARAMS;
    for reference in LAST_FRAME..=ALTREF_FRAME {
        let kind = gm.kind[reference];
        if kind > warp_model::AFFINE {
            return Err(invalid(format!("gm_type[{reference}]: {kind}")));
        }
        w.flag("is_global", kind != warp_model::IDENTITY)?;
        if kind != warp_model::IDENTITY {
            w.flag("is_rot_zoom", kind == warp_model::ROTZOOM)?;
            if kind != warp_model::ROTZOOM {
                w.flag("is_translation", kind == warp_model::TRANSLATION)?;
            }
        }
        let mut param = |idx: usize| -> Result<()> {
            let prev = prev_gm_params[reference][idx];
            gm_params[reference][idx] = write_global_param(
                w,
                kind,
                idx,
                gm.params[reference][idx],
                prev,
                allow_high_precision_mv,
            )?;
            Ok(())
        };
        if kind >= warp_model::ROTZOOM {
            param(2)?;
            param(3)?;
            if kind == warp_model::AFFINE {
                param(4)?;
                param(5)?;
            }
        }
        if kind >= warp_model::TRANSLATION {
            param(0)?;
            param(1)?;
        }
        if kind == warp_model::ROTZOOM {
            gm_params[reference][4] = -gm_params[reference][3];
            gm_params[reference][5] = gm_params[reference][2];
        }
    }
    Ok(gm_params)
}

/// The inverse of read_global_param(). Returns the value that a reader arrives at.
fn write_global_param(
    w: &mut Bits,
    kind: u32,
    idx: usize,
    value: i32,
    prev: i32,
    allow_high_precision_mv: bool,
) -> Result<i32> {
    let (abs_bits, prec_bits) = if idx >= 2 {
        (GM_ABS_ALPHA_BITS, GM_ALPHA_PREC_BITS)
    } else if kind == warp_model::TRANSLATION {
        let less = u32::from(!allow_high_precision_mv);
        (GM_ABS_TRANS_ONLY_BITS - less, GM_TRANS_ONLY_PREC_BITS - less)
    } else {
        (GM_ABS_TRANS_BITS, GM_TRANS_PREC_BITS)
    };
    let prec_diff = WARPEDMODEL_PREC_BITS - prec_bits;
    let (round, sub) =
        if idx % 3 == 2 { (1 << WARPEDMODEL_PREC_BITS, 1 << prec_bits) } else { (0, 0) };
    let mx = 1i32 << abs_bits;
    let r = (prev >> prec_diff) - sub;
    let x = (value >> prec_diff) - sub;
    if !(-mx..=mx).contains(&x) {
        return Err(invalid(format!("gm_params[{idx}]: {value}")));
    }
    signed_subexp_with_ref(w, -mx, mx + 1, r, x)?;
    Ok((x << prec_diff) + round)
}

/// The inverse of decode_signed_subexp_with_ref(low, high, r), for a value `low <= x < high`.
fn signed_subexp_with_ref(w: &mut Bits, low: i32, high: i32, r: i32, x: i32) -> Result<()> {
    unsigned_subexp_with_ref(w, high - low, r - low, x - low)
}

/// The inverse of decode_unsigned_subexp_with_ref(mx, r).
fn unsigned_subexp_with_ref(w: &mut Bits, mx: i32, r: i32, x: i32) -> Result<()> {
    let v = if r << 1 <= mx { recenter(r, x) } else { recenter(mx - 1 - r, mx - 1 - x) };
    subexp(w, mx as u32, v as u32)
}

/// The v for which inverse_recenter(r, v) is `x`.
fn recenter(r: i32, x: i32) -> i32 {
    if x > r << 1 {
        x
    } else if x >= r {
        (x - r) << 1
    } else {
        ((r - x) << 1) - 1
    }
}

/// The inverse of decode_subexp(numSyms).
fn subexp(w: &mut Bits, num_syms: u32, v: u32) -> Result<()> {
    let mut i = 0;
    let mut mk = 0;
    let k = 3;
    loop {
        let b2 = if i > 0 { k + i - 1 } else { k };
        let a = 1 << b2;
        if num_syms <= mk + 3 * a {
            return w.ns("subexp_final_bits", num_syms - mk, v - mk);
        }
        let more = v >= mk + a;
        w.flag("subexp_more_bits", more)?;
        if !more {
            return w.f("subexp_bits", b2, v - mk);
        }
        i += 1;
        mk += a;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::Reader, *};

    /// decode_signed_subexp_with_ref() as the specification words it.
    fn read(bits: &mut Reader<'_>, low: i32, high: i32, r: i32) -> i32 {
        let (mx, r) = (high - low, r - low);
        let v = {
            let (mut i, mut mk, k) = (0, 0, 3);
            loop {
                let b2 = if i > 0 { k + i - 1 } else { k };
                let a = 1 << b2;
                if mx <= mk + 3 * a {
                    break bits.ns((mx - mk) as u32) as i32 + mk;
                }
                if bits.f(1) == 1 {
                    i += 1;
                    mk += a;
                } else {
                    break bits.f(b2) as i32 + mk;
                }
            }
        };
        let inverse_recenter = |r: i32, v: i32| {
            if v > 2 * r {
                v
            } else if v & 1 == 1 {
                r - ((v + 1) >> 1)
            } else {
                r + (v >> 1)
            }
        };
        let x = if r << 1 <= mx {
            inverse_recenter(r, v)
        } else {
            mx - 1 - inverse_recenter(mx - 1 - r, v)
        };
        x + low
    }

    #[test]
    fn every_value_against_every_reference_reads_back() {
        for (mx, step) in [(1i32 << 8, 7), (1 << 9, 13), (1 << 12, 151)] {
            for r in (-mx..=mx).step_by(step).chain([mx, 0, 1, -1]) {
                for x in (-mx..=mx).step_by(step).chain([mx, r, 0, 1, -1]) {
                    let mut w = Bits::new();
                    signed_subexp_with_ref(&mut w, -mx, mx + 1, r, x).unwrap();
                    w.byte_alignment();
                    let bytes = w.into_bytes();
                    assert_eq!(read(&mut Reader::new(&bytes), -mx, mx + 1, r), x, "{mx} {r} {x}");
                }
            }
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for value in [i32::MIN, i32::MAX, 1 << 30] {
            let mut w = Bits::new();
            assert!(write_global_param(&mut w, warp_model::AFFINE, 2, value, 0, true).is_err());
            assert!(
                write_global_param(&mut w, warp_model::TRANSLATION, 0, value, 0, false).is_err()
            );
        }
    }
}
