//! The decoded picture buffer: VA names reference pictures by surface, requests by timestamp.

use daedalus_uapi::{
    FromZeros, NO_REFERENCE,
    h264::{
        BOTTOM_FIELD_REF, DPB_ENTRY_ACTIVE, DPB_ENTRY_FIELD, DPB_ENTRY_LONG_TERM, DPB_ENTRY_VALID,
        DpbEntry, FRAME_REF, TOP_FIELD_REF,
    },
};
use libva_sys as va;

use super::super::Pictures;

/// Which fields of a frame: `TOP_FIELD_REF` and `BOTTOM_FIELD_REF` bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldMask(u8);

impl FieldMask {
    pub(super) const BOTTOM: FieldMask = FieldMask(BOTTOM_FIELD_REF);
    const FRAME: FieldMask = FieldMask(FRAME_REF);

    /// What the picture codes.
    pub(super) fn of_current(params: &va::VAPictureParameterBufferH264) -> Self {
        // SAFETY: every bit pattern is valid for both members of the union.
        let field_pic = unsafe { params.pic_fields.bits.field_pic_flag() } != 0;
        if !field_pic {
            return Self::FRAME;
        }
        let bottom = params.CurrPic.flags & va::VA_PICTURE_H264_BOTTOM_FIELD != 0;
        FieldMask(if bottom { BOTTOM_FIELD_REF } else { TOP_FIELD_REF })
    }

    /// Which fields of `reference` are used for reference: no flag means both.
    fn of_reference(reference: &va::VAPictureH264) -> Self {
        let has = |flag| reference.flags & flag != 0;
        let top = has(va::VA_PICTURE_H264_TOP_FIELD);
        let bottom = has(va::VA_PICTURE_H264_BOTTOM_FIELD);
        match (top, bottom) {
            (true, false) => FieldMask(TOP_FIELD_REF),
            (false, true) => FieldMask(BOTTOM_FIELD_REF),
            _ => Self::FRAME,
        }
    }

    /// Top and bottom value, zero for a field that is not among these.
    pub(super) fn select(self, [top, bottom]: [i32; 2]) -> [i32; 2] {
        let has = |field| i32::from(self.0 & field != 0);
        [top * has(TOP_FIELD_REF), bottom * has(BOTTOM_FIELD_REF)]
    }

    /// True for a single field.
    pub(super) fn is_field(self) -> bool {
        self != Self::FRAME
    }
}

/// A reference picture that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    timestamp: u64,
    frame_num: u16,
    /// Order counts of the fields that were sent: top, bottom.
    order_counts: [Option<i32>; 2],
    fields: bool,
    /// Operation 5 renumbers the picture after it was decoded.
    mmco5: bool,
}

impl Sent {
    /// The fields that were sent.
    fn coded(&self) -> FieldMask {
        let [top, bottom] = self.order_counts.map(|count| count.is_some());
        FieldMask((u8::from(top) * TOP_FIELD_REF) | (u8::from(bottom) * BOTTOM_FIELD_REF))
    }

    /// Whether a client that says `reference` can mean this picture. The surface alone does not tell:
    /// the frames that a client puts in for missing ones have surfaces too, on which other pictures
    /// were decoded before.
    fn is(&self, reference: &va::VAPictureH264, fields: FieldMask, long_term: bool) -> bool {
        let counts = [reference.TopFieldOrderCnt, reference.BottomFieldOrderCnt];
        let same_counts = (0..2).all(|i| {
            fields.0 & (1 << i) == 0 || self.order_counts[i].is_none_or(|sent| sent == counts[i])
        });
        let same_number = long_term || reference.frame_idx == u32::from(self.frame_num);
        self.mmco5 || (same_counts && same_number)
    }
}

/// The reference pictures that the client can name.
#[derive(Debug, Default)]
pub(super) struct Dpb(Pictures<Sent>);

/// The entries of ReferenceFrames that are in use.
pub(super) fn references(
    params: &va::VAPictureParameterBufferH264,
) -> impl Iterator<Item = &va::VAPictureH264> {
    params.ReferenceFrames.iter().filter(|reference| {
        reference.picture_id != va::VA_INVALID_ID
            && reference.flags & va::VA_PICTURE_H264_INVALID == 0
    })
}

