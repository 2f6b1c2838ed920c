//! The slice header (section 7.3.3), as far as controls are derived from it.

use super::{
    PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT, PPS_ENTROPY_CODING_MODE,
    PPS_REDUNDANT_PIC_CNT_PRESENT, PPS_WEIGHTED_PRED, Pps, SPS_DELTA_PIC_ORDER_ALWAYS_ZERO,
    SPS_FRAME_MBS_ONLY, SPS_SEPARATE_COLOUR_PLANE, Sps,
    rbsp::{RbspReader, SyntaxError},
};

/// nal_unit_type of a slice of a non-IDR picture.
pub const NAL_SLICE: u8 = 1;
/// nal_unit_type of a slice of an IDR picture.
pub const NAL_IDR_SLICE: u8 = 5;

/// slice_type modulo 5 (table 7-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SliceType {
    P,
    B,
    I,
    Sp,
    Si,
}

impl SliceType {
    /// How many reference lists slices of this type have.
    pub fn lists(self) -> usize {
        match self {
            SliceType::I | SliceType::Si => 0,
            SliceType::P | SliceType::Sp => 1,
            SliceType::B => 2,
        }
    }
}

/// The part of a slice header that can be read without any parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SliceStart {
    pub nal_ref_idc: u8,
    pub nal_unit_type: u8,
    pub first_mb_in_slice: u32,
    pub slice_type: SliceType,
    pub pic_parameter_set_id: u8,
}

impl SliceStart {
    /// Reads the start of the slice NAL unit `nal`, which begins with its header byte. Fails for any
    /// other NAL unit, data partitions included.
    pub fn parse(nal: &[u8]) -> Result<Self, SyntaxError> {
        Self::read(&mut RbspReader::new(nal))
    }

    fn read(r: &mut RbspReader<'_>) -> Result<Self, SyntaxError> {
        if r.flag()? {
            return Err(SyntaxError("forbidden_zero_bit"));
        }
        let nal_ref_idc = r.u(2)? as u8;
        let nal_unit_type = r.u(5)? as u8;
        if nal_unit_type != NAL_SLICE && nal_unit_type != NAL_IDR_SLICE {
            return Err(SyntaxError("nal_unit_type: not a slice"));
        }
        Ok(SliceStart {
            nal_ref_idc,
            nal_unit_type,
            first_mb_in_slice: r.ue()?,
            slice_type: match r.ue_max(9, "slice_type")? % 5 {
                0 => SliceType::P,
                1 => SliceType::B,
                2 => SliceType::I,
                3 => SliceType::Sp,
                _ => SliceType::Si,
            },
            pic_parameter_set_id: r.ue_max(255, "pic_parameter_set_id")? as u8,
        })
    }
}

/// A slice header up to slice_qp_delta. Elements that it does not code have the value that the
/// specification infers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SliceHeader {
    pub start: SliceStart,
    pub frame_num: u16,
    pub field_pic: bool,
    pub bottom_field: bool,
    pub idr_pic_id: u16,
    pub pic_order_cnt_lsb: u16,
    pub delta_pic_order_cnt_bottom: i32,
    pub delta_pic_order_cnt: [i32; 2],
    pub redundant_pic_cnt: u8,
    /// num_ref_idx_active_override_flag.
    pub num_ref_idx_override: bool,
    /// The effective values, from the header or the PPS.
    pub num_ref_idx_active_minus1: [u8; 2],
    /// memory_management_control_operation 5 is among the marking operations.
    pub mmco5: bool,
    /// Bits of the picture order count elements.
    pub pic_order_cnt_bit_size: u32,
    /// Bits of dec_ref_pic_marking().
    pub dec_ref_pic_marking_bit_size: u32,
    pub slice_qp_delta: i32,
}

impl SliceHeader {
    /// True for a slice of an IDR picture.
    pub fn idr(&self) -> bool {
        self.start.nal_unit_type == NAL_IDR_SLICE
    }

