//! Messages of the kernel module, in a fuzzer's bytes.

use daedalus_uapi::{
    Codec, Controls, FromZeros, av1, h264,
    protocol::{
        CODEC_AV1, CODEC_H264, CODEC_VP9, ControlHead, DecodeMessage, ForgetMessage, Head,
        MSG_CLOSE, MSG_DECODE, MSG_FLUSH, MSG_FORGET, MSG_OPEN, OpenMessage,
    },
    vp9,
};
use zerocopy::IntoBytes;

use crate::input::{Input, Output};

/// The controls and their sizes; tile group entries come as many as there are bytes for.
const CONTROLS: [(u32, usize); 13] = [
    (h264::CID_SPS, size_of::<h264::Sps>()),
    (h264::CID_PPS, size_of::<h264::Pps>()),
    (h264::CID_SCALING_MATRIX, size_of::<h264::ScalingMatrix>()),
    (h264::CID_DECODE_PARAMS, size_of::<h264::DecodeParams>()),
    (vp9::CID_FRAME, size_of::<vp9::Frame>()),
    (vp9::CID_COMPRESSED_HDR, size_of::<vp9::CompressedHdr>()),
    (av1::CID_SEQUENCE, size_of::<av1::Sequence>()),
    (av1::CID_FRAME, size_of::<av1::Frame>()),
    (av1::CID_FILM_GRAIN, size_of::<av1::FilmGrain>()),
    (av1::CID_TILE_GROUP_ENTRY, size_of::<av1::TileGroupEntry>()),
    (h264::CID_DECODE_MODE, 4),
    (h264::CID_START_CODE, 4),
    (0x1234_5678, 3),
];

/// The control comes with the size that it has in the input.
const ODD: u8 = 0x80;

/// The place of [`av1::CID_TILE_GROUP_ENTRY`].
const TILES: u8 = 9;

/// What is wrong with a request whatever it holds: bits.
const FLAGS_UNKNOWN: u8 = 1;
const COUNT_OFF: u8 = 2;
const OFFSET_OFF: u8 = 4;
const SIZE_OFF: u8 = 8;
const FRAME_OFF: u8 = 16;
const HOLD: u8 = 32;

const CODECS: [u32; 4] = [CODEC_H264, CODEC_VP9, CODEC_AV1, 8];
const FORMATS: [&[u8; 4]; 4] = [b"NV12", b"P010", b"NM12", b"YV12"];

/// Bytes of a plane's rows, at the least.
const PITCH: u32 = 64;

/// The next message. A request gets the number `cookie`.
pub fn read(input: &mut Input<'_>, cookie: u64) -> Vec<u8> {
    let kind = input.u8() % 8;
    let session = u64::from(input.u8());
    let head = |kind, size: usize| Head { kind, size: size as u32, session };
    match kind {
        0 => {
            let size = size_of::<OpenMessage>();
            let codec = input.choice(&CODECS);
            let head = head(MSG_OPEN, size);
            OpenMessage { head, codec, uid: 1000, pid: 1, reserved: 0 }.as_bytes().to_vec()
        }
        1 => head(MSG_CLOSE, size_of::<Head>()).as_bytes().to_vec(),
        2 => head(MSG_FLUSH, size_of::<Head>()).as_bytes().to_vec(),
        3 => {
            let head = head(MSG_FORGET, size_of::<ForgetMessage>());
            ForgetMessage { head, buffer: input.u8().into() }.as_bytes().to_vec()
        }
        // As it comes, but for its size.
        4 => {
            let mut bytes = input.block().to_vec();
            let size = bytes.len() as u32;
            if let (Some(at), true) = (bytes.get_mut(4..8), session != 0) {
                at.copy_from_slice(&size.to_le_bytes());
            }
            bytes
        }
        _ => request(input, head(MSG_DECODE, 0), cookie),
    }
}

