//! H.264: parameter sets from the controls, slices as they came.
//!
//! The slices are the client's own NAL units, so everything that their headers say (frame_num, reference
//! list modification, marking) reaches the decoder unchanged, and its decoded picture buffer develops as
//! the client's did. What the slices refer to but a request does not carry as bytes, the parameter sets,
//! is written anew (`parameter_sets`), under the ids that the slices use. They are sent when they change
//! and with every IDR picture, so that a decoder that lost one recovers there.

mod nal;
mod parameter_sets;
mod pic_order_cnt;

use std::collections::HashMap;

use daedalus_uapi::{
    Codec, Controls, NO_REFERENCE,
    h264::{
        self, DECODE_PARAM_BOTTOM_FIELD, DECODE_PARAM_FIELD_PIC, DPB_ENTRY_ACTIVE, NAL_IDR_SLICE,
        PPS_REDUNDANT_PIC_CNT_PRESENT, Pps, ScalingMatrix, SliceHeader, SliceStart, Sps,
    },
};

use self::{
    nal::{append_nal_unit, nal_units},
    parameter_sets::{pps_nal_unit, sps_nal_unit, validate},
};
use super::{Parity, Step, Writer};
use crate::{Error, Result};

/// Writes SPS, PPS and slices.
#[derive(Default)]
pub(crate) struct H264Writer {
    sent: ParameterSets,
    history: History,
}

/// The parameter sets that the decoder has.
#[derive(Clone, Default)]
struct ParameterSets {
    sps: Vec<u8>,
    /// By pic_parameter_set_id. A new SPS makes a decoder drop those that belong to the old one.
    pps: HashMap<u8, Vec<u8>>,
}

/// What the writer remembers about the pictures sent so far.
#[derive(Clone, Copy, Default)]
struct History {
    /// The decoder may hold reference pictures.
    references: bool,
    /// One of them has the timestamp that otherwise stands for none ([`NO_REFERENCE`]).
    reference_without_name: bool,
    /// The last picture, if it was a field that may be the first of its frame.
    first_field: Option<Field>,
    /// PrevRefFrameNum and FrameNumOffset of the last picture (section 8.2.1.2).
    frame_num: u16,
    frame_num_offset: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Field {
    bottom: bool,
    frame_num: u16,
}

/// A slice NAL unit and what stands at its beginning.
struct Slice<'a> {
    start: SliceStart,
    nal: &'a [u8],
}

impl H264Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }
}

impl Writer for H264Writer {
    fn write(
        &mut self,
        timestamp: u64,
        controls: &Controls,
        data: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<Step> {
        let Controls::H264(controls) = controls else {
            return Err(Error::WrongCodec { session: Codec::H264, got: controls.codec() });
        };
        validate(&controls.sps, &controls.pps)?;
        let slices = slices(data, &controls.sps, &controls.pps)?;
        let idr = slices[0].start.nal_unit_type == NAL_IDR_SLICE;
        let mut history = self.history;
        let step = history.advance(controls, idr);

        let mut sps = controls.sps;
        if sps.pic_order_cnt_type == 1 {
            let params = &controls.decode_params;
            pic_order_cnt::choose_offsets(&mut sps, params, history.frame_num_offset)?;
        }
        let mut sent = if idr || step.reset { ParameterSets::default() } else { self.sent.clone() };
        let mut sets = Vec::new();
        sent.update(&sps, &controls.pps, &controls.scaling_matrix, &slices, &mut sets)?;

        // Nothing fails from here on.
        packet.append(&mut sets);
        slices.iter().for_each(|slice| append_nal_unit(slice.nal, packet));
        history.mark(timestamp, controls, slices[0].nal);
        (self.sent, self.history) = (sent, history);
        Ok(Step { parts: slices.len(), ..step })
    }
}

/// The most slices that are looked at: several for each macroblock of the largest level, with redundant ones.
const MOST_SLICES: usize = 1 << 20;

/// The slices of a picture in raster order, without redundant ones and what is no slice at all.
/// Fails if none is left, or there are too many.
fn slices<'a>(data: &'a [u8], sps: &Sps, pps: &Pps) -> Result<Vec<Slice<'a>>> {
    let mut slices: Vec<Slice<'a>> = nal_units(data)
        .filter_map(|nal| Some(Slice { start: SliceStart::parse(nal).ok()?, nal }))
        .take(MOST_SLICES + 1)
        .collect();
    if slices.len() > MOST_SLICES {
        let what = format!("data: more than {MOST_SLICES} slices");
        return Err(Error::Invalid { codec: Codec::H264, what });
    }
    if pps.flags & PPS_REDUNDANT_PIC_CNT_PRESENT != 0 {
        slices.retain(|slice| {
            SliceHeader::parse(slice.nal, sps, pps)
                .is_ok_and(|header| header.redundant_pic_cnt == 0)
        });
    }
    // Slices may come in any order (Baseline), but a decoder takes the one that begins at macroblock 0
    // for the start of the next picture.
    slices.sort_by_key(|slice| slice.start.first_mb_in_slice);
    slices.dedup_by_key(|slice| slice.start.first_mb_in_slice);
    let Some(first) = slices.first() else {
        return Err(Error::Invalid { codec: Codec::H264, what: "data: no slice".into() });
    };
    // Slices that do not belong to the picture would end it.
    let first = first.start;
    slices.retain(|slice| {
        slice.start.nal_unit_type == first.nal_unit_type
            && (slice.start.nal_ref_idc == 0) == (first.nal_ref_idc == 0)
    });
    Ok(slices)
}

