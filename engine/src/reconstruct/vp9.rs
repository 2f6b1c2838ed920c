//! VP9: the frame as it came.

use daedalus_uapi::{Codec, Controls};

use super::{Step, Writer};
use crate::{Error, Result};

/// Forwards frames.
pub(crate) struct Vp9Writer {}

impl Vp9Writer {
    pub(crate) fn new() -> Self {
        Vp9Writer {}
    }
}

impl Writer for Vp9Writer {
    fn write(&mut self, _controls: &Controls, _data: &[u8], _packet: &mut Vec<u8>) -> Result<Step> {
        Err(Error::Unsupported { codec: Codec::Vp9, what: "decoding".into() })
    }
}
