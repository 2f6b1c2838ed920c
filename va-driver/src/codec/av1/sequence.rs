//! Picture parameters → sequence control.

use daedalus_uapi::av1::{Sequence, sequence_flag as flag};

use super::params::Params;
use crate::error::{Error, Result};

/// Fills the zeroed control. The switches that VA hides are on: whether a tool is used is said per frame.
pub fn fill(p: &Params, sequence: &mut Sequence) -> Result<()> {
    if p.buffer.profile != 0 {
        return Err(Error::InvalidParameter(format!("AV1 profile {}", p.buffer.profile)));
    }
    let s = &p.seq;
    let mono_chrome = s.mono_chrome() != 0;
    let order_hint = s.enable_order_hint() != 0;
    sequence.flags = [
        (s.still_picture() != 0, flag::STILL_PICTURE),
        (s.use_128x128_superblock() != 0, flag::USE_128X128_SUPERBLOCK),
        (s.enable_filter_intra() != 0, flag::ENABLE_FILTER_INTRA),
        (s.enable_intra_edge_filter() != 0, flag::ENABLE_INTRA_EDGE_FILTER),
        (s.enable_interintra_compound() != 0, flag::ENABLE_INTERINTRA_COMPOUND),
        (s.enable_masked_compound() != 0, flag::ENABLE_MASKED_COMPOUND),
        (true, flag::ENABLE_WARPED_MOTION),
        (s.enable_dual_filter() != 0, flag::ENABLE_DUAL_FILTER),
        (order_hint, flag::ENABLE_ORDER_HINT),
        (order_hint && s.enable_jnt_comp() != 0, flag::ENABLE_JNT_COMP),
        (order_hint, flag::ENABLE_REF_FRAME_MVS),
        (true, flag::ENABLE_SUPERRES),
        (s.enable_cdef() != 0, flag::ENABLE_CDEF),
        (true, flag::ENABLE_RESTORATION),
        (mono_chrome, flag::MONO_CHROME),
        (s.color_range() != 0, flag::COLOR_RANGE),
        (mono_chrome || s.subsampling_x() != 0, flag::SUBSAMPLING_X),
        (mono_chrome || s.subsampling_y() != 0, flag::SUBSAMPLING_Y),
        (s.film_grain_params_present() != 0, flag::FILM_GRAIN_PARAMS_PRESENT),
        (!mono_chrome, flag::SEPARATE_UV_DELTA_Q),
    ]
    .into_iter()
    .filter_map(|(on, bit)| on.then_some(bit))
    .sum();
    sequence.seq_profile = p.buffer.profile;
    sequence.bit_depth = match p.buffer.bit_depth_idx {
        0 => 8,
        1 => 10,
        other => return Err(Error::InvalidParameter(format!("bit_depth_idx {other}"))),
    };
    if order_hint {
        sequence.order_hint_bits = match p.buffer.order_hint_bits_minus_1 {
            minus_1 @ 0..=7 => minus_1 + 1,
            other => {
                return Err(Error::InvalidParameter(format!("order_hint_bits_minus_1 {other}")));
            }
        };
    }
    sequence.max_frame_width_minus_1 = u16::MAX;
    sequence.max_frame_height_minus_1 = u16::MAX;
    Ok(())
}
