//! uncompressed_header() (AV1 section 5.9.2) for a frame whose references are in known slots.

use daedalus_uapi::av1::{
    Controls, Frame, NUM_REF_FRAMES, PRIMARY_REF_NONE, REFS_PER_FRAME, film_grain_flag, frame_flag,
    frame_type, order_hint::skip_mode_frames,
};

use super::{
    Slot,
    bits::{Bits, invalid},
    film_grain::film_grain_params,
    filters,
    global_motion::{self, global_motion_params},
    quantization,
    sequence::SequenceHeader,
    tile_info::tile_info,
};
use crate::Result;

/// Variables of the specification that several syntax tables share.
pub(super) struct FrameState<'a> {
    pub sequence: &'a SequenceHeader,
    pub frame: &'a Frame,
    /// FrameIsIntra.
    pub is_intra: bool,
    /// A key frame that is shown: it replaces all references.
    pub shown_key: bool,
    pub error_resilient_mode: bool,
    pub primary_ref_frame: u8,
    pub refresh_frame_flags: u8,
    pub upscaled_width: u32,
    pub frame_width: u32,
    pub frame_height: u32,
    pub allow_intrabc: bool,
    pub coded_lossless: bool,
    pub all_lossless: bool,
}

impl<'a> FrameState<'a> {
    pub(super) fn new(sequence: &'a SequenceHeader, frame: &'a Frame) -> Result<Self> {
        let flag = |bit: u32| frame.flags & bit != 0;
        let kind = frame.frame_type;
        if kind > frame_type::SWITCH {
            return Err(invalid(format!("frame_type: {kind}")));
        }
        let is_intra = matches!(kind, frame_type::KEY | frame_type::INTRA_ONLY);
        let shown_key = kind == frame_type::KEY && flag(frame_flag::SHOW_FRAME);
        let replaces_all = shown_key || kind == frame_type::SWITCH;
        let error_resilient_mode = replaces_all || flag(frame_flag::ERROR_RESILIENT_MODE);
        let refresh_frame_flags = if replaces_all { 0xff } else { frame.refresh_frame_flags };
        if kind == frame_type::INTRA_ONLY && refresh_frame_flags == 0xff {
            return Err(invalid("refresh_frame_flags: 0xff in an intra-only frame".into()));
        }
        let primary_ref_frame = if is_intra || error_resilient_mode {
            PRIMARY_REF_NONE
        } else {
            frame.primary_ref_frame
        };
        let (upscaled_width, frame_width, frame_height) = frame_size(frame)?;
        let allow_intrabc = is_intra
            && flag(frame_flag::ALLOW_SCREEN_CONTENT_TOOLS)
            && upscaled_width == frame_width
            && flag(frame_flag::ALLOW_INTRABC);
        let coded_lossless = quantization::coded_lossless(frame);
        Ok(FrameState {
            sequence,
            frame,
            is_intra,
            shown_key,
            error_resilient_mode,
            primary_ref_frame,
            refresh_frame_flags,
            upscaled_width,
            frame_width,
            frame_height,
            allow_intrabc,
            coded_lossless,
            all_lossless: coded_lossless && frame_width == upscaled_width,
        })
    }

    pub(super) fn flag(&self, bit: u32) -> bool {
        self.frame.flags & bit != 0
    }
}

/// UpscaledWidth, FrameWidth and FrameHeight, which have to agree with the superres denominator.
fn frame_size(frame: &Frame) -> Result<(u32, u32, u32)> {
    let frame_width = frame.frame_width_minus_1.saturating_add(1);
    let frame_height = frame.frame_height_minus_1.saturating_add(1);
    let use_superres = frame.flags & frame_flag::USE_SUPERRES != 0;
    let upscaled_width = if use_superres { frame.upscaled_width } else { frame_width };
    let size = format!("frame size: {frame_width}x{frame_height}, upscaled width {upscaled_width}");
    if upscaled_width == 0 || upscaled_width > 65536 || frame_height > 65536 {
        return Err(invalid(size));
    }
    if use_superres {
        let denom = u32::from(frame.superres_denom);
        if !(9..=16).contains(&denom) {
            return Err(invalid(format!("superres_denom: {denom}")));
        }
        if (upscaled_width * 8 + denom / 2) / denom != frame_width {
            return Err(invalid(size));
        }
    }
    Ok((upscaled_width, frame_width, frame_height))
}

