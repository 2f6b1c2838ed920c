//! Picture parameters → frame control, but for what depends on the reference slots.

use daedalus_uapi::av1::{
    Frame, LOOP_RESTORATION_USES_CHROMA_LR, LOOP_RESTORATION_USES_LR, Segmentation, frame_flag,
    frame_type, global_motion_flag, loop_filter_flag, quantization_flag, segmentation_flag,
    warp_model,
};

use super::{
    params::Params,
    tiles::{Superblocks, columns_fit, tile_info},
};
use crate::error::{Error, Result};

/// Fills the zeroed control but for references: order_hints, reference_frame_ts, ref_frame_idx,
/// refresh_frame_flags, skip_mode_frame and the order hint's part in the flags are left zero.
/// `context_width` is the width that the client's context has.
pub fn fill(p: &Params, context_width: u32, f: &mut Frame) -> Result<()> {
    let b = &p.buffer;
    let pic = &p.pic;
    let intra = matches!(p.frame_type(), frame_type::KEY | frame_type::INTRA_ONLY);
    f.flags = flags([
        (pic.show_frame(), frame_flag::SHOW_FRAME),
        (pic.showable_frame(), frame_flag::SHOWABLE_FRAME),
        (pic.error_resilient_mode(), frame_flag::ERROR_RESILIENT_MODE),
        (pic.disable_cdf_update(), frame_flag::DISABLE_CDF_UPDATE),
        (pic.allow_screen_content_tools(), frame_flag::ALLOW_SCREEN_CONTENT_TOOLS),
        (
            // Intra frames do not code it but have it (section 5.9.2); not all clients say so.
            pic.force_integer_mv() | u32::from(intra),
            frame_flag::FORCE_INTEGER_MV,
        ),
        (pic.allow_intrabc(), frame_flag::ALLOW_INTRABC),
        (pic.use_superres(), frame_flag::USE_SUPERRES),
        (pic.allow_high_precision_mv(), frame_flag::ALLOW_HIGH_PRECISION_MV),
        (pic.is_motion_mode_switchable(), frame_flag::IS_MOTION_MODE_SWITCHABLE),
        (pic.use_ref_frame_mvs(), frame_flag::USE_REF_FRAME_MVS),
        (pic.disable_frame_end_update_cdf(), frame_flag::DISABLE_FRAME_END_UPDATE_CDF),
        (pic.allow_warped_motion(), frame_flag::ALLOW_WARPED_MOTION),
        (p.mode_control.reference_select(), frame_flag::REFERENCE_SELECT),
        (p.mode_control.reduced_tx_set_used(), frame_flag::REDUCED_TX_SET),
        (p.mode_control.skip_mode_present(), frame_flag::SKIP_MODE_PRESENT),
        (1, frame_flag::FRAME_SIZE_OVERRIDE),
    ]);
    f.frame_type = p.frame_type();
    f.order_hint = b.order_hint.into();
    f.primary_ref_frame = b.primary_ref_frame;
    f.interpolation_filter = b.interp_filter.into();
    f.tx_mode = p.mode_control.tx_mode();

    let size = frame_size(p, context_width)?;
    f.upscaled_width = size.upscaled_width;
    f.frame_width_minus_1 = size.frame_width - 1;
    f.frame_height_minus_1 = b.frame_height_minus1.into();
    f.render_width_minus_1 = (size.upscaled_width - 1) as u16;
    f.render_height_minus_1 = b.frame_height_minus1;
    f.superres_denom = size.superres_denom;
    tile_info(p, &size.superblocks, &mut f.tile_info)?;

    quantization(p, f);
    segmentation(p, f);
    loop_filter(p, f);
    cdef(p, f);
    loop_restoration(p, f);
    global_motion(p, f);
    Ok(())
}

fn flags<const N: usize>(flags: [(u32, u32); N]) -> u32 {
    flags.into_iter().filter_map(|(on, bit)| (on != 0).then_some(bit)).sum()
}

struct Size {
    upscaled_width: u32,
    frame_width: u32,
    superres_denom: u8,
    superblocks: Superblocks,
}

/// FrameWidth for an UpscaledWidth (section 5.9.8).
fn downscaled(upscaled_width: u32, denom: u32) -> u32 {
    (upscaled_width * 8 + denom / 2) / denom
}

