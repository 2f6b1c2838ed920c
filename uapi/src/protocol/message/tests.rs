use zerocopy::{FromZeros, IntoBytes};

use super::*;
use crate::{
    av1, h264,
    protocol::{ControlHead, FrameFormat, Plane},
    vp9,
};

const NV12: [u8; 4] = *b"NV12";

/// A message from its parts, with sizes and offsets that agree.
fn decode(edit: impl FnOnce(&mut DecodeMessage), controls: &[(u32, &[u8])]) -> Vec<u8> {
    let data = [1, 2, 3, 4, 5];
    let mut values = Vec::new();
    for (id, value) in controls {
        let size = value.len() as u32;
        values.extend_from_slice(ControlHead { id: *id, size }.as_bytes());
        values.extend_from_slice(value);
        values.resize(values.len().next_multiple_of(8), 0);
    }
    let mut head = DecodeMessage::new_zeroed();
    head.head = Head { kind: MSG_DECODE, size: 0, session: 3 };
    (head.cookie, head.timestamp, head.buffer) = (7, 9000, 11);
    head.pixelformat = u32::from_le_bytes(NV12);
    (head.width, head.height, head.num_buffers) = (32, 16, 1);
    head.buffer_size = [64 * 24, 0];
    (head.pitch, head.offset) = ([64, 64], [0, 64 * 16]);
    head.num_controls = controls.len() as u32;
    head.data_offset = (size_of_val(&head) + values.len()) as u32;
    head.data_size = data.len() as u32;
    head.head.size = head.data_offset + head.data_size;
    edit(&mut head);
    [head.as_bytes(), &values, &data].concat()
}

fn read(bytes: &[u8]) -> Decode<'_> {
    match Message::read(bytes) {
        Ok(Message::Decode(decode)) => decode,
        other => panic!("{other:?}"),
    }
}

fn vp9() -> vp9::Controls {
    let mut controls = vp9::Controls::new_zeroed();
    controls.frame.alt_frame_ts = 123;
    controls.compressed_hdr.tx_mode = 4;
    controls
}

/// One message of each codec, with all of its controls.
fn of_each_codec() -> [(Vec<u8>, Controls); 3] {
    let mut h264 = h264::Controls::new_zeroed();
    h264.sps.level_idc = 31;
    h264.pps.flags = 5;
    h264.scaling_matrix.scaling_list_4x4[0][0] = 16;
    h264.decode_params.frame_num = 77;
    let one = 1u32.to_ne_bytes();
    let h264_message = decode(
        |_| {},
        &[
            (h264::CID_DECODE_MODE, &one),
            (h264::CID_START_CODE, &one),
            (h264::CID_SPS, h264.sps.as_bytes()),
            (h264::CID_PPS, h264.pps.as_bytes()),
            (h264::CID_SCALING_MATRIX, h264.scaling_matrix.as_bytes()),
            (h264::CID_DECODE_PARAMS, h264.decode_params.as_bytes()),
        ],
    );
    let vp9 = vp9();
    let vp9_message = decode(
        |_| {},
        &[
            (vp9::CID_FRAME, vp9.frame.as_bytes()),
            (vp9::CID_COMPRESSED_HDR, vp9.compressed_hdr.as_bytes()),
        ],
    );
    let mut av1 = av1::Controls::new_zeroed();
    av1.sequence.bit_depth = 10;
    av1.frame.order_hint = 5;
    av1.film_grain.grain_seed = 1234;
    av1.tiles = [1, 2, 3]
        .map(|n| av1::TileGroupEntry { tile_offset: n, tile_size: 1, tile_row: 0, tile_col: n })
        .to_vec();
    let av1_message = decode(
        |_| {},
        &[
            (av1::CID_SEQUENCE, av1.sequence.as_bytes()),
            (av1::CID_TILE_GROUP_ENTRY, av1.tiles.as_bytes()),
            (av1::CID_FRAME, av1.frame.as_bytes()),
            (av1::CID_FILM_GRAIN, av1.film_grain.as_bytes()),
        ],
    );
    [
        (h264_message, Controls::H264(Box::new(h264))),
        (vp9_message, Controls::Vp9(Box::new(vp9))),
        (av1_message, Controls::Av1(Box::new(av1))),
    ]
}

