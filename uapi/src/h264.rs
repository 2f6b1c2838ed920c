//! H.264 stateless controls (`V4L2_CID_STATELESS_H264_*`), frame-based decoding mode, and the reader of
//! the slice headers that the requests carry.

mod rbsp;
mod slice_header;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::STATELESS_BASE;

pub use rbsp::{RbspReader, SyntaxError};
pub use slice_header::{NAL_IDR_SLICE, NAL_SLICE, SliceHeader, SliceStart, SliceType};

/// `V4L2_CID_STATELESS_H264_DECODE_MODE`.
pub const CID_DECODE_MODE: u32 = STATELESS_BASE;
/// `V4L2_CID_STATELESS_H264_START_CODE`.
pub const CID_START_CODE: u32 = STATELESS_BASE + 1;
/// `V4L2_CID_STATELESS_H264_SPS`.
pub const CID_SPS: u32 = STATELESS_BASE + 2;
/// `V4L2_CID_STATELESS_H264_PPS`.
pub const CID_PPS: u32 = STATELESS_BASE + 3;
/// `V4L2_CID_STATELESS_H264_SCALING_MATRIX`.
pub const CID_SCALING_MATRIX: u32 = STATELESS_BASE + 4;
/// `V4L2_CID_STATELESS_H264_DECODE_PARAMS`.
pub const CID_DECODE_PARAMS: u32 = STATELESS_BASE + 7;

/// `V4L2_H264_SPS_CONSTRAINT_SET0_FLAG` and its followers: bit n is constraint_set n.
pub const SPS_CONSTRAINT_SET0: u8 = 0x01;
/// constraint_set1_flag.
pub const SPS_CONSTRAINT_SET1: u8 = 0x02;
/// constraint_set3_flag.
pub const SPS_CONSTRAINT_SET3: u8 = 0x08;

/// `V4L2_H264_SPS_FLAG_SEPARATE_COLOUR_PLANE`.
pub const SPS_SEPARATE_COLOUR_PLANE: u32 = 0x01;
/// `V4L2_H264_SPS_FLAG_QPPRIME_Y_ZERO_TRANSFORM_BYPASS`.
pub const SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS: u32 = 0x02;
/// `V4L2_H264_SPS_FLAG_DELTA_PIC_ORDER_ALWAYS_ZERO`.
pub const SPS_DELTA_PIC_ORDER_ALWAYS_ZERO: u32 = 0x04;
/// `V4L2_H264_SPS_FLAG_GAPS_IN_FRAME_NUM_VALUE_ALLOWED`.
pub const SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED: u32 = 0x08;
/// `V4L2_H264_SPS_FLAG_FRAME_MBS_ONLY`.
pub const SPS_FRAME_MBS_ONLY: u32 = 0x10;
/// `V4L2_H264_SPS_FLAG_MB_ADAPTIVE_FRAME_FIELD`.
pub const SPS_MB_ADAPTIVE_FRAME_FIELD: u32 = 0x20;
/// `V4L2_H264_SPS_FLAG_DIRECT_8X8_INFERENCE`.
pub const SPS_DIRECT_8X8_INFERENCE: u32 = 0x40;

/// `struct v4l2_ctrl_h264_sps`; section 7.4.2.1.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Sps {
    pub profile_idc: u8,
    pub constraint_set_flags: u8,
    pub level_idc: u8,
    pub seq_parameter_set_id: u8,
    pub chroma_format_idc: u8,
    pub bit_depth_luma_minus8: u8,
    pub bit_depth_chroma_minus8: u8,
    pub log2_max_frame_num_minus4: u8,
    pub pic_order_cnt_type: u8,
    pub log2_max_pic_order_cnt_lsb_minus4: u8,
    pub max_num_ref_frames: u8,
    pub num_ref_frames_in_pic_order_cnt_cycle: u8,
    pub offset_for_ref_frame: [i32; 255],
    pub offset_for_non_ref_pic: i32,
    pub offset_for_top_to_bottom_field: i32,
    pub pic_width_in_mbs_minus1: u16,
    pub pic_height_in_map_units_minus1: u16,
    /// `SPS_*` bits.
    pub flags: u32,
}

/// `V4L2_H264_PPS_FLAG_ENTROPY_CODING_MODE`.
pub const PPS_ENTROPY_CODING_MODE: u16 = 0x0001;
/// `V4L2_H264_PPS_FLAG_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT`.
pub const PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT: u16 = 0x0002;
/// `V4L2_H264_PPS_FLAG_WEIGHTED_PRED`.
pub const PPS_WEIGHTED_PRED: u16 = 0x0004;
/// `V4L2_H264_PPS_FLAG_DEBLOCKING_FILTER_CONTROL_PRESENT`.
pub const PPS_DEBLOCKING_FILTER_CONTROL_PRESENT: u16 = 0x0008;
/// `V4L2_H264_PPS_FLAG_CONSTRAINED_INTRA_PRED`.
pub const PPS_CONSTRAINED_INTRA_PRED: u16 = 0x0010;
/// `V4L2_H264_PPS_FLAG_REDUNDANT_PIC_CNT_PRESENT`.
pub const PPS_REDUNDANT_PIC_CNT_PRESENT: u16 = 0x0020;
/// `V4L2_H264_PPS_FLAG_TRANSFORM_8X8_MODE`.
pub const PPS_TRANSFORM_8X8_MODE: u16 = 0x0040;
/// `V4L2_H264_PPS_FLAG_SCALING_MATRIX_PRESENT`: the scaling matrix control goes with the request.
pub const PPS_SCALING_MATRIX_PRESENT: u16 = 0x0080;

