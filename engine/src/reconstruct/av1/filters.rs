//! The in-loop filters: deblocking, CDEF and loop restoration (AV1 sections 5.9.11, 5.9.19, 5.9.20).

use daedalus_uapi::av1::{loop_filter_flag, restoration_type};

use super::{
    bits::{Bits, invalid},
    frame_header::FrameState,
};
use crate::Result;

/// loop_filter_params(), the deltas always in full.
pub(super) fn loop_filter_params(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    if s.coded_lossless || s.allow_intrabc {
        return Ok(());
    }
    let lf = &s.frame.loop_filter;
    w.f("loop_filter_level[0]", 6, lf.level[0])?;
    w.f("loop_filter_level[1]", 6, lf.level[1])?;
    if s.sequence.num_planes() > 1 && (lf.level[0] != 0 || lf.level[1] != 0) {
        w.f("loop_filter_level[2]", 6, lf.level[2])?;
        w.f("loop_filter_level[3]", 6, lf.level[3])?;
    }
    w.f("loop_filter_sharpness", 3, lf.sharpness)?;
    let delta_enabled = lf.flags & loop_filter_flag::DELTA_ENABLED != 0;
    w.flag("loop_filter_delta_enabled", delta_enabled)?;
    if delta_enabled {
        w.flag("loop_filter_delta_update", true)?;
        for delta in lf.ref_deltas {
            w.flag("update_ref_delta", true)?;
            w.su("loop_filter_ref_deltas", 7, delta.into())?;
        }
        for delta in lf.mode_deltas {
            w.flag("update_mode_delta", true)?;
            w.su("loop_filter_mode_deltas", 7, delta.into())?;
        }
    }
    Ok(())
}

/// cdef_params().
pub(super) fn cdef_params(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    if s.coded_lossless || s.allow_intrabc || !s.sequence.enable_cdef {
        return Ok(());
    }
    let cdef = &s.frame.cdef;
    w.f("cdef_damping_minus_3", 2, cdef.damping_minus_3)?;
    w.f("cdef_bits", 2, cdef.bits)?;
    // The decoding process turns a coded 3 into 4.
    let secondary = |strength: u8| if strength == 4 { 3 } else { strength };
    for i in 0..1 << cdef.bits {
        w.f("cdef_y_pri_strength", 4, cdef.y_pri_strength[i])?;
        w.f("cdef_y_sec_strength", 2, secondary(cdef.y_sec_strength[i]))?;
        if s.sequence.num_planes() > 1 {
            w.f("cdef_uv_pri_strength", 4, cdef.uv_pri_strength[i])?;
            w.f("cdef_uv_sec_strength", 2, secondary(cdef.uv_sec_strength[i]))?;
        }
    }
    Ok(())
}

/// lr_params().
pub(super) fn lr_params(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    if s.all_lossless || s.allow_intrabc {
        return Ok(());
    }
    let lr = &s.frame.loop_restoration;
    let planes = s.sequence.num_planes();
    for kind in &lr.frame_restoration_type[..planes] {
        // The inverse of Remap_Lr_Type.
        let lr_type = match *kind {
            restoration_type::NONE => 0u32,
            restoration_type::SWITCHABLE => 1,
            restoration_type::WIENER => 2,
            restoration_type::SGRPROJ => 3,
            other => return Err(invalid(format!("FrameRestorationType: {other}"))),
        };
        w.f("lr_type", 2, lr_type)?;
    }
    let used = |kind: &u32| *kind != restoration_type::NONE;
    let uses_lr = lr.frame_restoration_type[..planes].iter().any(used);
    let uses_chroma_lr = lr.frame_restoration_type[1..planes].iter().any(used);
    if !uses_lr {
        return Ok(());
    }
    let size = lr.loop_restoration_size[0];
    let lr_unit_shift = match size {
        64 => 0u32,
        128 => 1,
        256 => 2,
        _ => return Err(invalid(format!("LoopRestorationSize[0]: {size}"))),
    };
    if s.sequence.use_128x128_superblock {
        if lr_unit_shift == 0 {
            return Err(invalid("LoopRestorationSize[0]: 64 with 128x128 superblocks".into()));
        }
        w.f("lr_unit_shift", 1, lr_unit_shift - 1)?;
    } else {
        w.flag("lr_unit_shift", lr_unit_shift > 0)?;
        if lr_unit_shift > 0 {
            w.f("lr_unit_extra_shift", 1, lr_unit_shift - 1)?;
        }
    }
    if uses_chroma_lr {
        // 4:2:0
        w.flag("lr_uv_shift", lr.loop_restoration_size[1] < size)?;
    }
    Ok(())
}
