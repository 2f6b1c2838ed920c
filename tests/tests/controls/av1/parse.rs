//! OBUs → what the requests should be.

use std::rc::Rc;

use cros_codecs::bitstream_utils::IvfIterator;
use cros_codecs::codec::av1::parser::{
    BitDepth, FrameHeaderObu, ObuAction, ParsedObu, Parser, Profile, SequenceHeaderObu,
    TileGroupObu, WarpModelType,
};
use daedalus_tests::obu::{self, Obu};
use daedalus_uapi::av1 as uapi;

use super::{shear, timing};

/// What one request should be.
pub struct Expected {
    /// Bytes of all tiles.
    pub bytes: usize,
    pub controls: uapi::Controls,
    /// loop_filter_params() codes something (5.9.11).
    pub loop_filter_coded: bool,
    /// The pictures that the frame refers to, by number in decode order, LAST_FRAME first.
    pub references: [Option<usize>; uapi::REFS_PER_FRAME],
    /// The pictures that it and later frames may refer to.
    pub live: Vec<usize>,
}

/// A frame whose tiles are being read.
struct Frame {
    header: FrameHeaderObu,
    tiles: Vec<uapi::TileGroupEntry>,
}

#[derive(Default)]
struct Decoder {
    parser: Parser,
    sequence: Option<Rc<SequenceHeaderObu>>,
    frame: Option<Frame>,
    /// Slots, by number of the picture.
    slots: [Option<usize>; uapi::NUM_REF_FRAMES],
    requests: Vec<Expected>,
}

/// The requests for an IVF file: one per frame that is decoded, hidden ones included.
pub fn expected(ivf: &[u8]) -> Result<Vec<Expected>, String> {
    let mut decoder = Decoder::default();
    for unit in IvfIterator::new(ivf) {
        for obu in obu::low_overhead(unit).map_err(|e| e.to_string())? {
            if decoder.only_shows(&obu) {
                continue;
            }
            let payload = match obu.kind {
                obu::SEQUENCE_HEADER => timing::left_out(obu.payload)?,
                _ => None,
            };
            let payload = payload.as_deref().unwrap_or(obu.payload);
            let mut bytes = Vec::new();
            obu::write(&Obu { payload, ..obu }, &mut bytes);
            if let ObuAction::Process(obu) = decoder.parser.read_obu(&bytes)? {
                let parsed = decoder.parser.parse_obu(obu)?;
                decoder.obu(parsed)?;
            }
        }
    }
    Ok(decoder.requests)
}

impl Decoder {
    /// Whether an OBU shows a picture again that is no key frame, which changes nothing (7.21). cros-codecs
    /// 0.0.6 takes such an OBU for broken if there are frame ids.
    fn only_shows(&self, obu: &Obu<'_>) -> bool {
        let reduced = self.sequence.as_ref().is_none_or(|s| s.reduced_still_picture_header);
        let first = obu.payload.first().copied().unwrap_or_default();
        // show_existing_frame, frame_to_show_map_idx
        if obu.kind != obu::FRAME_HEADER || reduced || first & 0x80 == 0 {
            return false;
        }
        let shown = self.slots[usize::from(first >> 4 & 7)];
        let frame = shown.map(|number| &self.requests[number].controls.frame);
        frame.is_some_and(|frame| frame.frame_type != uapi::frame_type::KEY)
    }

    fn obu(&mut self, obu: ParsedObu<'_>) -> Result<(), String> {
        match obu {
            ParsedObu::SequenceHeader(sequence) => self.sequence = Some(sequence),
            ParsedObu::FrameHeader(header) if header.show_existing_frame => {
                self.parser.ref_frame_update(&header)?;
                self.refresh(&header, self.slots[usize::from(header.frame_to_show_map_idx)]);
            }
            ParsedObu::FrameHeader(header) => {
                self.frame.get_or_insert(Frame { header, tiles: Vec::new() });
            }
            ParsedObu::Frame(frame) => {
                self.frame = Some(Frame { header: frame.header, tiles: Vec::new() });
                self.tiles(&frame.tile_group)?;
            }
            ParsedObu::TileGroup(group) => self.tiles(&group)?,
            _ => {}
        }
        Ok(())
    }

