use daedalus_uapi::h264::{
    DECODE_PARAM_IDR_PIC, DPB_ENTRY_VALID, RbspReader, SPS_DIRECT_8X8_INFERENCE, SPS_FRAME_MBS_ONLY,
};
use zerocopy::FromZeros;

use super::{nal::RbspWriter, *};

fn controls() -> Box<h264::Controls> {
    let mut controls = Box::new(h264::Controls::new_zeroed());
    controls.sps.profile_idc = 77;
    controls.sps.level_idc = 30;
    controls.sps.chroma_format_idc = 1;
    controls.sps.max_num_ref_frames = 2;
    controls.sps.pic_width_in_mbs_minus1 = 3;
    controls.sps.pic_height_in_map_units_minus1 = 3;
    controls.sps.flags = SPS_FRAME_MBS_ONLY | SPS_DIRECT_8X8_INFERENCE;
    controls.decode_params.nal_ref_idc = 1;
    controls
}

/// A start of a slice: first_mb_in_slice, I, pps id, and some bits that mean nothing.
fn slice(nal_unit_type: u8, first_mb: u32, pps: u8) -> Vec<u8> {
    let mut w = RbspWriter::new();
    w.ue(first_mb);
    w.ue(7);
    w.ue(pps.into());
    w.u(32, 0x5555_5555);
    let mut stream = vec![0, 0, 1];
    stream.extend(w.into_nal_unit(1, nal_unit_type));
    stream
}

fn idr(mut controls: Box<h264::Controls>) -> Controls {
    controls.decode_params.flags |= DECODE_PARAM_IDR_PIC;
    Controls::H264(controls)
}

/// A picture that refers to one picture of the given timestamp.
fn inter(frame_num: u16, reference_ts: u64) -> Box<h264::Controls> {
    let mut controls = controls();
    controls.decode_params.frame_num = frame_num;
    controls.decode_params.dpb[0].flags = DPB_ENTRY_VALID | DPB_ENTRY_ACTIVE;
    controls.decode_params.dpb[0].reference_ts = reference_ts;
    controls
}

/// Writes a picture; the types of the packet's NAL units and whether the decoder is reset.
fn write(writer: &mut H264Writer, controls: &Controls, data: &[u8]) -> (Vec<u8>, bool) {
    let mut packet = Vec::new();
    let step = writer.write(1000, controls, data, &mut packet).unwrap();
    (nal_units(&packet).map(|nal| nal[0] & 31).collect(), step.reset)
}

#[test]
fn parameter_sets_come_when_they_change_and_with_every_idr_picture() {
    let mut writer = H264Writer::new();
    let first = idr(controls());
    assert_eq!(write(&mut writer, &first, &slice(5, 0, 0)), (vec![7, 8, 5], false));
    let next = Controls::H264(inter(1, 1000));
    assert_eq!(write(&mut writer, &next, &slice(1, 0, 0)), (vec![1], false));
    let other_pps = [slice(1, 0, 4), slice(1, 8, 9), slice(1, 12, 9)].concat();
    assert_eq!(write(&mut writer, &next, &other_pps).0, [8, 8, 1, 1, 1]);

    let mut weighted = inter(2, 1000);
    weighted.pps.weighted_bipred_idc = 1;
    assert_eq!(write(&mut writer, &Controls::H264(weighted), &slice(1, 0, 0)).0, [8, 1]);
    let mut deeper = inter(3, 1000);
    deeper.sps.max_num_ref_frames = 4;
    assert_eq!(write(&mut writer, &Controls::H264(deeper), &slice(1, 0, 4)).0, [7, 8, 1]);
    assert_eq!(write(&mut writer, &first, &slice(5, 0, 0)).0, [7, 8, 5]);
}

#[test]
fn the_first_picture_of_a_client_that_counts_from_zero_is_a_reference() {
    let mut writer = H264Writer::new();
    let named_zero = Controls::H264(inter(1, NO_REFERENCE));
    let mut write_at = |timestamp, controls: &Controls, data: &[u8]| {
        writer.write(timestamp, controls, data, &mut Vec::new()).unwrap().reset
    };
    assert!(!write_at(0, &idr(controls()), &slice(5, 0, 0)));
    assert!(!write_at(1000, &named_zero, &slice(1, 0, 0)), "0 names the first picture");
    assert!(!write_at(2000, &idr(controls()), &slice(5, 0, 0)));
    assert!(write_at(3000, &named_zero, &slice(1, 0, 0)), "which is gone now: 0 names none");
}

#[test]
fn the_pps_has_the_id_that_the_slices_name() {
    let mut packet = Vec::new();
    H264Writer::new().write(1000, &idr(controls()), &slice(5, 0, 200), &mut packet).unwrap();
    let pps = nal_units(&packet).find(|nal| nal[0] & 31 == 8).unwrap();
    let mut r = RbspReader::new(pps);
    r.u(8).unwrap();
    assert_eq!(r.ue().unwrap(), 200);
}

