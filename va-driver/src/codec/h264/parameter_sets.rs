//! Sequence and picture parameter set controls from VA's picture parameters.

use daedalus_uapi::{
    FromZeros,
    h264::{
        PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT, PPS_CONSTRAINED_INTRA_PRED,
        PPS_DEBLOCKING_FILTER_CONTROL_PRESENT, PPS_ENTROPY_CODING_MODE,
        PPS_REDUNDANT_PIC_CNT_PRESENT, PPS_SCALING_MATRIX_PRESENT, PPS_TRANSFORM_8X8_MODE,
        PPS_WEIGHTED_PRED, Pps, SPS_CONSTRAINT_SET0, SPS_CONSTRAINT_SET1,
        SPS_DELTA_PIC_ORDER_ALWAYS_ZERO, SPS_DIRECT_8X8_INFERENCE, SPS_FRAME_MBS_ONLY,
        SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED, SPS_MB_ADAPTIVE_FRAME_FIELD, ScalingMatrix, Sps,
    },
};
use libva_sys as va;

use super::super::PROFILE_H264_HIGH10;
use crate::error::{Error, Result};

type Params = va::VAPictureParameterBufferH264;

fn seq(params: &Params) -> va::_VAPictureParameterBufferH264__bindgen_ty_1__bindgen_ty_1 {
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe { params.seq_fields.bits }
}

fn pic(params: &Params) -> va::_VAPictureParameterBufferH264__bindgen_ty_2__bindgen_ty_1 {
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe { params.pic_fields.bits }
}

/// Picture order counts of other types than 0 do not code it: clients (ffmpeg) say anything then.
fn log2_max_pic_order_cnt_lsb_minus4(params: &Params) -> u32 {
    let seq = seq(params);
    if seq.pic_order_cnt_type() == 0 { seq.log2_max_pic_order_cnt_lsb_minus4() } else { 0 }
}

/// Refuses what no request can express, or what the parser of slice headers must be able to rely on.
pub(super) fn check(params: &Params) -> Result<()> {
    let seq = seq(params);
    let limits = [
        ("chroma_format_idc", seq.chroma_format_idc(), 1),
        ("residual_colour_transform_flag", seq.residual_colour_transform_flag(), 0),
        ("num_slice_groups_minus1", params.num_slice_groups_minus1.into(), 0),
        ("log2_max_frame_num_minus4", seq.log2_max_frame_num_minus4(), 12),
        ("pic_order_cnt_type", seq.pic_order_cnt_type(), 2),
        ("log2_max_pic_order_cnt_lsb_minus4", log2_max_pic_order_cnt_lsb_minus4(params), 12),
        ("num_ref_frames", params.num_ref_frames.into(), 16),
        ("bit_depth_luma_minus8", params.bit_depth_luma_minus8.into(), 6),
        ("bit_depth_chroma_minus8", params.bit_depth_chroma_minus8.into(), 6),
        ("weighted_bipred_idc", pic(params).weighted_bipred_idc(), 2),
    ];
    match limits.into_iter().find(|(_, value, most)| value > most) {
        Some((what, value, _)) => Err(Error::InvalidParameter(format!("{what} is {value}"))),
        None => Ok(()),
    }
}

/// The flags whose condition is true.
fn flags<T: std::ops::BitOr<Output = T> + Default>(flags: impl IntoIterator<Item = (u32, T)>) -> T {
    flags.into_iter().filter(|(on, _)| *on != 0).fold(T::default(), |all, (_, flag)| all | flag)
}

