use bitstream_io::{BigEndian, BitWrite, BitWriter};
use daedalus_uapi::{
    NO_REFERENCE,
    h264::{
        BOTTOM_FIELD_REF, DPB_ENTRY_ACTIVE, DPB_ENTRY_LONG_TERM, FRAME_REF,
        PPS_SCALING_MATRIX_PRESENT, TOP_FIELD_REF,
    },
};

use super::*;
use crate::{
    codec::{Plain, Rendered},
    error::Error,
};

fn rendered<T: Plain>(kind: va::VABufferType, value: &T) -> Rendered {
    // SAFETY: a plain C struct that was zeroed as a whole, read over its own size.
    let bytes = unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>())
    };
    Rendered { kind, element_size: bytes.len(), count: 1, data: bytes.to_vec() }
}

fn zeroed<T: Plain>() -> T {
    // SAFETY: any bytes make a valid `Plain`.
    unsafe { std::mem::zeroed() }
}

/// A picture under construction: 64x64, frames and fields, POC type 0.
#[derive(Clone)]
struct Coded {
    target: va::VASurfaceID,
    params: va::VAPictureParameterBufferH264,
    iq: Option<va::VAIQMatrixBufferH264>,
    slices: Vec<(va::VASliceParameterBufferH264, Vec<u8>)>,
}

fn coded(target: va::VASurfaceID, frame_num: u16) -> Coded {
    let mut params: va::VAPictureParameterBufferH264 = zeroed();
    params.CurrPic.picture_id = target;
    params.picture_width_in_mbs_minus1 = 3;
    params.picture_height_in_mbs_minus1 = 3;
    params.num_ref_frames = 2;
    params.frame_num = frame_num;
    params.CurrPic.TopFieldOrderCnt = i32::from(frame_num) * 2;
    params.CurrPic.BottomFieldOrderCnt = i32::from(frame_num) * 2 + 1;
    for reference in &mut params.ReferenceFrames {
        reference.picture_id = va::VA_INVALID_ID;
        reference.flags = va::VA_PICTURE_H264_INVALID;
    }
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe {
        params.seq_fields.bits.set_chroma_format_idc(1);
        params.pic_fields.bits.set_reference_pic_flag(1);
    }
    Coded { target, params, iq: None, slices: Vec::new() }
}

impl Coded {
    fn field(mut self, bottom: bool) -> Self {
        // SAFETY: every bit pattern is valid for both members of the union.
        unsafe { self.params.pic_fields.bits.set_field_pic_flag(1) };
        self.params.CurrPic.flags |=
            if bottom { va::VA_PICTURE_H264_BOTTOM_FIELD } else { va::VA_PICTURE_H264_TOP_FIELD };
        self
    }

    /// Lists an earlier picture as a reference.
    fn refers(mut self, earlier: &Coded, flags: u32) -> Self {
        let free =
            self.params.ReferenceFrames.iter_mut().find(|r| r.picture_id == va::VA_INVALID_ID);
        let free = free.unwrap();
        *free = earlier.params.CurrPic;
        free.frame_idx = earlier.params.frame_num.into();
        free.flags = flags;
        self
    }

    /// Adds a slice: `reference_count` of one list if there is one, said in the header if `said`.
    fn slice(mut self, idr: bool, pps: u8, reference_count: Option<u8>, said: bool) -> Self {
        // SAFETY: every bit pattern is valid for both members of the union.
        let field = unsafe { self.params.pic_fields.bits.field_pic_flag() } != 0;
        let bottom = self.params.CurrPic.flags & va::VA_PICTURE_H264_BOTTOM_FIELD != 0;
        let mut w = BitWriter::endian(Vec::new(), BigEndian);
        let ue = |w: &mut BitWriter<Vec<u8>, BigEndian>, value: u32| {
            let length = (value + 1).ilog2();
            w.write_var(length, 0u32).unwrap();
            w.write_var(length + 1, value + 1).unwrap();
        };
        w.write_var(8, if idr { 0x65u8 } else { 0x61 }).unwrap();
        ue(&mut w, self.slices.len() as u32 * 4);
        ue(&mut w, if reference_count.is_some() { 5 } else { 7 });
        ue(&mut w, pps.into());
        w.write_var(4, self.params.frame_num).unwrap();
        w.write_bit(field).unwrap();
        if field {
            w.write_bit(bottom).unwrap();
        }
        if idr {
            ue(&mut w, 9);
        }
        w.write_var(4, 6u8).unwrap(); // pic_order_cnt_lsb
        if let Some(count) = reference_count {
            w.write_bit(said).unwrap();
            if said {
                ue(&mut w, u32::from(count) - 1);
            }
            w.write_bit(false).unwrap(); // ref_pic_list_modification_flag_l0
        }
        w.write_bit(false).unwrap();
        if idr {
            w.write_bit(false).unwrap();
        }
        ue(&mut w, 0); // slice_qp_delta
        w.write_bit(true).unwrap();
        w.byte_align().unwrap();
        let nal = w.into_writer();
        let mut params: va::VASliceParameterBufferH264 = zeroed();
        params.slice_data_size = nal.len() as u32;
        params.num_ref_idx_l0_active_minus1 = reference_count.map_or(0, |count| count - 1);
        self.slices.push((params, nal));
        self
    }