#[test]
fn slices_come_in_raster_order_and_nothing_else_comes() {
    let mut writer = H264Writer::new();
    let sei = [0, 0, 1, 0x06, 0x05, 0x01, 0x00, 0x80];
    let garbage = [0, 0, 1, 0x41];
    let data = [
        slice(5, 8, 0),
        sei.to_vec(),
        garbage.to_vec(),
        slice(5, 0, 0),
        slice(1, 12, 0),
        slice(5, 0, 0),
    ];
    let mut packet = Vec::new();
    writer.write(1000, &idr(controls()), &data.concat(), &mut packet).unwrap();
    let firsts: Vec<u32> = nal_units(&packet)
        .filter_map(|nal| Some(SliceStart::parse(nal).ok()?.first_mb_in_slice))
        .collect();
    assert_eq!(firsts, [0, 8], "of two slices at 0 one, and none of another picture");
}

#[test]
fn a_picture_that_knows_no_sent_picture_resets_the_decoder() {
    let mut writer = H264Writer::new();
    let start = Controls::H264(controls());
    assert!(!write(&mut writer, &start, &slice(1, 0, 0)).1, "the decoder is empty anyway");
    assert!(!write(&mut writer, &Controls::H264(inter(1, 1000)), &slice(1, 0, 0)).1);
    // A seek to a recovery point; the frame_num gap before it left an entry without a picture.
    let (types, reset) = write(&mut writer, &Controls::H264(inter(7, 0)), &slice(1, 0, 0));
    assert!(reset);
    assert_eq!(types, [7, 8, 1]);
    assert!(!write(&mut writer, &Controls::H264(inter(8, 7000)), &slice(1, 0, 0)).1);
    assert!(
        !write(&mut writer, &idr(controls()), &slice(5, 0, 0)).1,
        "an IDR picture says it itself"
    );
}

#[test]
fn a_second_field_never_resets_the_decoder() {
    let mut writer = H264Writer::new();
    let field = |frame_num, bottom| {
        let mut controls = controls();
        controls.sps.flags = SPS_DIRECT_8X8_INFERENCE;
        controls.decode_params.frame_num = frame_num;
        controls.decode_params.flags =
            DECODE_PARAM_FIELD_PIC | if bottom { DECODE_PARAM_BOTTOM_FIELD } else { 0 };
        Controls::H264(controls)
    };
    assert!(!write(&mut writer, &field(3, false), &slice(1, 0, 0)).1);
    assert!(!write(&mut writer, &field(3, true), &slice(1, 0, 0)).1, "a second field");
    assert!(write(&mut writer, &field(3, false), &slice(1, 0, 0)).1, "a first field");
    assert!(write(&mut writer, &field(4, true), &slice(1, 0, 0)).1, "another frame's field");
}

#[test]
fn type_1_offsets_follow_each_picture() {
    let mut writer = H264Writer::new();
    let mut first = controls();
    first.sps.pic_order_cnt_type = 1;
    write(&mut writer, &idr(first), &slice(5, 0, 0));
    let mut second = inter(1, 1000);
    second.sps.pic_order_cnt_type = 1;
    second.decode_params.top_field_order_cnt = 6;
    second.decode_params.bottom_field_order_cnt = 7;
    let second = Controls::H264(second);
    assert_eq!(write(&mut writer, &second, &slice(1, 0, 0)).0, [7, 8, 1]);
    assert_eq!(write(&mut writer, &second, &slice(1, 0, 0)).0, [1]);
}

#[test]
fn a_refused_picture_leaves_no_trace() {
    let mut writer = H264Writer::new();
    let mut packet = vec![1, 2, 3];
    assert!(writer.write(1000, &idr(controls()), &[], &mut packet).is_err());
    assert!(writer.write(1000, &idr(controls()), &[0, 0, 1, 0x65], &mut packet).is_err());
    let mut groups = controls();
    groups.pps.num_slice_groups_minus1 = 1;
    let refused = writer.write(1000, &idr(groups), &slice(5, 0, 0), &mut packet);
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    assert_eq!(packet, [1, 2, 3]);
    assert_eq!(write(&mut writer, &idr(controls()), &slice(5, 0, 0)).0, [7, 8, 5]);
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut writer = H264Writer::new();
    for _ in 0..2000 {
        let mut controls = controls();
        controls.pps.flags = random() as u16;
        controls.sps.flags = random() as u32 & 0x7f;
        controls.sps.pic_order_cnt_type = (random() % 4) as u8;
        controls.sps.log2_max_frame_num_minus4 = (random() % 14) as u8;
        controls.decode_params.frame_num = random() as u16;
        controls.decode_params.top_field_order_cnt = random() as i32;
        controls.decode_params.delta_pic_order_cnt0 = random() as i32;
        controls.decode_params.flags = random() as u32;
        controls.scaling_matrix.scaling_list_4x4 = [[random() as u8; 16]; 6];
        controls.scaling_matrix.scaling_list_8x8 = [[random() as u8; 64]; 6];
        let mut data = slice(if random() % 4 == 0 { 5 } else { 1 }, 0, 0);
        data.truncate(4 + random() as usize % 5);
        data.extend((0..random() % 60).map(|_| random() as u8 & random() as u8));
        let _ = writer.write(1000, &Controls::H264(controls), &data, &mut Vec::new());
    }
}

#[test]
fn slices_beyond_number_are_refused() {
    let many = |count| slice(5, 0, 0).repeat(count);
    let write =
        |data: &[u8]| H264Writer::new().write(1000, &idr(controls()), data, &mut Vec::new());
    assert!(write(&many(MOST_SLICES)).is_ok(), "all but the first are left out");
    assert!(matches!(write(&many(MOST_SLICES + 1)), Err(Error::Invalid { .. })));
}
