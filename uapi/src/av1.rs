//! AV1 stateless controls (`V4L2_CID_STATELESS_AV1_*`, Linux 6.6 and later).

pub mod order_hint;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::STATELESS_BASE;

/// `V4L2_CID_STATELESS_AV1_SEQUENCE`.
pub const CID_SEQUENCE: u32 = STATELESS_BASE + 500;
/// `V4L2_CID_STATELESS_AV1_TILE_GROUP_ENTRY`.
pub const CID_TILE_GROUP_ENTRY: u32 = STATELESS_BASE + 501;
/// `V4L2_CID_STATELESS_AV1_FRAME`.
pub const CID_FRAME: u32 = STATELESS_BASE + 502;
/// `V4L2_CID_STATELESS_AV1_FILM_GRAIN`.
pub const CID_FILM_GRAIN: u32 = STATELESS_BASE + 505;

/// Reference slots of a decoder (NUM_REF_FRAMES).
pub const NUM_REF_FRAMES: usize = 8;
/// References that a frame names (REFS_PER_FRAME).
pub const REFS_PER_FRAME: usize = 7;
/// The value of primary_ref_frame that names none (PRIMARY_REF_NONE).
pub const PRIMARY_REF_NONE: u8 = 7;
/// `V4L2_AV1_MAX_TILE_COUNT`.
pub const MAX_TILE_COUNT: usize = 512;
/// `V4L2_AV1_MAX_TILE_COLS` and `V4L2_AV1_MAX_TILE_ROWS`.
pub const MAX_TILE_COLS: usize = 64;

/// `V4L2_AV1_SEQUENCE_FLAG_*`.
#[allow(missing_docs)]
pub mod sequence_flag {
    pub const STILL_PICTURE: u32 = 0x0000_0001;
    pub const USE_128X128_SUPERBLOCK: u32 = 0x0000_0002;
    pub const ENABLE_FILTER_INTRA: u32 = 0x0000_0004;
    pub const ENABLE_INTRA_EDGE_FILTER: u32 = 0x0000_0008;
    pub const ENABLE_INTERINTRA_COMPOUND: u32 = 0x0000_0010;
    pub const ENABLE_MASKED_COMPOUND: u32 = 0x0000_0020;
    pub const ENABLE_WARPED_MOTION: u32 = 0x0000_0040;
    pub const ENABLE_DUAL_FILTER: u32 = 0x0000_0080;
    pub const ENABLE_ORDER_HINT: u32 = 0x0000_0100;
    pub const ENABLE_JNT_COMP: u32 = 0x0000_0200;
    pub const ENABLE_REF_FRAME_MVS: u32 = 0x0000_0400;
    pub const ENABLE_SUPERRES: u32 = 0x0000_0800;
    pub const ENABLE_CDEF: u32 = 0x0000_1000;
    pub const ENABLE_RESTORATION: u32 = 0x0000_2000;
    pub const MONO_CHROME: u32 = 0x0000_4000;
    pub const COLOR_RANGE: u32 = 0x0000_8000;
    pub const SUBSAMPLING_X: u32 = 0x0001_0000;
    pub const SUBSAMPLING_Y: u32 = 0x0002_0000;
    pub const FILM_GRAIN_PARAMS_PRESENT: u32 = 0x0004_0000;
    pub const SEPARATE_UV_DELTA_Q: u32 = 0x0008_0000;
}

/// `struct v4l2_ctrl_av1_sequence`; AV1 section 5.5.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Sequence {
    /// [`sequence_flag`] bits.
    pub flags: u32,
    pub seq_profile: u8,
    pub order_hint_bits: u8,
    pub bit_depth: u8,
    pub reserved: u8,
    pub max_frame_width_minus_1: u16,
    pub max_frame_height_minus_1: u16,
}

/// `struct v4l2_ctrl_av1_tile_group_entry`: one tile inside the request's bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct TileGroupEntry {
    /// Where the coded tile starts, in bytes from the start of the request's data.
    pub tile_offset: u32,
    /// TileSize, in bytes.
    pub tile_size: u32,
    pub tile_row: u32,
    pub tile_col: u32,
}

/// `V4L2_AV1_GLOBAL_MOTION_FLAG_IS_GLOBAL` and companions.
#[allow(missing_docs)]
pub mod global_motion_flag {
    pub const IS_GLOBAL: u8 = 0x1;
    pub const IS_ROT_ZOOM: u8 = 0x2;
    pub const IS_TRANSLATION: u8 = 0x4;
}

