//! H.264: parameter sets from the controls, slices as they came.

use daedalus_uapi::{Codec, Controls};

use super::{Step, Writer};
use crate::{Error, Result};

/// Writes SPS, PPS and slices.
pub(crate) struct H264Writer {}

impl H264Writer {
    pub(crate) fn new() -> Self {
        H264Writer {}
    }
}

impl Writer for H264Writer {
    fn write(&mut self, _controls: &Controls, _data: &[u8], _packet: &mut Vec<u8>) -> Result<Step> {
        Err(Error::Unsupported { codec: Codec::H264, what: "decoding".into() })
    }
}
