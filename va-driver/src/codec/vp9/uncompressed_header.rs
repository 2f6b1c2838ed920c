//! The uncompressed header, VP9 section 6.2. Names and order follow the specification.

use bitstream_io::{BigEndian, BitRead, BitReader};

use crate::error::{Error, Result};

/// `interp_filter` when each block codes its own.
pub(super) const SWITCHABLE: u8 = 4;
/// `literal_to_type`, section 6.2.7, in V4L2's numbers: smooth, regular, sharp, bilinear.
const LITERAL_TO_TYPE: [u8; 4] = [1, 0, 2, 3];

const CS_RGB: u8 = 7;
const MIN_TILE_WIDTH_B64: u32 = 4;
const MAX_TILE_WIDTH_B64: u32 = 64;
const SEGMENTATION_FEATURE_BITS: [u32; 4] = [8, 6, 2, 0];
const SEGMENTATION_FEATURE_SIGNED: [bool; 4] = [true, true, false, false];

/// What a frame's header codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UncompressedHeader {
    /// Bytes, trailing bits included.
    pub size: usize,
    pub profile: u8,
    pub key_frame: bool,
    pub show_frame: bool,
    pub error_resilient_mode: bool,
    pub intra_only: bool,
    pub reset_frame_context: u8,
    pub color: ColorConfig,
    pub width: u32,
    pub height: u32,
    pub render_width: u32,
    pub render_height: u32,
    /// LAST_FRAME, GOLDEN_FRAME, ALTREF_FRAME: reference slots.
    pub ref_frame_idx: [u8; 3],
    /// LAST_FRAME, GOLDEN_FRAME, ALTREF_FRAME.
    pub ref_frame_sign_bias: [bool; 3],
    pub allow_high_precision_mv: bool,
    /// In V4L2's numbers.
    pub interp_filter: u8,
    pub refresh_frame_context: bool,
    pub frame_parallel_decoding_mode: bool,
    /// As coded, before setup_past_independence clears it.
    pub frame_context_idx: u8,
    pub loop_filter: LoopFilter,
    pub base_q_idx: u8,
    pub delta_q_y_dc: i8,
    pub delta_q_uv_dc: i8,
    pub delta_q_uv_ac: i8,
    pub segmentation: Segmentation,
    pub tile_cols_log2: u8,
    pub tile_rows_log2: u8,
    /// Bytes of the compressed header, never zero.
    pub header_size_in_bytes: u16,
}

impl UncompressedHeader {
    /// `FrameIsIntra`.
    pub(super) fn frame_is_intra(&self) -> bool {
        self.key_frame || self.intra_only
    }

    /// `Lossless`.
    pub(super) fn lossless(&self) -> bool {
        self.base_q_idx == 0
            && self.delta_q_y_dc == 0
            && self.delta_q_uv_dc == 0
            && self.delta_q_uv_ac == 0
    }
}

/// Section 6.2.2. Inter frames keep the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColorConfig {
    pub bit_depth: u8,
    /// Full swing.
    pub color_range: bool,
    pub subsampling_x: bool,
    pub subsampling_y: bool,
}

impl Default for ColorConfig {
    /// What profile 0 implies (section 6.2, intra_only).
    fn default() -> Self {
        ColorConfig { bit_depth: 8, color_range: false, subsampling_x: true, subsampling_y: true }
    }
}

/// Section 6.2.8. The deltas persist from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoopFilter {
    pub level: u8,
    pub sharpness: u8,
    pub delta_enabled: bool,
    pub delta_update: bool,
    pub ref_deltas: [i8; 4],
    pub mode_deltas: [i8; 2],
}

impl Default for LoopFilter {
    /// As setup_past_independence, section 7.2, leaves it.
    fn default() -> Self {
        LoopFilter {
            level: 0,
            sharpness: 0,
            delta_enabled: true,
            delta_update: false,
            ref_deltas: [1, 0, -1, -1],
            mode_deltas: [0, 0],
        }
    }
}

