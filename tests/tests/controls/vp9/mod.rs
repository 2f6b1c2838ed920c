//! VP9: the controls that a V4L2 stateless client makes of a stream. The syntax elements of the
//! uncompressed header are read by FFmpeg's `trace_headers`. cros-codecs 0.0.6 has a parser, too, but it takes
//! the highest bit of segmentation features for a sign, keeps flags and probabilities that do not persist,
//! and drops the sign biases of error-resilient frames.

mod compressed;
mod header;

use std::path::Path;

use daedalus_uapi::record::Record;
use daedalus_uapi::{Controls, vp9 as uapi};

use crate::compare::{Comparison, fields};
use crate::syntax;
use crate::timestamps::Timestamps;
use header::State;

/// What one request should be.
struct Expected {
    bytes: usize,
    controls: uapi::Controls,
    /// The pictures that last, golden and alternate reference are, by number in decode order.
    references: [Option<usize>; 3],
}

/// Compares the requests for a file.
pub fn compare(file: &Path, got: &[Record], comparison: &mut Comparison) -> Result<(), String> {
    compare_all(&expected(file)?, got, comparison)
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
        let Controls::Vp9(controls) = &record.controls else {
            return Err("a request that is not VP9".into());
        };
        pictures.number(record.session, record.timestamp);
        let frame = &controls.frame;
        let named = |timestamp| pictures.number_of(record.session, timestamp);
        let intra = frame.flags & (uapi::FRAME_KEY_FRAME | uapi::FRAME_INTRA_ONLY) != 0;
        let references = [frame.last_frame_ts, frame.golden_frame_ts, frame.alt_frame_ts];
        expected.push(Expected {
            bytes: record.bytes,
            controls: (**controls).clone(),
            references: if intra { [None; 3] } else { references.map(named) },
        });
    }
    compare_all(&expected, ours, comparison)
}

fn compare_all(
    expected: &[Expected],
    got: &[Record],
    comparison: &mut Comparison,
) -> Result<(), String> {
    let mut pictures = Timestamps::default();
    for (request, (expected, got)) in expected.iter().zip(got).enumerate() {
        comparison.request = request;
        let Controls::Vp9(controls) = &got.controls else {
            return Err(format!("request {request} is not VP9"));
        };
        comparison.field(
            "vp9.request.picture",
            &request,
            &pictures.number(got.session, got.timestamp),
        );
        comparison.field("vp9.request.hold_capture", &false, &got.hold_capture);
        comparison.field("vp9.request.bytes", &expected.bytes, &got.bytes);
        let named = |timestamp| pictures.known(got.session, timestamp);
        compare_frame(comparison, expected, &controls.frame, named);
        let hdr = (&expected.controls.compressed_hdr, &controls.compressed_hdr);
        fields!(
            comparison,
            "vp9.compressed_hdr",
            uapi::CompressedHdr {
                tx_mode,
                tx8,
                tx16,
                tx32,
                coef,
                skip,
                inter_mode,
                interp_filter,
                is_inter,
                comp_mode,
                single_ref,
                comp_ref,
                y_mode,
                uv_mode,
                partition,
            },
            elsewhere { mv },
            hdr.0,
            hdr.1
        );
        fields!(
            comparison,
            "vp9.compressed_hdr.mv",
            uapi::MvProbs { joint, sign, classes, class0_bit, bits, class0_fr, fr, class0_hp, hp },
            elsewhere {},
            &hdr.0.mv,
            &hdr.1.mv
        );
    }
    comparison.request = expected.len().min(got.len());
    comparison.field("vp9.requests", &expected.len(), &got.len());
    Ok(())
}