fn request(input: &mut Input<'_>, head: Head, cookie: u64) -> Vec<u8> {
    let wrong = input.u8();
    let has = |bit| wrong & bit != 0;
    let mut message = DecodeMessage::new_zeroed();
    message.head = head;
    message.cookie = cookie;
    message.timestamp = u64::from(input.u16()) * 1000;
    message.buffer = input.u8().into();
    message.flags = u32::from(has(HOLD)) | u32::from(has(FLAGS_UNKNOWN)) << 7;
    frame(input, has(FRAME_OFF), &mut message);

    let mut controls = Vec::new();
    for _ in 0..input.u8() % 16 {
        let head = input.u8();
        let (id, size) = CONTROLS[usize::from(head & !ODD) % CONTROLS.len()];
        let mut value = input.block().to_vec();
        if head & ODD == 0 && id != av1::CID_TILE_GROUP_ENTRY {
            value.resize(size, 0);
        }
        controls.extend(ControlHead { id, size: value.len() as u32 }.as_bytes());
        controls.extend(&value);
        controls.resize(controls.len().next_multiple_of(8), 0);
        message.num_controls += 1;
    }
    let data = input.block();
    message.data_offset = (size_of::<DecodeMessage>() + controls.len()) as u32;
    message.data_size = data.len() as u32;
    message.head.size = message.data_offset + message.data_size;
    if has(COUNT_OFF) {
        message.num_controls = input.u32();
    }
    if has(OFFSET_OFF) {
        message.data_offset = input.u32();
    }
    if has(SIZE_OFF) {
        message.data_size = input.u32();
    }
    [message.as_bytes(), &controls, data].concat()
}

/// A frame, with everything as it should be or as it comes.
fn frame(input: &mut Input<'_>, off: bool, message: &mut DecodeMessage) {
    let format = input.choice(&FORMATS);
    message.pixelformat = u32::from_le_bytes(*format);
    (message.width, message.height) = (input.u16().into(), input.u16().into());
    if off {
        message.num_buffers = input.u32();
        let pair = |input: &mut Input<'_>| [input.u32(), input.u32()];
        message.buffer_size = pair(input);
        message.pitch = pair(input);
        message.offset = pair(input);
        return;
    }
    let sample = if format == b"P010" { 2 } else { 1 };
    let pitch = (message.width.next_multiple_of(2) * sample).next_multiple_of(PITCH);
    // What is too large to be said is no frame anyway.
    let luma = pitch.wrapping_mul(message.height);
    let chroma = pitch.wrapping_mul(message.height.div_ceil(2));
    message.pitch = [pitch; 2];
    if format == b"NM12" {
        message.num_buffers = 2;
        message.buffer_size = [luma, chroma];
    } else {
        message.num_buffers = 1;
        message.buffer_size = [luma.wrapping_add(chroma), 0];
        message.offset = [0, luma];
    }
}

/// Writes the message that begins a session.
pub fn write_open(codec: Codec, session: u8, output: &mut Output) {
    output.u8(0);
    output.u8(session);
    output.u8(match codec {
        Codec::H264 => 0,
        Codec::Vp9 => 1,
        Codec::Av1 => 2,
    });
}

/// Writes a message of one byte beside its session: 1 close, 2 flush.
pub fn write_short(kind: u8, session: u8, output: &mut Output) {
    output.u8(kind);
    output.u8(session);
}

/// A request as [`write_request`] takes it.
pub struct Written<'a> {
    /// Its picture's name.
    pub timestamp: u64,
    /// The next request belongs to the same frame.
    pub hold_capture: bool,
    /// The controls.
    pub controls: &'a Controls,
    /// The coded bytes.
    pub data: &'a [u8],
    /// Ten bits per sample.
    pub deep: bool,
    /// In luma samples.
    pub size: (u16, u16),
}

/// Writes a request to a buffer of the same number as the picture.
pub fn write_request(session: u8, request: &Written<'_>, output: &mut Output) {
    output.u8(5);
    output.u8(session);
    output.u8(if request.hold_capture { HOLD } else { 0 });
    output.u16((request.timestamp / 1000) as u16);
    output.u8((request.timestamp / 1000) as u8);
    output.u8(request.deep.into());
    output.u16(request.size.0);
    output.u16(request.size.1);
    let values: Vec<(u8, &[u8])> = match request.controls {
        Controls::H264(c) => vec![
            (0, c.sps.as_bytes()),
            (1, c.pps.as_bytes()),
            (2, c.scaling_matrix.as_bytes()),
            (3, c.decode_params.as_bytes()),
        ],
        Controls::Vp9(c) => {
            vec![(4, c.frame.as_bytes()), (5, c.compressed_hdr.as_bytes())]
        }
        Controls::Av1(c) => vec![
            (6, c.sequence.as_bytes()),
            (7, c.frame.as_bytes()),
            (8, c.film_grain.as_bytes()),
            (TILES, c.tiles.as_bytes()),
        ],
    };
    output.u8(values.len() as u8);
    for (index, value) in values {
        output.u8(index);
        // The number of tiles is in their bytes.
        if index == TILES { output.block(value) } else { output.padded(value) }
    }
    output.block(request.data);
}