    fn buffers(&self) -> Vec<Rendered> {
        let mut buffers = vec![rendered(va::VAPictureParameterBufferType, &self.params)];
        buffers.extend(self.iq.iter().map(|iq| rendered(va::VAIQMatrixBufferType, iq)));
        for (params, data) in &self.slices {
            buffers.push(rendered(va::VASliceParameterBufferType, params));
            buffers.push(Rendered {
                kind: va::VASliceDataBufferType,
                element_size: data.len(),
                count: 1,
                data: data.clone(),
            });
        }
        buffers
    }
}

fn translator() -> H264Translator {
    H264Translator::new(va::VAProfileH264Main)
}

fn give(translator: &mut H264Translator, coded: &Coded) -> Result<Vec<Draft>> {
    let buffers = coded.buffers();
    let picture = Picture { target: coded.target, context_size: (64, 64), buffers: &buffers };
    let mut ready = Vec::new();
    translator.picture(&picture, &mut ready)?;
    Ok(ready)
}

/// Gives a picture that goes out at once and returns its controls.
fn controls(translator: &mut H264Translator, coded: &Coded) -> h264::Controls {
    let mut ready = give(translator, coded).unwrap();
    let Controls::H264(controls) = ready.pop().unwrap().controls else { panic!("H.264") };
    *controls
}

const SHORT: u32 = va::VA_PICTURE_H264_SHORT_TERM_REFERENCE;
const LONG: u32 = va::VA_PICTURE_H264_LONG_TERM_REFERENCE;

#[test]
fn controls_carry_what_the_slice_header_says() {
    let first = coded(7, 0).slice(true, 3, None, false);
    let mut translator = translator();
    let ready = give(&mut translator, &first).unwrap();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].target, Some(7));
    assert_eq!(ready[0].data[..4], [0, 0, 1, 0x65]);
    let Controls::H264(controls) = &ready[0].controls else { panic!("H.264") };
    assert_eq!(controls.pps.pic_parameter_set_id, 3);
    let decode = &controls.decode_params;
    assert_eq!((decode.nal_ref_idc, decode.idr_pic_id, decode.pic_order_cnt_lsb), (3, 9, 6));
    assert_eq!((decode.pic_order_cnt_bit_size, decode.dec_ref_pic_marking_bit_size), (4, 2));
    assert_eq!(decode.flags, DECODE_PARAM_IDR_PIC);
    assert_eq!(controls.sps.profile_idc, 77);
    assert_eq!(controls.sps.pic_height_in_map_units_minus1, 1, "two macroblock rows each");
}

#[test]
fn an_initial_qp_that_counts_the_bit_depth_is_told_from_one_that_does_not() {
    let init_qp = |depth, qp, qs| {
        let mut picture = coded(1, 0).slice(true, 0, None, false);
        picture.params.bit_depth_luma_minus8 = depth;
        picture.params.bit_depth_chroma_minus8 = depth;
        picture.params.pic_init_qp_minus26 = qp;
        picture.params.pic_init_qs_minus26 = qs;
        let pps = controls(&mut translator(), &picture).pps;
        (pps.pic_init_qp_minus26, pps.pic_init_qs_minus26)
    };
    // As va.h means it.
    assert_eq!(init_qp(2, -3, 0), (-3, 0));
    assert_eq!(init_qp(0, 20, 9), (20, 9), "8 bits add nothing");
    // FFmpeg: 12 for 10 bits, 6 for 9.
    assert_eq!(init_qp(2, 9, 12), (-3, 0));
    assert_eq!(init_qp(1, 9, 6), (3, 0));
    assert_eq!(init_qp(2, i8::MIN, 12), (i8::MIN, 0));
}