/// `enum v4l2_av1_warp_model`.
#[allow(missing_docs)]
pub mod warp_model {
    pub const IDENTITY: u32 = 0;
    pub const TRANSLATION: u32 = 1;
    pub const ROTZOOM: u32 = 2;
    pub const AFFINE: u32 = 3;
}

/// `struct v4l2_av1_global_motion`; index 0 is INTRA_FRAME and unused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct GlobalMotion {
    /// [`global_motion_flag`] bits.
    pub flags: [u8; 8],
    /// [`warp_model`] values.
    pub kind: [u32; 8],
    pub params: [[i32; 6]; 8],
    /// Bit n: the parameters of reference n are invalid (warpValid is 0, section 7.11.3.6).
    pub invalid: u8,
    pub reserved: [u8; 3],
}

/// `enum v4l2_av1_frame_restoration_type` (FrameRestorationType of the specification).
#[allow(missing_docs)]
pub mod restoration_type {
    pub const NONE: u32 = 0;
    pub const WIENER: u32 = 1;
    pub const SGRPROJ: u32 = 2;
    pub const SWITCHABLE: u32 = 3;
}

/// `V4L2_AV1_LOOP_RESTORATION_FLAG_USES_LR`.
pub const LOOP_RESTORATION_USES_LR: u8 = 0x1;
/// `V4L2_AV1_LOOP_RESTORATION_FLAG_USES_CHROMA_LR`.
pub const LOOP_RESTORATION_USES_CHROMA_LR: u8 = 0x2;

/// `struct v4l2_av1_loop_restoration`; AV1 section 6.10.15.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct LoopRestoration {
    pub flags: u8,
    /// lr_unit_shift after adding lr_unit_extra_shift: 0 to 2.
    pub lr_unit_shift: u8,
    pub lr_uv_shift: u8,
    pub reserved: u8,
    /// [`restoration_type`] per plane.
    pub frame_restoration_type: [u32; 3],
    /// LoopRestorationSize per plane, in samples.
    pub loop_restoration_size: [u32; 3],
}

/// `struct v4l2_av1_cdef`. Secondary strengths as the decoding process uses them: 0, 1, 2 or 4.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Cdef {
    pub damping_minus_3: u8,
    pub bits: u8,
    pub y_pri_strength: [u8; 8],
    pub y_sec_strength: [u8; 8],
    pub uv_pri_strength: [u8; 8],
    pub uv_sec_strength: [u8; 8],
}

/// `V4L2_AV1_SEGMENTATION_FLAG_*`.
#[allow(missing_docs)]
pub mod segmentation_flag {
    pub const ENABLED: u8 = 0x1;
    pub const UPDATE_MAP: u8 = 0x2;
    pub const TEMPORAL_UPDATE: u8 = 0x4;
    pub const UPDATE_DATA: u8 = 0x8;
    pub const SEG_ID_PRE_SKIP: u8 = 0x10;
}

/// `struct v4l2_av1_segmentation`; AV1 section 6.8.13. Features 0 alt Q, 1 to 4 alt LF, 5 reference,
/// 6 skip, 7 global MV.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Segmentation {
    pub flags: u8,
    pub last_active_seg_id: u8,
    pub feature_enabled: [u8; 8],
    pub feature_data: [[i16; 8]; 8],
}

/// `V4L2_AV1_LOOP_FILTER_FLAG_*`.
#[allow(missing_docs)]
pub mod loop_filter_flag {
    pub const DELTA_ENABLED: u8 = 0x1;
    pub const DELTA_UPDATE: u8 = 0x2;
    pub const DELTA_LF_PRESENT: u8 = 0x4;
    pub const DELTA_LF_MULTI: u8 = 0x8;
}

/// `struct v4l2_av1_loop_filter`; AV1 section 6.8.10.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct LoopFilter {
    pub flags: u8,
    /// Luma vertical, luma horizontal, U, V.
    pub level: [u8; 4],
    pub sharpness: u8,
    pub ref_deltas: [i8; 8],
    pub mode_deltas: [i8; 2],
    pub delta_lf_res: u8,
}