fn is_long_term(reference: &va::VAPictureH264) -> bool {
    reference.flags & va::VA_PICTURE_H264_LONG_TERM_REFERENCE != 0
}

impl Dpb {
    /// The picture that `reference` means, if it was sent.
    fn sent(&self, reference: &va::VAPictureH264) -> Option<&Sent> {
        let fields = FieldMask::of_reference(reference);
        let sent = self.0.get(reference.picture_id);
        sent.filter(|picture| picture.is(reference, fields, is_long_term(reference)))
    }

    /// The entries for the picture that `params` describes. A reference that was never sent (a "non-
    /// existing" frame behind a gap in frame_num, or a picture before the stream's start) has the
    /// timestamp [`NO_REFERENCE`].
    pub(super) fn entries(
        &self,
        params: &va::VAPictureParameterBufferH264,
        max_frame_num: i32,
    ) -> [DpbEntry; 16] {
        let mut entries = [DpbEntry::new_zeroed(); 16];
        let current = FieldMask::of_current(params);
        for (entry, reference) in entries.iter_mut().zip(references(params)) {
            let fields = FieldMask::of_reference(reference);
            let long_term = is_long_term(reference);
            let sent = self.sent(reference);
            entry.reference_ts = sent.map_or(NO_REFERENCE, |picture| picture.timestamp);
            entry.frame_num = reference.frame_idx as u16;
            entry.pic_num = pic_num(params.frame_num, reference, current, long_term, max_frame_num);
            entry.fields = fields.0;
            // In a second field clients also say the count of that field for the frame that it belongs to.
            let coded = sent.map_or(FieldMask::FRAME, Sent::coded);
            let counts = [reference.TopFieldOrderCnt, reference.BottomFieldOrderCnt];
            [entry.top_field_order_cnt, entry.bottom_field_order_cnt] = coded.select(counts);
            entry.flags = DPB_ENTRY_VALID | DPB_ENTRY_ACTIVE;
            if long_term {
                entry.flags |= DPB_ENTRY_LONG_TERM;
            }
            if sent.map_or(fields.is_field(), |picture| picture.fields) {
                entry.flags |= DPB_ENTRY_FIELD;
            }
        }
        entries
    }

    /// Notes that the picture of `params` was sent. What it does not list as a reference will never be
    /// one again (section 8.2.5) and is forgotten.
    pub(super) fn decoded(
        &mut self,
        target: va::VASurfaceID,
        timestamp: u64,
        params: &va::VAPictureParameterBufferH264,
        second_field: bool,
        reference: bool,
        mmco5: bool,
    ) {
        let named: Vec<_> =
            references(params).filter(|r| self.sent(r).is_some()).map(|r| r.picture_id).collect();
        self.0.retain(
            |surface| {
                if surface == target { second_field } else { named.contains(&surface) }
            },
        );
        if !reference {
            return;
        }
        let fields = FieldMask::of_current(params);
        let mut sent = self.0.get(target).copied().unwrap_or(Sent {
            timestamp,
            frame_num: params.frame_num,
            order_counts: [None; 2],
            fields: fields.is_field(),
            mmco5,
        });
        sent.mmco5 |= mmco5;
        let counts = [params.CurrPic.TopFieldOrderCnt, params.CurrPic.BottomFieldOrderCnt];
        for (i, count) in counts.into_iter().enumerate() {
            if fields.0 & (1 << i) != 0 {
                sent.order_counts[i] = Some(count);
            }
        }
        self.0.insert(target, sent);
    }
}

/// PicNum or LongTermPicNum (section 8.2.4.1). A frame of which both fields can be referred to is
/// numbered by the field of the current parity.
fn pic_num(
    frame_num: u16,
    reference: &va::VAPictureH264,
    current: FieldMask,
    long_term: bool,
    max_frame_num: i32,
) -> u32 {
    let number = reference.frame_idx as u16;
    let wrapped = if !long_term && number > frame_num {
        i32::from(number) - max_frame_num
    } else {
        i32::from(number)
    };
    let pic_num = if current.is_field() {
        let same_parity = FieldMask::of_reference(reference).0 & current.0 != 0;
        2 * wrapped + i32::from(same_parity)
    } else {
        wrapped
    };
    // The control is unsigned, PicNum may be negative: V4L2 carries it in two's complement.
    pic_num as u32
}
