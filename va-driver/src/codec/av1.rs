//! AV1.

use super::{Ancestry, Draft, Picture, Translator};
use crate::error::{Error, Result};

/// VA's AV1 buffers → requests.
pub struct Av1Translator {}

impl Av1Translator {
    /// A translator for a new stream.
    pub fn new() -> Self {
        Av1Translator {}
    }
}

impl Translator for Av1Translator {
    fn picture(&mut self, _picture: &Picture<'_>, _ready: &mut Vec<Draft>) -> Result<()> {
        Err(Error::Unimplemented("AV1"))
    }

    fn commit(&mut self, _ready: &mut Vec<Draft>) {}
}

/// See [`super::ancestry`].
pub(super) fn ancestry(_picture: &Picture<'_>) -> Result<Ancestry> {
    Err(Error::Unimplemented("AV1"))
}
