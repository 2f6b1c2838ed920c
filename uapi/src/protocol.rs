//! The protocol of `/dev/daedalus`, as `kmod/uapi/daedalus.h` has it: how the kernel module and the
//! daemon talk. The header is the reference; `tests/protocol_header.rs` compares the two.
//!
//! The daemon's side of it is [`Message::read`], which turns the bytes of one message into checked values.

mod controls;
mod frame;
mod message;

use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use frame::{Frame, FrameFormat, Plane};
pub use message::{Decode, Flaw, Message};

/// `DAEDALUS_PROTOCOL_VERSION`.
pub const VERSION: u32 = 1;

/// The type of the ioctls (`_IOC_TYPE`).
pub const IOC_TYPE: u8 = b'D';
/// The number of `DAEDALUS_IOC_ATTACH`, which reads and writes [`Attach`].
pub const IOC_ATTACH: u8 = 0;
/// The number of `DAEDALUS_IOC_GET_BUFFER`, which reads and writes [`GetBuffer`].
pub const IOC_GET_BUFFER: u8 = 1;
/// The number of `DAEDALUS_IOC_COMPLETE`, which writes [`Complete`].
pub const IOC_COMPLETE: u8 = 2;

/// `DAEDALUS_CODEC_H264`.
pub const CODEC_H264: u32 = 0x1;
/// `DAEDALUS_CODEC_VP9`.
pub const CODEC_VP9: u32 = 0x2;
/// `DAEDALUS_CODEC_AV1`.
pub const CODEC_AV1: u32 = 0x4;

/// `DAEDALUS_MSG_OPEN`.
pub const MSG_OPEN: u32 = 1;
/// `DAEDALUS_MSG_CLOSE`.
pub const MSG_CLOSE: u32 = 2;
/// `DAEDALUS_MSG_FLUSH`.
pub const MSG_FLUSH: u32 = 3;
/// `DAEDALUS_MSG_FORGET`.
pub const MSG_FORGET: u32 = 4;
/// `DAEDALUS_MSG_DECODE`.
pub const MSG_DECODE: u32 = 5;

/// `DAEDALUS_DECODE_HOLD`.
pub const DECODE_HOLD: u32 = 0x1;
/// `DAEDALUS_MAX_PLANES`.
pub const MAX_PLANES: usize = 2;

/// `DAEDALUS_STATUS_OK`.
pub const STATUS_OK: u32 = 0;
/// `DAEDALUS_STATUS_DAMAGED`.
pub const STATUS_DAMAGED: u32 = 1;
/// `DAEDALUS_STATUS_FAILED`.
pub const STATUS_FAILED: u32 = 2;

/// `struct daedalus_attach`: what a daemon can do.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Attach {
    pub version: u32,
    /// `CODEC_*` bits.
    pub codecs: u32,
    /// Those of `codecs` that also decode 10 bits per sample.
    pub codecs_10bit: u32,
    pub max_width: u32,
    pub max_height: u32,
    /// Written by the module: the most bytes that one read() returns.
    pub message_size: u32,
    pub reserved: [u32; 10],
}

/// `struct daedalus_message`: the beginning of every message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Head {
    /// `MSG_*`.
    pub kind: u32,
    /// Of the whole message in bytes.
    pub size: u32,
    pub session: u64,
}

/// `struct daedalus_open`: a session begins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct OpenMessage {
    pub head: Head,
    /// One of `CODEC_*`.
    pub codec: u32,
    pub uid: u32,
    pub pid: u32,
    pub reserved: u32,
}

/// `struct daedalus_forget`: a capture buffer goes away.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct ForgetMessage {
    pub head: Head,
    pub buffer: u64,
}

/// `struct daedalus_decode`: one request. Controls and coded data follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct DecodeMessage {
    pub head: Head,
    pub cookie: u64,
    pub timestamp: u64,
    pub buffer: u64,
    /// `DECODE_*` bits.
    pub flags: u32,
    /// `V4L2_PIX_FMT_*`.
    pub pixelformat: u32,
    pub width: u32,
    pub height: u32,
    pub num_buffers: u32,
    pub buffer_size: [u32; MAX_PLANES],
    pub pitch: [u32; MAX_PLANES],
    pub offset: [u32; MAX_PLANES],
    pub num_controls: u32,
    pub data_offset: u32,
    pub data_size: u32,
    pub reserved: [u32; 2],
}

/// `struct daedalus_control`: one control; its value follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct ControlHead {
    /// `V4L2_CID_STATELESS_*`.
    pub id: u32,
    /// Bytes of the value.
    pub size: u32,
}

/// `struct daedalus_get_buffer`: asks for a dma-buf of a request's capture buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct GetBuffer {
    pub session: u64,
    pub cookie: u64,
    /// Which dma-buf, below `DecodeMessage::num_buffers`.
    pub index: u32,
    /// Written by the module: a new file descriptor.
    pub fd: i32,
}

/// `struct daedalus_complete`: gives a request back.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[allow(missing_docs)]
pub struct Complete {
    pub session: u64,
    pub cookie: u64,
    /// `STATUS_*`.
    pub status: u32,
    pub reserved: u32,
}
