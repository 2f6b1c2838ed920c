//! H.264.

use libva_sys as va;

use super::{Ancestry, Draft, Picture, Translator};
use crate::error::{Error, Result};

/// VA's H.264 buffers → requests.
pub struct H264Translator {}

impl H264Translator {
    /// A translator for a new stream.
    pub fn new(_profile: va::VAProfile) -> Self {
        H264Translator {}
    }
}

impl Translator for H264Translator {
    fn picture(&mut self, _picture: &Picture<'_>, _ready: &mut Vec<Draft>) -> Result<()> {
        Err(Error::Unimplemented("H.264"))
    }

    fn commit(&mut self, _ready: &mut Vec<Draft>) {}
}

/// See [`super::ancestry`].
pub(super) fn ancestry(_picture: &Picture<'_>) -> Result<Ancestry> {
    Err(Error::Unimplemented("H.264"))
}