/// The sequence parameter set. `scaled`: the picture has scaling lists that are not flat.
pub(super) fn sps(profile: va::VAProfile, params: &Params, scaled: bool) -> Sps {
    let seq = seq(params);
    let mut sps = Sps::new_zeroed();
    (sps.profile_idc, sps.constraint_set_flags) = profile_idc(profile, params, scaled);
    sps.level_idc = level_idc(params);
    sps.chroma_format_idc = seq.chroma_format_idc() as u8;
    sps.bit_depth_luma_minus8 = params.bit_depth_luma_minus8;
    sps.bit_depth_chroma_minus8 = params.bit_depth_chroma_minus8;
    sps.log2_max_frame_num_minus4 = seq.log2_max_frame_num_minus4() as u8;
    sps.pic_order_cnt_type = seq.pic_order_cnt_type() as u8;
    sps.log2_max_pic_order_cnt_lsb_minus4 = log2_max_pic_order_cnt_lsb_minus4(params) as u8;
    sps.max_num_ref_frames = params.num_ref_frames;
    sps.pic_width_in_mbs_minus1 = params.picture_width_in_mbs_minus1;
    // VA counts the macroblock rows of a frame; a map unit of an interlaced sequence is two of them.
    let height = u32::from(params.picture_height_in_mbs_minus1) + 1;
    let map_units = if seq.frame_mbs_only_flag() != 0 { height } else { height.div_ceil(2) };
    sps.pic_height_in_map_units_minus1 = (map_units - 1) as u16;
    sps.flags = flags([
        (seq.gaps_in_frame_num_value_allowed_flag(), SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED),
        (seq.frame_mbs_only_flag(), SPS_FRAME_MBS_ONLY),
        (seq.mb_adaptive_frame_field_flag(), SPS_MB_ADAPTIVE_FRAME_FIELD),
        (seq.direct_8x8_inference_flag(), SPS_DIRECT_8X8_INFERENCE),
        (seq.delta_pic_order_always_zero_flag(), SPS_DELTA_PIC_ORDER_ALWAYS_ZERO),
    ]);
    sps
}

/// profile_idc and constraint_set flags: those of the config's profile, or of the lowest profile that
/// has what the picture uses.
fn profile_idc(profile: va::VAProfile, params: &Params, scaled: bool) -> (u8, u8) {
    let pic = pic(params);
    let deep = params.bit_depth_luma_minus8 != 0 || params.bit_depth_chroma_minus8 != 0;
    let high = scaled
        || seq(params).chroma_format_idc() != 1
        || pic.transform_8x8_mode_flag() != 0
        || params.second_chroma_qp_index_offset != params.chroma_qp_index_offset;
    let main = pic.entropy_coding_mode_flag() != 0
        || pic.weighted_pred_flag() != 0
        || pic.weighted_bipred_idc() != 0
        || seq(params).frame_mbs_only_flag() == 0;
    match profile {
        PROFILE_H264_HIGH10 => (110, 0),
        _ if deep => (110, 0),
        va::VAProfileH264High => (100, 0),
        _ if high => (100, 0),
        va::VAProfileH264Main => (77, 0),
        _ if main => (77, 0),
        _ => (66, SPS_CONSTRAINT_SET0 | SPS_CONSTRAINT_SET1),
    }
}

/// The lowest level (table A-1) that allows the frame size and the number of reference frames, and that
/// agrees with MinLumaBiPredSize8x8 (3.1 and above).
fn level_idc(params: &Params) -> u8 {
    /// level_idc, MaxFS, MaxDpbMbs. Levels that differ from the one before in other limits only are
    /// left out.
    const LEVELS: [(u8, u32, u32); 12] = [
        (10, 99, 396),
        (11, 396, 900),
        (12, 396, 2376),
        (21, 792, 4752),
        (22, 1620, 8100),
        (31, 3600, 18000),
        (32, 5120, 20480),
        (40, 8192, 32768),
        (42, 8704, 34816),
        (50, 22080, 110_400),
        (51, 36864, 184_320),
        (60, 139_264, 696_320),
    ];
    let size = (u32::from(params.picture_width_in_mbs_minus1) + 1)
        .saturating_mul(u32::from(params.picture_height_in_mbs_minus1) + 1);
    let dpb = size.saturating_mul(params.num_ref_frames.max(1).into());
    let at_least = if seq(params).MinLumaBiPredSize8x8() != 0 { 31 } else { 0 };
    LEVELS
        .into_iter()
        .find(|(level, max_fs, max_dpb)| *level >= at_least && size <= *max_fs && dpb <= *max_dpb)
        .map_or(62, |(level, ..)| level)
}

