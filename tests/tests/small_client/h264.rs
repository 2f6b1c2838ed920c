//! A stateless H.264 decoder's half that the hardware does not do, after ITU-T H.264: parameter sets,
//! picture order counts, reference lists and marking; the syntax is read by cros-codecs.
//!
//! It covers what x264 makes without special options: frames (no fields), one or more slices, picture
//! order count types 0 and 2, short-term references, reordered lists, explicit and implicit weights,
//! the sliding window and memory_management_control_operation 1, flat scaling lists, IDR pictures.
//! Everything else is an error. Each picture is read as soon as it is decoded, so that no decoded
//! picture buffer is needed for output: the output order is that of the order counts between IDRs.

use std::collections::VecDeque;
use std::io::Cursor;
use std::rc::Rc;
use std::time::Instant;

use cros_codecs::codec::h264::parser::{
    Nalu, NaluType, Parser, Pps, RefPicListModification, Slice, SliceHeader, Sps,
};
use libva_sys::{
    _VAPictureParameterBufferH264__bindgen_ty_1 as SeqFields,
    _VAPictureParameterBufferH264__bindgen_ty_1__bindgen_ty_1 as SeqBits,
    _VAPictureParameterBufferH264__bindgen_ty_2 as PicFields,
    _VAPictureParameterBufferH264__bindgen_ty_2__bindgen_ty_1 as PicBits, VA_INVALID_SURFACE,
    VA_PICTURE_H264_INVALID, VA_PICTURE_H264_SHORT_TERM_REFERENCE, VA_SLICE_DATA_FLAG_ALL,
    VAIQMatrixBufferH264, VAPictureH264, VAPictureParameterBufferH264, VASliceParameterBufferH264,
    VASurfaceID,
};

use super::va::{Decoder, Display};

/// The frames of an Annex B byte stream in output order, each as P010 over its visible area.
pub fn decode(display: Display, stream: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut client = Client { display: Some(display), ..Default::default() };
    client.stream(stream)?;
    client.frames.sort_by_key(|frame| frame.order);
    Ok(client.frames.into_iter().map(|frame| frame.pixels).collect())
}

/// Decodes an Annex B byte stream as `pace` says and keeps no frame; returns how many there were.
pub fn decode_at(pace: Pace, display: Display, stream: &[u8]) -> Result<usize, String> {
    let mut client = Client { display: Some(display), pace, ..Default::default() };
    client.stream(stream)?;
    Ok(client.done)
}

/// How many pictures are waited for late, by those who do not wait for each.
const AHEAD: usize = 4;

/// What becomes of a decoded picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// It is waited for, read and kept.
    #[default]
    Keep,
    /// It stays in its surface; some pictures later it is waited for.
    Surfaces,
    /// Some pictures later it is waited for and read.
    Download,
    /// It is waited for; how long it took since its first slice is printed.
    WaitEach,
}

impl Pace {
    fn ahead(self) -> usize {
        match self {
            Pace::Keep | Pace::WaitEach => 0,
            Pace::Surfaces | Pace::Download => AHEAD,
        }
    }
}

#[derive(Default)]
struct Client {
    /// Until the first picture tells what decoder is needed.
    display: Option<Display>,
    decoder: Option<Decoder>,
    parser: Parser,
    /// All are "used for short-term reference".
    references: Vec<Picture>,
    current: Option<Current>,
    /// PicOrderCntMsb and pic_order_cnt_lsb of the previous reference picture.
    prev_pic_order_cnt: (i32, i32),
    /// frame_num of the previous picture, and of the previous reference picture.
    prev_frame_num: i32,
    prev_ref_frame_num: i32,
    frame_num_offset: i32,
    /// How many IDR pictures there were.
    sequence: u32,
    pace: Pace,
    /// Those that nobody has waited for yet.
    waiting: VecDeque<Waiting>,
    /// How many were waited for.
    done: usize,
    frames: Vec<Frame>,
}

struct Waiting {
    picture: Picture,
    order: (u32, i32),
    visible: (u32, u32),
    started: Instant,
}

