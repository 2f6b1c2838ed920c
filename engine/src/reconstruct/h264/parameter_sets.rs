//! Sequence and picture parameter sets (sections 7.3.2.1.1 and 7.3.2.2) from the controls.

use daedalus_uapi::{
    Codec,
    h264::{
        PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT, PPS_CONSTRAINED_INTRA_PRED,
        PPS_DEBLOCKING_FILTER_CONTROL_PRESENT, PPS_ENTROPY_CODING_MODE,
        PPS_REDUNDANT_PIC_CNT_PRESENT, PPS_SCALING_MATRIX_PRESENT, PPS_TRANSFORM_8X8_MODE,
        PPS_WEIGHTED_PRED, Pps, SPS_DELTA_PIC_ORDER_ALWAYS_ZERO, SPS_DIRECT_8X8_INFERENCE,
        SPS_FRAME_MBS_ONLY, SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED, SPS_MB_ADAPTIVE_FRAME_FIELD,
        SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS, SPS_SEPARATE_COLOUR_PLANE, ScalingMatrix, Sps,
    },
};

use super::nal::RbspWriter;
use crate::{Error, Result};

const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;

/// Table 8-2's zig-zag scan of a 4x4 block: raster position of each scan position (figure 8-8).
const ZIG_ZAG_4X4: [u8; 16] = [0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15];

/// The zig-zag scan of an 8x8 block (table 8-3, frame macroblocks), as raster positions.
const ZIG_ZAG_8X8: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

fn invalid(what: impl Into<String>) -> Error {
    Error::Invalid { codec: Codec::H264, what: what.into() }
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::Unsupported { codec: Codec::H264, what: what.into() }
}

/// `Ok` if `value` lies in `range`.
fn check<T: PartialOrd + std::fmt::Display>(
    value: T,
    range: std::ops::RangeInclusive<T>,
    what: &str,
) -> Result<()> {
    if range.contains(&value) { Ok(()) } else { Err(invalid(format!("{what}: {value}"))) }
}

/// Fails for values that the syntax cannot carry or that this engine does not decode.
pub(super) fn validate(sps: &Sps, pps: &Pps) -> Result<()> {
    if sps.chroma_format_idc > 1 || sps.flags & SPS_SEPARATE_COLOUR_PLANE != 0 {
        return Err(unsupported(format!("chroma_format_idc {}", sps.chroma_format_idc)));
    }
    let depths = [sps.bit_depth_luma_minus8, sps.bit_depth_chroma_minus8];
    // The depth of chroma that is not there says nothing.
    if !(depths[0] == depths[1] || sps.chroma_format_idc == 0) || !matches!(depths[0], 0 | 2) {
        let [luma, chroma] = depths.map(|d| u16::from(d) + 8);
        return Err(unsupported(format!("{luma}-bit luma with {chroma}-bit chroma")));
    }
    if pps.num_slice_groups_minus1 != 0 {
        return Err(unsupported("a picture of several slice groups"));
    }
    check(sps.seq_parameter_set_id, 0..=31, "seq_parameter_set_id")?;
    check(sps.log2_max_frame_num_minus4, 0..=12, "log2_max_frame_num_minus4")?;
    check(sps.pic_order_cnt_type, 0..=2, "pic_order_cnt_type")?;
    check(sps.log2_max_pic_order_cnt_lsb_minus4, 0..=12, "log2_max_pic_order_cnt_lsb_minus4")?;
    check(sps.max_num_ref_frames, 0..=16, "max_num_ref_frames")?;
    let defaults =
        [pps.num_ref_idx_l0_default_active_minus1, pps.num_ref_idx_l1_default_active_minus1];
    for default in defaults {
        check(default, 0..=31, "num_ref_idx_default_active_minus1")?;
    }
    check(pps.weighted_bipred_idc, 0..=2, "weighted_bipred_idc")?;
    let lowest_qp = -26 - 6 * sps.bit_depth_luma_minus8 as i8;
    check(pps.pic_init_qp_minus26, lowest_qp..=25, "pic_init_qp_minus26")?;
    check(pps.pic_init_qs_minus26, -26..=25, "pic_init_qs_minus26")?;
    check(pps.chroma_qp_index_offset, -12..=12, "chroma_qp_index_offset")?;
    check(pps.second_chroma_qp_index_offset, -12..=12, "second_chroma_qp_index_offset")
}

