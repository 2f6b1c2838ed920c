//! Picture order count type 1 (section 8.2.1.2): offsets that lead a decoder to the wanted counts.
//!
//! VA hides the sequence's offsets, and a request names the resulting counts anyway. So every picture
//! gets offsets of its own: the decoder adds them up by the specification's rules and arrives exactly at
//! the counts of the request.

use daedalus_uapi::{
    Codec,
    h264::{DECODE_PARAM_BOTTOM_FIELD, DECODE_PARAM_FIELD_PIC, DecodeParams, Sps},
};

use crate::{Error, Result};

/// Sets the offsets of `sps` so that a decoder whose FrameNumOffset for this picture is
/// `frame_num_offset` derives the order counts of `picture`. Fails if an offset is out of range.
pub(super) fn choose_offsets(
    sps: &mut Sps,
    picture: &DecodeParams,
    frame_num_offset: u64,
) -> Result<()> {
    let field = picture.flags & DECODE_PARAM_FIELD_PIC != 0;
    let bottom = picture.flags & DECODE_PARAM_BOTTOM_FIELD != 0;
    let (top_count, bottom_count) =
        (i64::from(picture.top_field_order_cnt), i64::from(picture.bottom_field_order_cnt));
    let deltas = [picture.delta_pic_order_cnt0, picture.delta_pic_order_cnt1].map(i64::from);

    sps.offset_for_non_ref_pic = 0;
    sps.offset_for_top_to_bottom_field = 0;
    sps.num_ref_frames_in_pic_order_cnt_cycle = 0;
    sps.offset_for_ref_frame = [0; 255];
    if field && bottom {
        // BottomFieldOrderCnt = expectedPicOrderCnt + offset_for_top_to_bottom_field
        //                     + delta_pic_order_cnt[0]
        sps.offset_for_top_to_bottom_field = offset(bottom_count - deltas[0])?;
        return Ok(());
    }
    if !field {
        // BottomFieldOrderCnt = TopFieldOrderCnt + offset_for_top_to_bottom_field
        //                     + delta_pic_order_cnt[1]
        sps.offset_for_top_to_bottom_field = offset(bottom_count - top_count - deltas[1])?;
    }
    // TopFieldOrderCnt = expectedPicOrderCnt + delta_pic_order_cnt[0]
    let expected = offset(top_count - deltas[0])?;
    if picture.nal_ref_idc == 0 {
        sps.offset_for_non_ref_pic = expected;
    } else if expected != 0 {
        // The decoder sums the offsets of whole cycles and of the cycle's first
        // (absFrameNum - 1) % cycle + 1 frames. With the offsets (expected, 0 ... 0, -expected) a whole
        // cycle counts nothing and every frame but the cycle's last arrives at `expected`. (For
        // absFrameNum 0 the sum is always zero, with the sequence's true offsets too.)
        let cycle = cycle_not_ending_at(picture.frame_num, frame_num_offset);
        sps.num_ref_frames_in_pic_order_cnt_cycle = cycle;
        sps.offset_for_ref_frame[0] = expected;
        sps.offset_for_ref_frame[usize::from(cycle) - 1] = -expected;
    }
    Ok(())
}

/// A cycle length that does not divide absFrameNum, unless that is zero.
fn cycle_not_ending_at(frame_num: u16, frame_num_offset: u64) -> u8 {
    match frame_num.trailing_zeros() {
        // A power of two that does not divide frame_num divides MaxFrameNum, which is above it: this
        // length serves whatever FrameNumOffset is.
        zeros @ 0..=6 => 2 << zeros,
        _ => {
            let abs_frame_num = frame_num_offset + u64::from(frame_num);
            let lengths = [251, 241, 239, 233, 229, 227];
            lengths.into_iter().find(|n| abs_frame_num % u64::from(*n) != 0).unwrap_or(2)
        }
    }
}