#[derive(Clone, Copy)]
struct Picture {
    surface: VASurfaceID,
    frame_num: i32,
    top: i32,
    bottom: i32,
}

struct Current {
    picture: Picture,
    first: SliceHeader,
    is_reference: bool,
    is_idr: bool,
    sps: Rc<Sps>,
    parameters: VAPictureParameterBufferH264,
    slices: Vec<(VASliceParameterBufferH264, Vec<u8>)>,
    started: Instant,
}

struct Frame {
    order: (u32, i32),
    pixels: Vec<u8>,
}

impl Picture {
    fn pic_order_cnt(&self) -> i32 {
        self.top.min(self.bottom)
    }

    /// PicNum (8.2.4.1), which for frames is FrameNumWrap.
    fn pic_num(&self, current: &Picture, max_frame_num: i32) -> i32 {
        let wrapped = self.frame_num > current.frame_num;
        self.frame_num - if wrapped { max_frame_num } else { 0 }
    }

    fn va(&self, is_reference: bool) -> VAPictureH264 {
        VAPictureH264 {
            picture_id: self.surface,
            frame_idx: self.frame_num as u32,
            flags: if is_reference { VA_PICTURE_H264_SHORT_TERM_REFERENCE } else { 0 },
            TopFieldOrderCnt: self.top,
            BottomFieldOrderCnt: self.bottom,
            ..Default::default()
        }
    }
}

/// `pictures` in an array of VA, the rest of it invalid.
fn va_list<const N: usize>(pictures: &[Picture]) -> Result<[VAPictureH264; N], String> {
    let none = VAPictureH264 {
        picture_id: VA_INVALID_SURFACE,
        flags: VA_PICTURE_H264_INVALID,
        ..Default::default()
    };
    let mut list = [none; N];
    let places = list.get_mut(..pictures.len()).ok_or("too many references")?;
    places.iter_mut().zip(pictures).for_each(|(place, picture)| *place = picture.va(true));
    Ok(list)
}

fn max_frame_num(sps: &Sps) -> i32 {
    1 << (sps.log2_max_frame_num_minus4 + 4)
}

impl Client {
    fn stream(&mut self, stream: &[u8]) -> Result<(), String> {
        let mut cursor = Cursor::new(stream);
        while let Ok(nalu) = Nalu::next(&mut cursor) {
            self.nal_unit(nalu)?;
        }
        self.finish_picture()?;
        self.wait_until_left(0)
    }

    fn nal_unit(&mut self, nalu: Nalu<'_>) -> Result<(), String> {
        match nalu.header.type_ {
            NaluType::Slice | NaluType::SliceIdr => {
                let slice = self.parser.parse_slice_header(nalu)?;
                let pps = self.parser.get_pps(slice.header.pic_parameter_set_id);
                let pps = Rc::clone(pps.ok_or("a slice without PPS")?);
                if slice.header.first_mb_in_slice == 0 {
                    self.finish_picture()?;
                    self.start_picture(&slice, &pps)?;
                }
                self.slice(&slice, &pps)
            }
            NaluType::SliceDpa | NaluType::SliceDpb | NaluType::SliceDpc => {
                Err("data partitions are not covered".into())
            }
            NaluType::Sps => self.finish_picture().and(self.parser.parse_sps(&nalu).map(|_| ())),
            NaluType::Pps => self.finish_picture().and(self.parser.parse_pps(&nalu).map(|_| ())),
            _ => Ok(()),
        }
    }

