//! High 4:4:4 Predictive in its lossless mode, which V4L2's controls can say and VA-API's cannot
//! (qpprime_y_zero_transform_bypass_flag): no VA-API client reaches this part of the engine.

use std::sync::{Arc, Mutex, mpsc};

use daedalus_engine::{FrameLayout, Options, PixelFormat, Reply, Request, Session, Target};
use daedalus_uapi::h264::{
    self, DECODE_PARAM_IDR_PIC, DECODE_PARAM_PFRAME, DPB_ENTRY_ACTIVE, DPB_ENTRY_VALID, DpbEntry,
    FRAME_REF, PPS_DEBLOCKING_FILTER_CONTROL_PRESENT, PPS_ENTROPY_CODING_MODE,
    PPS_TRANSFORM_8X8_MODE, PPS_WEIGHTED_PRED, SPS_DIRECT_8X8_INFERENCE, SPS_FRAME_MBS_ONLY,
    SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS,
};
use daedalus_uapi::{Codec, Controls, FromZeros, Timestamps};
use md5::{Digest, Md5};

/// An IDR picture and two P pictures, one slice each.
const STREAM: &[u8] = include_bytes!("data/lossless.h264");
const WIDTH: usize = 176;
const HEIGHT: usize = 144;

/// The MD5 of each picture as NV12.
const EXPECTED: [&str; 3] = [
    "db074b905b5d95a1454078404753bab1",
    "51438a4f6282b74db0c4ddf8b2a545ca",
    "71fce37d53debe2465512d4df3b54c1d",
];

struct Frame(Mutex<Vec<u8>>);

impl Target for Frame {
    fn layout(&self) -> FrameLayout {
        FrameLayout {
            format: PixelFormat::Nv12,
            width: WIDTH as u32,
            height: HEIGHT as u32,
            pitch: [WIDTH; 2],
            offset: [0, WIDTH * HEIGHT],
        }
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        write(&mut self.0.lock().unwrap());
    }
}

/// The slice NAL units with their start codes.
fn slices() -> Vec<&'static [u8]> {
    let starts: Vec<usize> =
        (0..STREAM.len()).filter(|at| STREAM[*at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([STREAM.len()]);
    let units = starts.iter().zip(ends).map(|(start, end)| &STREAM[*start..end]);
    units.filter(|unit| matches!(unit[3] & 31, 1 | 5)).collect()
}

/// The stream's parameter sets as controls.
fn parameter_sets() -> Box<h264::Controls> {
    let mut controls = Box::new(h264::Controls::new_zeroed());
    let (sps, pps) = (&mut controls.sps, &mut controls.pps);
    sps.profile_idc = 244;
    sps.level_idc = 11;
    sps.chroma_format_idc = 1;
    sps.pic_order_cnt_type = 2;
    sps.max_num_ref_frames = 3;
    sps.pic_width_in_mbs_minus1 = 10;
    sps.pic_height_in_map_units_minus1 = 8;
    sps.flags = SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS | SPS_FRAME_MBS_ONLY | SPS_DIRECT_8X8_INFERENCE;
    pps.num_ref_idx_l0_default_active_minus1 = 2;
    pps.pic_init_qp_minus26 = -26;
    pps.flags = PPS_ENTROPY_CODING_MODE
        | PPS_WEIGHTED_PRED
        | PPS_DEBLOCKING_FILTER_CONTROL_PRESENT
        | PPS_TRANSFORM_8X8_MODE;
    controls
}

/// The MD5 of each picture that a session with these parameter sets decodes.
fn decode(parameter_sets: &h264::Controls) -> Vec<String> {
    let session = Session::new(Codec::H264, &Options::default()).unwrap();
    let mut timestamps = Timestamps::default();
    let (send, answers) = mpsc::channel();
    let mut references: Vec<DpbEntry> = Vec::new();
    let mut frames = Vec::new();
    for (frame_num, slice) in (0_u16..).zip(slices()) {
        let timestamp = timestamps.advance();
        let mut controls = Box::new(parameter_sets.clone());
        let picture = &mut controls.decode_params;
        let order_cnt = 2 * i32::from(frame_num);
        picture.dpb[..references.len()].copy_from_slice(&references);
        picture.nal_ref_idc = (slice[3] >> 5).into();
        picture.frame_num = frame_num;
        picture.top_field_order_cnt = order_cnt;
        picture.bottom_field_order_cnt = order_cnt;
        picture.flags = if frame_num == 0 { DECODE_PARAM_IDR_PIC } else { DECODE_PARAM_PFRAME };
        let mut entry = DpbEntry::new_zeroed();
        entry.reference_ts = timestamp;
        entry.pic_num = frame_num.into();
        entry.frame_num = frame_num;
        entry.fields = FRAME_REF;
        entry.top_field_order_cnt = order_cnt;
        entry.bottom_field_order_cnt = order_cnt;
        entry.flags = DPB_ENTRY_VALID | DPB_ENTRY_ACTIVE;
        references.push(entry);

        let frame = Arc::new(Frame(Mutex::new(vec![0; WIDTH * HEIGHT * 3 / 2])));
        frames.push(Arc::clone(&frame));
        let request = Request {
            timestamp,
            controls: Controls::H264(controls),
            data: slice.to_vec(),
            hold_capture: false,
            target: Some(frame),
            ungrained: None,
        };
        let send = send.clone();
        session.submit(request, Reply::new(move |answer| send.send(answer).unwrap()));
    }
    for _ in &frames {
        answers.recv().unwrap().unwrap();
    }
    frames.iter().map(|frame| format!("{:x}", Md5::digest(&*frame.0.lock().unwrap()))).collect()
}

#[test]
fn lossless_pictures_are_exact() {
    assert_eq!(decode(&parameter_sets()), EXPECTED);
}

#[test]
fn the_bypass_flag_makes_the_difference() {
    let mut controls = parameter_sets();
    controls.sps.flags &= !SPS_QPPRIME_Y_ZERO_TRANSFORM_BYPASS;
    assert_ne!(decode(&controls)[0], EXPECTED[0]);
}