/// Section 6.2.11. The features persist from frame to frame, the probabilities do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segmentation {
    pub enabled: bool,
    pub update_map: bool,
    pub temporal_update: bool,
    pub update_data: bool,
    pub abs_or_delta_update: bool,
    pub tree_probs: [u8; 7],
    pub pred_prob: [u8; 3],
    pub feature_enabled: [[bool; 4]; 8],
    pub feature_data: [[i16; 4]; 8],
}

/// What headers build on: what earlier ones coded and the frame size that references have.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderParser {
    color: ColorConfig,
    loop_filter: LoopFilter,
    segmentation: Segmentation,
}

impl HeaderParser {
    /// `uncompressed_header()` with trailing bits. `inherited_size` is the size that the frame has if it
    /// takes that of a reference. On an error nothing is remembered.
    pub(super) fn parse(
        &mut self,
        data: &[u8],
        inherited_size: (u32, u32),
    ) -> Result<UncompressedHeader> {
        let mut bits = Bits { reader: BitReader::new(data), count: 0 };
        let header = self.uncompressed_header(&mut bits, inherited_size)?;
        self.color = header.color;
        self.loop_filter = header.loop_filter;
        self.segmentation = header.segmentation;
        Ok(header)
    }

    fn uncompressed_header(
        &self,
        f: &mut Bits<'_>,
        inherited_size: (u32, u32),
    ) -> Result<UncompressedHeader> {
        let mut h = UncompressedHeader {
            color: self.color,
            loop_filter: self.loop_filter,
            segmentation: self.segmentation,
            ..Default::default()
        };
        if f.u(2)? != 2 {
            return invalid("frame_marker");
        }
        let profile_low_bit = f.u(1)?;
        let profile_high_bit = f.u(1)?;
        h.profile = (profile_high_bit << 1) + profile_low_bit;
        if h.profile == 3 && f.bit()? {
            return invalid("reserved_zero");
        }
        if f.bit()? {
            return invalid("show_existing_frame (such a frame is not decoded)");
        }
        h.key_frame = !f.bit()?;
        h.show_frame = f.bit()?;
        h.error_resilient_mode = f.bit()?;
        if h.key_frame {
            frame_sync_code(f)?;
            h.color = color_config(f, h.profile)?;
            (h.width, h.height) = frame_size(f)?;
            (h.render_width, h.render_height) = render_size(f, (h.width, h.height))?;
        } else {
            h.intra_only = !h.show_frame && f.bit()?;
            h.reset_frame_context = if h.error_resilient_mode { 0 } else { f.u(2)? };
            if h.intra_only {
                frame_sync_code(f)?;
                h.color = match h.profile {
                    0 => ColorConfig::default(),
                    profile => color_config(f, profile)?,
                };
                let _refresh_frame_flags = f.u(8)?;
                (h.width, h.height) = frame_size(f)?;
                (h.render_width, h.render_height) = render_size(f, (h.width, h.height))?;
            } else {
                let _refresh_frame_flags = f.u(8)?;
                for i in 0..3 {
                    h.ref_frame_idx[i] = f.u(3)?;
                    h.ref_frame_sign_bias[i] = f.bit()?;
                }
                (h.width, h.height) = frame_size_with_refs(f, inherited_size)?;
                (h.render_width, h.render_height) = render_size(f, (h.width, h.height))?;
                h.allow_high_precision_mv = f.bit()?;
                h.interp_filter = read_interpolation_filter(f)?;
            }
        }
        h.frame_parallel_decoding_mode = true;
        if !h.error_resilient_mode {
            h.refresh_frame_context = f.bit()?;
            h.frame_parallel_decoding_mode = f.bit()?;
        }
        h.frame_context_idx = f.u(2)?;
        if h.frame_is_intra() || h.error_resilient_mode {
            // setup_past_independence()
            h.loop_filter = LoopFilter::default();
            h.segmentation = Segmentation::default();
        }
        loop_filter_params(f, &mut h.loop_filter)?;
        h.base_q_idx = f.u(8)?;
        h.delta_q_y_dc = read_delta_q(f)?;
        h.delta_q_uv_dc = read_delta_q(f)?;
        h.delta_q_uv_ac = read_delta_q(f)?;
        segmentation_params(f, &mut h.segmentation)?;
        tile_info(f, &mut h)?;
        h.header_size_in_bytes = f.u16()?;
        if h.header_size_in_bytes == 0 {
            return invalid("header_size_in_bytes");
        }
        h.size = f.count.div_ceil(8);
        Ok(h)
    }
}

