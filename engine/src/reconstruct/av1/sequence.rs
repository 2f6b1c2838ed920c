//! The sequence header OBU (AV1 section 5.5).
//!
//! It is kept constant over the stream, because a decoder forgets its references when it changes. So
//! whatever a frame header can decide for itself is left to the frame headers: the frame size and the
//! switches that only say whether a frame-level bit is coded.

use daedalus_uapi::{
    Codec,
    av1::{Sequence, sequence_flag},
};

use super::bits::{Bits, invalid};
use crate::{Error, Result};

/// What the frame header needs to know of the sequence header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SequenceHeader {
    pub use_128x128_superblock: bool,
    pub enable_filter_intra: bool,
    pub enable_intra_edge_filter: bool,
    pub enable_interintra_compound: bool,
    pub enable_masked_compound: bool,
    pub enable_dual_filter: bool,
    pub enable_jnt_comp: bool,
    pub enable_cdef: bool,
    /// OrderHintBits; 0 if enable_order_hint is 0.
    pub order_hint_bits: u8,
    pub high_bitdepth: bool,
    pub mono_chrome: bool,
    pub color_range: bool,
}

impl SequenceHeader {
    /// Checks the control.
    pub(super) fn new(sequence: &Sequence) -> Result<Self> {
        let flag = |bit: u32| sequence.flags & bit != 0;
        let unsupported = |what: &str| Error::Unsupported { codec: Codec::Av1, what: what.into() };
        if sequence.seq_profile != 0 {
            return Err(unsupported("a profile other than Main"));
        }
        let mono_chrome = flag(sequence_flag::MONO_CHROME);
        let subsampled = flag(sequence_flag::SUBSAMPLING_X) && flag(sequence_flag::SUBSAMPLING_Y);
        if !mono_chrome && !subsampled {
            return Err(unsupported("chroma other than 4:2:0"));
        }
        let order_hint_bits =
            match (flag(sequence_flag::ENABLE_ORDER_HINT), sequence.order_hint_bits) {
                (false, _) => 0,
                (true, bits @ 1..=8) => bits,
                (true, bits) => return Err(invalid(format!("order_hint_bits: {bits}"))),
            };
        Ok(SequenceHeader {
            use_128x128_superblock: flag(sequence_flag::USE_128X128_SUPERBLOCK),
            enable_filter_intra: flag(sequence_flag::ENABLE_FILTER_INTRA),
            enable_intra_edge_filter: flag(sequence_flag::ENABLE_INTRA_EDGE_FILTER),
            enable_interintra_compound: flag(sequence_flag::ENABLE_INTERINTRA_COMPOUND),
            enable_masked_compound: flag(sequence_flag::ENABLE_MASKED_COMPOUND),
            enable_dual_filter: flag(sequence_flag::ENABLE_DUAL_FILTER),
            enable_jnt_comp: order_hint_bits > 0 && flag(sequence_flag::ENABLE_JNT_COMP),
            enable_cdef: flag(sequence_flag::ENABLE_CDEF),
            order_hint_bits,
            high_bitdepth: match sequence.bit_depth {
                8 => false,
                10 => true,
                _ => return Err(unsupported("a bit depth other than 8 and 10")),
            },
            mono_chrome,
            color_range: flag(sequence_flag::COLOR_RANGE),
        })
    }

    /// enable_order_hint.
    pub(super) fn enable_order_hint(&self) -> bool {
        self.order_hint_bits > 0
    }

    /// NumPlanes.
    pub(super) fn num_planes(&self) -> usize {
        if self.mono_chrome { 1 } else { 3 }
    }

    /// sequence_header_obu() with trailing bits.
    pub(super) fn write(&self) -> Result<Vec<u8>> {
        let mut w = Bits::new();
        w.f("seq_profile", 3, 0u32)?;
        w.flag("still_picture", false)?;
        w.flag("reduced_still_picture_header", false)?;
        w.flag("timing_info_present_flag", false)?;
        w.flag("initial_display_delay_present_flag", false)?;
        w.f("operating_points_cnt_minus_1", 5, 0u32)?;
        w.f("operating_point_idc[0]", 12, 0u32)?;
        w.f("seq_level_idx[0]", 5, 31u32)?; // maximum parameters
        w.f("seq_tier[0]", 1, 0u32)?;
        w.f("frame_width_bits_minus_1", 4, 15u32)?;
        w.f("frame_height_bits_minus_1", 4, 15u32)?;
        w.f("max_frame_width_minus_1", 16, 65535u32)?;
        w.f("max_frame_height_minus_1", 16, 65535u32)?;
        w.flag("frame_id_numbers_present_flag", false)?;
        w.flag("use_128x128_superblock", self.use_128x128_superblock)?;
        w.flag("enable_filter_intra", self.enable_filter_intra)?;
        w.flag("enable_intra_edge_filter", self.enable_intra_edge_filter)?;
        w.flag("enable_interintra_compound", self.enable_interintra_compound)?;
        w.flag("enable_masked_compound", self.enable_masked_compound)?;
        w.flag("enable_warped_motion", true)?;
        w.flag("enable_dual_filter", self.enable_dual_filter)?;
        w.flag("enable_order_hint", self.enable_order_hint())?;
        if self.enable_order_hint() {
            w.flag("enable_jnt_comp", self.enable_jnt_comp)?;
            w.flag("enable_ref_frame_mvs", true)?;
        }
        w.flag("seq_choose_screen_content_tools", true)?;
        w.flag("seq_choose_integer_mv", true)?;
        if self.enable_order_hint() {
            w.f("order_hint_bits_minus_1", 3, self.order_hint_bits - 1)?;
        }
        w.flag("enable_superres", true)?;
        w.flag("enable_cdef", self.enable_cdef)?;
        w.flag("enable_restoration", true)?;
        self.color_config(&mut w)?;
        w.flag("film_grain_params_present", true)?;
        w.trailing_bits();
        Ok(w.into_bytes())
    }

    /// color_config() of profile 0. What the samples mean is the client's business.
    fn color_config(&self, w: &mut Bits) -> Result<()> {
        w.flag("high_bitdepth", self.high_bitdepth)?;
        w.flag("mono_chrome", self.mono_chrome)?;
        w.flag("color_description_present_flag", false)?;
        w.flag("color_range", self.color_range)?;
        if !self.mono_chrome {
            w.f("chroma_sample_position", 2, 0u32)?;
            w.flag("separate_uv_delta_q", true)?;
        }
        Ok(())
    }
}