    /// Reads the header of the slice NAL unit `nal`, which begins with its header byte and refers to
    /// these parameter sets.
    pub fn parse(nal: &[u8], sps: &Sps, pps: &Pps) -> Result<Self, SyntaxError> {
        let r = &mut RbspReader::new(nal);
        let sps_has = |flag| sps.flags & flag != 0;
        let pps_has = |flag| pps.flags & flag != 0;

        let start = SliceStart::read(r)?;
        let idr = start.nal_unit_type == NAL_IDR_SLICE;
        let lists = start.slice_type.lists();
        if sps_has(SPS_SEPARATE_COLOUR_PLANE) {
            r.u(2)?; // colour_plane_id
        }
        let frame_num = r.u(u32::from(sps.log2_max_frame_num_minus4.min(12)) + 4)? as u16;
        let (mut field_pic, mut bottom_field) = (false, false);
        if !sps_has(SPS_FRAME_MBS_ONLY) {
            field_pic = r.flag()?;
            bottom_field = field_pic && r.flag()?;
        }
        let idr_pic_id = if idr { r.ue_max(65535, "idr_pic_id")? as u16 } else { 0 };

        let before = r.position();
        let both_fields = pps_has(PPS_BOTTOM_FIELD_PIC_ORDER_IN_FRAME_PRESENT) && !field_pic;
        let mut pic_order_cnt_lsb = 0;
        let mut delta_pic_order_cnt_bottom = 0;
        let mut delta_pic_order_cnt = [0; 2];
        if sps.pic_order_cnt_type == 0 {
            let bits = u32::from(sps.log2_max_pic_order_cnt_lsb_minus4.min(12)) + 4;
            pic_order_cnt_lsb = r.u(bits)? as u16;
            if both_fields {
                delta_pic_order_cnt_bottom = r.se()?;
            }
        }
        if sps.pic_order_cnt_type == 1 && !sps_has(SPS_DELTA_PIC_ORDER_ALWAYS_ZERO) {
            delta_pic_order_cnt[0] = r.se()?;
            if both_fields {
                delta_pic_order_cnt[1] = r.se()?;
            }
        }
        let pic_order_cnt_bit_size = r.position() - before;

        let redundant_pic_cnt = if pps_has(PPS_REDUNDANT_PIC_CNT_PRESENT) {
            r.ue_max(127, "redundant_pic_cnt")? as u8
        } else {
            0
        };
        if start.slice_type == SliceType::B {
            r.flag()?; // direct_spatial_mv_pred_flag
        }
        let mut num_ref_idx_override = false;
        let mut num_ref_idx_active_minus1 =
            [pps.num_ref_idx_l0_default_active_minus1, pps.num_ref_idx_l1_default_active_minus1];
        if lists > 0 {
            num_ref_idx_override = r.flag()?;
            if num_ref_idx_override {
                for active in &mut num_ref_idx_active_minus1[..lists] {
                    *active = r.ue_max(31, "num_ref_idx_active_minus1")? as u8;
                }
            }
        }
        for _ in 0..lists {
            ref_pic_list_modification(r)?;
        }
        let weighted = match start.slice_type {
            SliceType::P | SliceType::Sp => pps_has(PPS_WEIGHTED_PRED),
            SliceType::B => pps.weighted_bipred_idc == 1,
            SliceType::I | SliceType::Si => false,
        };
        if weighted {
            let chroma = sps.chroma_format_idc != 0 && !sps_has(SPS_SEPARATE_COLOUR_PLANE);
            pred_weight_table(r, chroma, &num_ref_idx_active_minus1[..lists])?;
        }
        let before = r.position();
        let mmco5 = start.nal_ref_idc != 0 && dec_ref_pic_marking(r, idr)?;
        let dec_ref_pic_marking_bit_size = r.position() - before;
        if pps_has(PPS_ENTROPY_CODING_MODE) && lists > 0 {
            r.ue_max(2, "cabac_init_idc")?;
        }
        let slice_qp_delta = r.se()?;

        Ok(SliceHeader {
            start,
            frame_num,
            field_pic,
            bottom_field,
            idr_pic_id,
            pic_order_cnt_lsb,
            delta_pic_order_cnt_bottom,
            delta_pic_order_cnt,
            redundant_pic_cnt,
            num_ref_idx_override,
            num_ref_idx_active_minus1,
            mmco5,
            pic_order_cnt_bit_size,
            dec_ref_pic_marking_bit_size,
            slice_qp_delta,
        })
    }
}

/// One list's part of ref_pic_list_modification(), section 7.3.3.1.
fn ref_pic_list_modification(r: &mut RbspReader<'_>) -> Result<(), SyntaxError> {
    if r.flag()? {
        // Ends with the data at the latest: each turn reads at least one bit.
        while r.ue_max(3, "modification_of_pic_nums_idc")? != 3 {
            r.ue()?; // abs_diff_pic_num_minus1 or long_term_pic_num
        }
    }
    Ok(())
}

/// Section 7.3.3.2.
fn pred_weight_table(
    r: &mut RbspReader<'_>,
    chroma: bool,
    active_minus1: &[u8],
) -> Result<(), SyntaxError> {
    r.ue_max(7, "luma_log2_weight_denom")?;
    if chroma {
        r.ue_max(7, "chroma_log2_weight_denom")?;
    }
    for &minus1 in active_minus1 {
        for _ in 0..=minus1 {
            if r.flag()? {
                r.se()?; // luma_weight
                r.se()?; // luma_offset
            }
            if chroma && r.flag()? {
                for _ in 0..2 {
                    r.se()?; // chroma_weight
                    r.se()?; // chroma_offset
                }
            }
        }
    }
    Ok(())
}

