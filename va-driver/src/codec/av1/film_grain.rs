//! Picture parameters → film grain control.

use daedalus_uapi::av1::{FilmGrain, film_grain_flag as flag};

use super::params::Params;

/// Fills the zeroed control; it stays zero if no grain is applied.
pub fn fill(p: &Params, grain: &mut FilmGrain) {
    let (info, from) = (&p.film_grain, &p.buffer.film_grain_info);
    if info.apply_grain() == 0 {
        return;
    }
    grain.flags = [
        (true, flag::APPLY_GRAIN),
        (true, flag::UPDATE_GRAIN),
        (info.chroma_scaling_from_luma() != 0, flag::CHROMA_SCALING_FROM_LUMA),
        (info.overlap_flag() != 0, flag::OVERLAP),
        (info.clip_to_restricted_range() != 0, flag::CLIP_TO_RESTRICTED_RANGE),
    ]
    .into_iter()
    .filter_map(|(on, bit)| on.then_some(bit))
    .sum();
    grain.grain_seed = from.grain_seed;
    grain.num_y_points = from.num_y_points;
    copy(&mut grain.point_y_value, &from.point_y_value);
    copy(&mut grain.point_y_scaling, &from.point_y_scaling);
    grain.num_cb_points = from.num_cb_points;
    copy(&mut grain.point_cb_value, &from.point_cb_value);
    copy(&mut grain.point_cb_scaling, &from.point_cb_scaling);
    grain.num_cr_points = from.num_cr_points;
    copy(&mut grain.point_cr_value, &from.point_cr_value);
    copy(&mut grain.point_cr_scaling, &from.point_cr_scaling);
    grain.grain_scaling_minus_8 = info.grain_scaling_minus_8() as u8;
    grain.ar_coeff_lag = info.ar_coeff_lag() as u8;
    offset(&mut grain.ar_coeffs_y_plus_128, &from.ar_coeffs_y);
    offset(&mut grain.ar_coeffs_cb_plus_128, &from.ar_coeffs_cb);
    offset(&mut grain.ar_coeffs_cr_plus_128, &from.ar_coeffs_cr);
    grain.ar_coeff_shift_minus_6 = info.ar_coeff_shift_minus_6() as u8;
    grain.grain_scale_shift = info.grain_scale_shift() as u8;
    grain.cb_mult = from.cb_mult;
    grain.cb_luma_mult = from.cb_luma_mult;
    grain.cb_offset = from.cb_offset;
    grain.cr_mult = from.cr_mult;
    grain.cr_luma_mult = from.cr_luma_mult;
    grain.cr_offset = from.cr_offset;
}

fn copy(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// VA has the coefficients as signed numbers, V4L2 as the syntax elements are.
fn offset(to: &mut [u8], from: &[i8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = (i16::from(*from) + 128) as u8);
}
