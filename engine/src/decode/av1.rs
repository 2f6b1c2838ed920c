//! AV1 through the C API of libdav1d or rav1d.

use daedalus_uapi::Codec;

use super::{Decoder, Output};
use crate::{Error, Result};

/// An AV1 decoder.
pub(crate) struct Av1Decoder {}

impl Av1Decoder {
    pub(crate) fn new(_threads: usize) -> Result<Self> {
        Err(Error::Setup { codec: Codec::Av1, what: "not written yet".into() })
    }
}

impl Decoder for Av1Decoder {
    fn send(&mut self, _id: u64, _packet: &[u8], _out: &mut Vec<Output>) {}
    fn drain(&mut self, _out: &mut Vec<Output>) {}
    fn reset(&mut self, _out: &mut Vec<Output>) {}
}
