//! Picture order counts, ITU-T H.264 section 8.2.1.

use cros_codecs::codec::h264::parser::{Slice, Sps};

use super::reference::Coded;

/// What the order count of a picture builds on.
#[derive(Debug, Default)]
pub struct Order {
    /// prevPicOrderCntMsb and prevPicOrderCntLsb.
    previous: (i32, i32),
    prev_frame_num: i32,
    prev_frame_num_offset: i32,
}

impl Order {
    /// TopFieldOrderCnt and BottomFieldOrderCnt; zero for a field that the picture does not code.
    pub fn counts(&mut self, slice: &Slice<'_>, sps: &Sps) -> [i32; 2] {
        let header = &slice.header;
        if slice.nalu.header.idr_pic_flag {
            *self = Order::default();
        }
        let is_reference = slice.nalu.header.ref_idc != 0;
        let [top, bottom] = match sps.pic_order_cnt_type {
            0 => {
                let lsb = i32::from(header.pic_order_cnt_lsb);
                let msb = self.msb(lsb, 1 << (sps.log2_max_pic_order_cnt_lsb_minus4 + 4));
                if is_reference {
                    self.previous = (msb, lsb);
                }
                [msb + lsb, msb + lsb + header.delta_pic_order_cnt_bottom]
            }
            1 => {
                let offset = self.frame_num_offset(i32::from(header.frame_num), sps);
                self.expected(offset, slice, sps)
            }
            _ => {
                let offset = self.frame_num_offset(i32::from(header.frame_num), sps);
                let twice = 2 * (offset + i32::from(header.frame_num));
                [twice - i32::from(!is_reference); 2]
            }
        };
        match (header.field_pic_flag, header.bottom_field_flag) {
            (false, _) => [top, bottom],
            (true, false) => [top, 0],
            (true, true) => [0, bottom],
        }
    }

    /// PicOrderCntMsb (8.2.1.1).
    fn msb(&self, lsb: i32, max_lsb: i32) -> i32 {
        let (prev_msb, prev_lsb) = self.previous;
        if lsb < prev_lsb && prev_lsb - lsb >= max_lsb / 2 {
            prev_msb + max_lsb
        } else if lsb > prev_lsb && lsb - prev_lsb > max_lsb / 2 {
            prev_msb - max_lsb
        } else {
            prev_msb
        }
    }

    /// FrameNumOffset (8.2.1.2 and 8.2.1.3).
    fn frame_num_offset(&mut self, frame_num: i32, sps: &Sps) -> i32 {
        if self.prev_frame_num > frame_num {
            self.prev_frame_num_offset += 1 << (sps.log2_max_frame_num_minus4 + 4);
        }
        self.prev_frame_num = frame_num;
        self.prev_frame_num_offset
    }

    /// The counts of type 1 (8.2.1.2).
    fn expected(&self, offset: i32, slice: &Slice<'_>, sps: &Sps) -> [i32; 2] {
        let header = &slice.header;
        let is_reference = slice.nalu.header.ref_idc != 0;
        let cycle = i32::from(sps.num_ref_frames_in_pic_order_cnt_cycle);
        let mut abs_frame_num = if cycle != 0 { offset + i32::from(header.frame_num) } else { 0 };
        if !is_reference && abs_frame_num > 0 {
            abs_frame_num -= 1;
        }
        let mut expected = 0;
        if abs_frame_num > 0 {
            let offsets = &sps.offset_for_ref_frame[..cycle as usize];
            let (whole, rest) = ((abs_frame_num - 1) / cycle, (abs_frame_num - 1) % cycle);
            expected = whole * offsets.iter().sum::<i32>();
            expected += offsets[..=rest as usize].iter().sum::<i32>();
        }
        if !is_reference {
            expected += sps.offset_for_non_ref_pic;
        }
        let top = expected + header.delta_pic_order_cnt[0];
        let bottom = expected + sps.offset_for_top_to_bottom_field + header.delta_pic_order_cnt[0];
        if header.field_pic_flag {
            [top, bottom]
        } else {
            [top, bottom + header.delta_pic_order_cnt[1]]
        }
    }

    /// A frame that is missing was put in (8.2.5.2).
    pub fn missing(&mut self, frame_num: i32, sps: &Sps) {
        self.frame_num_offset(frame_num, sps);
    }

    /// The picture had memory_management_control_operation 5; `counts` are those it has from now on.
    pub fn mmco5(&mut self, coded: Coded, counts: [i32; 2]) {
        let lsb = if coded == Coded::Bottom { 0 } else { counts[0] };
        *self = Order { previous: (0, lsb), ..Order::default() };
    }
}
