//! film_grain_params() (AV1 section 5.9.30), always in full: never "take those of a reference".

use daedalus_uapi::av1::{FilmGrain, film_grain_flag, frame_type};

use super::bits::{Bits, invalid};
use crate::Result;

/// film_grain_params() where the frame is shown or showable.
pub(super) fn film_grain_params(
    w: &mut Bits,
    grain: &FilmGrain,
    kind: u32,
    mono_chrome: bool,
) -> Result<()> {
    let flag = |bit: u8| grain.flags & bit != 0;
    let apply_grain = flag(film_grain_flag::APPLY_GRAIN);
    w.flag("apply_grain", apply_grain)?;
    if !apply_grain {
        return Ok(());
    }
    w.f("grain_seed", 16, grain.grain_seed)?;
    if kind == frame_type::INTER {
        w.flag("update_grain", true)?;
    }
    let points = |w: &mut Bits, name: &str, most: u8, count: u8, value: &[u8], scaling: &[u8]| {
        if count > most {
            return Err(invalid(format!("num_{name}_points: {count}")));
        }
        w.f(&format!("num_{name}_points"), 4, count)?;
        for (value, scaling) in value.iter().zip(scaling).take(count.into()) {
            w.f(&format!("point_{name}_value"), 8, *value)?;
            w.f(&format!("point_{name}_scaling"), 8, *scaling)?;
        }
        Ok(())
    };
    let num_y_points = grain.num_y_points;
    points(w, "y", 14, num_y_points, &grain.point_y_value, &grain.point_y_scaling)?;
    let chroma_scaling_from_luma = !mono_chrome && flag(film_grain_flag::CHROMA_SCALING_FROM_LUMA);
    if !mono_chrome {
        w.flag("chroma_scaling_from_luma", chroma_scaling_from_luma)?;
    }
    // 4:2:0: without luma points there are no chroma points either.
    let (num_cb_points, num_cr_points) =
        if mono_chrome || chroma_scaling_from_luma || num_y_points == 0 {
            (0, 0)
        } else {
            let (cb, cr) = (grain.num_cb_points, grain.num_cr_points);
            points(w, "cb", 10, cb, &grain.point_cb_value, &grain.point_cb_scaling)?;
            points(w, "cr", 10, cr, &grain.point_cr_value, &grain.point_cr_scaling)?;
            (cb, cr)
        };
    w.f("grain_scaling_minus_8", 2, grain.grain_scaling_minus_8)?;
    w.f("ar_coeff_lag", 2, grain.ar_coeff_lag)?;
    let lag = usize::from(grain.ar_coeff_lag);
    let num_pos_luma = 2 * lag * (lag + 1);
    let num_pos_chroma = if num_y_points > 0 { num_pos_luma + 1 } else { num_pos_luma };
    if num_y_points > 0 {
        for coeff in &grain.ar_coeffs_y_plus_128[..num_pos_luma] {
            w.f("ar_coeffs_y_plus_128", 8, *coeff)?;
        }
    }
    if chroma_scaling_from_luma || num_cb_points > 0 {
        for coeff in &grain.ar_coeffs_cb_plus_128[..num_pos_chroma] {
            w.f("ar_coeffs_cb_plus_128", 8, *coeff)?;
        }
    }
    if chroma_scaling_from_luma || num_cr_points > 0 {
        for coeff in &grain.ar_coeffs_cr_plus_128[..num_pos_chroma] {
            w.f("ar_coeffs_cr_plus_128", 8, *coeff)?;
        }
    }
    w.f("ar_coeff_shift_minus_6", 2, grain.ar_coeff_shift_minus_6)?;
    w.f("grain_scale_shift", 2, grain.grain_scale_shift)?;
    if num_cb_points > 0 {
        w.f("cb_mult", 8, grain.cb_mult)?;
        w.f("cb_luma_mult", 8, grain.cb_luma_mult)?;
        w.f("cb_offset", 9, grain.cb_offset)?;
    }
    if num_cr_points > 0 {
        w.f("cr_mult", 8, grain.cr_mult)?;
        w.f("cr_luma_mult", 8, grain.cr_luma_mult)?;
        w.f("cr_offset", 9, grain.cr_offset)?;
    }
    w.flag("overlap_flag", flag(film_grain_flag::OVERLAP))?;
    w.flag("clip_to_restricted_range", flag(film_grain_flag::CLIP_TO_RESTRICTED_RANGE))
}