/// True if the picture parameter set needs the elements behind redundant_pic_cnt_present_flag.
fn needs_extension(pps: &Pps) -> bool {
    pps.flags & (PPS_TRANSFORM_8X8_MODE | PPS_SCALING_MATRIX_PRESENT) != 0
        || pps.second_chroma_qp_index_offset != pps.chroma_qp_index_offset
}

/// profile_idc: as the controls say, unless that profile lacks a syntax element that is needed.
fn profile_idc(sps: &Sps, pps: &Pps) -> u8 {
    let lossless = sps.flags & SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS != 0;
    let deep = sps.bit_depth_luma_minus8 != 0;
    match sps.profile_idc {
        high @ (100 | 110 | 122 | 244 | 44) => high,
        _ if lossless => 244,
        _ if deep => 110,
        _ if sps.chroma_format_idc != 1 || needs_extension(pps) => 100,
        low => low,
    }
}

/// seq_parameter_set_data() as a NAL unit. Output order, cropping and timing mean nothing here, so
/// there is no VUI.
pub(super) fn sps_nal_unit(sps: &Sps, pps: &Pps) -> Vec<u8> {
    let has = |flag| sps.flags & flag != 0;
    let profile_idc = profile_idc(sps, pps);
    let mut w = RbspWriter::new();
    w.u(8, profile_idc.into());
    // constraint_set0_flag is the highest bit on the wire and the lowest in the control.
    let constraints = if profile_idc == sps.profile_idc { sps.constraint_set_flags } else { 0 };
    w.u(8, u32::from((constraints & 0x3f).reverse_bits()));
    w.u(8, sps.level_idc.into());
    w.ue(sps.seq_parameter_set_id.into());
    if profile_idc >= 100 || profile_idc == 44 {
        w.ue(sps.chroma_format_idc.into());
        w.ue(sps.bit_depth_luma_minus8.into());
        // Some decoders want equal depths even where there is no chroma.
        w.ue(sps.bit_depth_luma_minus8.into());
        w.flag(has(SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS));
        w.flag(false); // seq_scaling_matrix_present_flag: the picture parameter set has the lists
    }
    w.ue(sps.log2_max_frame_num_minus4.into());
    w.ue(sps.pic_order_cnt_type.into());
    if sps.pic_order_cnt_type == 0 {
        w.ue(sps.log2_max_pic_order_cnt_lsb_minus4.into());
    } else if sps.pic_order_cnt_type == 1 {
        w.flag(has(SPS_DELTA_PIC_ORDER_ALWAYS_ZERO));
        w.se(sps.offset_for_non_ref_pic);
        w.se(sps.offset_for_top_to_bottom_field);
        let cycle = sps.num_ref_frames_in_pic_order_cnt_cycle;
        w.ue(cycle.into());
        for offset in &sps.offset_for_ref_frame[..cycle.into()] {
            w.se(*offset);
        }
    }
    w.ue(sps.max_num_ref_frames.into());
    w.flag(has(SPS_GAPS_IN_FRAME_NUM_VALUE_ALLOWED));
    w.ue(sps.pic_width_in_mbs_minus1.into());
    w.ue(sps.pic_height_in_map_units_minus1.into());
    w.flag(has(SPS_FRAME_MBS_ONLY));
    if !has(SPS_FRAME_MBS_ONLY) {
        w.flag(has(SPS_MB_ADAPTIVE_FRAME_FIELD));
    }
    w.flag(has(SPS_DIRECT_8X8_INFERENCE));
    w.flag(false); // frame_cropping_flag
    w.flag(false); // vui_parameters_present_flag
    w.into_nal_unit(3, NAL_SPS)
}

