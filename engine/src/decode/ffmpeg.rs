//! H.264 and VP9 through libavcodec.

use daedalus_uapi::Codec;

use super::{Decoder, Output};
use crate::{Error, Result};

/// A libavcodec decoder.
pub(crate) struct FfmpegDecoder {}

impl FfmpegDecoder {
    pub(crate) fn new(codec: Codec, _threads: usize) -> Result<Self> {
        Err(Error::Setup { codec, what: "not written yet".into() })
    }
}

impl Decoder for FfmpegDecoder {
    fn send(&mut self, _id: u64, _packet: &[u8], _out: &mut Vec<Output>) {}
    fn drain(&mut self, _out: &mut Vec<Output>) {}
    fn reset(&mut self, _out: &mut Vec<Output>) {}
}
