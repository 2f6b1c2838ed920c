//! VP9 stateless controls (`V4L2_CID_STATELESS_VP9_*`).

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::STATELESS_BASE;

/// `V4L2_CID_STATELESS_VP9_FRAME`.
pub const CID_FRAME: u32 = STATELESS_BASE + 300;
/// `V4L2_CID_STATELESS_VP9_COMPRESSED_HDR`.
pub const CID_COMPRESSED_HDR: u32 = STATELESS_BASE + 301;

/// `V4L2_VP9_LOOP_FILTER_FLAG_DELTA_ENABLED`.
pub const LOOP_FILTER_DELTA_ENABLED: u8 = 0x1;
/// `V4L2_VP9_LOOP_FILTER_FLAG_DELTA_UPDATE`.
pub const LOOP_FILTER_DELTA_UPDATE: u8 = 0x2;

/// `struct v4l2_vp9_loop_filter`; VP9 section 7.2.8. Deltas that a frame does not code keep their last value.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct LoopFilter {
    pub ref_deltas: [i8; 4],
    pub mode_deltas: [i8; 2],
    pub level: u8,
    pub sharpness: u8,
    pub flags: u8,
    pub reserved: [u8; 7],
}

/// `struct v4l2_vp9_quantization`; VP9 section 7.2.9.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Quantization {
    pub base_q_idx: u8,
    pub delta_q_y_dc: i8,
    pub delta_q_uv_dc: i8,
    pub delta_q_uv_ac: i8,
    pub reserved: [u8; 4],
}

/// `V4L2_VP9_SEGMENTATION_FLAG_ENABLED`.
pub const SEGMENTATION_ENABLED: u8 = 0x01;
/// `V4L2_VP9_SEGMENTATION_FLAG_UPDATE_MAP`.
pub const SEGMENTATION_UPDATE_MAP: u8 = 0x02;
/// `V4L2_VP9_SEGMENTATION_FLAG_TEMPORAL_UPDATE`.
pub const SEGMENTATION_TEMPORAL_UPDATE: u8 = 0x04;
/// `V4L2_VP9_SEGMENTATION_FLAG_UPDATE_DATA`.
pub const SEGMENTATION_UPDATE_DATA: u8 = 0x08;
/// `V4L2_VP9_SEGMENTATION_FLAG_ABS_OR_DELTA_UPDATE`.
pub const SEGMENTATION_ABS_OR_DELTA_UPDATE: u8 = 0x10;

/// `struct v4l2_vp9_segmentation`; VP9 section 7.2.10. Features: 0 alt Q, 1 alt L, 2 reference, 3 skip.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Segmentation {
    pub feature_data: [[i16; 4]; 8],
    /// Per segment, bit n: feature n is enabled.
    pub feature_enabled: [u8; 8],
    pub tree_probs: [u8; 7],
    pub pred_probs: [u8; 3],
    pub flags: u8,
    pub reserved: [u8; 5],
}

/// `V4L2_VP9_FRAME_FLAG_KEY_FRAME`.
pub const FRAME_KEY_FRAME: u32 = 0x001;
/// `V4L2_VP9_FRAME_FLAG_SHOW_FRAME`.
pub const FRAME_SHOW_FRAME: u32 = 0x002;
/// `V4L2_VP9_FRAME_FLAG_ERROR_RESILIENT`.
pub const FRAME_ERROR_RESILIENT: u32 = 0x004;
/// `V4L2_VP9_FRAME_FLAG_INTRA_ONLY`.
pub const FRAME_INTRA_ONLY: u32 = 0x008;
/// `V4L2_VP9_FRAME_FLAG_ALLOW_HIGH_PREC_MV`.
pub const FRAME_ALLOW_HIGH_PREC_MV: u32 = 0x010;
/// `V4L2_VP9_FRAME_FLAG_REFRESH_FRAME_CTX`.
pub const FRAME_REFRESH_FRAME_CTX: u32 = 0x020;
/// `V4L2_VP9_FRAME_FLAG_PARALLEL_DEC_MODE`.
pub const FRAME_PARALLEL_DEC_MODE: u32 = 0x040;
/// `V4L2_VP9_FRAME_FLAG_X_SUBSAMPLING`.
pub const FRAME_X_SUBSAMPLING: u32 = 0x080;
/// `V4L2_VP9_FRAME_FLAG_Y_SUBSAMPLING`.
pub const FRAME_Y_SUBSAMPLING: u32 = 0x100;
/// `V4L2_VP9_FRAME_FLAG_COLOR_RANGE_FULL_SWING`.
pub const FRAME_COLOR_RANGE_FULL_SWING: u32 = 0x200;