/// What the next frames need to know of a frame that was written.
pub(super) struct Written {
    /// The slots that it goes to.
    pub refresh_frame_flags: u8,
    pub slot: Slot,
}

/// Writes uncompressed_header().
pub(super) fn uncompressed_header(
    w: &mut Bits,
    sequence: &SequenceHeader,
    controls: &Controls,
    slots: &[Option<Slot>; NUM_REF_FRAMES],
) -> Result<Written> {
    let frame = &controls.frame;
    let s = FrameState::new(sequence, frame)?;
    let kind = frame.frame_type;
    let show_frame = s.flag(frame_flag::SHOW_FRAME);
    let showable_frame = s.flag(frame_flag::SHOWABLE_FRAME);
    w.flag("show_existing_frame", false)?;
    w.f("frame_type", 2, kind)?;
    w.flag("show_frame", show_frame)?;
    if !show_frame {
        w.flag("showable_frame", showable_frame)?;
    }
    if kind != frame_type::SWITCH && !s.shown_key {
        w.flag("error_resilient_mode", s.error_resilient_mode)?;
    }
    let disable_cdf_update = s.flag(frame_flag::DISABLE_CDF_UPDATE);
    w.flag("disable_cdf_update", disable_cdf_update)?;
    let allow_screen_content_tools = s.flag(frame_flag::ALLOW_SCREEN_CONTENT_TOOLS);
    w.flag("allow_screen_content_tools", allow_screen_content_tools)?;
    let force_integer_mv = allow_screen_content_tools && s.flag(frame_flag::FORCE_INTEGER_MV);
    if allow_screen_content_tools {
        w.flag("force_integer_mv", force_integer_mv)?;
    }
    if kind != frame_type::SWITCH {
        w.flag("frame_size_override_flag", true)?;
    }
    let order_hint_bits = u32::from(sequence.order_hint_bits);
    let order_hint = if order_hint_bits > 0 { frame.order_hint } else { 0 };
    w.f("order_hint", order_hint_bits, order_hint)?;
    if !s.is_intra && !s.error_resilient_mode {
        w.f("primary_ref_frame", 3, s.primary_ref_frame)?;
    }
    if kind != frame_type::SWITCH && !s.shown_key {
        w.f("refresh_frame_flags", 8, s.refresh_frame_flags)?;
    }
    if (!s.is_intra || s.refresh_frame_flags != 0xff)
        && s.error_resilient_mode
        && sequence.enable_order_hint()
    {
        for slot in slots {
            let hint = slot.as_ref().map_or(0, |slot| slot.order_hint);
            w.f("ref_order_hint", order_hint_bits, hint)?;
        }
    }
    let mut allow_high_precision_mv = false;
    let mut references: Option<[&Slot; REFS_PER_FRAME]> = None;
    if s.is_intra {
        write_frame_size(w, &s)?;
        if allow_screen_content_tools && s.upscaled_width == s.frame_width {
            w.flag("allow_intrabc", s.allow_intrabc)?;
        }
    } else {
        if sequence.enable_order_hint() {
            w.flag("frame_refs_short_signaling", false)?;
        }
        let named = named_slots(frame, slots)?;
        for idx in frame.ref_frame_idx {
            w.f("ref_frame_idx", 3, idx as u32)?; // named_slots() has checked them
        }
        references = Some(named);
        if !s.error_resilient_mode {
            for _ in 0..REFS_PER_FRAME {
                w.flag("found_ref", false)?;
            }
        }
        write_frame_size(w, &s)?;
        if !force_integer_mv {
            allow_high_precision_mv = s.flag(frame_flag::ALLOW_HIGH_PRECISION_MV);
            w.flag("allow_high_precision_mv", allow_high_precision_mv)?;
        }
        let is_filter_switchable = frame.interpolation_filter == 4;
        w.flag("is_filter_switchable", is_filter_switchable)?;
        if !is_filter_switchable {
            w.f("interpolation_filter", 2, frame.interpolation_filter)?;
        }
        w.flag("is_motion_mode_switchable", s.flag(frame_flag::IS_MOTION_MODE_SWITCHABLE))?;
        if !s.error_resilient_mode && sequence.enable_order_hint() {
            w.flag("use_ref_frame_mvs", s.flag(frame_flag::USE_REF_FRAME_MVS))?;
        }
    }
    if !disable_cdf_update {
        let disable = s.flag(frame_flag::DISABLE_FRAME_END_UPDATE_CDF);
        w.flag("disable_frame_end_update_cdf", disable)?;
    }
    let tiles = &frame.tile_info;
    tile_info(w, tiles, s.frame_width, s.frame_height, sequence.use_128x128_superblock)?;
    quantization::quantization_params(w, &s)?;
    quantization::segmentation_params(w, &s)?;
    quantization::delta_q_and_lf_params(w, &s)?;
    filters::loop_filter_params(w, &s)?;
    filters::cdef_params(w, &s)?;
    filters::lr_params(w, &s)?;
    if !s.coded_lossless {
        w.flag("tx_mode_select", frame.tx_mode == 2)?;
    }
    let reference_select = !s.is_intra && s.flag(frame_flag::REFERENCE_SELECT);
    if !s.is_intra {
        w.flag("reference_select", reference_select)?;
    }
    let bits = sequence.order_hint_bits;
    let skip_mode_allowed = reference_select
        && sequence.enable_order_hint()
        && references.is_some_and(|references| {
            let hints = references.map(|slot| slot.order_hint);
            skip_mode_frames(order_hint, &hints, bits).is_some()
        });
    if skip_mode_allowed {
        w.flag("skip_mode_present", s.flag(frame_flag::SKIP_MODE_PRESENT))?;
    }
    if !s.is_intra && !s.error_resilient_mode {
        w.flag("allow_warped_motion", s.flag(frame_flag::ALLOW_WARPED_MOTION))?;
    }
    w.flag("reduced_tx_set", s.flag(frame_flag::REDUCED_TX_SET))?;
    let gm_params = match &references {
        None => global_motion::DEFAULT_PARAMS,
        Some(references) => {
            let prev = match references.get(usize::from(s.primary_ref_frame)) {
                Some(primary) => &primary.gm_params,
                None => &global_motion::DEFAULT_PARAMS,
            };
            global_motion_params(w, &frame.global_motion, allow_high_precision_mv, prev)?
        }
    };
    if show_frame || showable_frame {
        let grain = &controls.film_grain;
        film_grain_params(w, grain, kind, sequence.mono_chrome)?;
    } else if controls.film_grain.flags & film_grain_flag::APPLY_GRAIN != 0 {
        log::debug!("AV1: film grain for a frame that is never shown is ignored");
    }
    let slot = Slot { order_hint, gm_params };
    Ok(Written { refresh_frame_flags: s.refresh_frame_flags, slot })
}

