//! Controls and slice data → a bitstream that a stateful decoder understands.
//!
//! Writers follow the specifications' syntax tables, in their order and with their names.

pub(crate) mod av1;
pub(crate) mod h264;
pub(crate) mod vp9;

use daedalus_uapi::{Codec, Controls};

use crate::Result;

/// What there is to know about a request beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Forget all references first: the request starts anew where the bitstream alone does not say so.
    pub reset: bool,
    /// H.264: the request is the second field of the frame whose first field was written last.
    pub second_field: bool,
    /// H.264: the request is a field that may be the first one of its frame.
    pub first_field: Option<Parity>,
    /// Neither this picture nor a later one refers to one before it. Not told for AV1.
    pub key: bool,
    /// Slices or tile columns, which can be decoded beside each other. Not told for AV1.
    pub parts: usize,
}

/// Which rows of a frame a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// The even rows, from 0.
    Top,
    /// The odd rows.
    Bottom,
}

/// Writes the bitstream of one session, request after request.
pub trait Writer: Send {
    /// Appends the bytes of one request, which later ones name by `timestamp`, to `packet`. On error
    /// nothing may be sent to the decoder for it; the writer stays usable for the next request.
    fn write(
        &mut self,
        timestamp: u64,
        controls: &Controls,
        data: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<Step>;
}

/// The writer for a new session.
pub fn writer(codec: Codec) -> Box<dyn Writer> {
    match codec {
        Codec::H264 => Box::new(h264::H264Writer::new()),
        Codec::Vp9 => Box::new(vp9::Vp9Writer::new()),
        Codec::Av1 => Box::new(av1::Av1Writer::new()),
    }
}
