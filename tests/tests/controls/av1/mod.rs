//! AV1: the controls that a V4L2 stateless client makes of a stream, read by cros-codecs.
//!
//! The driver keeps reference slots of its own (`codec/av1/slots.rs`), since VA does not say which ones a
//! picture replaces. So `ref_frame_idx` and `reference_frame_ts` are compared by what they mean: the pictures
//! that a frame refers to, those that later frames may refer to, and that the slots are what the earlier
//! requests' `refresh_frame_flags` made of them.

mod parse;
mod shear;
mod slots;
mod timing;

use daedalus_uapi::record::Record;
use daedalus_uapi::{Controls, av1 as uapi};

use crate::compare::{Comparison, fields};
use crate::timestamps::Timestamps;
use parse::Expected;
use slots::Slots;

/// Compares the requests for an IVF file.
pub fn compare(ivf: &[u8], got: &[Record], comparison: &mut Comparison) -> Result<(), String> {
    compare_all(&parse::expected(ivf)?, got, comparison)
}

/// Compares the requests of two clients for one stream.
pub fn compare_records(
    theirs: &[Record],
    ours: &[Record],
    comparison: &mut Comparison,
) -> Result<(), String> {
    let mut pictures = Timestamps::default();
    let mut expected = Vec::new();
    for record in theirs {
        let Controls::Av1(controls) = &record.controls else {
            return Err("a request that is not AV1".into());
        };
        let frame = &controls.frame;
        let slots = frame.reference_frame_ts.map(|ts| pictures.number_of(record.session, ts));
        let named = |slot: i8| usize::try_from(slot).ok().and_then(|slot| *slots.get(slot)?);
        let bypassed = frame.flags & uapi::frame_flag::ALLOW_INTRABC != 0
            || frame.quantization.base_q_idx == 0;
        expected.push(Expected {
            bytes: controls.tiles.iter().map(|tile| tile.tile_size as usize).sum(),
            controls: (**controls).clone(),
            loop_filter_coded: !bypassed,
            references: frame.ref_frame_idx.map(named),
            live: slots.iter().flatten().copied().collect(),
        });
        pictures.number(record.session, record.timestamp);
    }
    compare_all(&expected, ours, comparison)
}

fn compare_all(
    expected: &[Expected],
    got: &[Record],
    comparison: &mut Comparison,
) -> Result<(), String> {
    let mut slots = Slots::default();
    let mut compared = 0;
    for (request, got) in got.iter().enumerate() {
        comparison.request = request;
        let Controls::Av1(controls) = &got.controls else {
            return Err(format!("request {request} is not AV1"));
        };
        let frame = &controls.frame;
        slots.session(got.session);
        comparison.field(
            "av1.frame.reference_frame_ts.as_refreshed",
            &slots.timestamps(),
            &frame.reference_frame_ts,
        );
        if !got.shown && slots.repeats(got.timestamp, frame) {
            continue;
        }
        let number = compared;
        compared += 1;
        let named = slots.named(frame);
        slots.picture(number, got.timestamp, frame);
        let Some(expected) = expected.get(number) else { continue };
        comparison.field("av1.request.hold_capture", &false, &got.hold_capture);
        comparison.field("av1.request.bytes", &expected.bytes, &got.bytes);
        comparison.field("av1.frame.ref_frame_idx.pictures", &expected.references, &named);
        let missing = slots.missing(&expected.live, &frame.reference_frame_ts);
        comparison.field("av1.frame.reference_frame_ts.missing", &Vec::new(), &missing);
        compare_controls(comparison, expected, controls);
    }
    comparison.field("av1.requests", &expected.len(), &compared);
    Ok(())
}

fn compare_controls(comparison: &mut Comparison, expected: &Expected, got: &uapi::Controls) {
    compare_sequence(comparison, &expected.controls.sequence, &got.sequence);
    compare_frame(comparison, &expected.controls.frame, &got.frame);
    compare_loop_filter(comparison, expected, &got.frame.loop_filter);
    compare_film_grain(comparison, &expected.controls.film_grain, &got.film_grain);
    let (theirs, ours) = (&expected.controls.tiles, &got.tiles);
    comparison.field("av1.tile_group_entry", &theirs.len(), &ours.len());
    for (theirs, ours) in theirs.iter().zip(ours) {
        fields!(
            comparison,
            "av1.tile_group_entry",
            uapi::TileGroupEntry { tile_offset, tile_size, tile_row, tile_col },
            elsewhere {},
            theirs,
            ours
        );
    }
}