    fn start_picture(&mut self, slice: &Slice<'_>, pps: &Pps) -> Result<(), String> {
        let (header, sps) = (&slice.header, &pps.sps);
        covered(sps, pps, header)?;
        let started = Instant::now();
        let size = (sps.width(), sps.height());
        if self.decoder.is_none() {
            let display = self.display.take().ok_or("no display")?;
            let count = usize::from(sps.max_num_ref_frames) + 1 + self.pace.ahead();
            self.decoder = Some(Decoder::new(display, size, count)?);
        }
        let decoder = self.decoder.as_ref().filter(|decoder| decoder.size() == size);
        let decoder = decoder.ok_or("a change of size is not covered")?;

        let is_idr = slice.nalu.header.idr_pic_flag;
        let is_reference = slice.nalu.header.ref_idc != 0;
        if is_idr {
            self.references.clear();
            self.sequence += 1;
        }
        let frame_num = i32::from(header.frame_num);
        let next = (self.prev_ref_frame_num + 1) % max_frame_num(sps);
        if !is_idr && frame_num != self.prev_ref_frame_num && frame_num != next {
            return Err("gaps in frame_num are not covered".into());
        }
        let waiting = self.waiting.iter().map(|waiting| &waiting.picture);
        let in_use: Vec<VASurfaceID> =
            self.references.iter().chain(waiting).map(|picture| picture.surface).collect();
        let free = decoder.surfaces().iter().copied().find(|surface| !in_use.contains(surface));
        let surface = free.ok_or("more references than max_num_ref_frames")?;
        let (top, bottom) = self.order_counts(slice, sps)?;
        let picture = Picture { surface, frame_num, top, bottom };
        let parameters = VAPictureParameterBufferH264 {
            CurrPic: picture.va(is_reference),
            ReferenceFrames: va_list(&self.references)?,
            frame_num: header.frame_num,
            ..picture_parameters(sps, pps, is_reference)
        };
        let (first, sps) = (header.clone(), Rc::clone(sps));
        let slices = Vec::new();
        self.current = Some(Current {
            picture,
            first,
            is_reference,
            is_idr,
            sps,
            parameters,
            slices,
            started,
        });
        Ok(())
    }

    /// TopFieldOrderCnt and BottomFieldOrderCnt (8.2.1).
    fn order_counts(&mut self, slice: &Slice<'_>, sps: &Sps) -> Result<(i32, i32), String> {
        let (header, is_reference) = (&slice.header, slice.nalu.header.ref_idc != 0);
        let is_idr = slice.nalu.header.idr_pic_flag;
        match sps.pic_order_cnt_type {
            0 => {
                let max_lsb = 1 << (sps.log2_max_pic_order_cnt_lsb_minus4 + 4);
                let lsb = i32::from(header.pic_order_cnt_lsb);
                let (prev_msb, prev_lsb) = if is_idr { (0, 0) } else { self.prev_pic_order_cnt };
                let msb = if lsb < prev_lsb && prev_lsb - lsb >= max_lsb / 2 {
                    prev_msb + max_lsb
                } else if lsb > prev_lsb && lsb - prev_lsb > max_lsb / 2 {
                    prev_msb - max_lsb
                } else {
                    prev_msb
                };
                if is_reference {
                    self.prev_pic_order_cnt = (msb, lsb);
                }
                Ok((msb + lsb, msb + lsb + header.delta_pic_order_cnt_bottom))
            }
            2 => {
                let frame_num = i32::from(header.frame_num);
                if is_idr {
                    self.frame_num_offset = 0;
                } else if self.prev_frame_num > frame_num {
                    self.frame_num_offset += max_frame_num(sps);
                }
                let count = 2 * (self.frame_num_offset + frame_num) - i32::from(!is_reference);
                Ok((count, count))
            }
            _ => Err("picture order count type 1 is not covered".into()),
        }
    }

    fn slice(&mut self, slice: &Slice<'_>, pps: &Pps) -> Result<(), String> {
        let mut current = self.current.take().ok_or("a slice without its first")?;
        let (list_0, list_1) = self.lists(&current.picture, &slice.header, &pps.sps)?;
        let nal = slice.nalu.as_ref().to_vec();
        let parameters = VASliceParameterBufferH264 {
            RefPicList0: va_list(&list_0)?,
            RefPicList1: va_list(&list_1)?,
            slice_data_size: nal.len() as u32,
            ..slice_parameters(&slice.header, pps)
        };
        current.slices.push((parameters, nal));
        self.current = Some(current);
        Ok(())
    }

