//! H.264: VA's buffers → requests.
//!
//! `buffers` reads what the client rendered, `parameter_sets` and `dpb` make the controls of it. What VA
//! does not carry is read out of the slice headers. This page pairs fields and names pictures: the two
//! fields of a frame are two pictures to VA and two requests of one timestamp.

mod buffers;
mod dpb;
mod parameter_sets;

use std::collections::HashMap;

use daedalus_uapi::{
    Controls, FromZeros, Timestamps,
    h264::{
        self, DECODE_PARAM_BFRAME, DECODE_PARAM_BOTTOM_FIELD, DECODE_PARAM_FIELD_PIC,
        DECODE_PARAM_IDR_PIC, DECODE_PARAM_PFRAME, DecodeParams, Pps, SliceHeader, SliceType,
    },
};
use libva_sys as va;

use self::{
    buffers::Buffers,
    dpb::{Dpb, FieldMask},
};
use super::{Ancestry, Draft, Picture, Translator};
use crate::error::Result;

/// VA's H.264 buffers → requests.
pub struct H264Translator {
    profile: va::VAProfile,
    timestamps: Timestamps,
    dpb: Dpb,
    /// num_ref_idx_l0/l1_default_active_minus1 of the picture parameter sets as far as slices told.
    num_ref_idx_defaults: HashMap<u8, [u8; 2]>,
    /// The last picture, if it is the first field of a frame.
    first_field: Option<FirstField>,
    /// That field's request, until the next picture tells whether it is the second field.
    held: Option<Draft>,
}

/// A field whose other field may follow.
struct FirstField {
    target: va::VASurfaceID,
    timestamp: u64,
    bottom: bool,
    frame_num: u16,
}

impl H264Translator {
    /// A translator for a new stream.
    pub fn new(profile: va::VAProfile) -> Self {
        H264Translator {
            profile,
            timestamps: Timestamps::default(),
            dpb: Dpb::default(),
            num_ref_idx_defaults: HashMap::new(),
            first_field: None,
            held: None,
        }
    }

    /// The request of a picture whose buffers are in order.
    fn translate(&mut self, target: va::VASurfaceID, buffers: &Buffers<'_>) -> (Draft, bool) {
        let params = &buffers.params;
        let sps = parameter_sets::sps(self.profile, params, buffers.scaling_matrix.is_some());
        let mut pps = parameter_sets::pps(params, buffers.scaling_matrix.is_some());
        let headers = self.slice_headers(buffers, &sps, &mut pps);
        let mut decode_params = decode_params(params, buffers, &headers);

        let fields = FieldMask::of_current(params);
        let bottom = fields == FieldMask::BOTTOM;
        let second = self.first_field.take().filter(|first| {
            fields.is_field()
                && !buffers.idr()
                && first.target == target
                && first.bottom != bottom
                && first.frame_num == params.frame_num
        });
        let is_second = second.is_some();
        let mmco5 = headers.iter().any(|header| header.mmco5);
        let timestamp = match second {
            Some(first) => first.timestamp,
            None => {
                let timestamp = self.timestamps.advance();
                if fields.is_field() {
                    // Operation 5 makes the frame number of what follows start again.
                    let frame_num = if mmco5 { 0 } else { params.frame_num };
                    self.first_field = Some(FirstField { target, timestamp, bottom, frame_num });
                }
                timestamp
            }
        };
        let max_frame_num = 16 << sps.log2_max_frame_num_minus4;
        decode_params.dpb = self.dpb.entries(params, max_frame_num);
        let reference = decode_params.nal_ref_idc != 0;
        self.dpb.decoded(target, timestamp, params, is_second, reference, mmco5);

        let scaling_matrix =
            buffers.scaling_matrix.unwrap_or_else(parameter_sets::flat_scaling_matrix);
        let controls = h264::Controls { sps, pps, scaling_matrix, decode_params };
        let draft = Draft {
            timestamp,
            controls: Controls::H264(Box::new(controls)),
            data: buffers.annex_b(),
            hold_capture: false,
            target: Some(target),
            ungrained: None,
        };
        (draft, is_second)
    }