/// The picture parameter set, without the id and the defaults that slice headers tell.
pub(super) fn pps(params: &Params, scaled: bool) -> Pps {
    let pic = pic(params);
    let mut pps = Pps::new_zeroed();
    pps.weighted_bipred_idc = pic.weighted_bipred_idc() as u8;
    let offset = init_qp_offset(params);
    pps.pic_init_qp_minus26 = params.pic_init_qp_minus26.saturating_sub(offset);
    pps.pic_init_qs_minus26 = params.pic_init_qs_minus26.saturating_sub(offset);
    pps.chroma_qp_index_offset = params.chroma_qp_index_offset;
    pps.second_chroma_qp_index_offset = params.second_chroma_qp_index_offset;
    pps.flags = flags([
        (pic.entropy_coding_mode_flag(), PPS_ENTROPY_CODING_MODE),
        (pic.pic_order_present_flag(), PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT),
        (pic.weighted_pred_flag(), PPS_WEIGHTED_PRED),
        (pic.deblocking_filter_control_present_flag(), PPS_DEBLOCKING_FILTER_CONTROL_PRESENT),
        (pic.constrained_intra_pred_flag(), PPS_CONSTRAINED_INTRA_PRED),
        (pic.redundant_pic_cnt_present_flag(), PPS_REDUNDANT_PIC_CNT_PRESENT),
        (pic.transform_8x8_mode_flag(), PPS_TRANSFORM_8X8_MODE),
        (u32::from(scaled), PPS_SCALING_MATRIX_PRESENT),
    ]);
    pps
}

/// What the client has added to pic_init_qp_minus26: 0, or QpBdOffsetY (section 7.4.2.1.1).
///
/// va.h means the syntax element, but FFmpeg (to 8.0 at least, and so mpv, VLC, Firefox) sends its own
/// variable, to which it has added QpBdOffsetY, and does the same to pic_init_qs_minus26. That element
/// means nothing outside the Extended profile and is 0 wherever an encoder writes it, which tells the two
/// kinds of clients apart.
fn init_qp_offset(params: &Params) -> i8 {
    let qp_bd_offset = 6 * params.bit_depth_luma_minus8.min(6) as i8;
    if params.pic_init_qs_minus26 > qp_bd_offset / 2 { qp_bd_offset } else { 0 }
}

/// The lists of a picture that has none.
pub(super) fn flat_scaling_matrix() -> ScalingMatrix {
    ScalingMatrix { scaling_list_4x4: [[16; 16]; 6], scaling_list_8x8: [[16; 64]; 6] }
}

/// VA's lists, which are in raster order like V4L2's. `None` if they are flat; fails for a zero.
pub(super) fn scaling_matrix(
    params: &Params,
    matrix: &va::VAIQMatrixBufferH264,
) -> Result<Option<ScalingMatrix>> {
    // Without the 8x8 transform clients leave its lists as they are, zeros included.
    let transform_8x8 = pic(params).transform_8x8_mode_flag() != 0;
    let [intra, inter] = if transform_8x8 { matrix.ScalingList8x8 } else { [[16; 64]; 2] };
    // VA has the two 8x8 lists of 4:2:0; those of Cb and Cr fall back to them.
    let scaling_list_8x8 = [intra, inter, intra, inter, intra, inter];
    let lists = ScalingMatrix { scaling_list_4x4: matrix.ScalingList4x4, scaling_list_8x8 };
    let mut scales = lists.scaling_list_4x4.as_flattened().iter().chain(intra.iter().chain(&inter));
    if scales.clone().any(|scale| *scale == 0) {
        return Err(Error::InvalidParameter("a scaling list with a zero".into()));
    }
    Ok((!scales.all(|scale| *scale == 16)).then_some(lists))
}