    fn tiles(&mut self, group: &TileGroupObu<'_>) -> Result<(), String> {
        let mut frame = self.frame.take().ok_or("tiles without a frame")?;
        for tile in &group.tiles {
            // The driver puts the tiles one behind the other.
            let end = frame.tiles.last().map_or(0, |last| last.tile_offset + last.tile_size);
            frame.tiles.push(uapi::TileGroupEntry {
                tile_offset: end,
                tile_size: tile.tile_size,
                tile_row: tile.tile_row,
                tile_col: tile.tile_col,
            });
        }
        let info = &frame.header.tile_info;
        if frame.tiles.len() < (info.tile_cols * info.tile_rows) as usize {
            self.frame = Some(frame);
            return Ok(());
        }
        let number = self.requests.len();
        self.request(&frame)?;
        self.parser.ref_frame_update(&frame.header)?;
        self.refresh(&frame.header, Some(number));
        Ok(())
    }

    fn refresh(&mut self, header: &FrameHeaderObu, picture: Option<usize>) {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if header.refresh_frame_flags >> i & 1 != 0 {
                *slot = picture;
            }
        }
    }

    fn request(&mut self, frame: &Frame) -> Result<(), String> {
        let header = &frame.header;
        let sequence = self.sequence.as_ref().ok_or("a frame without sequence header")?;
        let mut controls = uapi::Controls::new_zeroed();
        controls.sequence = sequence_control(sequence);
        controls.frame = frame_control(header);
        film_grain(header, &mut controls.film_grain);
        controls.tiles.clone_from(&frame.tiles);
        let mut references = [None; uapi::REFS_PER_FRAME];
        let mut live = Vec::new();
        if !header.frame_is_intra {
            references = header.ref_frame_idx.map(|slot| self.slots[usize::from(slot)]);
            live = self.slots.iter().copied().flatten().collect();
            live.dedup();
        }
        let bytes = frame.tiles.iter().map(|tile| tile.tile_size as usize).sum();
        let loop_filter_coded = !header.coded_lossless && !header.allow_intrabc;
        self.requests.push(Expected { bytes, controls, loop_filter_coded, references, live });
        Ok(())
    }
}

/// The set bits of a flags field.
fn flags<F: Copy + Default + std::ops::BitOr<Output = F>>(bits: &[(bool, F)]) -> F {
    bits.iter().filter(|(on, _)| *on).fold(F::default(), |flags, (_, bit)| flags | *bit)
}

fn sequence_control(s: &SequenceHeaderObu) -> uapi::Sequence {
    use uapi::sequence_flag as flag;
    let mut control = uapi::Controls::new_zeroed().sequence;
    let color = &s.color_config;
    control.flags = flags(&[
        (s.still_picture, flag::STILL_PICTURE),
        (s.use_128x128_superblock, flag::USE_128X128_SUPERBLOCK),
        (s.enable_filter_intra, flag::ENABLE_FILTER_INTRA),
        (s.enable_intra_edge_filter, flag::ENABLE_INTRA_EDGE_FILTER),
        (s.enable_interintra_compound, flag::ENABLE_INTERINTRA_COMPOUND),
        (s.enable_masked_compound, flag::ENABLE_MASKED_COMPOUND),
        (s.enable_warped_motion, flag::ENABLE_WARPED_MOTION),
        (s.enable_dual_filter, flag::ENABLE_DUAL_FILTER),
        (s.enable_order_hint, flag::ENABLE_ORDER_HINT),
        (s.enable_jnt_comp, flag::ENABLE_JNT_COMP),
        (s.enable_ref_frame_mvs, flag::ENABLE_REF_FRAME_MVS),
        (s.enable_superres, flag::ENABLE_SUPERRES),
        (s.enable_cdef, flag::ENABLE_CDEF),
        (s.enable_restoration, flag::ENABLE_RESTORATION),
        (color.mono_chrome, flag::MONO_CHROME),
        (color.color_range, flag::COLOR_RANGE),
        (color.subsampling_x, flag::SUBSAMPLING_X),
        (color.subsampling_y, flag::SUBSAMPLING_Y),
        (s.film_grain_params_present, flag::FILM_GRAIN_PARAMS_PRESENT),
        (color.separate_uv_delta_q, flag::SEPARATE_UV_DELTA_Q),
    ]);
    control.seq_profile = match s.seq_profile {
        Profile::Profile0 => 0,
        Profile::Profile1 => 1,
        Profile::Profile2 => 2,
    };
    control.order_hint_bits = s.order_hint_bits as u8;
    control.bit_depth = match s.bit_depth {
        BitDepth::Depth8 => 8,
        BitDepth::Depth10 => 10,
        BitDepth::Depth12 => 12,
    };
    control.max_frame_width_minus_1 = s.max_frame_width_minus_1;
    control.max_frame_height_minus_1 = s.max_frame_height_minus_1;
    control
}