/// `V4L2_VP9_SIGN_BIAS_LAST`.
pub const SIGN_BIAS_LAST: u8 = 0x1;
/// `V4L2_VP9_SIGN_BIAS_GOLDEN`.
pub const SIGN_BIAS_GOLDEN: u8 = 0x2;
/// `V4L2_VP9_SIGN_BIAS_ALT`.
pub const SIGN_BIAS_ALT: u8 = 0x4;

/// `struct v4l2_ctrl_vp9_frame`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Frame {
    pub lf: LoopFilter,
    pub quant: Quantization,
    pub seg: Segmentation,
    /// `FRAME_*` bits.
    pub flags: u32,
    pub compressed_header_size: u16,
    pub uncompressed_header_size: u16,
    pub frame_width_minus_1: u16,
    pub frame_height_minus_1: u16,
    pub render_width_minus_1: u16,
    pub render_height_minus_1: u16,
    pub last_frame_ts: u64,
    pub golden_frame_ts: u64,
    pub alt_frame_ts: u64,
    /// `SIGN_BIAS_*` bits.
    pub ref_frame_sign_bias: u8,
    /// 0 none, 1 the one that frame_context_idx names, 2 all (`V4L2_VP9_RESET_FRAME_CTX_*`).
    pub reset_frame_context: u8,
    pub frame_context_idx: u8,
    pub profile: u8,
    pub bit_depth: u8,
    /// 0 eight-tap, 1 smooth, 2 sharp, 3 bilinear, 4 switchable (`V4L2_VP9_INTERP_FILTER_*`).
    pub interpolation_filter: u8,
    pub tile_cols_log2: u8,
    pub tile_rows_log2: u8,
    /// 0 single, 1 compound, 2 select (`V4L2_VP9_REFERENCE_MODE_*`).
    pub reference_mode: u8,
    pub reserved: [u8; 7],
}

/// `struct v4l2_vp9_mv_probs`; zero: no update.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct MvProbs {
    pub joint: [u8; 3],
    pub sign: [u8; 2],
    pub classes: [[u8; 10]; 2],
    pub class0_bit: [u8; 2],
    pub bits: [[u8; 10]; 2],
    pub class0_fr: [[[u8; 3]; 2]; 2],
    pub fr: [[u8; 3]; 2],
    pub class0_hp: [u8; 2],
    pub hp: [u8; 2],
}

/// Coefficient probabilities by band and context.
pub type CoefProbs = [[[u8; 3]; 6]; 6];

/// `struct v4l2_ctrl_vp9_compressed_hdr`: the probability deltas of the compressed header (VP9 section
/// 6.3) after inv_map_table; zero means no update.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct CompressedHdr {
    /// 0 only 4x4 ... 3 allow 32x32, 4 select (`V4L2_VP9_TX_MODE_*`).
    pub tx_mode: u8,
    pub tx8: [[u8; 1]; 2],
    pub tx16: [[u8; 2]; 2],
    pub tx32: [[u8; 3]; 2],
    /// By transform size, plane type, reference type, band, context.
    pub coef: [[[CoefProbs; 2]; 2]; 4],
    pub skip: [u8; 3],
    pub inter_mode: [[u8; 3]; 7],
    pub interp_filter: [[u8; 2]; 4],
    pub is_inter: [u8; 4],
    pub comp_mode: [u8; 5],
    pub single_ref: [[u8; 2]; 5],
    pub comp_ref: [u8; 5],
    pub y_mode: [[u8; 9]; 4],
    pub uv_mode: [[u8; 9]; 10],
    pub partition: [[u8; 3]; 16],
    pub mv: MvProbs,
}

/// The controls of one VP9 request.
#[derive(Clone, Debug, PartialEq, Eq, FromZeros)]
pub struct Controls {
    /// The uncompressed header and references.
    pub frame: Frame,
    /// The compressed header's probability updates.
    pub compressed_hdr: CompressedHdr,
}

const _: () = {
    assert!(size_of::<LoopFilter>() == 16);
    assert!(size_of::<Quantization>() == 8);
    assert!(size_of::<Segmentation>() == 88);
    assert!(size_of::<Frame>() == 168);
    assert!(size_of::<CompressedHdr>() == 2040);
};
