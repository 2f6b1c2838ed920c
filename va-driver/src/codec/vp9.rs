//! VP9.
//!
//! The slice data is the whole frame, and both of its headers are parsed here: VA carries neither the
//! loop filter deltas nor the probability updates, and clients fill in what it does carry with different
//! ideas of what persists. From VA come the surfaces in the reference slots, which follow from frames
//! that the driver need not have seen, and the size that a frame inherits from a reference.

mod bool_decoder;
mod compressed_header;
mod uncompressed_header;

use daedalus_uapi::{
    Controls, FromZeros, NO_REFERENCE, Timestamps,
    vp9::{self, CompressedHdr, Frame},
};
use libva_sys as va;

use self::uncompressed_header::{HeaderParser, LoopFilter, Segmentation, UncompressedHeader};
use super::{Ancestry, Draft, Picture, Pictures, Plain, Translator, slice_bytes};
use crate::error::{Error, Result};

// SAFETY: integers, arrays and bit fields only.
unsafe impl Plain for va::VADecPictureParameterBufferVP9 {}
// SAFETY: integers, arrays and bit fields only.
unsafe impl Plain for va::VASliceParameterBufferVP9 {}

/// VA's VP9 buffers → requests.
pub struct Vp9Translator {
    profile: va::VAProfile,
    parser: HeaderParser,
    timestamps: Timestamps,
    /// The timestamps of the pictures that surfaces hold.
    pictures: Pictures<u64>,
}

impl Vp9Translator {
    /// A translator for a new stream.
    pub fn new(profile: va::VAProfile) -> Self {
        Vp9Translator {
            profile,
            parser: HeaderParser::default(),
            timestamps: Timestamps::default(),
            pictures: Pictures::default(),
        }
    }

    /// The timestamps of the last, golden and alternate reference.
    fn references(
        &self,
        params: &va::VADecPictureParameterBufferVP9,
        header: &UncompressedHeader,
    ) -> [u64; 3] {
        if header.frame_is_intra() {
            return [NO_REFERENCE; 3];
        }
        header.ref_frame_idx.map(|slot| {
            let surface = params.reference_frames[usize::from(slot)];
            self.pictures.get(surface).copied().unwrap_or(NO_REFERENCE)
        })
    }
}

impl Translator for Vp9Translator {
    fn picture(&mut self, picture: &Picture<'_>, ready: &mut Vec<Draft>) -> Result<()> {
        let params = parameters(picture)?;
        let slices = picture.slices::<va::VASliceParameterBufferVP9>()?;
        let [(slice, data)] = slices[..] else {
            return Err(Error::InvalidBuffer(format!("{} slices for one frame", slices.len())));
        };
        let data = slice_bytes(data, slice.slice_data_offset, slice.slice_data_size)?;
        let inherited_size = (u32::from(params.frame_width), u32::from(params.frame_height));

        // What a broken frame codes must not reach the next one.
        let mut parser = self.parser.clone();
        let header = parser.parse(data, inherited_size)?;
        if !matches!(header.profile, 0 | 2) || header.color.bit_depth > 10 {
            return Err(Error::UnsupportedProfile(self.profile));
        }
        let compressed = data[header.size.min(data.len())..]
            .get(..usize::from(header.header_size_in_bytes))
            .ok_or_else(|| Error::Decoding("VP9: the compressed header is cut short".into()))?;
        let (compressed_hdr, reference_mode) = compressed_header::parse(compressed, &header)?;
        self.parser = parser;

        let mut frame = frame_control(&header)?;
        frame.reference_mode = reference_mode;
        [frame.last_frame_ts, frame.golden_frame_ts, frame.alt_frame_ts] =
            self.references(&params, &header);

        let timestamp = self.timestamps.advance();
        self.pictures.retain(|surface| params.reference_frames.contains(&surface));
        self.pictures.insert(picture.target, timestamp);
        ready.push(draft(timestamp, frame, compressed_hdr, data, picture.target));
        Ok(())
    }

    fn commit(&mut self, _ready: &mut Vec<Draft>) {
        // Nothing is ever kept back: a frame is complete when it arrives.
    }
}

fn draft(
    timestamp: u64,
    frame: Frame,
    compressed_hdr: CompressedHdr,
    data: &[u8],
    target: va::VASurfaceID,
) -> Draft {
    Draft {
        timestamp,
        controls: Controls::Vp9(Box::new(vp9::Controls { frame, compressed_hdr })),
        data: data.to_vec(),
        hold_capture: false,
        target: Some(target),
        ungrained: None,
    }
}

fn parameters(picture: &Picture<'_>) -> Result<va::VADecPictureParameterBufferVP9> {
    picture.buffer(va::VAPictureParameterBufferType, "picture parameter")?.element()
}