    /// RefPicList0 and RefPicList1 (8.2.4).
    fn lists(
        &self,
        current: &Picture,
        header: &SliceHeader,
        sps: &Sps,
    ) -> Result<(Vec<Picture>, Vec<Picture>), String> {
        let max_pic_num = max_frame_num(sps);
        let mut references = self.references.clone();
        let (mut list_0, mut list_1) = (vec![], vec![]);
        if header.slice_type.is_p() {
            references.sort_by_key(|r| -r.pic_num(current, max_pic_num));
            list_0 = references;
        } else if header.slice_type.is_b() {
            references.sort_by_key(Picture::pic_order_cnt);
            let here = current.pic_order_cnt();
            let (mut before, after): (Vec<_>, Vec<_>) =
                references.iter().partition(|r| r.pic_order_cnt() < here);
            before.reverse();
            list_0 = [&before[..], &after[..]].concat();
            list_1 = [&after[..], &before[..]].concat();
            if list_1.len() > 1 && (before.is_empty() || after.is_empty()) {
                list_1.swap(0, 1);
            }
        }
        // Without ref_pic_list_modification_flag_lX there are no modifications, only the length counts.
        let (last_0, last_1) =
            (header.num_ref_idx_l0_active_minus1, header.num_ref_idx_l1_active_minus1);
        self.modify(&mut list_0, last_0, &header.ref_pic_list_modification_l0, current, sps)?;
        self.modify(&mut list_1, last_1, &header.ref_pic_list_modification_l1, current, sps)?;
        Ok((list_0, list_1))
    }

    /// The length of a reference picture list and its modification (8.2.4.3).
    fn modify(
        &self,
        list: &mut Vec<Picture>,
        num_ref_idx_active_minus1: u8,
        how: &[RefPicListModification],
        current: &Picture,
        sps: &Sps,
    ) -> Result<(), String> {
        let length = usize::from(num_ref_idx_active_minus1) + 1;
        let max_pic_num = max_frame_num(sps);
        list.truncate(length);
        let mut predicted = current.frame_num;
        for (index, modification) in how.iter().enumerate() {
            let difference = modification.abs_diff_pic_num_minus1 as i32 + 1;
            predicted = match modification.modification_of_pic_nums_idc {
                0 => (predicted - difference).rem_euclid(max_pic_num),
                1 => (predicted + difference).rem_euclid(max_pic_num),
                3 => break,
                _ => return Err("long-term references are not covered".into()),
            };
            let number = predicted - if predicted > current.frame_num { max_pic_num } else { 0 };
            let is_it = |r: &Picture| r.pic_num(current, max_pic_num) == number;
            let found = self.references.iter().copied().find(is_it);
            let found = found.ok_or("a list names a picture that is no reference")?;
            if index > list.len() {
                return Err("a list has more modifications than entries".into());
            }
            let rest = list.split_off(index);
            list.push(found);
            list.extend(rest.into_iter().filter(|r| !is_it(r)));
            list.truncate(length);
        }
        Ok(())
    }

    /// Waits for the oldest pictures until only `left` are not waited for.
    fn wait_until_left(&mut self, left: usize) -> Result<(), String> {
        while self.waiting.len() > left {
            let Some(Waiting { picture, order, visible, started }) = self.waiting.pop_front()
            else {
                break;
            };
            let decoder = self.decoder.as_ref().ok_or("no decoder")?;
            decoder.wait_for(picture.surface)?;
            match self.pace {
                Pace::Keep => {
                    let pixels = decoder.pixels(picture.surface, visible)?;
                    self.frames.push(Frame { order, pixels });
                }
                Pace::Download => drop(decoder.pixels(picture.surface, visible)?),
                Pace::Surfaces => {}
                Pace::WaitEach => println!("latency {:.1}", started.elapsed().as_secs_f64() * 1e6),
            }
            self.done += 1;
        }
        Ok(())
    }

    /// Decodes the picture whose slices have come and marks the references.
    fn finish_picture(&mut self) -> Result<(), String> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let Current { picture, first, is_reference, is_idr, sps, parameters, slices, started } =
            current;
        let decoder = self.decoder.as_ref().ok_or("no decoder")?;
        let matrix = VAIQMatrixBufferH264 {
            ScalingList4x4: [[16; 16]; 6],
            ScalingList8x8: [[16; 64]; 2],
            ..Default::default()
        };
        decoder.decode(picture.surface, parameters, matrix, slices)?;
        let visible = sps.visible_rectangle().max;
        self.waiting.push_back(Waiting {
            picture,
            order: (self.sequence, picture.pic_order_cnt()),
            visible: (visible.x, visible.y),
            started,
        });
        self.wait_until_left(self.pace.ahead())?;