/// frame_size() with superres_params(), and render_size().
fn write_frame_size(w: &mut Bits, s: &FrameState<'_>) -> Result<()> {
    w.f("frame_width_minus_1", 16, s.upscaled_width - 1)?;
    w.f("frame_height_minus_1", 16, s.frame_height - 1)?;
    let use_superres = s.flag(frame_flag::USE_SUPERRES);
    w.flag("use_superres", use_superres)?;
    if use_superres {
        w.f("coded_denom", 3, s.frame.superres_denom - 9)?;
    }
    w.flag("render_and_frame_size_different", false)
}

/// The slots that ref_frame_idx names; all of them must hold a picture.
fn named_slots<'a>(
    frame: &Frame,
    slots: &'a [Option<Slot>; NUM_REF_FRAMES],
) -> Result<[&'a Slot; REFS_PER_FRAME]> {
    let mut named = Vec::with_capacity(REFS_PER_FRAME);
    for (i, idx) in frame.ref_frame_idx.iter().enumerate() {
        let slot = usize::try_from(*idx).ok().and_then(|idx| slots.get(idx)?.as_ref());
        named
            .push(slot.ok_or_else(|| invalid(format!("ref_frame_idx[{i}]: no picture in {idx}")))?);
    }
    named.try_into().map_err(|_| invalid("ref_frame_idx".into()))
}