fn frame_control(h: &FrameHeaderObu) -> uapi::Frame {
    use uapi::frame_flag as flag;
    let mut control = uapi::Controls::new_zeroed().frame;
    control.flags = flags(&[
        (h.show_frame, flag::SHOW_FRAME),
        (h.showable_frame, flag::SHOWABLE_FRAME),
        (h.error_resilient_mode, flag::ERROR_RESILIENT_MODE),
        (h.disable_cdf_update, flag::DISABLE_CDF_UPDATE),
        (h.allow_screen_content_tools != 0, flag::ALLOW_SCREEN_CONTENT_TOOLS),
        (h.force_integer_mv != 0, flag::FORCE_INTEGER_MV),
        (h.allow_intrabc, flag::ALLOW_INTRABC),
        (h.use_superres, flag::USE_SUPERRES),
        (h.allow_high_precision_mv, flag::ALLOW_HIGH_PRECISION_MV),
        (h.is_motion_mode_switchable, flag::IS_MOTION_MODE_SWITCHABLE),
        (h.use_ref_frame_mvs, flag::USE_REF_FRAME_MVS),
        (h.disable_frame_end_update_cdf, flag::DISABLE_FRAME_END_UPDATE_CDF),
        (h.allow_warped_motion, flag::ALLOW_WARPED_MOTION),
        (h.reference_select, flag::REFERENCE_SELECT),
        (h.reduced_tx_set, flag::REDUCED_TX_SET),
        (h.skip_mode_frame[0] != 0, flag::SKIP_MODE_ALLOWED),
        (h.skip_mode_present, flag::SKIP_MODE_PRESENT),
        (h.frame_size_override_flag, flag::FRAME_SIZE_OVERRIDE),
        (h.buffer_removal_time_present_flag, flag::BUFFER_REMOVAL_TIME_PRESENT),
        (h.frame_refs_short_signaling, flag::FRAME_REFS_SHORT_SIGNALING),
    ]);
    control.superres_denom = h.superres_denom as u8;
    control.skip_mode_frame = h.skip_mode_frame.map(|frame| frame as u8);
    control.primary_ref_frame = h.primary_ref_frame as u8;
    control.frame_type = h.frame_type as u32;
    control.order_hint = h.order_hint;
    control.upscaled_width = h.upscaled_width;
    control.interpolation_filter = h.interpolation_filter as u32;
    control.tx_mode = h.tx_mode as u32;
    control.frame_width_minus_1 = h.frame_width - 1;
    control.frame_height_minus_1 = h.frame_height - 1;
    control.render_width_minus_1 = (h.render_width - 1) as u16;
    control.render_height_minus_1 = (h.render_height - 1) as u16;
    control.current_frame_id = h.current_frame_id;
    for (to, from) in control.buffer_removal_time.iter_mut().zip(&h.buffer_removal_time) {
        *to = *from;
    }
    control.order_hints = h.order_hints;
    control.ref_frame_idx = h.ref_frame_idx.map(|slot| slot as i8);
    control.refresh_frame_flags = h.refresh_frame_flags as u8;
    tile_info(h, &mut control.tile_info);
    quantization(h, &mut control.quantization);
    segmentation(h, &mut control.segmentation);
    filters(h, &mut control);
    global_motion(h, &mut control.global_motion);
    control
}

