//! Field pairs whose fields come one by one.
//!
//! The stream is written here: fields of two macroblocks, the first a copy from the oldest reference field,
//! the second of raw samples (H.264 sections 7.3.2 to 7.3.5).

use bitstream_io::{BigEndian, BitWrite, BitWriter};

use super::*;

/// Bits of a NAL unit.
struct Nal(BitWriter<Vec<u8>, BigEndian>);

impl Nal {
    fn new(header: u8) -> Nal {
        let mut nal = Nal(BitWriter::new(vec![0, 0, 1]));
        nal.bits(8, header.into());
        nal
    }

    fn bits(&mut self, count: u32, value: u32) {
        self.0.write_var(count, value).unwrap();
    }

    /// ue(v), one after another.
    fn ue(&mut self, values: &[u32]) {
        for value in values {
            let length = (value + 1).ilog2();
            self.bits(length, 0);
            self.bits(length + 1, value + 1);
        }
    }

    /// An I_PCM macroblock's samples. No value needs an emulation prevention byte.
    fn samples(&mut self, colour: u8) {
        self.0.byte_align().unwrap();
        self.0.write_bytes(&[colour; 384]).unwrap();
    }

    fn finish(mut self) -> Vec<u8> {
        self.bits(1, 1);
        self.0.byte_align().unwrap();
        self.0.into_writer()
    }
}

/// Main profile, 32x32 in field pairs, pic_order_cnt_type 2, three reference frames; CAVLC.
fn parameter_sets() -> Vec<u8> {
    let mut sps = Nal::new(0x67);
    sps.bits(24, 0x4d001e);
    sps.ue(&[0, 0, 2, 3]);
    sps.bits(1, 0); // gaps_in_frame_num_value_allowed_flag
    sps.ue(&[1, 0]);
    // frame_mbs_only_flag, mb_adaptive_frame_field_flag, direct_8x8_inference_flag, no cropping, no VUI
    sps.bits(5, 0b00100);
    let mut pps = Nal::new(0x68);
    pps.ue(&[0, 0]);
    pps.bits(2, 0);
    pps.ue(&[0, 0, 0]);
    pps.bits(3, 0);
    pps.ue(&[0, 0, 0]);
    pps.bits(3, 0b100); // deblocking_filter_control_present_flag
    [sps.finish(), pps.finish()].concat()
}

/// One field; the first of all is an IDR picture.
fn field(frame: u32, bottom: bool) -> Vec<u8> {
    let idr = frame == 0 && !bottom;
    // The first field of this frame, and the pairs that are left of those before.
    let references = if bottom { 1 + 2 * frame.min(2) } else { 2 * frame.min(3) };
    let mut nal = Nal::new(if idr { 0x65 } else { 0x61 });
    nal.ue(&[0, if idr { 7 } else { 5 }, 0]);
    nal.bits(4, frame);
    nal.bits(2, 0b10 | u32::from(bottom));
    if idr {
        nal.ue(&[0]);
        nal.bits(2, 0);
    } else {
        nal.bits(1, 1);
        nal.ue(&[references - 1]);
        // No modification of the list; sliding window.
        nal.bits(2, 0);
    }
    nal.ue(&[0, 1]); // slice_qp_delta, no deblocking
    let colour = (20 + 30 * frame + 15 * u32::from(bottom)) as u8;
    if idr {
        nal.ue(&[25]);
        nal.samples(colour + 7);
        nal.ue(&[25]);
    } else {
        // P_L0_16x16: ref_idx_l0 as te(v), no motion, no residual.
        nal.ue(&[0, 0]);
        match references {
            1 => {}
            2 => nal.bits(1, 0),
            _ => nal.ue(&[references - 1]),
        }
        nal.ue(&[0, 0, 0, 0, 30]);
    }
    nal.samples(colour);
    let begin = if idr { parameter_sets() } else { Vec::new() };
    [begin, nal.finish()].concat()
}

const FRAMES: u32 = 7;

/// What comes out if both fields of a frame are one packet.
fn together(threads: usize) -> Vec<u32> {
    let frames: Vec<_> =
        (0..FRAMES).map(|frame| [field(frame, false), field(frame, true)].concat()).collect();
    let packets: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    sums(decode(Codec::H264, &packets, threads))
}

#[test]
fn a_field_pair_is_one_picture() {
    let frames = [field(0, false), field(0, true)].concat();
    let picture = decode(Codec::H264, &[&frames], 1).remove(0).unwrap();
    let view = picture.planar.view();
    let row = |y: usize| [view.luma.0[y * view.luma.1], view.luma.0[y * view.luma.1 + 16]];
    assert_eq!([row(0), row(1), row(30), row(31)], [[27, 20], [27, 35], [27, 20], [27, 35]]);
    for threads in THREADS {
        assert_eq!(together(threads), together(1), "{threads} threads");
    }
}

