//! VP9.

use libva_sys as va;

use super::{Ancestry, Draft, Picture, Translator};
use crate::error::{Error, Result};

/// VA's VP9 buffers → requests.
pub struct Vp9Translator {}

impl Vp9Translator {
    /// A translator for a new stream.
    pub fn new(_profile: va::VAProfile) -> Self {
        Vp9Translator {}
    }
}

impl Translator for Vp9Translator {
    fn picture(&mut self, _picture: &Picture<'_>, _ready: &mut Vec<Draft>) -> Result<()> {
        Err(Error::Unimplemented("VP9"))
    }

    fn commit(&mut self, _ready: &mut Vec<Draft>) {}
}

/// See [`super::ancestry`].
pub(super) fn ancestry(_picture: &Picture<'_>) -> Result<Ancestry> {
    Err(Error::Unimplemented("VP9"))
}