fn tile_info(h: &FrameHeaderObu, control: &mut uapi::TileInfo) {
    let info = &h.tile_info;
    control.flags =
        flags(&[(info.uniform_tile_spacing_flag, uapi::TILE_INFO_UNIFORM_TILE_SPACING)]);
    control.context_update_tile_id = info.context_update_tile_id as u8;
    (control.tile_cols, control.tile_rows) = (info.tile_cols as u8, info.tile_rows as u8);
    // Behind the tiles of this frame it keeps what earlier ones had.
    let (cols, rows) = (info.tile_cols as usize, info.tile_rows as usize);
    control.mi_col_starts[..=cols].copy_from_slice(&info.mi_col_starts[..=cols]);
    control.mi_row_starts[..=rows].copy_from_slice(&info.mi_row_starts[..=rows]);
    control.width_in_sbs_minus_1[..cols].copy_from_slice(&info.width_in_sbs_minus_1[..cols]);
    control.height_in_sbs_minus_1[..rows].copy_from_slice(&info.height_in_sbs_minus_1[..rows]);
    control.tile_size_bytes = info.tile_size_bytes as u8;
}

fn quantization(h: &FrameHeaderObu, control: &mut uapi::Quantization) {
    use uapi::quantization_flag as flag;
    let q = &h.quantization_params;
    control.flags = flags(&[
        (q.diff_uv_delta, flag::DIFF_UV_DELTA),
        (q.using_qmatrix, flag::USING_QMATRIX),
        (q.delta_q_present, flag::DELTA_Q_PRESENT),
    ]);
    control.base_q_idx = q.base_q_idx as u8;
    control.delta_q_y_dc = q.delta_q_y_dc as i8;
    control.delta_q_u_dc = q.delta_q_u_dc as i8;
    control.delta_q_u_ac = q.delta_q_u_ac as i8;
    control.delta_q_v_dc = q.delta_q_v_dc as i8;
    control.delta_q_v_ac = q.delta_q_v_ac as i8;
    (control.qm_y, control.qm_u, control.qm_v) = (q.qm_y as u8, q.qm_u as u8, q.qm_v as u8);
    control.delta_q_res = q.delta_q_res as u8;
}

fn segmentation(h: &FrameHeaderObu, control: &mut uapi::Segmentation) {
    use uapi::segmentation_flag as flag;
    let seg = &h.segmentation_params;
    control.flags = flags(&[
        (seg.segmentation_enabled, flag::ENABLED),
        (seg.segmentation_update_map, flag::UPDATE_MAP),
        (seg.segmentation_temporal_update, flag::TEMPORAL_UPDATE),
        (seg.segmentation_update_data, flag::UPDATE_DATA),
        (seg.seg_id_pre_skip, flag::SEG_ID_PRE_SKIP),
    ]);
    control.last_active_seg_id = seg.last_active_seg_id;
    for i in 0..8 {
        for j in (0..8).filter(|j| seg.feature_enabled[i][*j]) {
            // A feature that is off has no value (5.9.14); it keeps the old one.
            control.feature_enabled[i] |= 1 << j;
            control.feature_data[i][j] = seg.feature_data[i][j];
        }
    }
}

fn filters(h: &FrameHeaderObu, control: &mut uapi::Frame) {
    use uapi::loop_filter_flag as flag;
    let lf = &h.loop_filter_params;
    control.loop_filter.flags = flags(&[
        (lf.loop_filter_delta_enabled, flag::DELTA_ENABLED),
        (lf.loop_filter_delta_update, flag::DELTA_UPDATE),
        (lf.delta_lf_present, flag::DELTA_LF_PRESENT),
        (lf.delta_lf_multi, flag::DELTA_LF_MULTI),
    ]);
    control.loop_filter.level = lf.loop_filter_level;
    control.loop_filter.sharpness = lf.loop_filter_sharpness;
    control.loop_filter.ref_deltas = lf.loop_filter_ref_deltas;
    control.loop_filter.mode_deltas = lf.loop_filter_mode_deltas;
    control.loop_filter.delta_lf_res = lf.delta_lf_res;

    let cdef = &h.cdef_params;
    control.cdef.damping_minus_3 = (cdef.cdef_damping - 3) as u8;
    control.cdef.bits = cdef.cdef_bits as u8;
    control.cdef.y_pri_strength = cdef.cdef_y_pri_strength.map(|s| s as u8);
    control.cdef.y_sec_strength = cdef.cdef_y_sec_strength.map(|s| s as u8);
    control.cdef.uv_pri_strength = cdef.cdef_uv_pri_strength.map(|s| s as u8);
    control.cdef.uv_sec_strength = cdef.cdef_uv_sec_strength.map(|s| s as u8);

    let lr = &h.loop_restoration_params;
    control.loop_restoration.flags = flags(&[
        (lr.uses_lr, uapi::LOOP_RESTORATION_USES_LR),
        (lr.uses_chroma_lr, uapi::LOOP_RESTORATION_USES_CHROMA_LR),
    ]);
    control.loop_restoration.lr_unit_shift = lr.lr_unit_shift;
    control.loop_restoration.lr_uv_shift = lr.lr_uv_shift;
    control.loop_restoration.frame_restoration_type =
        lr.frame_restoration_type.map(|kind| kind as u32);
    control.loop_restoration.loop_restoration_size = lr.loop_restoration_size.map(u32::from);
}

