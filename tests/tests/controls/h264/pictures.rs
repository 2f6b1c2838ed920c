//! NAL units → pictures → what their requests should be.

use super::order::Order;
use super::reference::{Coded, Current};
use super::*;

/// The slices of one picture and what it is decoded with.
struct Picture<'s> {
    slices: Vec<Slice<'s>>,
    pps: std::rc::Rc<Pps>,
}

/// What a decoder remembers from picture to picture.
#[derive(Default)]
struct Decoder {
    order: Order,
    references: References,
    /// The last picture, if it is a field whose other field may follow.
    first_field: Option<Current>,
    frames: usize,
    /// The order counts of the next picture do not build on earlier ones.
    counts_start: bool,
    requests: Vec<Expected>,
}

/// The requests for an Annex B byte stream; `None` if pictures come before their parameter sets.
pub(super) fn expected(stream: &[u8]) -> Result<Option<Vec<Expected>>, String> {
    let mut parser = Parser::default();
    let mut decoder = Decoder { counts_start: true, ..Decoder::default() };
    let mut picture: Option<Picture<'_>> = None;
    let mut have_pps = false;
    let mut cursor = Cursor::new(stream);
    loop {
        let nalu = match Nalu::next(&mut cursor) {
            Ok(nalu) => nalu,
            Err(end) if end == "No NAL found" => break,
            // A type that it does not know (the prefixes and extensions of scalable streams).
            Err(_) => continue,
        };
        match nalu.header.type_ {
            NaluType::Slice | NaluType::SliceIdr if !have_pps => return Ok(None),
            NaluType::Slice | NaluType::SliceIdr => {
                let slice = parser.parse_slice_header(nalu)?;
                // Redundant pictures are for decoders that lost the primary one.
                if slice.header.redundant_pic_cnt > 0 {
                    continue;
                }
                let pps = parser.get_pps(slice.header.pic_parameter_set_id);
                let pps = pps.ok_or("a slice without PPS")?;
                match &mut picture {
                    Some(current) if same_picture(&current.slices[0], &slice) => {
                        current.slices.push(slice);
                    }
                    _ => {
                        let pps = std::rc::Rc::clone(pps);
                        let next = Picture { slices: vec![slice], pps };
                        if let Some(done) = picture.replace(next) {
                            decoder.picture(&done);
                        }
                    }
                }
            }
            NaluType::Sps => {
                parser.parse_sps(&nalu)?;
            }
            NaluType::Pps => {
                parser.parse_pps(&nalu)?;
                have_pps = true;
            }
            _ => {}
        }
    }
    if let Some(done) = picture {
        decoder.picture(&done);
    }
    Ok(Some(decoder.requests))
}

/// Detection of the first VCL NAL unit of a picture (7.4.1.2.4).
fn same_picture(first: &Slice<'_>, slice: &Slice<'_>) -> bool {
    let (a, b) = (&first.header, &slice.header);
    let (a_nal, b_nal) = (&first.nalu.header, &slice.nalu.header);
    a.frame_num == b.frame_num
        && a.pic_parameter_set_id == b.pic_parameter_set_id
        && a.field_pic_flag == b.field_pic_flag
        && a.bottom_field_flag == b.bottom_field_flag
        && (a_nal.ref_idc == 0) == (b_nal.ref_idc == 0)
        && a_nal.idr_pic_flag == b_nal.idr_pic_flag
        && a.idr_pic_id == b.idr_pic_id
        && a.pic_order_cnt_lsb == b.pic_order_cnt_lsb
        && a.delta_pic_order_cnt_bottom == b.delta_pic_order_cnt_bottom
        && a.delta_pic_order_cnt == b.delta_pic_order_cnt
}