fn compare_sequence(comparison: &mut Comparison, expected: &uapi::Sequence, got: &uapi::Sequence) {
    use uapi::sequence_flag as flag;
    fields!(
        comparison,
        "av1.sequence",
        uapi::Sequence {
            seq_profile,
            order_hint_bits,
            bit_depth,
            reserved,
            max_frame_width_minus_1,
            max_frame_height_minus_1,
        },
        elsewhere { flags },
        expected,
        got
    );
    let names = [
        ("STILL_PICTURE", flag::STILL_PICTURE),
        ("USE_128X128_SUPERBLOCK", flag::USE_128X128_SUPERBLOCK),
        ("ENABLE_FILTER_INTRA", flag::ENABLE_FILTER_INTRA),
        ("ENABLE_INTRA_EDGE_FILTER", flag::ENABLE_INTRA_EDGE_FILTER),
        ("ENABLE_INTERINTRA_COMPOUND", flag::ENABLE_INTERINTRA_COMPOUND),
        ("ENABLE_MASKED_COMPOUND", flag::ENABLE_MASKED_COMPOUND),
        ("ENABLE_WARPED_MOTION", flag::ENABLE_WARPED_MOTION),
        ("ENABLE_DUAL_FILTER", flag::ENABLE_DUAL_FILTER),
        ("ENABLE_ORDER_HINT", flag::ENABLE_ORDER_HINT),
        ("ENABLE_JNT_COMP", flag::ENABLE_JNT_COMP),
        ("ENABLE_REF_FRAME_MVS", flag::ENABLE_REF_FRAME_MVS),
        ("ENABLE_SUPERRES", flag::ENABLE_SUPERRES),
        ("ENABLE_CDEF", flag::ENABLE_CDEF),
        ("ENABLE_RESTORATION", flag::ENABLE_RESTORATION),
        ("MONO_CHROME", flag::MONO_CHROME),
        ("COLOR_RANGE", flag::COLOR_RANGE),
        ("SUBSAMPLING_X", flag::SUBSAMPLING_X),
        ("SUBSAMPLING_Y", flag::SUBSAMPLING_Y),
        ("FILM_GRAIN_PARAMS_PRESENT", flag::FILM_GRAIN_PARAMS_PRESENT),
        ("SEPARATE_UV_DELTA_Q", flag::SEPARATE_UV_DELTA_Q),
    ];
    comparison.flags("av1.sequence.flags", &names, expected.flags, got.flags);
}

