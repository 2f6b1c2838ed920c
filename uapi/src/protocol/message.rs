//! One message, checked.

use zerocopy::FromBytes;

use super::{
    CODEC_AV1, CODEC_H264, CODEC_VP9, DECODE_HOLD, DecodeMessage, ForgetMessage, Frame, Head,
    MSG_CLOSE, MSG_DECODE, MSG_FLUSH, MSG_FORGET, MSG_OPEN, OpenMessage, controls,
};
use crate::{Codec, Controls};

/// What the module says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A session begins.
    Open {
        /// Its number.
        session: u64,
        /// What it decodes.
        codec: Codec,
        /// The client's user id.
        uid: u32,
        /// The client's process id; 0 if it has none here.
        pid: u32,
    },
    /// A session ends.
    Close {
        /// Its number.
        session: u64,
    },
    /// The client has taken back what it had queued.
    Flush {
        /// Whose client.
        session: u64,
    },
    /// A capture buffer goes away.
    Forget {
        /// Whose buffer.
        session: u64,
        /// Its number.
        buffer: u64,
    },
    /// A request.
    Decode(Decode<'a>),
}

/// One request: whatever of it can be told. A flaw in one part does not spoil the other: without a frame
/// the picture can still be decoded for those that refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decode<'a> {
    /// Whose request.
    pub session: u64,
    /// Names the request in answers to the module.
    pub cookie: u64,
    /// Names the picture in later requests.
    pub timestamp: u64,
    /// The next request belongs to the same frame.
    pub hold_capture: bool,
    /// Names the memory of the frame within the session.
    pub buffer: u64,
    /// Where the picture goes.
    pub frame: Result<Frame, Flaw>,
    /// What it is made of: controls and coded bytes.
    pub coded: Result<(Controls, &'a [u8]), Flaw>,
    /// Ids of controls that were passed over.
    pub unknown_controls: Vec<u32>,
}

/// What is wrong with a message.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Flaw {
    #[error("{0} bytes are too few")]
    Short(usize),
    #[error("{got} bytes, and it says {said}")]
    Length { got: usize, said: u32 },
    #[error("type {0} is unknown")]
    Kind(u32),
    #[error("codec {0:#x} is unknown")]
    Codec(u32),
    #[error("flags {0:#x} are unknown")]
    Flags(u32),
    #[error("pixel format {0:#010x} is unknown")]
    PixelFormat(u32),
    #[error("{got} dma-bufs, expected {expected}")]
    Buffers { got: u32, expected: usize },
    #[error("a frame of {width}x{height}")]
    Size { width: u32, height: u32 },
    #[error("{rows} rows of {row} bytes, pitch {pitch}, at {offset} in {size} bytes")]
    Plane { rows: u32, row: u64, pitch: u32, offset: u32, size: u32 },
    #[error("coded data: {size} bytes at {offset}")]
    Data { offset: u32, size: u32 },
    #[error("the controls reach beyond their end")]
    ControlsEnd,
    #[error("no control of any codec")]
    NoControls,
    #[error("controls of several codecs")]
    MixedControls,
    #[error("the control {0} is missing")]
    ControlMissing(&'static str),
    #[error("the control {0} is there twice")]
    ControlTwice(&'static str),
    #[error("the control {0} has {1} bytes, expected {2}")]
    ControlSize(&'static str, usize, usize),
    #[error("{0} other than frame-based, Annex B")]
    Mode(&'static str),
}

impl<'a> Message<'a> {
    /// Reads what one read() gave. An error means that not even what the message is about can be told.
    pub fn read(bytes: &'a [u8]) -> Result<Message<'a>, Flaw> {
        let (head, _) = Head::read_from_prefix(bytes).map_err(|_| Flaw::Short(bytes.len()))?;
        if usize::try_from(head.size) != Ok(bytes.len()) {
            return Err(Flaw::Length { got: bytes.len(), said: head.size });
        }
        let session = head.session;
        match head.kind {
            MSG_OPEN => {
                let open: OpenMessage = prefix(bytes)?;
                let codec = match open.codec {
                    CODEC_H264 => Codec::H264,
                    CODEC_VP9 => Codec::Vp9,
                    CODEC_AV1 => Codec::Av1,
                    other => return Err(Flaw::Codec(other)),
                };
                Ok(Message::Open { session, codec, uid: open.uid, pid: open.pid })
            }
            MSG_CLOSE => Ok(Message::Close { session }),
            MSG_FLUSH => Ok(Message::Flush { session }),
            MSG_FORGET => {
                let forget: ForgetMessage = prefix(bytes)?;
                Ok(Message::Forget { session, buffer: forget.buffer })
            }
            MSG_DECODE => Ok(Message::Decode(Decode::of(&prefix(bytes)?, bytes))),
            other => Err(Flaw::Kind(other)),
        }
    }
}

impl<'a> Decode<'a> {
    fn of(message: &DecodeMessage, bytes: &'a [u8]) -> Decode<'a> {
        let mut unknown_controls = Vec::new();
        let coded = coded(message, bytes, &mut unknown_controls);
        Decode {
            session: message.head.session,
            cookie: message.cookie,
            timestamp: message.timestamp,
            hold_capture: message.flags & DECODE_HOLD != 0,
            buffer: message.buffer,
            frame: Frame::of(message),
            coded,
            unknown_controls,
        }
    }
}

/// The controls and the coded bytes, which follow them.
fn coded<'a>(
    message: &DecodeMessage,
    bytes: &'a [u8],
    unknown: &mut Vec<u32>,
) -> Result<(Controls, &'a [u8]), Flaw> {
    let &DecodeMessage { flags, num_controls, data_offset: offset, data_size: size, .. } = message;
    // A flag may change what the rest means.
    if flags & !DECODE_HOLD != 0 {
        return Err(Flaw::Flags(flags));
    }
    let wrong = Flaw::Data { offset, size };
    let (start, length) = (offset as usize, size as usize);
    let end = start.checked_add(length).ok_or(wrong.clone())?;
    let data = bytes.get(start..end).ok_or(wrong.clone())?;
    let controls = bytes.get(size_of::<DecodeMessage>()..start).ok_or(wrong)?;
    Ok((controls::read(controls, num_controls, unknown)?, data))
}

fn prefix<T: FromBytes>(bytes: &[u8]) -> Result<T, Flaw> {
    T::read_from_prefix(bytes).map(|(value, _)| value).map_err(|_| Flaw::Short(bytes.len()))
}

#[cfg(test)]
mod tests;