impl Decoder {
    fn picture(&mut self, picture: &Picture<'_>) {
        let (slice, sps) = (&picture.slices[0], &picture.pps.sps);
        let (header, nal) = (&slice.header, &slice.nalu.header);
        let frame_num = i32::from(header.frame_num);
        self.references.max_frame_num = 1 << (sps.log2_max_frame_num_minus4 + 4);
        self.references.max_num_ref_frames = usize::from(sps.max_num_ref_frames);
        let coded = match (header.field_pic_flag, header.bottom_field_flag) {
            (false, _) => Coded::Frame,
            (true, false) => Coded::Top,
            (true, true) => Coded::Bottom,
        };
        // 3.30: the second field shares the frame_num and is no IDR picture.
        let first_field = self.first_field.take().filter(|first| {
            coded != Coded::Frame
                && first.coded != coded
                && first.frame_num == frame_num
                && !nal.idr_pic_flag
        });
        if nal.idr_pic_flag {
            self.references.prev_ref_frame_num = 0;
        } else if first_field.is_none() {
            for missing in self.references.fill_gap(frame_num) {
                self.order.missing(missing, sps);
            }
        }
        let counts = self.order.counts(slice, sps);
        let frame = match first_field {
            Some(first) => first.frame,
            None => {
                self.frames += 1;
                self.frames - 1
            }
        };
        let idr = nal.idr_pic_flag;
        let mut current = Current { frame, coded, frame_num, counts, idr };
        let references = if idr { Vec::new() } else { self.references.entries(&current) };
        self.requests.push(Expected {
            frame,
            hold_capture: false,
            counts_start: idr || std::mem::take(&mut self.counts_start),
            bytes: picture.slices.iter().map(|slice| slice.nalu.size + 3).sum(),
            controls: uapi::Controls {
                sps: sps_control(sps),
                pps: pps_control(&picture.pps),
                scaling_matrix: scaling_matrix(&picture.pps),
                decode_params: decode_params(picture, counts),
            },
            references,
        });
        if first_field.is_some() {
            let count = self.requests.len();
            self.requests[count - 2].hold_capture = true;
        }
        if nal.ref_idc != 0 {
            let marking = &header.dec_ref_pic_marking;
            let after = self.references.mark(&current, marking);
            let mut operations = marking.inner.iter();
            if operations.any(|m| m.memory_management_control_operation == 5) {
                self.order.mmco5(coded, after);
                self.counts_start = true;
                current.frame_num = 0;
            }
        }
        if coded != Coded::Frame && first_field.is_none() {
            self.first_field = Some(current);
        }
    }
}

fn sps_control(sps: &Sps) -> uapi::Sps {
    let mut control = uapi::Sps::new_zeroed();
    control.profile_idc = sps.profile_idc;
    control.constraint_set_flags = flags(&[
        (sps.constraint_set0_flag, 1),
        (sps.constraint_set1_flag, 2),
        (sps.constraint_set2_flag, 4),
        (sps.constraint_set3_flag, 8),
        (sps.constraint_set4_flag, 16),
        (sps.constraint_set5_flag, 32),
    ]);
    control.level_idc = sps.level_idc as u8;
    control.seq_parameter_set_id = sps.seq_parameter_set_id;
    control.chroma_format_idc = sps.chroma_format_idc;
    control.bit_depth_luma_minus8 = sps.bit_depth_luma_minus8;
    control.bit_depth_chroma_minus8 = sps.bit_depth_chroma_minus8;
    control.log2_max_frame_num_minus4 = sps.log2_max_frame_num_minus4;
    control.pic_order_cnt_type = sps.pic_order_cnt_type;
    control.log2_max_pic_order_cnt_lsb_minus4 = sps.log2_max_pic_order_cnt_lsb_minus4;
    control.max_num_ref_frames = sps.max_num_ref_frames;
    control.num_ref_frames_in_pic_order_cnt_cycle = sps.num_ref_frames_in_pic_order_cnt_cycle;
    control.offset_for_ref_frame = sps.offset_for_ref_frame;
    control.offset_for_non_ref_pic = sps.offset_for_non_ref_pic;
    control.offset_for_top_to_bottom_field = sps.offset_for_top_to_bottom_field;
    control.pic_width_in_mbs_minus1 = sps.pic_width_in_mbs_minus1;
    control.pic_height_in_map_units_minus1 = sps.pic_height_in_map_units_minus1;
    control.flags = flags(&[
        (sps.separate_colour_plane_flag, uapi::SPS_SEPARATE_COLOUR_PLANE),
        (sps.qpprime_y_zero_transform_bypass_flag, uapi::SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS),
        (sps.delta_pic_order_always_zero_flag, uapi::SPS_DELTA_PIC_ORDER_ALWAYS_ZERO),
        (sps.gaps_in_frame_num_value_allowed_flag, uapi::SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED),
        (sps.frame_mbs_only_flag, uapi::SPS_FRAME_MBS_ONLY),
        (sps.mb_adaptive_frame_field_flag, uapi::SPS_MB_ADAPTIVE_FRAME_FIELD),
        (sps.direct_8x8_inference_flag, uapi::SPS_DIRECT_8X8_INFERENCE),
    ]);
    control
}