fn global_motion(h: &FrameHeaderObu, control: &mut uapi::GlobalMotion) {
    use uapi::global_motion_flag as flag;
    let gm = &h.global_motion_params;
    for i in 1..8 {
        control.flags[i] = flags(&[
            (gm.is_global[i], flag::IS_GLOBAL),
            (gm.is_rot_zoom[i], flag::IS_ROT_ZOOM),
            (gm.is_translation[i], flag::IS_TRANSLATION),
        ]);
        control.kind[i] = match gm.gm_type[i] {
            WarpModelType::Identity => uapi::warp_model::IDENTITY,
            WarpModelType::Translation => uapi::warp_model::TRANSLATION,
            WarpModelType::RotZoom => uapi::warp_model::ROTZOOM,
            WarpModelType::Affine => uapi::warp_model::AFFINE,
        };
        control.params[i] = gm.gm_params[i];
        control.invalid |= u8::from(!shear::valid(&gm.gm_params[i])) << i;
    }
}

fn film_grain(h: &FrameHeaderObu, control: &mut uapi::FilmGrain) {
    use uapi::film_grain_flag as flag;
    let fg = &h.film_grain_params;
    // Grain taken from a reference without grain is none, whatever the seed.
    if !fg.apply_grain {
        return;
    }
    control.flags = flags(&[
        (fg.apply_grain, flag::APPLY_GRAIN),
        (fg.update_grain, flag::UPDATE_GRAIN),
        (fg.chroma_scaling_from_luma, flag::CHROMA_SCALING_FROM_LUMA),
        (fg.overlap_flag, flag::OVERLAP),
        (fg.clip_to_restricted_range, flag::CLIP_TO_RESTRICTED_RANGE),
    ]);
    control.grain_seed = fg.grain_seed;
    control.film_grain_params_ref_idx = fg.film_grain_params_ref_idx;
    control.num_y_points = fg.num_y_points;
    control.point_y_value = fg.point_y_value;
    control.point_y_scaling = fg.point_y_scaling;
    control.num_cb_points = fg.num_cb_points;
    control.point_cb_value = fg.point_cb_value;
    control.point_cb_scaling = fg.point_cb_scaling;
    control.num_cr_points = fg.num_cr_points;
    control.point_cr_value = fg.point_cr_value;
    control.point_cr_scaling = fg.point_cr_scaling;
    control.grain_scaling_minus_8 = fg.grain_scaling_minus_8;
    control.ar_coeff_lag = fg.ar_coeff_lag as u8;
    control.ar_coeffs_y_plus_128 = fg.ar_coeffs_y_plus_128;
    control.ar_coeffs_cb_plus_128 = fg.ar_coeffs_cb_plus_128;
    control.ar_coeffs_cr_plus_128 = fg.ar_coeffs_cr_plus_128;
    control.ar_coeff_shift_minus_6 = fg.ar_coeff_shift_minus_6;
    control.grain_scale_shift = fg.grain_scale_shift;
    control.cb_mult = fg.cb_mult;
    control.cb_luma_mult = fg.cb_luma_mult;
    control.cb_offset = fg.cb_offset;
    control.cr_mult = fg.cr_mult;
    control.cr_luma_mult = fg.cr_luma_mult;
    control.cr_offset = fg.cr_offset;
}