        self.prev_frame_num = picture.frame_num;
        if !is_reference {
            return Ok(());
        }
        self.prev_ref_frame_num = picture.frame_num;
        if !is_idr {
            self.mark(&picture, &first, &sps)?;
        }
        self.references.push(picture);
        Ok(())
    }

    /// Decoded reference picture marking (8.2.5).
    fn mark(&mut self, current: &Picture, header: &SliceHeader, sps: &Sps) -> Result<(), String> {
        let max_pic_num = max_frame_num(sps);
        let marking = &header.dec_ref_pic_marking;
        if !marking.adaptive_ref_pic_marking_mode_flag {
            while self.references.len() >= usize::from(sps.max_num_ref_frames.max(1)) {
                let oldest = self.references.iter().enumerate();
                let oldest = oldest.min_by_key(|(_, r)| r.pic_num(current, max_pic_num));
                let (oldest, _) = oldest.ok_or("no reference to remove")?;
                self.references.remove(oldest);
            }
            return Ok(());
        }
        for operation in &marking.inner {
            match operation.memory_management_control_operation {
                0 => break,
                1 => {
                    let difference = operation.difference_of_pic_nums_minus1 as i32 + 1;
                    let gone = current.frame_num - difference;
                    self.references.retain(|r| r.pic_num(current, max_pic_num) != gone);
                }
                other => return Err(format!("marking operation {other} is not covered")),
            }
        }
        Ok(())
    }
}

/// Refuses what this decoder does not know.
fn covered(sps: &Sps, pps: &Pps, header: &SliceHeader) -> Result<(), String> {
    let flat = pps.scaling_lists_4x4.as_flattened().iter().all(|weight| *weight == 16)
        && pps.scaling_lists_8x8[..2].as_flattened().iter().all(|weight| *weight == 16);
    let cropped = sps.frame_crop_left_offset != 0 || sps.frame_crop_top_offset != 0;
    let refused = [
        (!sps.frame_mbs_only_flag, "interlaced coding"),
        (sps.chroma_format_idc != 1, "a chroma format other than 4:2:0"),
        (sps.bit_depth_luma_minus8 != 2 || sps.bit_depth_chroma_minus8 != 2, "not 10-bit"),
        (!flat, "scaling lists that are not flat"),
        (sps.frame_cropping_flag && cropped, "cropping at the left or the top"),
        (header.redundant_pic_cnt != 0, "redundant pictures"),
        (header.dec_ref_pic_marking.long_term_reference_flag, "long-term references"),
    ];
    match refused.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, what)) => Err(format!("{what}: not covered")),
        None => Ok(()),
    }
}