/// With superres, VA's header and most clients say how wide the finished picture is; some say how wide
/// the coded one is. The tile columns tell which, because they divide the coded width.
fn frame_size(p: &Params, context_width: u32) -> Result<Size> {
    let b = &p.buffer;
    let said = u32::from(b.frame_width_minus1) + 1;
    let height = u32::from(b.frame_height_minus1) + 1;
    let big = p.seq.use_128x128_superblock() != 0;
    let size = |upscaled_width: u32, frame_width: u32, superres_denom: u8| {
        let superblocks = Superblocks::new(frame_width, height, big);
        Size { upscaled_width, frame_width, superres_denom, superblocks }
    };
    if p.pic.use_superres() == 0 {
        return Ok(size(said, said, 8));
    }
    let superres_denom = b.superres_scale_denominator;
    let denom = u32::from(superres_denom);
    if !(9..=16).contains(&denom) {
        return Err(Error::Decoding(format!("superres_scale_denominator {denom}")));
    }
    let upscaled = size(said, downscaled(said, denom), superres_denom);
    if columns_fit(p, &upscaled.superblocks) {
        return Ok(upscaled);
    }
    let near = said * denom / 8;
    let fits = |width: &u32| (1..=65536).contains(width) && downscaled(*width, denom) == said;
    let whole = [context_width].into_iter().chain(near.saturating_sub(2)..=near + 2).find(fits);
    match whole.map(|width| size(width, said, superres_denom)) {
        Some(coded) if columns_fit(p, &coded.superblocks) => Ok(coded),
        _ => Ok(upscaled),
    }
}

fn quantization(p: &Params, f: &mut Frame) {
    let (b, q) = (&p.buffer, &mut f.quantization);
    q.flags = [
        (
            (b.u_dc_delta_q, b.u_ac_delta_q) != (b.v_dc_delta_q, b.v_ac_delta_q),
            quantization_flag::DIFF_UV_DELTA,
        ),
        (p.qmatrix.using_qmatrix() != 0, quantization_flag::USING_QMATRIX),
        (p.mode_control.delta_q_present_flag() != 0, quantization_flag::DELTA_Q_PRESENT),
    ]
    .into_iter()
    .filter_map(|(on, bit)| on.then_some(bit))
    .sum();
    q.base_q_idx = b.base_qindex;
    q.delta_q_y_dc = b.y_dc_delta_q;
    q.delta_q_u_dc = b.u_dc_delta_q;
    q.delta_q_u_ac = b.u_ac_delta_q;
    q.delta_q_v_dc = b.v_dc_delta_q;
    q.delta_q_v_ac = b.v_ac_delta_q;
    q.qm_y = p.qmatrix.qm_y() as u8;
    q.qm_u = p.qmatrix.qm_u() as u8;
    q.qm_v = p.qmatrix.qm_v() as u8;
    q.delta_q_res = p.mode_control.log2_delta_q_res() as u8;
}

fn segmentation(p: &Params, f: &mut Frame) {
    let (b, seg) = (&p.buffer.seg_info, &mut f.segmentation);
    if p.segment.enabled() == 0 {
        return;
    }
    seg.feature_enabled = b.feature_mask;
    seg.feature_data = b.feature_data;
    seg.flags = [
        (true, segmentation_flag::ENABLED),
        (p.segment.update_map() != 0, segmentation_flag::UPDATE_MAP),
        (p.segment.temporal_update() != 0, segmentation_flag::TEMPORAL_UPDATE),
        (p.segment.update_data() != 0, segmentation_flag::UPDATE_DATA),
    ]
    .into_iter()
    .filter_map(|(on, bit)| on.then_some(bit))
    .sum();
    segment_ids(seg);
}

/// SegIdPreSkip and LastActiveSegId, which follow from the features (section 5.9.14).
pub fn segment_ids(seg: &mut Segmentation) {
    const SEG_LVL_REF_FRAME: usize = 5;
    let active = |mask: &u8| *mask != 0;
    seg.last_active_seg_id = seg.feature_enabled.iter().rposition(active).unwrap_or(0) as u8;
    seg.flags &= !segmentation_flag::SEG_ID_PRE_SKIP;
    if seg.feature_enabled.iter().any(|mask| mask >> SEG_LVL_REF_FRAME != 0) {
        seg.flags |= segmentation_flag::SEG_ID_PRE_SKIP;
    }
}