/// Section 6.2.1.
fn frame_sync_code(f: &mut Bits<'_>) -> Result<()> {
    match [f.u(8)?, f.u(8)?, f.u(8)?] {
        [0x49, 0x83, 0x42] => Ok(()),
        _ => invalid("frame_sync_code"),
    }
}

/// Section 6.2.2.
fn color_config(f: &mut Bits<'_>, profile: u8) -> Result<ColorConfig> {
    let bit_depth = match profile {
        0 | 1 => 8,
        _ if f.bit()? => 12,
        _ => 10,
    };
    let color_space = f.u(3)?;
    let subsampled = profile == 0 || profile == 2;
    let mut color =
        ColorConfig { bit_depth, color_range: true, subsampling_x: false, subsampling_y: false };
    if color_space != CS_RGB {
        color.color_range = f.bit()?;
        color.subsampling_x = subsampled || f.bit()?;
        color.subsampling_y = subsampled || f.bit()?;
    } else if subsampled {
        return invalid("color_space (RGB in a 4:2:0 profile)");
    }
    if !subsampled && f.bit()? {
        return invalid("reserved_zero");
    }
    Ok(color)
}

/// Section 6.2.3.
fn frame_size(f: &mut Bits<'_>) -> Result<(u32, u32)> {
    let frame_width_minus_1 = f.u16()?;
    let frame_height_minus_1 = f.u16()?;
    Ok((u32::from(frame_width_minus_1) + 1, u32::from(frame_height_minus_1) + 1))
}

/// Section 6.2.4.
fn render_size(f: &mut Bits<'_>, frame_size: (u32, u32)) -> Result<(u32, u32)> {
    let render_and_frame_size_different = f.bit()?;
    if !render_and_frame_size_different {
        return Ok(frame_size);
    }
    self::frame_size(f)
}

/// Section 6.2.5.
fn frame_size_with_refs(f: &mut Bits<'_>, inherited_size: (u32, u32)) -> Result<(u32, u32)> {
    for _ in 0..3 {
        let found_ref = f.bit()?;
        if found_ref {
            return match inherited_size {
                (1..=0x1_0000, 1..=0x1_0000) => Ok(inherited_size),
                _ => invalid("size of the reference frame"),
            };
        }
    }
    frame_size(f)
}

/// Section 6.2.7.
fn read_interpolation_filter(f: &mut Bits<'_>) -> Result<u8> {
    let is_filter_switchable = f.bit()?;
    if is_filter_switchable {
        return Ok(SWITCHABLE);
    }
    let raw_interpolation_filter = f.u(2)?;
    Ok(LITERAL_TO_TYPE[usize::from(raw_interpolation_filter)])
}

/// Section 6.2.8.
fn loop_filter_params(f: &mut Bits<'_>, lf: &mut LoopFilter) -> Result<()> {
    lf.level = f.u(6)?;
    lf.sharpness = f.u(3)?;
    lf.delta_enabled = f.bit()?;
    lf.delta_update = lf.delta_enabled && f.bit()?;
    if lf.delta_update {
        for delta in lf.ref_deltas.iter_mut().chain(&mut lf.mode_deltas) {
            let update_delta = f.bit()?;
            if update_delta {
                *delta = f.su(6)?;
            }
        }
    }
    Ok(())
}

/// Section 6.2.10.
fn read_delta_q(f: &mut Bits<'_>) -> Result<i8> {
    let delta_coded = f.bit()?;
    if delta_coded { f.su(4) } else { Ok(0) }
}