#[test]
fn requests_of_each_codec_are_read() {
    for (bytes, controls) in of_each_codec() {
        let expected = Decode {
            session: 3,
            cookie: 7,
            timestamp: 9000,
            hold_capture: false,
            buffer: 11,
            frame: Ok(Frame {
                format: FrameFormat::Nv12,
                width: 32,
                height: 16,
                buffers: vec![64 * 24],
                planes: [
                    Plane { buffer: 0, offset: 0, pitch: 64 },
                    Plane { buffer: 0, offset: 64 * 16, pitch: 64 },
                ],
            }),
            coded: Ok((controls, &[1, 2, 3, 4, 5])),
            unknown_controls: Vec::new(),
        };
        assert_eq!(read(&bytes), expected);
    }
}

#[test]
fn messages_without_a_body_and_with_one_are_read() {
    let head = |kind, size| Head { kind, size, session: 3 };
    for (kind, expected) in
        [(MSG_CLOSE, Message::Close { session: 3 }), (MSG_FLUSH, Message::Flush { session: 3 })]
    {
        assert_eq!(Message::read(head(kind, 16).as_bytes()), Ok(expected));
    }
    let forget = ForgetMessage { head: head(MSG_FORGET, 24), buffer: 5 };
    let expected = Message::Forget { session: 3, buffer: 5 };
    assert_eq!(Message::read(forget.as_bytes()), Ok(expected));
    for (codec, named) in
        [(CODEC_H264, Codec::H264), (CODEC_VP9, Codec::Vp9), (CODEC_AV1, Codec::Av1)]
    {
        let open = OpenMessage { head: head(MSG_OPEN, 32), codec, uid: 1, pid: 2, reserved: 0 };
        let expected = Message::Open { session: 3, codec: named, uid: 1, pid: 2 };
        assert_eq!(Message::read(open.as_bytes()), Ok(expected));
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let head = |kind, size| Head { kind, size, session: 3 };
    let refused = |bytes: &[u8]| Message::read(bytes).unwrap_err();
    assert_eq!(refused(&[]), Flaw::Short(0));
    assert_eq!(refused(&[1; 15]), Flaw::Short(15));
    assert_eq!(refused(head(MSG_CLOSE, 17).as_bytes()), Flaw::Length { got: 16, said: 17 });
    assert_eq!(refused(head(6, 16).as_bytes()), Flaw::Kind(6));
    assert_eq!(refused(head(0, 16).as_bytes()), Flaw::Kind(0));
    for kind in [MSG_OPEN, MSG_FORGET, MSG_DECODE] {
        assert_eq!(refused(head(kind, 16).as_bytes()), Flaw::Short(16));
    }
    for codec in [0, 3, 8] {
        let open = OpenMessage { head: head(MSG_OPEN, 32), codec, uid: 1, pid: 2, reserved: 0 };
        assert_eq!(refused(open.as_bytes()), Flaw::Codec(codec));
    }
}

#[test]
fn frames_lie_inside_their_buffers() {
    let vp9 = vp9();
    let frame = |edit: &dyn Fn(&mut DecodeMessage)| {
        let bytes = decode(edit, &[(vp9::CID_FRAME, vp9.frame.as_bytes())]);
        let read = read(&bytes);
        assert!(read.coded.is_ok(), "the rest can be read all the same");
        read.frame
    };
    let plane = |result: Result<Frame, Flaw>| matches!(result, Err(Flaw::Plane { .. }));

    let nv12m = u32::from_le_bytes(*b"NM12");
    let two = frame(&|m| {
        (m.pixelformat, m.num_buffers) = (nv12m, 2);
        (m.buffer_size, m.offset) = ([64 * 16, 64 * 8], [0, 0]);
    })
    .unwrap();
    assert_eq!(two.buffers, [64 * 16, 64 * 8]);
    assert_eq!(two.planes.map(|plane| plane.buffer), [0, 1]);
    let p010 = u32::from_le_bytes(*b"P010");
    assert_eq!(frame(&|m| m.pixelformat = p010).unwrap().format, FrameFormat::P010);

    // To the byte: rows end where the picture does, not at the pitch. Sizes may be odd.
    let odd = |m: &mut DecodeMessage| {
        (m.width, m.height, m.pitch) = (31, 15, [40, 40]);
        (m.offset, m.buffer_size) = ([0, 600], [600 + 7 * 40 + 32, 0]);
    };
    assert!(frame(&odd).is_ok());
    assert!(plane(frame(&|m| {
        odd(m);
        m.buffer_size[0] -= 1;
    })));
    assert!(plane(frame(&|m| m.pitch[0] = 31)));
    assert!(plane(frame(&|m| m.pitch[1] = 31)));
    assert!(plane(frame(&|m| (m.pixelformat, m.width) = (p010, 33))));
    assert!(plane(frame(&|m| m.offset[1] += 40)));
    assert!(plane(frame(&|m| m.height = 17)));
    for most in [u32::MAX, u32::MAX - 1, 1 << 31] {
        assert!(plane(frame(&|m| (m.width, m.height) = (most, most))));
        assert!(plane(frame(&|m| (m.pitch, m.height) = ([most; 2], most))));
        assert!(plane(frame(&|m| m.offset = [most; 2])));
        assert!(plane(frame(&|m| {
            (m.width, m.height, m.pitch, m.offset) = (most, most, [u32::MAX; 2], [most; 2]);
            m.buffer_size = [u32::MAX; 2];
        })));
    }
    for (width, height) in [(0, 16), (32, 0)] {
        assert_eq!(
            frame(&|m| (m.width, m.height) = (width, height)),
            Err(Flaw::Size { width, height })
        );
    }
    assert_eq!(frame(&|m| m.num_buffers = 2), Err(Flaw::Buffers { got: 2, expected: 1 }));
    assert_eq!(frame(&|m| m.num_buffers = 0), Err(Flaw::Buffers { got: 0, expected: 1 }));
    assert_eq!(frame(&|m| m.pixelformat = nv12m), Err(Flaw::Buffers { got: 1, expected: 2 }));
    assert_eq!(frame(&|m| m.pixelformat = 0), Err(Flaw::PixelFormat(0)));
}

#[test]
fn controls_are_complete_and_of_the_right_size() {
    let (vp9, zero) = (vp9(), [0; 4]);
    let (frame, hdr) = (vp9.frame.as_bytes(), vp9.compressed_hdr.as_bytes());
    let coded = |controls: &[(u32, &[u8])]| {
        let bytes = decode(|_| {}, controls);
        let read = read(&bytes);
        assert!(read.frame.is_ok());
        (read.coded.map(|(controls, _)| controls), read.unknown_controls)
    };
    let refused = |controls: &[(u32, &[u8])]| coded(controls).0.unwrap_err();

    let mut without = vp9.clone();
    without.compressed_hdr = vp9::CompressedHdr::new_zeroed();
    let expected = Ok(Controls::Vp9(Box::new(without)));
    assert_eq!(coded(&[(vp9::CID_FRAME, frame)]), (expected.clone(), vec![]));
    let unknown: &[(u32, &[u8])] = &[(1, &[9; 3]), (vp9::CID_FRAME, frame), (2, &[])];
    assert_eq!(coded(unknown), (expected, vec![1, 2]));

    assert_eq!(refused(&[]), Flaw::NoControls);
    assert_eq!(refused(&[(1, &zero)]), Flaw::NoControls);
    let missing = refused(&[(vp9::CID_COMPRESSED_HDR, hdr)]);
    assert_eq!(missing, Flaw::ControlMissing("VP9 frame"));
    let twice = refused(&[(vp9::CID_FRAME, frame), (vp9::CID_FRAME, frame)]);
    assert_eq!(twice, Flaw::ControlTwice("VP9 frame"));
    let mixed = refused(&[(vp9::CID_FRAME, frame), (h264::CID_PPS, &[0; 12])]);
    assert_eq!(mixed, Flaw::MixedControls);
    for size in [0, 1, 167, 169] {
        let mut value = frame.to_vec();
        value.resize(size, 0);
        let wrong = Flaw::ControlSize("VP9 frame", size, 168);
        assert_eq!(refused(&[(vp9::CID_FRAME, &value)]), wrong);
    }
    let slices = refused(&[(h264::CID_DECODE_MODE, &zero)]);
    assert_eq!(slices, Flaw::Mode("H.264 decode mode"));

    let av1 = av1::Controls::new_zeroed();
    let with_tiles = |bytes: usize| {
        coded(&[
            (av1::CID_SEQUENCE, av1.sequence.as_bytes()),
            (av1::CID_TILE_GROUP_ENTRY, &vec![0; bytes]),
            (av1::CID_FRAME, av1.frame.as_bytes()),
        ])
        .0
    };
    assert!(with_tiles(16).is_ok() && with_tiles(16 * av1::MAX_TILE_COUNT).is_ok());
    for bytes in [0, 15, 17, 16 * (av1::MAX_TILE_COUNT + 1)] {
        let wrong = Flaw::ControlSize("AV1 tile group entry", bytes, 16);
        assert_eq!(with_tiles(bytes), Err(wrong));
    }
}

#[test]
fn what_lies_elsewhere_than_it_says_is_refused() {
    let vp9 = vp9();
    let coded = |edit: &dyn Fn(&mut DecodeMessage)| {
        let bytes = decode(edit, &[(vp9::CID_FRAME, vp9.frame.as_bytes())]);
        read(&bytes).coded.map(|(_, data)| data.to_vec())
    };
    assert_eq!(coded(&|m| m.data_size -= 2), Ok(vec![1, 2, 3]));
    let hold = decode(|m| m.flags = DECODE_HOLD, &[]);
    assert!(read(&hold).hold_capture);
    assert_eq!(coded(&|m| m.flags = 3), Err(Flaw::Flags(3)));
    let data = |result: Result<Vec<u8>, Flaw>| matches!(result, Err(Flaw::Data { .. }));
    for edit in [
        &|m: &mut DecodeMessage| m.data_size += 1,
        &|m: &mut DecodeMessage| m.data_offset += 1,
        &|m: &mut DecodeMessage| m.data_offset = 103,
        &|m: &mut DecodeMessage| (m.data_offset, m.data_size) = (u32::MAX, u32::MAX),
    ] as [&dyn Fn(&mut DecodeMessage); 4]
    {
        assert!(data(coded(edit)));
    }
    assert_eq!(coded(&|m| m.num_controls = 2), Err(Flaw::ControlsEnd));
    assert_eq!(coded(&|m| m.num_controls = u32::MAX), Err(Flaw::ControlsEnd));
    assert_eq!(coded(&|m| m.num_controls = 0), Err(Flaw::NoControls));
    // The controls end where the data begins.
    assert_eq!(coded(&|m| m.data_offset -= 1), Err(Flaw::ControlsEnd));
}

#[test]
fn no_part_of_a_message_is_taken_for_the_whole() {
    for (mut bytes, _) in of_each_codec() {
        for length in 0..bytes.len() {
            assert!(Message::read(&bytes[..length]).is_err());
        }
        // With a size that agrees.
        for length in (size_of::<DecodeMessage>()..bytes.len()).rev() {
            bytes.truncate(length);
            bytes[4..8].copy_from_slice(&(length as u32).to_ne_bytes());
            assert!(read(&bytes).coded.is_err());
        }
    }
}

/// Numbers without order (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let mut noise = Noise(1);
    for (message, _) in of_each_codec() {
        for _ in 0..20_000 {
            let mut bytes = message.clone();
            for _ in 0..1 + noise.next() % 6 {
                // Mostly in the head, where numbers have a meaning.
                let within = if noise.next() % 4 == 0 { bytes.len() } else { 200 };
                let at = noise.next() as usize % within;
                bytes[at] = noise.next() as u8;
            }
            let _ = Message::read(&bytes);
        }
    }
    for _ in 0..50_000 {
        let mut bytes: Vec<u8> = (0..noise.next() % 300).map(|_| noise.next() as u8).collect();
        if bytes.len() >= 8 {
            let size = bytes.len() as u32;
            bytes[..4].copy_from_slice(&(1 + noise.next() as u32 % 5).to_ne_bytes());
            bytes[4..8].copy_from_slice(&size.to_ne_bytes());
        }
        let _ = Message::read(&bytes);
    }
}
