//! H.264: the controls that a V4L2 stateless client makes of a byte stream, frame-based. The syntax is
//! read by cros-codecs; what is done with it follows ITU-T H.264 and the kernel's documentation.

mod order;
mod pictures;
mod reference;
mod sizes;

use std::io::Cursor;
use std::path::Path;

use cros_codecs::codec::h264::parser::{Nalu, NaluType, Parser, Pps, Slice, SliceHeader, Sps};
use daedalus_uapi::record::Record;
use daedalus_uapi::{Controls, FromZeros, h264 as uapi};

use crate::compare::{Comparison, fields};
use crate::demux;
use crate::timestamps::Timestamps;
use reference::{Reference, References};

/// What one request should be.
struct Expected {
    /// The frame, in decode order from 0; the two fields of one have the same number.
    frame: usize,
    hold_capture: bool,
    /// Order counts start again: an IDR picture, the first one, or one behind
    /// memory_management_control_operation 5.
    counts_start: bool,
    /// Size of the slices with start codes of three bytes.
    bytes: usize,
    controls: uapi::Controls,
    /// The reference pictures, in no order: entries of the DPB control. `reference_ts` is not filled in.
    references: Vec<(Reference, uapi::DpbEntry)>,
}

/// Compares the requests for a file.
pub fn compare(file: &Path, got: &[Record], comparison: &mut Comparison) -> Result<(), String> {
    let expected = match pictures::expected(&demux::annex_b(file, false)?)? {
        Some(expected) => expected,
        None => {
            let stream = demux::annex_b(file, true)?;
            pictures::expected(&stream)?.ok_or("pictures without parameter sets")?
        }
    };
    compare_all(&expected, got, comparison)
}

/// Compares the requests of two clients for one stream.
pub fn compare_records(
    theirs: &[Record],
    ours: &[Record],
    comparison: &mut Comparison,
) -> Result<(), String> {
    let mut frames = Timestamps::default();
    let mut expected = Vec::new();
    for record in theirs {
        let Controls::H264(controls) = &record.controls else {
            return Err("a request that is not H.264".into());
        };
        let frame = frames.number(record.session, record.timestamp);
        let used = controls.decode_params.dpb.iter().filter(|entry| entry.flags != 0);
        let reference = |entry: &uapi::DpbEntry| {
            let frame = frames.number_of(record.session, entry.reference_ts);
            (Reference::named(frame), *entry)
        };
        let references = used.map(reference).collect();
        expected.push(Expected {
            frame,
            hold_capture: record.hold_capture,
            counts_start: expected.is_empty(),
            bytes: record.bytes,
            controls: (**controls).clone(),
            references,
        });
    }
    compare_all(&expected, ours, comparison)
}

fn compare_all(
    expected: &[Expected],
    got: &[Record],
    comparison: &mut Comparison,
) -> Result<(), String> {
    let mut frames = Timestamps::default();
    let mut base = 0;
    for (request, (expected, got)) in expected.iter().zip(got).enumerate() {
        comparison.request = request;
        let Controls::H264(controls) = &got.controls else {
            return Err(format!("request {request} is not H.264"));
        };
        comparison.field(
            "h264.request.frame",
            &expected.frame,
            &frames.number(got.session, got.timestamp),
        );
        comparison.field("h264.request.hold_capture", &expected.hold_capture, &got.hold_capture);
        comparison.field("h264.request.bytes", &expected.bytes, &got.bytes);
        compare_sps(comparison, &expected.controls.sps, &controls.sps);
        compare_pps(comparison, &expected.controls.pps, &controls.pps);
        let matrix = (&expected.controls.scaling_matrix, &controls.scaling_matrix);
        compare_scaling_matrix(comparison, matrix.0, matrix.1);
        let mut params = controls.decode_params;
        let counts = &expected.controls.decode_params;
        if expected.counts_start {
            base = order_count_base(counts, &params);
            comparison.field("h264.decode_params.order_cnt_base", &0, &base);
        }
        take_off(base, &mut params);
        compare_decode_params(comparison, counts, &params);
        let named = |timestamp| frames.known(got.session, timestamp);
        compare_dpb(comparison, &expected.references, &params.dpb, named);
    }
    comparison.request = expected.len().min(got.len());
    comparison.field("h264.requests", &expected.len(), &got.len());
    Ok(())
}

/// What a client adds to all order counts from here on; only their differences matter.
fn order_count_base(expected: &uapi::DecodeParams, got: &uapi::DecodeParams) -> i32 {
    if expected.flags & uapi::DECODE_PARAM_BOTTOM_FIELD != 0 {
        got.bottom_field_order_cnt.wrapping_sub(expected.bottom_field_order_cnt)
    } else {
        got.top_field_order_cnt.wrapping_sub(expected.top_field_order_cnt)
    }
}