fn compare_frame(comparison: &mut Comparison, expected: &uapi::Frame, got: &uapi::Frame) {
    use uapi::frame_flag as flag;
    fields!(
        comparison,
        "av1.frame",
        uapi::Frame {
            superres_denom,
            skip_mode_frame,
            primary_ref_frame,
            frame_type,
            order_hint,
            upscaled_width,
            interpolation_filter,
            tx_mode,
            frame_width_minus_1,
            frame_height_minus_1,
            render_width_minus_1,
            render_height_minus_1,
            current_frame_id,
            buffer_removal_time,
            reserved,
            order_hints,
            ref_frame_idx,
            refresh_frame_flags,
        },
        elsewhere {
            tile_info,
            quantization,
            segmentation,
            loop_filter,
            cdef,
            loop_restoration,
            global_motion,
            flags,
            reference_frame_ts,
        },
        expected,
        got
    );
    let names = [
        ("SHOW_FRAME", flag::SHOW_FRAME),
        ("SHOWABLE_FRAME", flag::SHOWABLE_FRAME),
        ("ERROR_RESILIENT_MODE", flag::ERROR_RESILIENT_MODE),
        ("DISABLE_CDF_UPDATE", flag::DISABLE_CDF_UPDATE),
        ("ALLOW_SCREEN_CONTENT_TOOLS", flag::ALLOW_SCREEN_CONTENT_TOOLS),
        ("FORCE_INTEGER_MV", flag::FORCE_INTEGER_MV),
        ("ALLOW_INTRABC", flag::ALLOW_INTRABC),
        ("USE_SUPERRES", flag::USE_SUPERRES),
        ("ALLOW_HIGH_PRECISION_MV", flag::ALLOW_HIGH_PRECISION_MV),
        ("IS_MOTION_MODE_SWITCHABLE", flag::IS_MOTION_MODE_SWITCHABLE),
        ("USE_REF_FRAME_MVS", flag::USE_REF_FRAME_MVS),
        ("DISABLE_FRAME_END_UPDATE_CDF", flag::DISABLE_FRAME_END_UPDATE_CDF),
        ("ALLOW_WARPED_MOTION", flag::ALLOW_WARPED_MOTION),
        ("REFERENCE_SELECT", flag::REFERENCE_SELECT),
        ("REDUCED_TX_SET", flag::REDUCED_TX_SET),
        ("SKIP_MODE_ALLOWED", flag::SKIP_MODE_ALLOWED),
        ("SKIP_MODE_PRESENT", flag::SKIP_MODE_PRESENT),
        ("FRAME_SIZE_OVERRIDE", flag::FRAME_SIZE_OVERRIDE),
        ("BUFFER_REMOVAL_TIME_PRESENT", flag::BUFFER_REMOVAL_TIME_PRESENT),
        ("FRAME_REFS_SHORT_SIGNALING", flag::FRAME_REFS_SHORT_SIGNALING),
    ];
    comparison.flags("av1.frame.flags", &names, expected.flags, got.flags);
    compare_tile_info(comparison, &expected.tile_info, &got.tile_info);
    compare_quantization(comparison, &expected.quantization, &got.quantization);
    compare_segmentation(comparison, &expected.segmentation, &got.segmentation);
    compare_filters(comparison, expected, got);
    let (theirs, ours) = (&expected.global_motion, &got.global_motion);
    fields!(
        comparison,
        "av1.frame.global_motion",
        uapi::GlobalMotion { flags, kind, params, invalid, reserved },
        elsewhere {},
        theirs,
        ours
    );
}

fn compare_tile_info(comparison: &mut Comparison, expected: &uapi::TileInfo, got: &uapi::TileInfo) {
    fields!(
        comparison,
        "av1.frame.tile_info",
        uapi::TileInfo {
            context_update_tile_id,
            tile_cols,
            tile_rows,
            mi_col_starts,
            mi_row_starts,
            width_in_sbs_minus_1,
            height_in_sbs_minus_1,
            tile_size_bytes,
            reserved,
        },
        elsewhere { flags },
        expected,
        got
    );
    let names = [("UNIFORM_TILE_SPACING", uapi::TILE_INFO_UNIFORM_TILE_SPACING)];
    comparison.flags("av1.frame.tile_info.flags", &names, expected.flags, got.flags);
}

fn compare_quantization(
    comparison: &mut Comparison,
    expected: &uapi::Quantization,
    got: &uapi::Quantization,
) {
    use uapi::quantization_flag as flag;
    fields!(
        comparison,
        "av1.frame.quantization",
        uapi::Quantization {
            base_q_idx,
            delta_q_y_dc,
            delta_q_u_dc,
            delta_q_u_ac,
            delta_q_v_dc,
            delta_q_v_ac,
            qm_y,
            qm_u,
            qm_v,
            delta_q_res,
        },
        elsewhere { flags },
        expected,
        got
    );
    let names = [
        ("DIFF_UV_DELTA", flag::DIFF_UV_DELTA),
        ("USING_QMATRIX", flag::USING_QMATRIX),
        ("DELTA_Q_PRESENT", flag::DELTA_Q_PRESENT),
    ];
    comparison.flags("av1.frame.quantization.flags", &names, expected.flags, got.flags);
}

fn compare_segmentation(
    comparison: &mut Comparison,
    expected: &uapi::Segmentation,
    got: &uapi::Segmentation,
) {
    use uapi::segmentation_flag as flag;
    fields!(
        comparison,
        "av1.frame.segmentation",
        uapi::Segmentation { last_active_seg_id, feature_enabled, feature_data },
        elsewhere { flags },
        expected,
        got
    );
    let names = [
        ("ENABLED", flag::ENABLED),
        ("UPDATE_MAP", flag::UPDATE_MAP),
        ("TEMPORAL_UPDATE", flag::TEMPORAL_UPDATE),
        ("UPDATE_DATA", flag::UPDATE_DATA),
        ("SEG_ID_PRE_SKIP", flag::SEG_ID_PRE_SKIP),
    ];
    comparison.flags("av1.frame.segmentation.flags", &names, expected.flags, got.flags);
}