#[test]
fn a_request_has_what_its_type_of_order_count_codes() {
    let mut type_2 = coded(7, 0).slice(true, 0, None, false);
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe {
        type_2.params.seq_fields.bits.set_pic_order_cnt_type(2);
        type_2.params.seq_fields.bits.set_log2_max_pic_order_cnt_lsb_minus4(15);
    }
    let sps = controls(&mut translator(), &type_2).sps;
    assert_eq!(sps.log2_max_pic_order_cnt_lsb_minus4, 0, "not coded, so not refused either");
    let mut type_0 = type_2.clone();
    // SAFETY: as above.
    unsafe { type_0.params.seq_fields.bits.set_pic_order_cnt_type(0) };
    assert!(matches!(give(&mut translator(), &type_0), Err(Error::InvalidParameter(_))));
}

#[test]
fn zeros_behind_a_slice_stay_out_of_the_request() {
    let exact = coded(7, 0).slice(true, 0, None, false).slice(true, 0, None, false);
    let mut padded = exact.clone();
    for (params, nal) in &mut padded.slices {
        nal.extend([0, 0]);
        params.slice_data_size += 2;
    }
    let data = |coded| give(&mut translator(), coded).unwrap().remove(0).data;
    assert_eq!(data(&padded), data(&exact));
}

#[test]
fn references_are_named_by_the_timestamps_of_their_pictures() {
    let mut translator = translator();
    let first = coded(1, 0).slice(true, 0, None, false);
    let second = coded(2, 1).refers(&first, SHORT).slice(false, 0, Some(1), true);
    let third =
        coded(3, 2).refers(&second, SHORT).refers(&first, LONG).slice(false, 0, Some(1), true);
    controls(&mut translator, &first);
    assert_eq!(controls(&mut translator, &second).decode_params.dpb[0].reference_ts, 1000);
    let dpb = controls(&mut translator, &third).decode_params.dpb;
    assert_eq!([dpb[0].reference_ts, dpb[1].reference_ts, dpb[2].reference_ts], [2000, 1000, 0]);
    assert_eq!((dpb[0].pic_num, dpb[0].fields), (1, FRAME_REF));
    assert_eq!(dpb[0].flags & DPB_ENTRY_LONG_TERM, 0);
    assert_ne!(dpb[1].flags & DPB_ENTRY_LONG_TERM, 0);
    assert_eq!(dpb[2].flags, 0);
}

#[test]
fn a_surface_that_holds_another_picture_is_no_reference() {
    let mut translator = translator();
    let first = coded(1, 0).slice(true, 0, None, false);
    controls(&mut translator, &first);
    // After a seek a client puts a frame in for a missing one, on a surface that it used before.
    let missing = coded(1, 6);
    let next = coded(2, 7).refers(&missing, SHORT).slice(false, 0, None, false);
    let dpb = controls(&mut translator, &next).decode_params.dpb;
    assert_eq!(dpb[0].reference_ts, NO_REFERENCE);
    assert_ne!(dpb[0].flags & DPB_ENTRY_ACTIVE, 0);
    assert_eq!(dpb[0].frame_num, 6);
    // What a picture did not list never comes back.
    let back = coded(3, 8).refers(&first, SHORT).slice(false, 0, None, false);
    let dpb = controls(&mut translator, &back).decode_params.dpb;
    assert_eq!(dpb[0].reference_ts, NO_REFERENCE);
}

#[test]
fn frame_numbers_above_the_current_one_have_wrapped() {
    let mut translator = translator();
    let first = coded(1, 15).slice(true, 0, None, false);
    controls(&mut translator, &first);
    let next = coded(2, 0).refers(&first, SHORT).slice(false, 0, Some(1), true);
    let dpb = controls(&mut translator, &next).decode_params.dpb;
    assert_eq!(dpb[0].pic_num as i32, -1);
}

#[test]
fn the_defaults_are_those_of_slices_that_do_not_override() {
    let mut translator = translator();
    let mut default =
        |coded: Coded| controls(&mut translator, &coded).pps.num_ref_idx_l0_default_active_minus1;
    assert_eq!(default(coded(1, 0).slice(true, 5, None, false)), 0);
    let mixed = coded(2, 1).slice(false, 5, Some(4), true).slice(false, 5, Some(3), false);
    assert_eq!(default(mixed), 2);
    assert_eq!(default(coded(1, 2).slice(false, 5, Some(1), true)), 2, "as the last picture told");
    assert_eq!(default(coded(2, 3).slice(false, 6, Some(1), true)), 0, "another parameter set");
}