/// Section 6.2.11.
fn segmentation_params(f: &mut Bits<'_>, seg: &mut Segmentation) -> Result<()> {
    seg.update_map = false;
    seg.temporal_update = false;
    seg.update_data = false;
    seg.tree_probs = [255; 7];
    seg.pred_prob = [255; 3];
    seg.enabled = f.bit()?;
    if !seg.enabled {
        return Ok(());
    }
    seg.update_map = f.bit()?;
    if seg.update_map {
        for prob in &mut seg.tree_probs {
            *prob = read_prob(f)?;
        }
        seg.temporal_update = f.bit()?;
        if seg.temporal_update {
            for prob in &mut seg.pred_prob {
                *prob = read_prob(f)?;
            }
        }
    }
    seg.update_data = f.bit()?;
    if seg.update_data {
        seg.abs_or_delta_update = f.bit()?;
        for i in 0..8 {
            for j in 0..4 {
                let feature_enabled = f.bit()?;
                seg.feature_enabled[i][j] = feature_enabled;
                let mut feature_value = 0;
                if feature_enabled {
                    feature_value = i16::from(f.u(SEGMENTATION_FEATURE_BITS[j])?);
                    if SEGMENTATION_FEATURE_SIGNED[j] && f.bit()? {
                        feature_value = -feature_value;
                    }
                }
                seg.feature_data[i][j] = feature_value;
            }
        }
    }
    Ok(())
}

/// Section 6.2.12.
fn read_prob(f: &mut Bits<'_>) -> Result<u8> {
    let prob_coded = f.bit()?;
    if prob_coded { f.u(8) } else { Ok(255) }
}

/// Sections 6.2.13 and 6.2.14.
fn tile_info(f: &mut Bits<'_>, h: &mut UncompressedHeader) -> Result<()> {
    let sb64_cols = h.width.div_ceil(64);
    let mut min_log2 = 0;
    while (MAX_TILE_WIDTH_B64 << min_log2) < sb64_cols {
        min_log2 += 1;
    }
    let mut max_log2 = 1;
    while (sb64_cols >> max_log2) >= MIN_TILE_WIDTH_B64 {
        max_log2 += 1;
    }
    max_log2 -= 1;
    h.tile_cols_log2 = min_log2;
    while h.tile_cols_log2 < max_log2 {
        let increment_tile_cols_log2 = f.bit()?;
        if !increment_tile_cols_log2 {
            break;
        }
        h.tile_cols_log2 += 1;
    }
    h.tile_rows_log2 = f.u(1)?;
    if h.tile_rows_log2 == 1 {
        let increment_tile_rows_log2 = f.u(1)?;
        h.tile_rows_log2 += increment_tile_rows_log2;
    }
    Ok(())
}

/// A bit reader that counts.
struct Bits<'a> {
    reader: BitReader<&'a [u8], BigEndian>,
    count: usize,
}

impl Bits<'_> {
    /// `f(n)` with n at most 8.
    fn u(&mut self, n: u32) -> Result<u8> {
        self.count += n as usize;
        self.reader.read_var(n).map_err(|_| truncated())
    }

    /// `f(16)`.
    fn u16(&mut self) -> Result<u16> {
        self.count += 16;
        self.reader.read::<16, u16>().map_err(|_| truncated())
    }

    /// `f(1)`.
    fn bit(&mut self) -> Result<bool> {
        Ok(self.u(1)? == 1)
    }

    /// `su(n)` with n at most 6.
    fn su(&mut self, n: u32) -> Result<i8> {
        let value = self.u(n)? as i8;
        let sign = self.bit()?;
        Ok(if sign { -value } else { value })
    }
}

fn truncated() -> Error {
    Error::Decoding("VP9: the uncompressed header is cut short".into())
}

fn invalid<T>(what: &str) -> Result<T> {
    Err(Error::Decoding(format!("VP9: invalid {what}")))
}