fn pps_control(pps: &Pps) -> uapi::Pps {
    let mut control = uapi::Pps::new_zeroed();
    control.pic_parameter_set_id = pps.pic_parameter_set_id;
    control.seq_parameter_set_id = pps.seq_parameter_set_id;
    control.num_slice_groups_minus1 = pps.num_slice_groups_minus1 as u8;
    control.num_ref_idx_l0_default_active_minus1 = pps.num_ref_idx_l0_default_active_minus1;
    control.num_ref_idx_l1_default_active_minus1 = pps.num_ref_idx_l1_default_active_minus1;
    control.weighted_bipred_idc = pps.weighted_bipred_idc;
    control.pic_init_qp_minus26 = pps.pic_init_qp_minus26;
    control.pic_init_qs_minus26 = pps.pic_init_qs_minus26;
    control.chroma_qp_index_offset = pps.chroma_qp_index_offset;
    control.second_chroma_qp_index_offset = pps.second_chroma_qp_index_offset;
    control.flags = flags(&[
        (pps.entropy_coding_mode_flag, uapi::PPS_ENTROPY_CODING_MODE),
        (
            pps.bottom_field_pic_order_in_frame_present_flag,
            uapi::PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT,
        ),
        (pps.weighted_pred_flag, uapi::PPS_WEIGHTED_PRED),
        (pps.deblocking_filter_control_present_flag, uapi::PPS_DEBLOCKING_FILTER_CONTROL_PRESENT),
        (pps.constrained_intra_pred_flag, uapi::PPS_CONSTRAINED_INTRA_PRED),
        (pps.redundant_pic_cnt_present_flag, uapi::PPS_REDUNDANT_PIC_CNT_PRESENT),
        (pps.transform_8x8_mode_flag, uapi::PPS_TRANSFORM_8X8_MODE),
        (
            pps.pic_scaling_matrix_present_flag || pps.sps.seq_scaling_matrix_present_flag,
            uapi::PPS_SCALING_MATRIX_PRESENT,
        ),
    ]);
    control
}

/// The positions of coefficients in the order in which lists are coded (figure 8-8, frame scan).
fn zigzag<const N: usize>(side: usize) -> [usize; N] {
    let mut order = [0; N];
    let mut positions = (0..2 * side - 1).flat_map(|diagonal| {
        let first = diagonal.saturating_sub(side - 1);
        let along = (first..=diagonal.min(side - 1)).collect::<Vec<_>>();
        // Downwards on odd diagonals, upwards on even ones.
        let down = diagonal % 2 == 1;
        let rows: Vec<usize> = if down { along } else { along.into_iter().rev().collect() };
        rows.into_iter().map(move |row| row * side + (diagonal - row))
    });
    order.fill_with(|| positions.next().unwrap_or_default());
    order
}

/// The lists that apply, in raster order; flat ones where there is no 8x8 transform.
fn scaling_matrix(pps: &Pps) -> uapi::ScalingMatrix {
    let mut control = uapi::ScalingMatrix::new_zeroed();
    for (to, from) in control.scaling_list_4x4.iter_mut().zip(&pps.scaling_lists_4x4) {
        zigzag::<16>(4).into_iter().zip(from).for_each(|(at, scale)| to[at] = *scale);
    }
    for (to, from) in control.scaling_list_8x8.iter_mut().zip(&pps.scaling_lists_8x8) {
        zigzag::<64>(8).into_iter().zip(from).for_each(|(at, scale)| to[at] = *scale);
    }
    if !pps.transform_8x8_mode_flag {
        control.scaling_list_8x8 = [[16; 64]; 6];
    }
    control
}

fn decode_params(picture: &Picture<'_>, counts: [i32; 2]) -> uapi::DecodeParams {
    let slice = &picture.slices[0];
    let (header, nal): (&SliceHeader, _) = (&slice.header, &slice.nalu.header);
    let mut control = uapi::DecodeParams::new_zeroed();
    control.nal_ref_idc = nal.ref_idc.into();
    control.frame_num = header.frame_num;
    [control.top_field_order_cnt, control.bottom_field_order_cnt] = counts;
    control.idr_pic_id = header.idr_pic_id;
    control.pic_order_cnt_lsb = header.pic_order_cnt_lsb;
    control.delta_pic_order_cnt_bottom = header.delta_pic_order_cnt_bottom;
    [control.delta_pic_order_cnt0, control.delta_pic_order_cnt1] = header.delta_pic_order_cnt;
    control.dec_ref_pic_marking_bit_size = sizes::dec_ref_pic_marking(slice);
    control.pic_order_cnt_bit_size = sizes::pic_order_cnt(header, &picture.pps);
    let is_b = picture.slices.iter().any(|slice| slice.header.slice_type.is_b());
    let is_p = !is_b && picture.slices.iter().any(|slice| slice.header.slice_type.is_p());
    control.flags = flags(&[
        (nal.idr_pic_flag, uapi::DECODE_PARAM_IDR_PIC),
        (header.field_pic_flag, uapi::DECODE_PARAM_FIELD_PIC),
        (header.bottom_field_flag, uapi::DECODE_PARAM_BOTTOM_FIELD),
        (is_p, uapi::DECODE_PARAM_PFRAME),
        (is_b, uapi::DECODE_PARAM_BFRAME),
    ]);
    control
}