/// An offset must be coded in se(v).
fn offset(value: i64) -> Result<i32> {
    i32::try_from(value).ok().filter(|v| *v != i32::MIN).ok_or_else(|| Error::Invalid {
        codec: Codec::H264,
        what: "picture order counts that no offset reaches".into(),
    })
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    /// Section 8.2.1.2 as a decoder runs it: TopFieldOrderCnt and BottomFieldOrderCnt.
    fn decode(sps: &Sps, picture: &DecodeParams, frame_num_offset: u64) -> (i64, i64) {
        let cycle = u64::from(sps.num_ref_frames_in_pic_order_cnt_cycle);
        let offsets = &sps.offset_for_ref_frame[..cycle as usize];
        let mut abs_frame_num =
            if cycle != 0 { frame_num_offset + u64::from(picture.frame_num) } else { 0 };
        if picture.nal_ref_idc == 0 && abs_frame_num > 0 {
            abs_frame_num -= 1;
        }
        let mut expected = 0;
        if abs_frame_num > 0 {
            let (cycles, rest) = ((abs_frame_num - 1) / cycle, (abs_frame_num - 1) % cycle);
            expected = cycles as i64 * offsets.iter().map(|o| i64::from(*o)).sum::<i64>()
                + offsets[..=rest as usize].iter().map(|o| i64::from(*o)).sum::<i64>();
        }
        if picture.nal_ref_idc == 0 {
            expected += i64::from(sps.offset_for_non_ref_pic);
        }
        let top = expected + i64::from(picture.delta_pic_order_cnt0);
        let mut bottom = top + i64::from(sps.offset_for_top_to_bottom_field);
        if picture.flags & DECODE_PARAM_FIELD_PIC == 0 {
            bottom += i64::from(picture.delta_pic_order_cnt1);
        }
        (top, bottom)
    }

    #[test]
    fn the_decoder_arrives_at_the_wanted_counts() {
        let frame = 0;
        let top = DECODE_PARAM_FIELD_PIC;
        let bottom = DECODE_PARAM_FIELD_PIC | DECODE_PARAM_BOTTOM_FIELD;
        for flags in [frame, top, bottom] {
            for nal_ref_idc in [0, 2] {
                for log2_max_frame_num in [4, 8, 16] {
                    for wraps in [0, 1, 2, 3, 250, 251, 241 * 251, 251 * 241 * 239] {
                        for frame_num in [0u16, 1, 2, 6, 8, 15, 128, 251, 65408] {
                            if u32::from(frame_num) >= 1 << log2_max_frame_num
                                || (wraps == 0 && frame_num == 0)
                            {
                                continue;
                            }
                            let mut picture = DecodeParams::new_zeroed();
                            picture.flags = flags;
                            picture.nal_ref_idc = nal_ref_idc;
                            picture.frame_num = frame_num;
                            picture.delta_pic_order_cnt0 = -7;
                            picture.delta_pic_order_cnt1 = 3;
                            picture.top_field_order_cnt = 123_456;
                            picture.bottom_field_order_cnt = -99;
                            let mut sps = Sps::new_zeroed();
                            let offset = wraps << log2_max_frame_num;
                            choose_offsets(&mut sps, &picture, offset).unwrap();
                            let got = decode(&sps, &picture, offset);
                            if flags != bottom {
                                assert_eq!(got.0, 123_456, "{picture:?}");
                            }
                            if flags != top {
                                assert_eq!(got.1, -99, "{picture:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_idr_frame_keeps_the_counts_of_its_own_deltas() {
        let mut picture = DecodeParams::new_zeroed();
        picture.nal_ref_idc = 3;
        picture.delta_pic_order_cnt0 = 4;
        picture.top_field_order_cnt = 4;
        picture.bottom_field_order_cnt = 5;
        let mut sps = Sps::new_zeroed();
        choose_offsets(&mut sps, &picture, 0).unwrap();
        assert_eq!(decode(&sps, &picture, 0), (4, 5));
    }

    #[test]
    fn counts_out_of_reach_are_refused() {
        let mut picture = DecodeParams::new_zeroed();
        picture.top_field_order_cnt = i32::MAX;
        picture.bottom_field_order_cnt = i32::MIN;
        assert!(choose_offsets(&mut Sps::new_zeroed(), &picture, 0).is_err());
    }
}