    /// Reads the slice headers (those that can be read, without redundant slices) and completes the
    /// picture parameter set from them.
    fn slice_headers(
        &mut self,
        buffers: &Buffers<'_>,
        sps: &h264::Sps,
        pps: &mut Pps,
    ) -> Vec<SliceHeader> {
        let mut headers = Vec::new();
        for slice in &buffers.slices {
            // VA's value is the effective one: the header's, or the default if that does not override.
            let effective = [
                slice.params.num_ref_idx_l0_active_minus1.min(31),
                slice.params.num_ref_idx_l1_active_minus1.min(31),
            ];
            [pps.num_ref_idx_l0_default_active_minus1, pps.num_ref_idx_l1_default_active_minus1] =
                effective;
            let header = match SliceHeader::parse(&slice.nal, sps, pps) {
                Ok(header) if header.redundant_pic_cnt == 0 => header,
                Ok(_) => continue,
                Err(error) => {
                    log::debug!("H.264: a slice header cannot be read: {error}");
                    continue;
                }
            };
            if !header.num_ref_idx_override {
                let id = header.start.pic_parameter_set_id;
                let known = self.num_ref_idx_defaults.entry(id).or_default();
                let lists = header.start.slice_type.lists();
                known[..lists].copy_from_slice(&effective[..lists]);
            }
            headers.push(header);
        }
        let id = headers.first().map_or(0, |header| header.start.pic_parameter_set_id);
        pps.pic_parameter_set_id = id;
        let defaults = self.num_ref_idx_defaults.get(&id).copied().unwrap_or_default();
        [pps.num_ref_idx_l0_default_active_minus1, pps.num_ref_idx_l1_default_active_minus1] =
            defaults;
        headers
    }
}

impl Translator for H264Translator {
    fn picture(&mut self, picture: &Picture<'_>, ready: &mut Vec<Draft>) -> Result<()> {
        let buffers = match Buffers::read(picture) {
            Ok(buffers) => buffers,
            Err(error) => {
                self.commit(ready);
                self.first_field = None;
                return Err(error);
            }
        };
        let (draft, second_field) = self.translate(picture.target, &buffers);
        if let Some(mut first) = self.held.take() {
            first.hold_capture = second_field;
            ready.push(first);
        }
        if self.first_field.is_some() {
            self.held = Some(draft);
        } else {
            ready.push(draft);
        }
        Ok(())
    }

    fn commit(&mut self, ready: &mut Vec<Draft>) {
        ready.extend(self.held.take());
    }
}

/// The decode parameters without the DPB.
fn decode_params(
    params: &va::VAPictureParameterBufferH264,
    buffers: &Buffers<'_>,
    headers: &[SliceHeader],
) -> DecodeParams {
    let mut decode = DecodeParams::new_zeroed();
    decode.frame_num = params.frame_num;
    let fields = FieldMask::of_current(params);
    // With the second field clients also say the first one's count, which belongs to another request.
    let counts = [params.CurrPic.TopFieldOrderCnt, params.CurrPic.BottomFieldOrderCnt];
    [decode.top_field_order_cnt, decode.bottom_field_order_cnt] = fields.select(counts);
    decode.nal_ref_idc = buffers.nal_ref_idc();
    if let Some(header) = headers.first() {
        decode.idr_pic_id = header.idr_pic_id;
        decode.pic_order_cnt_lsb = header.pic_order_cnt_lsb;
        decode.delta_pic_order_cnt_bottom = header.delta_pic_order_cnt_bottom;
        [decode.delta_pic_order_cnt0, decode.delta_pic_order_cnt1] = header.delta_pic_order_cnt;
        decode.dec_ref_pic_marking_bit_size = header.dec_ref_pic_marking_bit_size;
        decode.pic_order_cnt_bit_size = header.pic_order_cnt_bit_size;
    }
    let has = |kind| headers.iter().any(|header| header.start.slice_type == kind);
    let flags = [
        (buffers.idr(), DECODE_PARAM_IDR_PIC),
        (fields.is_field(), DECODE_PARAM_FIELD_PIC),
        (fields == FieldMask::BOTTOM, DECODE_PARAM_BOTTOM_FIELD),
        (has(SliceType::P) && !has(SliceType::B), DECODE_PARAM_PFRAME),
        (has(SliceType::B), DECODE_PARAM_BFRAME),
    ];
    decode.flags = flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).sum();
    decode
}

/// See [`super::ancestry`].
pub(super) fn ancestry(picture: &Picture<'_>) -> Result<Ancestry> {
    let buffers = Buffers::read(picture)?;
    let references = dpb::references(&buffers.params).map(|r| r.picture_id).collect();
    Ok(Ancestry { key: buffers.idr(), references })
}

#[cfg(test)]
mod tests;