/// `V4L2_AV1_QUANTIZATION_FLAG_*`.
#[allow(missing_docs)]
pub mod quantization_flag {
    pub const DIFF_UV_DELTA: u8 = 0x1;
    pub const USING_QMATRIX: u8 = 0x2;
    pub const DELTA_Q_PRESENT: u8 = 0x4;
}

/// `struct v4l2_av1_quantization`; AV1 section 6.8.11.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Quantization {
    pub flags: u8,
    pub base_q_idx: u8,
    pub delta_q_y_dc: i8,
    pub delta_q_u_dc: i8,
    pub delta_q_u_ac: i8,
    pub delta_q_v_dc: i8,
    pub delta_q_v_ac: i8,
    pub qm_y: u8,
    pub qm_u: u8,
    pub qm_v: u8,
    pub delta_q_res: u8,
}

/// `V4L2_AV1_TILE_INFO_FLAG_UNIFORM_TILE_SPACING`.
pub const TILE_INFO_UNIFORM_TILE_SPACING: u8 = 0x1;

/// `struct v4l2_av1_tile_info`; AV1 section 6.8.14.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct TileInfo {
    pub flags: u8,
    pub context_update_tile_id: u8,
    pub tile_cols: u8,
    pub tile_rows: u8,
    /// MiColStarts, in units of 4x4 luma samples; entry `tile_cols` is MiCols.
    pub mi_col_starts: [u32; MAX_TILE_COLS + 1],
    /// MiRowStarts; entry `tile_rows` is MiRows.
    pub mi_row_starts: [u32; MAX_TILE_COLS + 1],
    pub width_in_sbs_minus_1: [u32; MAX_TILE_COLS],
    pub height_in_sbs_minus_1: [u32; MAX_TILE_COLS],
    pub tile_size_bytes: u8,
    pub reserved: [u8; 3],
}

/// `enum v4l2_av1_frame_type`.
#[allow(missing_docs)]
pub mod frame_type {
    pub const KEY: u32 = 0;
    pub const INTER: u32 = 1;
    pub const INTRA_ONLY: u32 = 2;
    pub const SWITCH: u32 = 3;
}

/// `V4L2_AV1_FRAME_FLAG_*`.
#[allow(missing_docs)]
pub mod frame_flag {
    pub const SHOW_FRAME: u32 = 0x0000_0001;
    pub const SHOWABLE_FRAME: u32 = 0x0000_0002;
    pub const ERROR_RESILIENT_MODE: u32 = 0x0000_0004;
    pub const DISABLE_CDF_UPDATE: u32 = 0x0000_0008;
    pub const ALLOW_SCREEN_CONTENT_TOOLS: u32 = 0x0000_0010;
    pub const FORCE_INTEGER_MV: u32 = 0x0000_0020;
    pub const ALLOW_INTRABC: u32 = 0x0000_0040;
    pub const USE_SUPERRES: u32 = 0x0000_0080;
    pub const ALLOW_HIGH_PRECISION_MV: u32 = 0x0000_0100;
    pub const IS_MOTION_MODE_SWITCHABLE: u32 = 0x0000_0200;
    pub const USE_REF_FRAME_MVS: u32 = 0x0000_0400;
    pub const DISABLE_FRAME_END_UPDATE_CDF: u32 = 0x0000_0800;
    pub const ALLOW_WARPED_MOTION: u32 = 0x0000_1000;
    pub const REFERENCE_SELECT: u32 = 0x0000_2000;
    pub const REDUCED_TX_SET: u32 = 0x0000_4000;
    pub const SKIP_MODE_ALLOWED: u32 = 0x0000_8000;
    pub const SKIP_MODE_PRESENT: u32 = 0x0001_0000;
    pub const FRAME_SIZE_OVERRIDE: u32 = 0x0002_0000;
    pub const BUFFER_REMOVAL_TIME_PRESENT: u32 = 0x0004_0000;
    pub const FRAME_REFS_SHORT_SIGNALING: u32 = 0x0008_0000;
}

