//! AV1: all headers from the controls, tiles as they came.

use daedalus_uapi::{Codec, Controls};

use super::{Step, Writer};
use crate::{Error, Result};

/// Writes temporal units.
pub(crate) struct Av1Writer {}

impl Av1Writer {
    pub(crate) fn new() -> Self {
        Av1Writer {}
    }
}

impl Writer for Av1Writer {
    fn write(&mut self, _controls: &Controls, _data: &[u8], _packet: &mut Vec<u8>) -> Result<Step> {
        Err(Error::Unsupported { codec: Codec::Av1, what: "decoding".into() })
    }
}