#[test]
fn a_field_pair_is_two_requests_of_one_timestamp() {
    let mut translator = translator();
    let top = coded(1, 0).field(false).slice(true, 0, None, false);
    let bottom = coded(1, 0).refers(&top, SHORT | va::VA_PICTURE_H264_TOP_FIELD).field(true).slice(
        false,
        0,
        Some(1),
        true,
    );
    assert!(give(&mut translator, &top).unwrap().is_empty(), "the second field may follow");
    let ready = give(&mut translator, &bottom).unwrap();
    assert_eq!(ready.len(), 2);
    assert_eq!([ready[0].timestamp, ready[1].timestamp], [1000, 1000]);
    assert_eq!([ready[0].hold_capture, ready[1].hold_capture], [true, false]);
    let Controls::H264(second) = &ready[1].controls else { panic!("H.264") };
    let own = second.decode_params.dpb[0];
    assert_eq!((own.reference_ts, own.fields, own.pic_num), (1000, TOP_FIELD_REF, 0));

    // The next frame refers to both fields.
    let next = coded(2, 1).refers(&bottom, SHORT).slice(false, 0, Some(1), true);
    let dpb = controls(&mut translator, &next).decode_params.dpb;
    assert_eq!((dpb[0].reference_ts, dpb[0].fields), (1000, TOP_FIELD_REF | BOTTOM_FIELD_REF));
}

#[test]
fn a_committed_first_field_keeps_its_timestamp_for_the_second() {
    let mut translator = translator();
    let top = coded(1, 0).field(false).slice(true, 0, None, false);
    let bottom = coded(1, 0).field(true).slice(false, 0, Some(1), true);
    assert!(give(&mut translator, &top).unwrap().is_empty());
    let mut ready = Vec::new();
    translator.commit(&mut ready);
    translator.commit(&mut ready);
    assert_eq!(ready.len(), 1);
    assert!(!ready[0].hold_capture);
    let second = give(&mut translator, &bottom).unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].timestamp, ready[0].timestamp);
}

#[test]
fn fields_that_do_not_pair_go_alone() {
    let first = coded(1, 0).field(false).slice(true, 0, None, false);
    let others = [
        coded(2, 0).field(true).slice(false, 0, None, false),
        coded(1, 1).field(true).slice(false, 0, None, false),
        coded(1, 0).field(false).slice(false, 0, None, false),
        coded(1, 0).field(true).slice(true, 0, None, false),
        coded(1, 0).slice(false, 0, None, false),
    ];
    for other in others {
        let mut translator = translator();
        give(&mut translator, &first).unwrap();
        let mut ready = give(&mut translator, &other).unwrap();
        translator.commit(&mut ready);
        assert_eq!(ready.len(), 2);
        assert!(!ready[0].hold_capture);
        assert_ne!(ready[0].timestamp, ready[1].timestamp);
    }
}

#[test]
fn a_broken_picture_releases_the_field_before_it() {
    let mut translator = translator();
    give(&mut translator, &coded(1, 0).field(false).slice(true, 0, None, false)).unwrap();
    let buffers = [];
    let picture = Picture { target: 1, context_size: (64, 64), buffers: &buffers };
    let mut ready = Vec::new();
    assert!(translator.picture(&picture, &mut ready).is_err());
    assert_eq!(ready.len(), 1);
}

#[test]
fn scaling_lists_pass_in_raster_order_unless_they_are_flat() {
    let mut translator = translator();
    let mut picture = coded(1, 0).slice(true, 0, None, false);
    picture.iq = Some(va::VAIQMatrixBufferH264 {
        ScalingList4x4: [[16; 16]; 6],
        ScalingList8x8: [[16; 64]; 2],
        ..zeroed()
    });
    let flat = controls(&mut translator, &picture);
    assert_eq!(flat.pps.flags & PPS_SCALING_MATRIX_PRESENT, 0);
    let iq = picture.iq.as_mut().unwrap();
    iq.ScalingList4x4[2][1] = 17;
    iq.ScalingList8x8[1][8] = 40;
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe { picture.params.pic_fields.bits.set_transform_8x8_mode_flag(1) };
    let scaled = controls(&mut translator, &picture);
    assert_ne!(scaled.pps.flags & PPS_SCALING_MATRIX_PRESENT, 0);
    assert_eq!(scaled.sps.profile_idc, 100, "the Main profile has no scaling lists");
    assert_eq!(scaled.scaling_matrix.scaling_list_4x4[2][1], 17);
    assert_eq!(scaled.scaling_matrix.scaling_list_8x8[3][8], 40);
    picture.iq.as_mut().unwrap().ScalingList8x8[0][0] = 0;
    assert!(matches!(give(&mut translator, &picture), Err(Error::InvalidParameter(_))));
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe { picture.params.pic_fields.bits.set_transform_8x8_mode_flag(0) };
    assert!(
        give(&mut translator, &picture).is_ok(),
        "8x8 lists mean nothing without their transform"
    );
    picture.iq.as_mut().unwrap().ScalingList4x4[0][0] = 0;
    assert!(matches!(give(&mut translator, &picture), Err(Error::InvalidParameter(_))));
}

