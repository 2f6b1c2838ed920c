//! Stateful software decoders behind one face: bytes with a number in, pictures with that number out.

use crate::{Result, frame::Planar};

pub(crate) mod av1;
pub(crate) mod ffmpeg;

/// A finished picture, or why there is none.
pub(crate) struct Output {
    /// The number that was sent with the bytes.
    pub id: u64,
    /// The picture as it is (AV1: without film grain).
    pub picture: Result<Decoded>,
}

/// The pictures of one coded frame.
pub(crate) struct Decoded {
    /// The samples. AV1: before film grain.
    pub planar: Box<dyn Planar>,
    /// AV1 with apply_grain: the same picture with film grain.
    pub grained: Option<Box<dyn Planar>>,
    /// What is known about damage; `None` for a clean picture.
    pub damage: Option<String>,
}

/// A stateful decoder. Pictures are identified by the number of the packet that coded them, never by
/// the decoder's output order. One packet is one coded picture (both fields of a field pair together).
pub(crate) trait Decoder: Send {
    /// Feeds one picture. Pictures that are finished by now, this one or earlier ones, go to `out` in
    /// decode order. Each id appears exactly once over the decoder's life.
    fn send(&mut self, id: u64, packet: &[u8], out: &mut Vec<Output>);

    /// Finishes everything fed so far without losing decoder state.
    fn drain(&mut self, out: &mut Vec<Output>);

    /// Forgets all references, as after a seek. Anything unfinished is drained first.
    fn reset(&mut self, out: &mut Vec<Output>);
}