/// `struct v4l2_ctrl_av1_frame`; AV1 section 5.9.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Frame {
    pub tile_info: TileInfo,
    pub quantization: Quantization,
    pub superres_denom: u8,
    pub segmentation: Segmentation,
    pub loop_filter: LoopFilter,
    pub cdef: Cdef,
    pub skip_mode_frame: [u8; 2],
    pub primary_ref_frame: u8,
    pub loop_restoration: LoopRestoration,
    pub global_motion: GlobalMotion,
    /// [`frame_flag`] bits.
    pub flags: u32,
    /// [`frame_type`] value.
    pub frame_type: u32,
    pub order_hint: u32,
    /// UpscaledWidth: the width of the finished picture, after superres, in samples.
    pub upscaled_width: u32,
    /// 0 eight-tap, 1 smooth, 2 sharp, 3 bilinear, 4 switchable.
    pub interpolation_filter: u32,
    /// 0 only 4x4, 1 largest, 2 select.
    pub tx_mode: u32,
    /// FrameWidth - 1: the width that is coded and that superres then scales up. (The syntax element
    /// of this name is UpscaledWidth - 1; kernel drivers and V4L2 clients mean FrameWidth.)
    pub frame_width_minus_1: u32,
    pub frame_height_minus_1: u32,
    pub render_width_minus_1: u16,
    pub render_height_minus_1: u16,
    pub current_frame_id: u32,
    pub buffer_removal_time: [u32; 32],
    pub reserved: [u8; 4],
    /// OrderHints by reference name (index 0 is INTRA_FRAME and ignored).
    pub order_hints: [u32; NUM_REF_FRAMES],
    /// The timestamps of the pictures in the eight slots; [`crate::NO_REFERENCE`] for an empty one.
    pub reference_frame_ts: [u64; NUM_REF_FRAMES],
    /// Slots by reference name, LAST_FRAME first; -1 for a reference that is missing.
    pub ref_frame_idx: [i8; REFS_PER_FRAME],
    pub refresh_frame_flags: u8,
}

/// `V4L2_AV1_FILM_GRAIN_FLAG_*`.
#[allow(missing_docs)]
pub mod film_grain_flag {
    pub const APPLY_GRAIN: u8 = 0x1;
    pub const UPDATE_GRAIN: u8 = 0x2;
    pub const CHROMA_SCALING_FROM_LUMA: u8 = 0x4;
    pub const OVERLAP: u8 = 0x8;
    pub const CLIP_TO_RESTRICTED_RANGE: u8 = 0x10;
}

/// `struct v4l2_ctrl_av1_film_grain`; AV1 section 6.8.20.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct FilmGrain {
    /// [`film_grain_flag`] bits.
    pub flags: u8,
    pub cr_mult: u8,
    pub grain_seed: u16,
    pub film_grain_params_ref_idx: u8,
    pub num_y_points: u8,
    pub point_y_value: [u8; 16],
    pub point_y_scaling: [u8; 16],
    pub num_cb_points: u8,
    pub point_cb_value: [u8; 16],
    pub point_cb_scaling: [u8; 16],
    pub num_cr_points: u8,
    pub point_cr_value: [u8; 16],
    pub point_cr_scaling: [u8; 16],
    pub grain_scaling_minus_8: u8,
    pub ar_coeff_lag: u8,
    pub ar_coeffs_y_plus_128: [u8; 25],
    pub ar_coeffs_cb_plus_128: [u8; 25],
    pub ar_coeffs_cr_plus_128: [u8; 25],
    pub ar_coeff_shift_minus_6: u8,
    pub grain_scale_shift: u8,
    pub cb_mult: u8,
    pub cb_luma_mult: u8,
    pub cr_luma_mult: u8,
    pub cb_offset: u16,
    pub cr_offset: u16,
    pub reserved: [u8; 4],
}

/// The controls of one AV1 request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controls {
    /// Sequence header.
    pub sequence: Sequence,
    /// Frame header.
    pub frame: Frame,
    /// Film grain parameters, resolved (never "take those of a reference").
    pub film_grain: FilmGrain,
    /// The tiles in the request's bytes, in tile order.
    pub tiles: Vec<TileGroupEntry>,
}

impl Controls {
    /// All fields zero, no tile.
    pub fn new_zeroed() -> Self {
        Controls {
            sequence: Sequence::new_zeroed(),
            frame: Frame::new_zeroed(),
            film_grain: FilmGrain::new_zeroed(),
            tiles: Vec::new(),
        }
    }
}

const _: () = {
    assert!(size_of::<Sequence>() == 12);
    assert!(size_of::<TileGroupEntry>() == 16);
    assert!(size_of::<Frame>() == 1784);
    assert!(size_of::<FilmGrain>() == 194);
};