/// Takes the base off the counts of the fields that are there.
fn take_off(base: i32, params: &mut uapi::DecodeParams) {
    let is_field = params.flags & uapi::DECODE_PARAM_FIELD_PIC != 0;
    let is_bottom = params.flags & uapi::DECODE_PARAM_BOTTOM_FIELD != 0;
    if !is_field || !is_bottom {
        params.top_field_order_cnt = params.top_field_order_cnt.wrapping_sub(base);
    }
    if !is_field || is_bottom {
        params.bottom_field_order_cnt = params.bottom_field_order_cnt.wrapping_sub(base);
    }
    for entry in &mut params.dpb {
        // A field that was not decoded has the count 0 without base.
        if entry.fields & uapi::TOP_FIELD_REF != 0 || entry.top_field_order_cnt != 0 {
            entry.top_field_order_cnt = entry.top_field_order_cnt.wrapping_sub(base);
        }
        if entry.fields & uapi::BOTTOM_FIELD_REF != 0 || entry.bottom_field_order_cnt != 0 {
            entry.bottom_field_order_cnt = entry.bottom_field_order_cnt.wrapping_sub(base);
        }
    }
}

fn compare_sps(comparison: &mut Comparison, expected: &uapi::Sps, got: &uapi::Sps) {
    fields!(
        comparison,
        "h264.sps",
        uapi::Sps {
            profile_idc,
            level_idc,
            seq_parameter_set_id,
            chroma_format_idc,
            bit_depth_luma_minus8,
            bit_depth_chroma_minus8,
            log2_max_frame_num_minus4,
            pic_order_cnt_type,
            log2_max_pic_order_cnt_lsb_minus4,
            max_num_ref_frames,
            num_ref_frames_in_pic_order_cnt_cycle,
            offset_for_ref_frame,
            offset_for_non_ref_pic,
            offset_for_top_to_bottom_field,
            pic_width_in_mbs_minus1,
            pic_height_in_map_units_minus1,
        },
        elsewhere { constraint_set_flags, flags },
        expected,
        got
    );
    let sets = [("SET0", 1), ("SET1", 2), ("SET2", 4), ("SET3", 8), ("SET4", 16), ("SET5", 32)];
    let (theirs, ours) = (expected.constraint_set_flags, got.constraint_set_flags);
    comparison.flags("h264.sps.constraint_set_flags", &sets, theirs, ours);
    let names = [
        ("SEPARATE_COLOUR_PLANE", uapi::SPS_SEPARATE_COLOUR_PLANE),
        ("QPPRIME_Y_ZERO_TRANSFORM_BYPASS", uapi::SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS),
        ("DELTA_PIC_ORDER_ALWAYS_ZERO", uapi::SPS_DELTA_PIC_ORDER_ALWAYS_ZERO),
        ("GAPS_IN_FRAME_NUM_VALUE_ALLOWED", uapi::SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED),
        ("FRAME_MBS_ONLY", uapi::SPS_FRAME_MBS_ONLY),
        ("MB_ADAPTIVE_FRAME_FIELD", uapi::SPS_MB_ADAPTIVE_FRAME_FIELD),
        ("DIRECT_8X8_INFERENCE", uapi::SPS_DIRECT_8X8_INFERENCE),
    ];
    comparison.flags("h264.sps.flags", &names, expected.flags, got.flags);
}

fn compare_pps(comparison: &mut Comparison, expected: &uapi::Pps, got: &uapi::Pps) {
    fields!(
        comparison,
        "h264.pps",
        uapi::Pps {
            pic_parameter_set_id,
            seq_parameter_set_id,
            num_slice_groups_minus1,
            num_ref_idx_l0_default_active_minus1,
            num_ref_idx_l1_default_active_minus1,
            weighted_bipred_idc,
            pic_init_qp_minus26,
            pic_init_qs_minus26,
            chroma_qp_index_offset,
            second_chroma_qp_index_offset,
        },
        elsewhere { flags },
        expected,
        got
    );
    let names = [
        ("ENTROPY_CODING_MODE", uapi::PPS_ENTROPY_CODING_MODE),
        (
            "BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT",
            uapi::PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT,
        ),
        ("WEIGHTED_PRED", uapi::PPS_WEIGHTED_PRED),
        ("DEBLOCKING_FILTER_CONTROL_PRESENT", uapi::PPS_DEBLOCKING_FILTER_CONTROL_PRESENT),
        ("CONSTRAINED_INTRA_PRED", uapi::PPS_CONSTRAINED_INTRA_PRED),
        ("REDUNDANT_PIC_CNT_PRESENT", uapi::PPS_REDUNDANT_PIC_CNT_PRESENT),
        ("TRANSFORM_8X8_MODE", uapi::PPS_TRANSFORM_8X8_MODE),
        ("SCALING_MATRIX_PRESENT", uapi::PPS_SCALING_MATRIX_PRESENT),
    ];
    comparison.flags("h264.pps.flags", &names, expected.flags, got.flags);
}

