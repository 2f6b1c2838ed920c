//! How long two parts of a slice header are. V4L2 counts bits as they are parsed; cros-codecs 0.0.6 also
//! counts emulation prevention bytes between them.

use cros_codecs::codec::h264::parser::{Pps, Slice, SliceHeader};

/// Bits of ue(v) (9.1).
fn ue(value: u32) -> u32 {
    2 * (u64::from(value) + 1).ilog2() + 1
}

/// Bits of se(v) (9.1.1).
fn se(value: i32) -> u32 {
    ue(if value > 0 { 2 * value.unsigned_abs() - 1 } else { 2 * value.unsigned_abs() })
}

/// The picture order count elements (7.3.3).
pub fn pic_order_cnt(header: &SliceHeader, pps: &Pps) -> u32 {
    let sps = &pps.sps;
    let both_fields = pps.bottom_field_pic_order_in_frame_present_flag && !header.field_pic_flag;
    let of_both = |bits| if both_fields { bits } else { 0 };
    match sps.pic_order_cnt_type {
        0 => {
            let lsb = u32::from(sps.log2_max_pic_order_cnt_lsb_minus4) + 4;
            lsb + of_both(se(header.delta_pic_order_cnt_bottom))
        }
        1 if !sps.delta_pic_order_always_zero_flag => {
            se(header.delta_pic_order_cnt[0]) + of_both(se(header.delta_pic_order_cnt[1]))
        }
        _ => 0,
    }
}

/// dec_ref_pic_marking() (7.3.3.3).
pub fn dec_ref_pic_marking(slice: &Slice<'_>) -> u32 {
    let marking = &slice.header.dec_ref_pic_marking;
    if slice.nalu.header.ref_idc == 0 {
        return 0;
    }
    if slice.nalu.header.idr_pic_flag {
        return 2;
    }
    if !marking.adaptive_ref_pic_marking_mode_flag {
        return 1;
    }
    let operations = marking
        .inner
        .iter()
        .filter(|operation| operation.memory_management_control_operation != 0)
        .map(|operation| {
            let number = u32::from(operation.memory_management_control_operation);
            let difference = ue(operation.difference_of_pic_nums_minus1);
            let index = ue(operation.long_term_frame_idx);
            ue(number)
                + match number {
                    1 => difference,
                    2 => ue(operation.long_term_pic_num),
                    3 => difference + index,
                    4 => ue(operation.max_long_term_frame_idx.to_value_plus1()),
                    6 => index,
                    _ => 0,
                }
        });
    // The flag, the operations, and the one that ends them.
    1 + operations.sum::<u32>() + ue(0)
}