fn compare_loop_filter(comparison: &mut Comparison, expected: &Expected, got: &uapi::LoopFilter) {
    use uapi::loop_filter_flag as flag;
    let theirs = &expected.controls.frame.loop_filter;
    fields!(
        comparison,
        "av1.frame.loop_filter",
        uapi::LoopFilter { level, sharpness, delta_lf_res },
        elsewhere { ref_deltas, mode_deltas, flags },
        theirs,
        got
    );
    let state = if theirs.flags & flag::DELTA_ENABLED != 0 { "" } else { ".not_enabled" };
    let deltas = [
        ("ref", &theirs.ref_deltas[..], &got.ref_deltas[..]),
        ("mode", &theirs.mode_deltas, &got.mode_deltas),
    ];
    for (name, theirs, ours) in deltas {
        comparison.field(&format!("av1.frame.loop_filter.{name}_deltas{state}"), theirs, ours);
    }
    // Without a loop filter the flag is not coded (5.9.11).
    let enabled =
        if expected.loop_filter_coded { "DELTA_ENABLED" } else { "DELTA_ENABLED.not_coded" };
    let names = [
        (enabled, flag::DELTA_ENABLED),
        ("DELTA_UPDATE", flag::DELTA_UPDATE),
        ("DELTA_LF_PRESENT", flag::DELTA_LF_PRESENT),
        ("DELTA_LF_MULTI", flag::DELTA_LF_MULTI),
    ];
    comparison.flags("av1.frame.loop_filter.flags", &names, theirs.flags, got.flags);
}

fn compare_filters(comparison: &mut Comparison, expected: &uapi::Frame, got: &uapi::Frame) {
    fields!(
        comparison,
        "av1.frame.cdef",
        uapi::Cdef {
            damping_minus_3,
            bits,
            y_pri_strength,
            y_sec_strength,
            uv_pri_strength,
            uv_sec_strength,
        },
        elsewhere {},
        &expected.cdef,
        &got.cdef
    );
    let (theirs, ours) = (&expected.loop_restoration, &got.loop_restoration);
    fields!(
        comparison,
        "av1.frame.loop_restoration",
        uapi::LoopRestoration {
            lr_unit_shift,
            lr_uv_shift,
            reserved,
            frame_restoration_type,
            loop_restoration_size,
        },
        elsewhere { flags },
        theirs,
        ours
    );
    let names = [
        ("USES_LR", uapi::LOOP_RESTORATION_USES_LR),
        ("USES_CHROMA_LR", uapi::LOOP_RESTORATION_USES_CHROMA_LR),
    ];
    comparison.flags("av1.frame.loop_restoration.flags", &names, theirs.flags, ours.flags);
}

fn compare_film_grain(
    comparison: &mut Comparison,
    expected: &uapi::FilmGrain,
    got: &uapi::FilmGrain,
) {
    use uapi::film_grain_flag as flag;
    fields!(
        comparison,
        "av1.film_grain",
        uapi::FilmGrain {
            cr_mult,
            grain_seed,
            film_grain_params_ref_idx,
            num_y_points,
            point_y_value,
            point_y_scaling,
            num_cb_points,
            point_cb_value,
            point_cb_scaling,
            num_cr_points,
            point_cr_value,
            point_cr_scaling,
            grain_scaling_minus_8,
            ar_coeff_lag,
            ar_coeffs_y_plus_128,
            ar_coeffs_cb_plus_128,
            ar_coeffs_cr_plus_128,
            ar_coeff_shift_minus_6,
            grain_scale_shift,
            cb_mult,
            cb_luma_mult,
            cr_luma_mult,
            cb_offset,
            cr_offset,
            reserved,
        },
        elsewhere { flags },
        expected,
        got
    );
    let names = [
        ("APPLY_GRAIN", flag::APPLY_GRAIN),
        ("UPDATE_GRAIN", flag::UPDATE_GRAIN),
        ("CHROMA_SCALING_FROM_LUMA", flag::CHROMA_SCALING_FROM_LUMA),
        ("OVERLAP", flag::OVERLAP),
        ("CLIP_TO_RESTRICTED_RANGE", flag::CLIP_TO_RESTRICTED_RANGE),
    ];
    comparison.flags("av1.film_grain.flags", &names, expected.flags, got.flags);
}