fn compare_scaling_matrix(
    comparison: &mut Comparison,
    expected: &uapi::ScalingMatrix,
    got: &uapi::ScalingMatrix,
) {
    fields!(
        comparison,
        "h264.scaling_matrix",
        uapi::ScalingMatrix { scaling_list_4x4 },
        elsewhere { scaling_list_8x8 },
        expected,
        got
    );
    let (theirs, ours) = (&expected.scaling_list_8x8, &got.scaling_list_8x8);
    comparison.field("h264.scaling_matrix.scaling_list_8x8.luma", &theirs[..2], &ours[..2]);
    comparison.field("h264.scaling_matrix.scaling_list_8x8.chroma", &theirs[2..], &ours[2..]);
}

fn compare_decode_params(
    comparison: &mut Comparison,
    expected: &uapi::DecodeParams,
    got: &uapi::DecodeParams,
) {
    fields!(
        comparison,
        "h264.decode_params",
        uapi::DecodeParams {
            nal_ref_idc,
            frame_num,
            top_field_order_cnt,
            bottom_field_order_cnt,
            idr_pic_id,
            pic_order_cnt_lsb,
            delta_pic_order_cnt_bottom,
            delta_pic_order_cnt0,
            delta_pic_order_cnt1,
            dec_ref_pic_marking_bit_size,
            pic_order_cnt_bit_size,
            slice_group_change_cycle,
            reserved,
        },
        elsewhere { dpb, flags },
        expected,
        got
    );
    let names = [
        ("IDR_PIC", uapi::DECODE_PARAM_IDR_PIC),
        ("FIELD_PIC", uapi::DECODE_PARAM_FIELD_PIC),
        ("BOTTOM_FIELD", uapi::DECODE_PARAM_BOTTOM_FIELD),
        ("PFRAME", uapi::DECODE_PARAM_PFRAME),
        ("BFRAME", uapi::DECODE_PARAM_BFRAME),
    ];
    comparison.flags("h264.decode_params.flags", &names, expected.flags, got.flags);
}

/// The entries in use, found by the frame that they name: their order means nothing. Frames that are
/// missing (`None`) are found by their frame_num.
fn compare_dpb(
    comparison: &mut Comparison,
    expected: &[(Reference, uapi::DpbEntry)],
    got: &[uapi::DpbEntry; 16],
    named: impl Fn(u64) -> Option<usize>,
) {
    let key = |frame: Option<usize>, entry: &uapi::DpbEntry| {
        (frame, frame.is_none().then_some(entry.frame_num))
    };
    let mut theirs: Vec<_> =
        expected.iter().map(|(r, entry)| (key(r.frame, entry), entry)).collect();
    let used = got.iter().filter(|entry| entry.flags != 0);
    let mut ours: Vec<_> =
        used.map(|entry| (key(named(entry.reference_ts), entry), entry)).collect();
    theirs.sort_by_key(|(key, _)| *key);
    ours.sort_by_key(|(key, _)| *key);
    let their_keys: Vec<_> = theirs.iter().map(|(key, _)| *key).collect();
    let our_keys: Vec<_> = ours.iter().map(|(key, _)| *key).collect();
    comparison.field("h264.decode_params.dpb.reference_ts", &their_keys, &our_keys);
    if their_keys != our_keys {
        return;
    }
    for ((key, expected), (_, got)) in theirs.into_iter().zip(ours) {
        let control = "h264.decode_params.dpb";
        fields!(
            comparison,
            control,
            uapi::DpbEntry { pic_num, frame_num, fields, reserved },
            elsewhere { reference_ts, top_field_order_cnt, bottom_field_order_cnt, flags },
            expected,
            got
        );
        if key.0.is_some() {
            // A frame that is missing has no order (8.2.5.2).
            fields!(
                comparison,
                control,
                uapi::DpbEntry { top_field_order_cnt, bottom_field_order_cnt },
                elsewhere { reference_ts, pic_num, frame_num, fields, reserved, flags },
                expected,
                got
            );
        }
        let names = [
            ("VALID", uapi::DPB_ENTRY_VALID),
            ("ACTIVE", uapi::DPB_ENTRY_ACTIVE),
            ("LONG_TERM", uapi::DPB_ENTRY_LONG_TERM),
            ("FIELD", uapi::DPB_ENTRY_FIELD),
        ];
        comparison.flags("h264.decode_params.dpb.flags", &names, expected.flags, got.flags);
    }
    // Entries that are not in use are zero.
    let unused = got.iter().filter(|entry| entry.flags == 0);
    let zero = uapi::DpbEntry::new_zeroed();
    let dirty = unused.filter(|entry| **entry != zero).count();
    comparison.field("h264.decode_params.dpb.unused", &0, &dirty);
}

/// The set bits of a flags field.
fn flags<F: Copy + Default + std::ops::BitOr<Output = F>>(bits: &[(bool, F)]) -> F {
    bits.iter().filter(|(on, _)| *on).fold(F::default(), |flags, (_, bit)| flags | *bit)
}