fn compare_frame(
    comparison: &mut Comparison,
    expected: &Expected,
    got: &uapi::Frame,
    named: impl Fn(u64) -> Option<usize>,
) {
    let timestamps = [got.last_frame_ts, got.golden_frame_ts, got.alt_frame_ts];
    let names = ["last_frame_ts", "golden_frame_ts", "alt_frame_ts"];
    for ((name, expected), timestamp) in names.iter().zip(expected.references).zip(timestamps) {
        let name = format!("vp9.frame.{name}");
        comparison.field(&name, &expected, &named(timestamp));
    }
    let expected = &expected.controls.frame;
    fields!(
        comparison,
        "vp9.frame",
        uapi::Frame {
            compressed_header_size,
            uncompressed_header_size,
            frame_width_minus_1,
            frame_height_minus_1,
            render_width_minus_1,
            render_height_minus_1,
            reset_frame_context,
            frame_context_idx,
            profile,
            bit_depth,
            interpolation_filter,
            tile_cols_log2,
            tile_rows_log2,
            reference_mode,
            reserved,
        },
        elsewhere {
            lf,
            quant,
            seg,
            flags,
            last_frame_ts,
            golden_frame_ts,
            alt_frame_ts,
            ref_frame_sign_bias,
        },
        expected,
        got
    );
    let names = [
        ("KEY_FRAME", uapi::FRAME_KEY_FRAME),
        ("SHOW_FRAME", uapi::FRAME_SHOW_FRAME),
        ("ERROR_RESILIENT", uapi::FRAME_ERROR_RESILIENT),
        ("INTRA_ONLY", uapi::FRAME_INTRA_ONLY),
        ("ALLOW_HIGH_PREC_MV", uapi::FRAME_ALLOW_HIGH_PREC_MV),
        ("REFRESH_FRAME_CTX", uapi::FRAME_REFRESH_FRAME_CTX),
        ("PARALLEL_DEC_MODE", uapi::FRAME_PARALLEL_DEC_MODE),
        ("X_SUBSAMPLING", uapi::FRAME_X_SUBSAMPLING),
        ("Y_SUBSAMPLING", uapi::FRAME_Y_SUBSAMPLING),
        ("COLOR_RANGE_FULL_SWING", uapi::FRAME_COLOR_RANGE_FULL_SWING),
    ];
    comparison.flags("vp9.frame.flags", &names, expected.flags, got.flags);
    let names = [
        ("LAST", uapi::SIGN_BIAS_LAST),
        ("GOLDEN", uapi::SIGN_BIAS_GOLDEN),
        ("ALT", uapi::SIGN_BIAS_ALT),
    ];
    let biases = (expected.ref_frame_sign_bias, got.ref_frame_sign_bias);
    comparison.flags("vp9.frame.ref_frame_sign_bias", &names, biases.0, biases.1);

    let (lf, got_lf) = (&expected.lf, &got.lf);
    fields!(
        comparison,
        "vp9.frame.lf",
        uapi::LoopFilter { ref_deltas, mode_deltas, level, sharpness, reserved },
        elsewhere { flags },
        lf,
        got_lf
    );
    let names = [
        ("DELTA_ENABLED", uapi::LOOP_FILTER_DELTA_ENABLED),
        ("DELTA_UPDATE", uapi::LOOP_FILTER_DELTA_UPDATE),
    ];
    comparison.flags("vp9.frame.lf.flags", &names, lf.flags, got_lf.flags);
    fields!(
        comparison,
        "vp9.frame.quant",
        uapi::Quantization { base_q_idx, delta_q_y_dc, delta_q_uv_dc, delta_q_uv_ac, reserved },
        elsewhere {},
        &expected.quant,
        &got.quant
    );
    let (seg, got_seg) = (&expected.seg, &got.seg);
    fields!(
        comparison,
        "vp9.frame.seg",
        uapi::Segmentation { feature_data, feature_enabled, tree_probs, pred_probs, reserved },
        elsewhere { flags },
        seg,
        got_seg
    );
    let names = [
        ("ENABLED", uapi::SEGMENTATION_ENABLED),
        ("UPDATE_MAP", uapi::SEGMENTATION_UPDATE_MAP),
        ("TEMPORAL_UPDATE", uapi::SEGMENTATION_TEMPORAL_UPDATE),
        ("UPDATE_DATA", uapi::SEGMENTATION_UPDATE_DATA),
        ("ABS_OR_DELTA_UPDATE", uapi::SEGMENTATION_ABS_OR_DELTA_UPDATE),
    ];
    comparison.flags("vp9.frame.seg.flags", &names, seg.flags, got_seg.flags);
}

/// The requests for a file: one per frame that is decoded, hidden ones included.
fn expected(file: &Path) -> Result<Vec<Expected>, String> {
    let mut state = State::new();
    // Slots, by number of the picture.
    let mut slots = [None; 8];
    let mut requests = Vec::new();
    for packet in syntax::packets(file, "vp9_superframe_split")? {
        if packet.flag("show_existing_frame") {
            continue;
        }
        let header = state.header(&packet)?;
        let mut frame = header.control;
        let start = usize::from(frame.uncompressed_header_size);
        let end = start + usize::from(frame.compressed_header_size);
        let data = packet.data.get(start..end).ok_or("a compressed header that is cut short")?;
        let (compressed_hdr, reference_mode) = compressed::parse(data, &header)?;
        frame.reference_mode = reference_mode;
        let references = header.ref_frame_idx.map(|slot| slots[slot]);
        let number = requests.len();
        requests.push(Expected {
            bytes: packet.data.len(),
            controls: uapi::Controls { frame, compressed_hdr },
            references: if header.intra { [None; 3] } else { references },
        });
        for (slot, picture) in slots.iter_mut().enumerate() {
            if header.refresh_frame_flags >> slot & 1 != 0 {
                *picture = Some(number);
            }
        }
    }
    Ok(requests)
}

/// The set bits of a flags field.
fn flags(bits: &[(bool, u32)]) -> u32 {
    bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum()
}