/// pic_parameter_set_rbsp() as a NAL unit, under the id that slices know it by.
/// Fails if a scaling list that is coded has a zero.
pub(super) fn pps_nal_unit(
    id: u8,
    sps: &Sps,
    pps: &Pps,
    scaling_matrix: &ScalingMatrix,
) -> Result<Vec<u8>> {
    let has = |flag| pps.flags & flag != 0;
    let mut w = RbspWriter::new();
    w.ue(id.into());
    w.ue(sps.seq_parameter_set_id.into());
    w.flag(has(PPS_ENTROPY_CODING_MODE));
    w.flag(has(PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT));
    w.ue(0); // num_slice_groups_minus1
    w.ue(pps.num_ref_idx_l0_default_active_minus1.into());
    w.ue(pps.num_ref_idx_l1_default_active_minus1.into());
    w.flag(has(PPS_WEIGHTED_PRED));
    w.u(2, pps.weighted_bipred_idc.into());
    w.se(pps.pic_init_qp_minus26.into());
    w.se(pps.pic_init_qs_minus26.into());
    w.se(pps.chroma_qp_index_offset.into());
    w.flag(has(PPS_DEBLOCKING_FILTER_CONTROL_PRESENT));
    w.flag(has(PPS_CONSTRAINED_INTRA_PRED));
    w.flag(has(PPS_REDUNDANT_PIC_CNT_PRESENT));
    if needs_extension(pps) {
        w.flag(has(PPS_TRANSFORM_8X8_MODE));
        w.flag(has(PPS_SCALING_MATRIX_PRESENT));
        if has(PPS_SCALING_MATRIX_PRESENT) {
            for list in &scaling_matrix.scaling_list_4x4 {
                scaling_list(&mut w, list, &ZIG_ZAG_4X4)?;
            }
            if has(PPS_TRANSFORM_8X8_MODE) {
                // 4:2:0 has two lists: Intra Y and Inter Y.
                for list in &scaling_matrix.scaling_list_8x8[..2] {
                    scaling_list(&mut w, list, &ZIG_ZAG_8X8)?;
                }
            }
        }
        w.se(pps.second_chroma_qp_index_offset.into());
    }
    Ok(w.into_nal_unit(3, NAL_PPS))
}