#[test]
fn fields_that_come_one_by_one_make_the_same_pictures() {
    let expected = together(1);
    for threads in THREADS {
        // Whether somebody waits for the first field, and for the frame.
        for (wait_field, wait_frame) in [(false, false), (true, false), (true, true), (false, true)]
        {
            let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
            let mut out = Vec::new();
            for frame in 0..FRAMES {
                let id = u64::from(frame + 1);
                let first_field = Some(Parity::Top);
                let bytes = &field(frame, false);
                decoder.send(Packet { first_field, ..Packet::plain(id, bytes) }, &mut out);
                if wait_field {
                    decoder.finish(id, &mut out);
                    assert_eq!(out.len() as u64, 2 * id - 1, "{threads} threads");
                }
                decoder.send(Packet::plain(id, &field(frame, true)), &mut out);
                if wait_frame {
                    decoder.finish(id, &mut out);
                    assert_eq!(out.len() as u64, 2 * id, "{threads} threads");
                }
            }
            decoder.finish(u64::MAX, &mut out);
            let ids: Vec<u64> = out.iter().map(|output| output.id).collect();
            assert_eq!(ids, (0..2 * u64::from(FRAMES)).map(|n| n / 2 + 1).collect::<Vec<_>>());
            let mut answers: Vec<_> = out.into_iter().map(|output| output.picture).collect();
            let frames = answers.iter_mut().skip(1).step_by(2);
            let frames = frames.map(|answer| std::mem::replace(answer, Err(Error::Abandoned)));
            assert_eq!(sums(frames.collect()), expected, "{threads} threads");
            // The first field alone is clean, too.
            assert!(
                answers.iter().step_by(2).all(|answer| {
                    answer.as_ref().is_ok_and(|picture| picture.damage.is_none())
                })
            );
        }
    }
}

#[test]
fn the_division_of_work_does_not_change_between_fields() {
    let expected = together(1);
    for threads in THREADS {
        // From this packet on the client works ahead.
        for ahead in 1..10 {
            let mut decoder = AdaptiveDecoder::new(Codec::H264, threads).unwrap();
            let mut out = Vec::new();
            for at in 0..2 * FRAMES {
                let (id, bytes) = (u64::from(at / 2 + 1), field(at / 2, at % 2 == 1));
                let first_field = (at % 2 == 0).then_some(Parity::Top);
                let (key, queued) = (at == 0, at >= ahead);
                let packet = Packet { first_field, key, queued, ..Packet::plain(id, &bytes) };
                decoder.send(packet, &mut out);
                if !queued {
                    decoder.finish(id, &mut out);
                }
            }
            decoder.finish(u64::MAX, &mut out);
            let frames = out.into_iter().skip(1).step_by(2).map(|output| output.picture);
            assert_eq!(sums(frames.collect()), expected, "{threads} threads, {ahead}");
        }
    }
}

#[test]
fn a_field_without_its_second_does_not_hold_up_what_follows() {
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
        let mut out = Vec::new();
        for (id, frame) in (1..).zip(0..FRAMES) {
            let first_field = Some(Parity::Top);
            decoder
                .send(Packet { first_field, ..Packet::plain(id, &field(frame, false)) }, &mut out);
            decoder.finish(id, &mut out);
        }
        let answered = out.iter().filter(|output| output.picture.is_ok()).count();
        assert_eq!(answered, FRAMES as usize, "{threads} threads");
    }
}

#[test]
fn first_fields_alone_are_not_kept_for_ever() {
    for threads in THREADS {
        let mut decoder = AdaptiveDecoder::new(Codec::H264, threads).unwrap();
        let mut out = Vec::new();
        for id in 1..=40 {
            let bytes = field((id as u32 - 1).min(FRAMES - 1), false);
            let first_field = Some(Parity::Top);
            let packet = Packet { first_field, key: id == 1, ..Packet::plain(id, &bytes) };
            decoder.send(packet, &mut out);
            let kept = decoder.kept.as_ref().map_or(0, Vec::len);
            assert!(kept <= decoder.most_kept(), "{threads} threads: {kept} packets");
        }
        assert!(decoder.kept.is_none(), "{threads} threads");
        decoder.finish(u64::MAX, &mut out);
        assert!(out.iter().map(|output| output.id).eq(1..=40), "{threads} threads");
    }
}