/// `struct v4l2_ctrl_h264_pps`; section 7.4.2.2.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Pps {
    pub pic_parameter_set_id: u8,
    pub seq_parameter_set_id: u8,
    pub num_slice_groups_minus1: u8,
    pub num_ref_idx_l0_default_active_minus1: u8,
    pub num_ref_idx_l1_default_active_minus1: u8,
    pub weighted_bipred_idc: u8,
    pub pic_init_qp_minus26: i8,
    pub pic_init_qs_minus26: i8,
    pub chroma_qp_index_offset: i8,
    pub second_chroma_qp_index_offset: i8,
    /// `PPS_*` bits.
    pub flags: u16,
}

/// `struct v4l2_ctrl_h264_scaling_matrix`: the lists in raster order (the kernel's rule), as they apply
/// after all fall-back rules. 8x8 order: Intra Y, Inter Y, Intra Cb, Inter Cb, Intra Cr, Inter Cr.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct ScalingMatrix {
    pub scaling_list_4x4: [[u8; 16]; 6],
    pub scaling_list_8x8: [[u8; 64]; 6],
}

/// `V4L2_H264_DPB_ENTRY_FLAG_VALID`: the entry is in use.
pub const DPB_ENTRY_VALID: u32 = 0x01;
/// `V4L2_H264_DPB_ENTRY_FLAG_ACTIVE`: the entry is used for reference.
pub const DPB_ENTRY_ACTIVE: u32 = 0x02;
/// `V4L2_H264_DPB_ENTRY_FLAG_LONG_TERM`: it is a long-term reference.
pub const DPB_ENTRY_LONG_TERM: u32 = 0x04;
/// `V4L2_H264_DPB_ENTRY_FLAG_FIELD`: it was coded as fields.
pub const DPB_ENTRY_FIELD: u32 = 0x08;

/// `V4L2_H264_TOP_FIELD_REF`.
pub const TOP_FIELD_REF: u8 = 0x1;
/// `V4L2_H264_BOTTOM_FIELD_REF`.
pub const BOTTOM_FIELD_REF: u8 = 0x2;
/// `V4L2_H264_FRAME_REF`.
pub const FRAME_REF: u8 = 0x3;

/// `struct v4l2_h264_dpb_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct DpbEntry {
    /// Timestamp of the picture that this entry names.
    pub reference_ts: u64,
    /// PicNum or LongTermPicNum, section 8.2.4.1.
    pub pic_num: u32,
    /// frame_num, or LongTermFrameIdx for long-term entries.
    pub frame_num: u16,
    /// Which fields are used for reference: `TOP_FIELD_REF`, `BOTTOM_FIELD_REF` or both.
    pub fields: u8,
    pub reserved: [u8; 5],
    pub top_field_order_cnt: i32,
    pub bottom_field_order_cnt: i32,
    /// `DPB_ENTRY_*` bits.
    pub flags: u32,
}

/// `V4L2_H264_DECODE_PARAM_FLAG_IDR_PIC`.
pub const DECODE_PARAM_IDR_PIC: u32 = 0x01;
/// `V4L2_H264_DECODE_PARAM_FLAG_FIELD_PIC`.
pub const DECODE_PARAM_FIELD_PIC: u32 = 0x02;
/// `V4L2_H264_DECODE_PARAM_FLAG_BOTTOM_FIELD`.
pub const DECODE_PARAM_BOTTOM_FIELD: u32 = 0x04;
/// `V4L2_H264_DECODE_PARAM_FLAG_PFRAME`.
pub const DECODE_PARAM_PFRAME: u32 = 0x08;
/// `V4L2_H264_DECODE_PARAM_FLAG_BFRAME`.
pub const DECODE_PARAM_BFRAME: u32 = 0x10;

/// `struct v4l2_ctrl_h264_decode_params`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct DecodeParams {
    pub dpb: [DpbEntry; 16],
    pub nal_ref_idc: u16,
    pub frame_num: u16,
    pub top_field_order_cnt: i32,
    pub bottom_field_order_cnt: i32,
    pub idr_pic_id: u16,
    pub pic_order_cnt_lsb: u16,
    pub delta_pic_order_cnt_bottom: i32,
    pub delta_pic_order_cnt0: i32,
    pub delta_pic_order_cnt1: i32,
    /// Size in bits of dec_ref_pic_marking() in the slice header.
    pub dec_ref_pic_marking_bit_size: u32,
    /// Combined size in bits of the picture order count syntax elements.
    pub pic_order_cnt_bit_size: u32,
    pub slice_group_change_cycle: u32,
    pub reserved: u32,
    /// `DECODE_PARAM_*` bits.
    pub flags: u32,
}

/// The controls of one H.264 request. Slice parameters and prediction weights belong to the slice-based
/// mode and are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, FromZeros)]
pub struct Controls {
    /// Sequence parameter set.
    pub sps: Sps,
    /// Picture parameter set.
    pub pps: Pps,
    /// Scaling lists; meaningful if [`PPS_SCALING_MATRIX_PRESENT`] is set.
    pub scaling_matrix: ScalingMatrix,
    /// Picture parameters and the DPB.
    pub decode_params: DecodeParams,
}

const _: () = {
    assert!(size_of::<Sps>() == 1048);
    assert!(size_of::<Pps>() == 12);
    assert!(size_of::<ScalingMatrix>() == 480);
    assert!(size_of::<DpbEntry>() == 32);
    assert!(size_of::<DecodeParams>() == 560);
};