fn loop_filter(p: &Params, f: &mut Frame) {
    let (b, lf) = (&p.buffer, &mut f.loop_filter);
    lf.flags = [
        (p.loop_filter.mode_ref_delta_enabled() != 0, loop_filter_flag::DELTA_ENABLED),
        (p.loop_filter.mode_ref_delta_update() != 0, loop_filter_flag::DELTA_UPDATE),
        (p.mode_control.delta_lf_present_flag() != 0, loop_filter_flag::DELTA_LF_PRESENT),
        (p.mode_control.delta_lf_multi() != 0, loop_filter_flag::DELTA_LF_MULTI),
    ]
    .into_iter()
    .filter_map(|(on, bit)| on.then_some(bit))
    .sum();
    lf.level = [b.filter_level[0], b.filter_level[1], b.filter_level_u, b.filter_level_v];
    lf.sharpness = p.loop_filter.sharpness_level();
    lf.ref_deltas = b.ref_deltas;
    lf.mode_deltas = b.mode_deltas;
    lf.delta_lf_res = p.mode_control.log2_delta_lf_res() as u8;
}

/// VA packs primary and secondary strength into six bits, as they are coded.
fn cdef(p: &Params, f: &mut Frame) {
    let (b, cdef) = (&p.buffer, &mut f.cdef);
    cdef.damping_minus_3 = b.cdef_damping_minus_3;
    cdef.bits = b.cdef_bits;
    let unpack = |packed: &[u8; 8], primary: &mut [u8; 8], secondary: &mut [u8; 8]| {
        for (i, packed) in packed.iter().enumerate() {
            primary[i] = packed >> 2 & 0xf;
            secondary[i] = if packed & 3 == 3 { 4 } else { packed & 3 };
        }
    };
    unpack(&b.cdef_y_strengths, &mut cdef.y_pri_strength, &mut cdef.y_sec_strength);
    unpack(&b.cdef_uv_strengths, &mut cdef.uv_pri_strength, &mut cdef.uv_sec_strength);
}

fn loop_restoration(p: &Params, f: &mut Frame) {
    const RESTORATION_TILESIZE_MAX: u32 = 256;
    let (bits, lr) = (&p.loop_restoration, &mut f.loop_restoration);
    let kinds = [
        bits.yframe_restoration_type(),
        bits.cbframe_restoration_type(),
        bits.crframe_restoration_type(),
    ];
    lr.frame_restoration_type = kinds.map(u32::from);
    if kinds == [0; 3] {
        return;
    }
    lr.flags |= LOOP_RESTORATION_USES_LR;
    if kinds[1..] != [0; 2] {
        lr.flags |= LOOP_RESTORATION_USES_CHROMA_LR;
    }
    // VA says 0 to 2; 3 is impossible and means the largest.
    lr.lr_unit_shift = bits.lr_unit_shift().min(2) as u8;
    lr.lr_uv_shift = bits.lr_uv_shift() as u8;
    let luma = RESTORATION_TILESIZE_MAX >> (2 - lr.lr_unit_shift);
    let chroma = luma >> lr.lr_uv_shift;
    lr.loop_restoration_size = [luma, chroma, chroma];
}

fn global_motion(p: &Params, f: &mut Frame) {
    const NONE: [i32; 6] = [0, 0, 1 << 16, 0, 0, 1 << 16];
    let gm = &mut f.global_motion;
    for (i, wm) in p.buffer.wm.iter().enumerate() {
        let reference = i + 1;
        gm.kind[reference] = wm.wmtype;
        gm.params[reference].copy_from_slice(&wm.wmmat[..6]);
        gm.flags[reference] = match wm.wmtype {
            warp_model::IDENTITY => 0,
            warp_model::ROTZOOM => global_motion_flag::IS_GLOBAL | global_motion_flag::IS_ROT_ZOOM,
            warp_model::TRANSLATION => {
                global_motion_flag::IS_GLOBAL | global_motion_flag::IS_TRANSLATION
            }
            _ => global_motion_flag::IS_GLOBAL,
        };
        if wm.wmtype == warp_model::IDENTITY {
            gm.params[reference] = NONE;
        }
        if wm.invalid != 0 {
            gm.invalid |= 1 << reference;
        }
    }
}
