//! Quantizers and segments (AV1 sections 5.9.12, 5.9.14, 5.9.17, 5.9.18).

use daedalus_uapi::av1::{
    Frame, PRIMARY_REF_NONE, loop_filter_flag, quantization_flag, segmentation_flag,
};

use super::{bits::Bits, frame_header::FrameState};
use crate::Result;

const SEG_LVL_ALT_Q: usize = 0;
/// Segmentation_Feature_Bits and Segmentation_Feature_Signed.
const SEGMENTATION_FEATURES: [(u32, bool); 8] =
    [(8, true), (6, true), (6, true), (6, true), (6, true), (3, false), (0, false), (0, false)];

/// CodedLossless: no segment loses anything.
pub(super) fn coded_lossless(frame: &Frame) -> bool {
    let q = &frame.quantization;
    let deltas = [q.delta_q_y_dc, q.delta_q_u_dc, q.delta_q_u_ac, q.delta_q_v_dc, q.delta_q_v_ac];
    let seg = &frame.segmentation;
    let enabled = seg.flags & segmentation_flag::ENABLED != 0;
    let base_q_idx = i32::from(q.base_q_idx);
    deltas == [0; 5]
        && (0..8).all(|segment| {
            let alt_q = enabled && seg.feature_enabled[segment] & (1 << SEG_LVL_ALT_Q) != 0;
            let data = if alt_q { seg.feature_data[segment][SEG_LVL_ALT_Q] } else { 0 };
            base_q_idx + i32::from(data) <= 0
        })
}

/// quantization_params().
pub(super) fn quantization_params(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    let q = &s.frame.quantization;
    w.f("base_q_idx", 8, q.base_q_idx)?;
    let delta_q = |w: &mut Bits, name: &str, value: i8| {
        w.flag("delta_coded", value != 0)?;
        if value != 0 { w.su(name, 7, value.into()) } else { Ok(()) }
    };
    delta_q(w, "delta_q_y_dc", q.delta_q_y_dc)?;
    if s.sequence.num_planes() > 1 {
        let diff_uv_delta = (q.delta_q_u_dc, q.delta_q_u_ac) != (q.delta_q_v_dc, q.delta_q_v_ac);
        w.flag("diff_uv_delta", diff_uv_delta)?;
        delta_q(w, "delta_q_u_dc", q.delta_q_u_dc)?;
        delta_q(w, "delta_q_u_ac", q.delta_q_u_ac)?;
        if diff_uv_delta {
            delta_q(w, "delta_q_v_dc", q.delta_q_v_dc)?;
            delta_q(w, "delta_q_v_ac", q.delta_q_v_ac)?;
        }
    }
    let using_qmatrix = q.flags & quantization_flag::USING_QMATRIX != 0;
    w.flag("using_qmatrix", using_qmatrix)?;
    if using_qmatrix {
        w.f("qm_y", 4, q.qm_y)?;
        w.f("qm_u", 4, q.qm_u)?;
        if !s.sequence.mono_chrome {
            w.f("qm_v", 4, q.qm_v)?;
        }
    }
    Ok(())
}

/// segmentation_params(), the features always in full.
pub(super) fn segmentation_params(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    let seg = &s.frame.segmentation;
    let flag = |bit: u8| seg.flags & bit != 0;
    let enabled = flag(segmentation_flag::ENABLED);
    w.flag("segmentation_enabled", enabled)?;
    if !enabled {
        return Ok(());
    }
    if s.primary_ref_frame != PRIMARY_REF_NONE {
        let update_map = flag(segmentation_flag::UPDATE_MAP);
        w.flag("segmentation_update_map", update_map)?;
        if update_map {
            w.flag("segmentation_temporal_update", flag(segmentation_flag::TEMPORAL_UPDATE))?;
        }
        w.flag("segmentation_update_data", true)?;
    }
    for (enabled, data) in seg.feature_enabled.iter().zip(&seg.feature_data) {
        for (feature, (bits, signed)) in SEGMENTATION_FEATURES.into_iter().enumerate() {
            let feature_enabled = enabled & (1 << feature) != 0;
            w.flag("feature_enabled", feature_enabled)?;
            if !feature_enabled {
                continue;
            }
            let value = i32::from(data[feature]);
            if signed {
                w.su("feature_value", 1 + bits, value)?;
            } else if bits > 0 {
                w.f("feature_value", bits, value as u32)?; // a negative value fits no field
            }
        }
    }
    Ok(())
}

/// delta_q_params() and delta_lf_params().
pub(super) fn delta_q_and_lf_params(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    let (q, lf) = (&s.frame.quantization, &s.frame.loop_filter);
    if q.base_q_idx == 0 {
        return Ok(());
    }
    let delta_q_present = q.flags & quantization_flag::DELTA_Q_PRESENT != 0;
    w.flag("delta_q_present", delta_q_present)?;
    if !delta_q_present {
        return Ok(());
    }
    w.f("delta_q_res", 2, q.delta_q_res)?;
    if !s.allow_intrabc {
        let delta_lf_present = lf.flags & loop_filter_flag::DELTA_LF_PRESENT != 0;
        w.flag("delta_lf_present", delta_lf_present)?;
        if delta_lf_present {
            w.f("delta_lf_res", 2, lf.delta_lf_res)?;
            w.flag("delta_lf_multi", lf.flags & loop_filter_flag::DELTA_LF_MULTI != 0)?;
        }
    }
    Ok(())
}