impl ParameterSets {
    /// Appends the parameter sets that the slices need and the decoder does not have.
    fn update(
        &mut self,
        sps: &Sps,
        pps: &Pps,
        scaling_matrix: &ScalingMatrix,
        slices: &[Slice<'_>],
        stream: &mut Vec<u8>,
    ) -> Result<()> {
        let nal = sps_nal_unit(sps, pps);
        if nal != self.sps {
            append_nal_unit(&nal, stream);
            *self = ParameterSets { sps: nal, pps: HashMap::new() };
        }
        let mut last = None;
        for id in slices.iter().map(|slice| slice.start.pic_parameter_set_id) {
            if last.replace(id) == Some(id) {
                continue;
            }
            let nal = pps_nal_unit(id, sps, pps, scaling_matrix)?;
            if self.pps.get(&id) != Some(&nal) {
                append_nal_unit(&nal, stream);
                self.pps.insert(id, nal);
            }
        }
        Ok(())
    }
}

impl History {
    /// Moves on to a new picture and says what the decoder must do before it.
    fn advance(&mut self, controls: &h264::Controls, idr: bool) -> Step {
        let params = &controls.decode_params;
        let field = (params.flags & DECODE_PARAM_FIELD_PIC != 0).then_some(Field {
            bottom: params.flags & DECODE_PARAM_BOTTOM_FIELD != 0,
            frame_num: params.frame_num,
        });
        let second_field = !idr
            && self.first_field.zip(field).is_some_and(|(first, second)| {
                first.bottom != second.bottom && first.frame_num == second.frame_num
            });
        self.first_field = if second_field { None } else { field };

        // No picture that the client counts on is known: it has moved to another place of the stream,
        // where the picture need not be an IDR picture (recovery point, open GOP). Pictures that the
        // decoder still has would stand in its reference lists. The second field of a frame always has
        // its first field in the decoder.
        let known = params
            .dpb
            .iter()
            .filter(|e| e.flags & DPB_ENTRY_ACTIVE != 0)
            .any(|e| e.reference_ts != NO_REFERENCE || self.reference_without_name);
        let reset = self.references && !idr && !second_field && !known;
        if idr || reset {
            *self = History { first_field: self.first_field, ..History::default() };
        } else if params.frame_num < self.frame_num {
            let max_frame_num = 16u64 << controls.sps.log2_max_frame_num_minus4;
            self.frame_num_offset = self.frame_num_offset.wrapping_add(max_frame_num);
        }
        self.frame_num = params.frame_num;
        let first_field =
            self.first_field.map(|f| if f.bottom { Parity::Bottom } else { Parity::Top });
        Step { reset, second_field, first_field, key: idr, parts: 0 }
    }

    /// What the decoder keeps of the picture.
    fn mark(&mut self, timestamp: u64, controls: &h264::Controls, first_slice: &[u8]) {
        let kept = controls.decode_params.nal_ref_idc != 0 && controls.sps.max_num_ref_frames != 0;
        self.references |= kept;
        self.reference_without_name |= kept && timestamp == NO_REFERENCE;
        let header = SliceHeader::parse(first_slice, &controls.sps, &controls.pps);
        if header.is_ok_and(|header| header.mmco5) {
            (self.frame_num, self.frame_num_offset) = (0, 0);
            if let Some(first) = &mut self.first_field {
                first.frame_num = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
