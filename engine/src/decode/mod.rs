//! Stateful software decoders behind one face: bytes with a number in, pictures with that number out.

use crate::{
    Result,
    frame::{Planar, PlanarView},
    reconstruct::Parity,
};

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

/// One coded picture, both fields of a field pair together where they come together.
#[derive(Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// The picture's number. It grows from packet to packet; only a second field that comes by itself has
    /// that of its first field.
    pub id: u64,
    /// The coded bytes.
    pub bytes: &'a [u8],
    /// H.264: all of it is a field whose second field may follow as a packet of its own.
    pub first_field: Option<Parity>,
    /// See [`Step::key`](crate::reconstruct::Step).
    pub key: bool,
    /// See [`Step::parts`](crate::reconstruct::Step).
    pub parts: usize,
    /// Its request came before the picture before it was decoded, or, of the first one, another came before
    /// anybody waited for it: the client works ahead.
    pub queued: bool,
    /// Luma samples of the largest picture that may be decoded. It does not shrink from packet to packet.
    pub largest: u64,
}

#[cfg(test)]
impl<'a> Packet<'a> {
    /// A packet that is no first field, with a picture of any size.
    pub fn plain(id: u64, bytes: &'a [u8]) -> Packet<'a> {
        Packet {
            id,
            bytes,
            first_field: None,
            key: false,
            parts: 1,
            queued: false,
            largest: u64::MAX,
        }
    }
}

/// A stateful decoder. Pictures are identified by the number of the packet that coded them, never by
/// the decoder's output order.
pub(crate) trait Decoder: Send {
    /// Feeds one picture. Pictures that are finished by now, this one or earlier ones, go to `out` in
    /// decode order. Each packet is answered exactly once.
    fn send(&mut self, packet: Packet<'_>, out: &mut Vec<Output>);

    /// Finishes at least what was fed up to the picture `last`, without losing decoder state.
    fn finish(&mut self, last: u64, out: &mut Vec<Output>);

    /// Does the same, and shows the picture `last` from top to bottom while it is being decoded, if that is
    /// possible: each time the number of the first row, an even one, and some rows from there on.
    fn finish_in_view(
        &mut self,
        last: u64,
        _show: &mut dyn FnMut(usize, &PlanarView<'_>),
        out: &mut Vec<Output>,
    ) {
        self.finish(last, out);
    }

    /// A picture is complete when it has been sent, and the caller's thread decodes it, with others or alone. As long as
    /// this is so, it can as well be another thread.
    fn is_prompt(&self) -> bool {
        false
    }

    /// Forgets all references, as after a seek. Anything unfinished is finished first.
    fn reset(&mut self, out: &mut Vec<Output>);
}