/// Section 7.3.3.3. Returns whether operation 5 is among the operations.
fn dec_ref_pic_marking(r: &mut RbspReader<'_>, idr: bool) -> Result<bool, SyntaxError> {
    let mut mmco5 = false;
    if idr {
        r.flag()?; // no_output_of_prior_pics_flag
        r.flag()?; // long_term_reference_flag
    } else if r.flag()? {
        loop {
            match r.ue_max(6, "memory_management_control_operation")? {
                0 => break,
                // difference_of_pic_nums_minus1; long_term_pic_num; max_long_term_frame_idx_plus1;
                // long_term_frame_idx
                1 | 2 | 4 | 6 => {
                    r.ue()?;
                }
                3 => {
                    r.ue()?; // difference_of_pic_nums_minus1
                    r.ue()?; // long_term_frame_idx
                }
                _ => mmco5 = true,
            }
        }
    }
    Ok(mmco5)
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    /// Packs a string of bits, blanks ignored, behind a NAL unit header; no emulation prevention.
    fn nal(header: u8, bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
        let bytes = bits
            .chunks(8)
            .map(|c| c.iter().enumerate().fold(0, |byte, (i, b)| byte | b << (7 - i)));
        std::iter::once(header).chain(bytes).collect()
    }

    fn progressive() -> (Sps, Pps) {
        let mut sps = Sps::new_zeroed();
        sps.chroma_format_idc = 1;
        sps.flags = SPS_FRAME_MBS_ONLY;
        (sps, Pps::new_zeroed())
    }

    #[test]
    fn an_idr_header_yields_its_ids_and_bit_sizes() {
        let (sps, pps) = progressive();
        // first_mb 0, slice_type 7, pps 3, frame_num 0, idr_pic_id 1, lsb 5, marking 00, qp_delta -1
        let nal = nal(0x65, "1 0001000 00100 0000 010 0101 00 011 1");
        let header = SliceHeader::parse(&nal, &sps, &pps).unwrap();
        assert!(header.idr());
        assert_eq!(header.start.slice_type, SliceType::I);
        assert_eq!(header.start.nal_ref_idc, 3);
        assert_eq!(header.start.pic_parameter_set_id, 3);
        assert_eq!(header.idr_pic_id, 1);
        assert_eq!(header.pic_order_cnt_lsb, 5);
        assert_eq!(header.pic_order_cnt_bit_size, 4);
        assert_eq!(header.dec_ref_pic_marking_bit_size, 2);
        assert_eq!(header.slice_qp_delta, -1);
    }

    #[test]
    fn overrides_modifications_weights_and_marking_are_stepped_over() {
        let (sps, mut pps) = progressive();
        pps.flags = PPS_WEIGHTED_PRED;
        pps.num_ref_idx_l0_default_active_minus1 = 4;
        // first_mb 0, P, pps 0, frame_num 9, lsb 2, override: 1 -> two references
        // modification: (0, 0), 3; weights: denominators 0 0, luma (1, 0), none, none, chroma 4x 0;
        // marking adaptive: 1(0), 3(0, 1), 5, 0; qp_delta 0
        let bits = "1 1 1 1001 0010 1 010  1 1 1 00100  1 1  1 010 1 0  0 1 1 1 1 1 \
                    1 010 1 00100 1 010 00110 1 1";
        let header = SliceHeader::parse(&nal(0x41, bits), &sps, &pps).unwrap();
        assert!(header.num_ref_idx_override);
        assert_eq!(header.num_ref_idx_active_minus1[0], 1);
        assert!(header.mmco5);
        assert_eq!(header.dec_ref_pic_marking_bit_size, 1 + 3 + 1 + 5 + 1 + 3 + 5 + 1);
        assert_eq!(header.slice_qp_delta, 0);
    }

    #[test]
    fn without_override_the_defaults_of_the_pps_hold() {
        let (mut sps, mut pps) = progressive();
        sps.pic_order_cnt_type = 2;
        pps.num_ref_idx_l0_default_active_minus1 = 4;
        // P, frame_num 1, no override, no modification, qp_delta 0 (nal_ref_idc 0: no marking)
        let header = SliceHeader::parse(&nal(0x01, "1 1 1 0001 0 0 1 1"), &sps, &pps).unwrap();
        assert!(!header.num_ref_idx_override);
        assert_eq!(header.num_ref_idx_active_minus1[0], 4);
        assert_eq!(header.dec_ref_pic_marking_bit_size, 0);
    }

    #[test]
    fn hostile_headers_are_errors() {
        let (sps, pps) = progressive();
        let parse = |nal: &[u8]| SliceHeader::parse(nal, &sps, &pps);
        assert!(parse(&[]).is_err());
        assert!(parse(&[0x65]).is_err(), "nothing behind the NAL unit header");
        assert!(parse(&[0xe5, 0xff]).is_err(), "forbidden_zero_bit");
        assert!(parse(&[0x67, 0xff, 0xff]).is_err(), "a parameter set");
        assert!(parse(&nal(0x65, "1 0001011")).is_err(), "slice_type 10");
        assert!(parse(&nal(0x65, "1 1 00000000100000010")).is_err(), "pic_parameter_set_id 256");
        // Endless modification operations end with the data.
        assert!(
            parse(&nal(0x41, &("1 1 1 0000 0000 0 1".to_owned() + &"1 1".repeat(500)))).is_err()
        );
    }
}