/// See [`super::ancestry`].
pub(super) fn ancestry(picture: &Picture<'_>) -> Result<Ancestry> {
    let params = parameters(picture)?;
    // SAFETY: any bits are a valid value of each of the union's fields.
    let key = unsafe { params.pic_fields.bits.frame_type() } == 0;
    let named = params.reference_frames.iter().filter(|s| **s != va::VA_INVALID_SURFACE);
    Ok(Ancestry { key, references: named.copied().collect() })
}

/// The frame control without what only the compressed header or VA knows.
fn frame_control(header: &UncompressedHeader) -> Result<Frame> {
    let too_large = |_| Error::Decoding("VP9: the uncompressed header is too long".into());
    let minus_1 = |size: u32| u16::try_from(size.saturating_sub(1)).unwrap_or(u16::MAX);
    let mut frame = Frame::new_zeroed();
    frame.lf = loop_filter_control(&header.loop_filter);
    frame.quant.base_q_idx = header.base_q_idx;
    frame.quant.delta_q_y_dc = header.delta_q_y_dc;
    frame.quant.delta_q_uv_dc = header.delta_q_uv_dc;
    frame.quant.delta_q_uv_ac = header.delta_q_uv_ac;
    frame.seg = segmentation_control(&header.segmentation);
    frame.flags = flags(&[
        (header.key_frame, vp9::FRAME_KEY_FRAME),
        (header.show_frame, vp9::FRAME_SHOW_FRAME),
        (header.error_resilient_mode, vp9::FRAME_ERROR_RESILIENT),
        (header.intra_only, vp9::FRAME_INTRA_ONLY),
        (header.allow_high_precision_mv, vp9::FRAME_ALLOW_HIGH_PREC_MV),
        (header.refresh_frame_context, vp9::FRAME_REFRESH_FRAME_CTX),
        (header.frame_parallel_decoding_mode, vp9::FRAME_PARALLEL_DEC_MODE),
        (header.color.subsampling_x, vp9::FRAME_X_SUBSAMPLING),
        (header.color.subsampling_y, vp9::FRAME_Y_SUBSAMPLING),
        (header.color.color_range, vp9::FRAME_COLOR_RANGE_FULL_SWING),
    ]);
    frame.compressed_header_size = header.header_size_in_bytes;
    frame.uncompressed_header_size = u16::try_from(header.size).map_err(too_large)?;
    frame.frame_width_minus_1 = minus_1(header.width);
    frame.frame_height_minus_1 = minus_1(header.height);
    frame.render_width_minus_1 = minus_1(header.render_width);
    frame.render_height_minus_1 = minus_1(header.render_height);
    let biases = [vp9::SIGN_BIAS_LAST, vp9::SIGN_BIAS_GOLDEN, vp9::SIGN_BIAS_ALT];
    frame.ref_frame_sign_bias =
        biases.iter().zip(header.ref_frame_sign_bias).filter(|b| b.1).map(|b| b.0).sum();
    // 0 and 1 both mean none (section 7.2).
    frame.reset_frame_context = header.reset_frame_context.saturating_sub(1);
    frame.frame_context_idx = header.frame_context_idx;
    frame.profile = header.profile;
    frame.bit_depth = header.color.bit_depth;
    frame.interpolation_filter = header.interp_filter;
    frame.tile_cols_log2 = header.tile_cols_log2;
    frame.tile_rows_log2 = header.tile_rows_log2;
    Ok(frame)
}

fn loop_filter_control(lf: &LoopFilter) -> vp9::LoopFilter {
    let mut control = vp9::LoopFilter::new_zeroed();
    control.ref_deltas = lf.ref_deltas;
    control.mode_deltas = lf.mode_deltas;
    control.level = lf.level;
    control.sharpness = lf.sharpness;
    control.flags = flags(&[
        (lf.delta_enabled, vp9::LOOP_FILTER_DELTA_ENABLED.into()),
        (lf.delta_update, vp9::LOOP_FILTER_DELTA_UPDATE.into()),
    ]) as u8;
    control
}

fn segmentation_control(seg: &Segmentation) -> vp9::Segmentation {
    let mut control = vp9::Segmentation::new_zeroed();
    control.feature_data = seg.feature_data;
    control.feature_enabled = seg.feature_enabled.map(|features| {
        features.iter().enumerate().map(|(j, enabled)| u8::from(*enabled) << j).sum()
    });
    control.tree_probs = seg.tree_probs;
    control.pred_probs = seg.pred_prob;
    control.flags = flags(&[
        (seg.enabled, vp9::SEGMENTATION_ENABLED.into()),
        (seg.update_map, vp9::SEGMENTATION_UPDATE_MAP.into()),
        (seg.temporal_update, vp9::SEGMENTATION_TEMPORAL_UPDATE.into()),
        (seg.update_data, vp9::SEGMENTATION_UPDATE_DATA.into()),
        (seg.abs_or_delta_update, vp9::SEGMENTATION_ABS_OR_DELTA_UPDATE.into()),
    ]) as u8;
    control
}

/// The union of the bits whose condition holds.
fn flags(bits: &[(bool, u32)]) -> u32 {
    bits.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit)
}

#[cfg(test)]
mod tests;