/// pic_scaling_list_present_flag and scaling_list() of a list in raster order. Every list is coded in
/// full, so that no fall-back rule applies.
fn scaling_list(w: &mut RbspWriter, raster: &[u8], scan: &[u8]) -> Result<()> {
    w.flag(true);
    let mut last = 8;
    for &position in scan {
        let scale = raster[usize::from(position)];
        if scale == 0 {
            return Err(invalid("scaling list with a zero"));
        }
        w.se(i32::from(scale.wrapping_sub(last) as i8)); // delta_scale
        last = scale;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::h264::{RbspReader, SPS_CONSTRAINT_SET0, SPS_CONSTRAINT_SET1};
    use zerocopy::FromZeros;

    use super::*;

    fn baseline() -> (Sps, Pps) {
        let mut sps = Sps::new_zeroed();
        sps.profile_idc = 66;
        sps.constraint_set_flags = SPS_CONSTRAINT_SET0 | SPS_CONSTRAINT_SET1;
        sps.level_idc = 30;
        sps.chroma_format_idc = 1;
        sps.max_num_ref_frames = 1;
        sps.pic_width_in_mbs_minus1 = 21;
        sps.pic_height_in_map_units_minus1 = 17;
        sps.flags = SPS_FRAME_MBS_ONLY | SPS_DIRECT_8X8_INFERENCE;
        (sps, Pps::new_zeroed())
    }

    #[test]
    fn a_baseline_sps_has_the_bytes_of_the_syntax_table() {
        let (sps, pps) = baseline();
        // 66, 11000000, 30 | id 1, frame_num 1, type 1, lsb 1, refs 010, gaps 0
        // | width 21: 000010110, height 17: 000010010 | 1 1 0 0, stop bit
        let nal = sps_nal_unit(&sps, &pps);
        assert_eq!(
            nal,
            [0x67, 0x42, 0xc0, 0x1e, 0b1111_0100, 0b0000_1011, 0b0000_0100, 0b1011_0010]
        );
    }

    #[test]
    fn a_low_profile_is_raised_if_an_element_needs_it() {
        let (mut sps, mut pps) = baseline();
        let profile = |sps: &Sps, pps: &Pps| sps_nal_unit(sps, pps)[1..3].to_vec();
        assert_eq!(profile(&sps, &pps), [66, 0xc0]);
        pps.flags |= PPS_TRANSFORM_8X8_MODE;
        assert_eq!(profile(&sps, &pps), [100, 0]);
        sps.bit_depth_luma_minus8 = 2;
        assert_eq!(profile(&sps, &pps), [110, 0]);
        sps.flags |= SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS;
        assert_eq!(profile(&sps, &pps), [244, 0]);
        sps.profile_idc = 122;
        assert_eq!(profile(&sps, &pps), [122, 0xc0]);
    }

    /// scaling_list() of section 7.3.2.1.1.1, in zig-zag order.
    fn read_scaling_list(r: &mut RbspReader<'_>, size: usize) -> Vec<u8> {
        let (mut last, mut next) = (8i32, 8i32);
        let mut list = Vec::new();
        for _ in 0..size {
            if next != 0 {
                next = (last + r.se().unwrap() + 256) % 256;
                assert_ne!(next, 0, "the list is never shortened");
            }
            last = next;
            list.push(last as u8);
        }
        list
    }

    #[test]
    fn scaling_lists_are_coded_in_zig_zag_order() {
        let (mut sps, mut pps) = baseline();
        sps.profile_idc = 100;
        pps.flags = PPS_TRANSFORM_8X8_MODE | PPS_SCALING_MATRIX_PRESENT;
        pps.second_chroma_qp_index_offset = -3;
        let mut matrix = ScalingMatrix::new_zeroed();
        for (i, list) in matrix.scaling_list_4x4.iter_mut().enumerate() {
            // Raster values that jump by more than 127.
            for (j, scale) in list.iter_mut().enumerate() {
                *scale = if j % 2 == 0 { 255 - i as u8 } else { 1 + j as u8 };
            }
        }
        for list in &mut matrix.scaling_list_8x8 {
            for (j, scale) in list.iter_mut().enumerate() {
                *scale = 1 + j as u8;
            }
        }
        let nal = pps_nal_unit(7, &sps, &pps, &matrix).unwrap();
        let mut r = RbspReader::new(&nal);
        assert_eq!(r.u(8).unwrap(), 0x68);
        assert_eq!(r.ue().unwrap(), 7);
        assert_eq!(r.ue().unwrap(), 0);
        r.u(2).unwrap();
        (0..3).for_each(|_| assert_eq!(r.ue().unwrap(), 0));
        r.u(3).unwrap();
        (0..3).for_each(|_| assert_eq!(r.se().unwrap(), 0));
        r.u(3).unwrap();
        assert_eq!(r.u(2).unwrap(), 3);
        for list in &matrix.scaling_list_4x4 {
            assert!(r.flag().unwrap());
            let read = read_scaling_list(&mut r, 16);
            // Figure 8-8: right, down-left, down, up-right ...
            assert_eq!(read[..6], [list[0], list[1], list[4], list[8], list[5], list[2]]);
            assert_eq!(read[15], list[15]);
        }
        for _ in 0..2 {
            assert!(r.flag().unwrap());
            let read = read_scaling_list(&mut r, 64);
            assert_eq!(read[..10], [1, 2, 9, 17, 10, 3, 4, 11, 18, 25]);
            assert_eq!(read[61..], [56, 63, 64]);
        }
        assert_eq!(r.se().unwrap(), -3);
    }

    #[test]
    fn both_scans_visit_every_position_once() {
        let mut scan = ZIG_ZAG_8X8;
        scan.sort_unstable();
        assert!(scan.iter().enumerate().all(|(i, p)| i == usize::from(*p)));
        let mut scan = ZIG_ZAG_4X4;
        scan.sort_unstable();
        assert!(scan.iter().enumerate().all(|(i, p)| i == usize::from(*p)));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_by_name() {
        let (good_sps, good_pps) = baseline();
        assert_eq!(validate(&good_sps, &good_pps), Ok(()));
        let refused = |change: fn(&mut Sps, &mut Pps)| {
            let (mut sps, mut pps) = (good_sps, good_pps);
            change(&mut sps, &mut pps);
            validate(&sps, &pps).unwrap_err()
        };
        assert!(matches!(refused(|s, _| s.chroma_format_idc = 2), Error::Unsupported { .. }));
        assert!(matches!(refused(|s, _| s.bit_depth_luma_minus8 = 6), Error::Unsupported { .. }));
        assert!(matches!(refused(|s, _| s.bit_depth_chroma_minus8 = 2), Error::Unsupported { .. }));
        assert!(matches!(refused(|_, p| p.num_slice_groups_minus1 = 1), Error::Unsupported { .. }));
        assert!(matches!(refused(|s, _| s.max_num_ref_frames = 17), Error::Invalid { .. }));
        assert!(matches!(refused(|s, _| s.pic_order_cnt_type = 3), Error::Invalid { .. }));
        assert!(matches!(refused(|_, p| p.pic_init_qp_minus26 = -27), Error::Invalid { .. }));
        assert!(matches!(refused(|_, p| p.chroma_qp_index_offset = 13), Error::Invalid { .. }));
    }

    #[test]
    fn a_zero_in_a_scaling_list_is_refused() {
        let (sps, mut pps) = baseline();
        pps.flags = PPS_SCALING_MATRIX_PRESENT;
        let error = pps_nal_unit(0, &sps, &pps, &ScalingMatrix::new_zeroed()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }));
    }
}