#[test]
fn slice_data_in_parts_is_joined_and_start_codes_are_dropped() {
    let whole = coded(1, 0).slice(true, 0, None, false);
    let (params, nal) = whole.slices[0].clone();
    let mut parts = whole.clone();
    let (mut begin, mut end) = (params, params);
    (begin.slice_data_flag, begin.slice_data_size) = (va::VA_SLICE_DATA_FLAG_BEGIN, 7);
    (end.slice_data_flag, end.slice_data_offset) = (va::VA_SLICE_DATA_FLAG_END, 0);
    end.slice_data_size = nal.len() as u32 - 3;
    parts.slices = vec![(begin, [&[0, 0, 0, 1], &nal[..3]].concat()), (end, nal[3..].to_vec())];
    let expected = give(&mut translator(), &whole).unwrap();
    assert_eq!(give(&mut translator(), &parts).unwrap()[0].data, expected[0].data);

    parts.slices.pop();
    assert!(give(&mut translator(), &parts).is_err(), "no end");
    parts.slices[0].0.slice_data_flag = va::VA_SLICE_DATA_FLAG_END;
    assert!(give(&mut translator(), &parts).is_err(), "no beginning");
    parts.slices[0].0 = params;
    parts.slices[0].0.slice_data_size = 1000;
    assert!(give(&mut translator(), &parts).is_err(), "outside the buffer");
}

#[test]
fn slices_that_name_the_same_bytes_again_and_again_are_refused() {
    const BYTES: usize = 1 << 20;
    let one = coded(1, 0).slice(true, 0, None, false);
    let (mut params, mut data) = one.slices[0].clone();
    data.resize(BYTES, 0xff);
    params.slice_data_size = BYTES as u32;
    let picture = |times: usize| {
        let mut many = rendered(va::VASliceParameterBufferType, &params);
        (many.count, many.data) = (times, many.data.repeat(times));
        let data = Rendered {
            kind: va::VASliceDataBufferType,
            element_size: BYTES,
            count: 1,
            data: data.clone(),
        };
        let buffers = [rendered(va::VAPictureParameterBufferType, &one.params), many, data];
        let picture = Picture { target: 1, context_size: (64, 64), buffers: &buffers };
        Buffers::read(&picture).map(|read| read.slices.len())
    };
    assert_eq!(picture(2), Ok(2));
    assert!(matches!(picture(257), Err(Error::InvalidBuffer(_))));
}

#[test]
fn what_no_request_can_say_is_refused() {
    let good = coded(1, 0).slice(true, 0, None, false);
    let mut groups = good.clone();
    groups.params.num_slice_groups_minus1 = 1;
    assert!(matches!(give(&mut translator(), &groups), Err(Error::InvalidParameter(_))));
    let mut chroma = good.clone();
    // SAFETY: every bit pattern is valid for both members of the union.
    unsafe { chroma.params.seq_fields.bits.set_chroma_format_idc(2) };
    assert!(matches!(give(&mut translator(), &chroma), Err(Error::InvalidParameter(_))));
}

#[test]
fn hostile_slice_headers_still_make_a_request_for_the_decoder_to_refuse() {
    let mut picture = coded(1, 0).slice(true, 0, None, false);
    picture.slices[0].1 = vec![0x65];
    picture.slices[0].0.slice_data_size = 1;
    picture.slices[0].0.num_ref_idx_l0_active_minus1 = 255;
    assert_eq!(give(&mut translator(), &picture).unwrap().len(), 1);
    picture.slices[0].0.slice_data_size = 0;
    assert_eq!(give(&mut translator(), &picture).unwrap().len(), 1);
}

#[test]
fn ancestry_names_the_references_and_idr_pictures() {
    let first = coded(1, 0).slice(true, 0, None, false);
    let second = coded(2, 1).refers(&first, SHORT).slice(false, 0, Some(1), true);
    let ancestry = |coded: &Coded| {
        let buffers = coded.buffers();
        super::ancestry(&Picture { target: 1, context_size: (64, 64), buffers: &buffers }).unwrap()
    };
    assert_eq!(ancestry(&first), Ancestry { key: true, references: vec![] });
    assert_eq!(ancestry(&second), Ancestry { key: false, references: vec![1] });
}