/// What the parameter sets say.
fn picture_parameters(sps: &Sps, pps: &Pps, is_reference: bool) -> VAPictureParameterBufferH264 {
    let mut seq = SeqBits::default();
    seq.set_chroma_format_idc(sps.chroma_format_idc.into());
    seq.set_gaps_in_frame_num_value_allowed_flag(sps.gaps_in_frame_num_value_allowed_flag.into());
    seq.set_frame_mbs_only_flag(1);
    seq.set_direct_8x8_inference_flag(sps.direct_8x8_inference_flag.into());
    // A.3.3.2: from level 3.1 on.
    seq.set_MinLumaBiPredSize8x8((sps.level_idc as u8 >= 31).into());
    seq.set_log2_max_frame_num_minus4(sps.log2_max_frame_num_minus4.into());
    seq.set_pic_order_cnt_type(sps.pic_order_cnt_type.into());
    seq.set_log2_max_pic_order_cnt_lsb_minus4(sps.log2_max_pic_order_cnt_lsb_minus4.into());
    let mut pic = PicBits::default();
    pic.set_entropy_coding_mode_flag(pps.entropy_coding_mode_flag.into());
    pic.set_weighted_pred_flag(pps.weighted_pred_flag.into());
    pic.set_weighted_bipred_idc(pps.weighted_bipred_idc.into());
    pic.set_transform_8x8_mode_flag(pps.transform_8x8_mode_flag.into());
    pic.set_constrained_intra_pred_flag(pps.constrained_intra_pred_flag.into());
    pic.set_pic_order_present_flag(pps.bottom_field_pic_order_in_frame_present_flag.into());
    pic.set_deblocking_filter_control_present_flag(
        pps.deblocking_filter_control_present_flag.into(),
    );
    pic.set_redundant_pic_cnt_present_flag(pps.redundant_pic_cnt_present_flag.into());
    pic.set_reference_pic_flag(is_reference.into());
    VAPictureParameterBufferH264 {
        picture_width_in_mbs_minus1: sps.pic_width_in_mbs_minus1,
        picture_height_in_mbs_minus1: sps.pic_height_in_map_units_minus1,
        bit_depth_luma_minus8: sps.bit_depth_luma_minus8,
        bit_depth_chroma_minus8: sps.bit_depth_chroma_minus8,
        num_ref_frames: sps.max_num_ref_frames,
        seq_fields: SeqFields { bits: seq },
        pic_init_qp_minus26: pps.pic_init_qp_minus26,
        pic_init_qs_minus26: pps.pic_init_qs_minus26,
        chroma_qp_index_offset: pps.chroma_qp_index_offset,
        second_chroma_qp_index_offset: pps.second_chroma_qp_index_offset,
        pic_fields: PicFields { bits: pic },
        ..Default::default()
    }
}

/// What the slice header says, except for the reference lists.
fn slice_parameters(header: &SliceHeader, pps: &Pps) -> VASliceParameterBufferH264 {
    let weights = &header.pred_weight_table;
    let (is_p, is_b) = (header.slice_type.is_p(), header.slice_type.is_b());
    let explicit_b = is_b && pps.weighted_bipred_idc == 1;
    let explicit = is_p && pps.weighted_pred_flag || explicit_b;
    VASliceParameterBufferH264 {
        slice_data_flag: VA_SLICE_DATA_FLAG_ALL,
        slice_data_bit_offset: header.header_bit_size as u16,
        first_mb_in_slice: header.first_mb_in_slice as u16,
        slice_type: header.slice_type as u8,
        direct_spatial_mv_pred_flag: header.direct_spatial_mv_pred_flag.into(),
        num_ref_idx_l0_active_minus1: header.num_ref_idx_l0_active_minus1,
        num_ref_idx_l1_active_minus1: header.num_ref_idx_l1_active_minus1,
        cabac_init_idc: header.cabac_init_idc,
        slice_qp_delta: header.slice_qp_delta,
        disable_deblocking_filter_idc: header.disable_deblocking_filter_idc,
        slice_alpha_c0_offset_div2: header.slice_alpha_c0_offset_div2,
        slice_beta_offset_div2: header.slice_beta_offset_div2,
        luma_log2_weight_denom: weights.luma_log2_weight_denom,
        chroma_log2_weight_denom: weights.chroma_log2_weight_denom,
        luma_weight_l0_flag: explicit.into(),
        luma_weight_l0: weights.luma_weight_l0,
        luma_offset_l0: weights.luma_offset_l0.map(i16::from),
        chroma_weight_l0_flag: explicit.into(),
        chroma_weight_l0: weights.chroma_weight_l0,
        chroma_offset_l0: weights.chroma_offset_l0.map(|pair| pair.map(i16::from)),
        luma_weight_l1_flag: explicit_b.into(),
        luma_weight_l1: weights.luma_weight_l1,
        luma_offset_l1: weights.luma_offset_l1,
        chroma_weight_l1_flag: explicit_b.into(),
        chroma_weight_l1: weights.chroma_weight_l1,
        chroma_offset_l1: weights.chroma_offset_l1.map(|pair| pair.map(i16::from)),
        ..Default::default()
    }
}
