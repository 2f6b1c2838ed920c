//! Packets without a picture, which move libavcodec's frame threads on.
//!
//! With T threads a packet is decoded when T-1 further ones have been sent. When nothing more comes, these
//! take the place of what would: they change no state, allocate no frame and are not errors.

use bitstream_io::{BigEndian, BitRead, BitReader};
use daedalus_uapi::Codec;

/// H.264: a filler data NAL unit (type 12), behind what libavcodec knows as the mark of a packet that may
/// be without a picture.
const H264: [u8; 11] = [b'Q', b'2', b'6', b'4', 0, 0, 0, 1, 0x0c, 0xff, 0x80];

/// What to send, given what was sent so far.
pub(super) struct Filler {
    codec: Codec,
    /// VP9: a frame header that shows the picture in a reference slot again (section 6.2).
    show_existing: [u8; 1],
}

impl Filler {
    pub(super) fn new(codec: Codec) -> Filler {
        Filler { codec, show_existing: [0x88] }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self.codec {
            Codec::H264 => &H264,
            // (libavcodec does not get AV1 from this engine.)
            Codec::Vp9 | Codec::Av1 => &self.show_existing,
        }
    }

    /// Takes notice of a packet: VP9 needs the name of a slot that has a picture.
    pub(super) fn observe(&mut self, packet: &[u8]) {
        if let (Codec::Vp9, Some((&first, slot))) = (self.codec, packet.first().zip(slot(packet))) {
            // frame_marker and both profile bits as in the frame, then show_existing_frame.
            self.show_existing = [first & 0xf0 | 0x08 | slot];
        }
    }
}

/// A reference slot that a VP9 frame of profile 0 or 2 writes; `None` if there is none.
fn slot(frame: &[u8]) -> Option<u8> {
    let mut bits = BitReader::endian(frame, BigEndian);
    bits.skip(5).ok()?; // frame_marker, profile bits, show_existing_frame
    let inter = bits.read_bit().ok()?;
    let shown = bits.read_bit().ok()?;
    let error_resilient = bits.read_bit().ok()?;
    if !inter {
        return Some(0);
    }
    let intra_only = !shown && bits.read_bit().ok()?;
    if !error_resilient {
        bits.skip(2).ok()?; // reset_frame_context
    }
    if intra_only {
        bits.skip(24).ok()?; // frame_sync_code
        if frame[0] & 0x10 != 0 {
            // color_config() of profile 2: ten_or_twelve_bit, color_space, color_range unless that is RGB.
            bits.skip(1).ok()?;
            if bits.read_var::<u8>(3).ok()? != 7 {
                bits.skip(1).ok()?;
            }
        }
    }
    let refresh_frame_flags = bits.read_var::<u8>(8).ok()?;
    (refresh_frame_flags != 0).then(|| refresh_frame_flags.trailing_zeros() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a frame header, from the most significant bit on.
    fn bytes(fields: &[(u32, usize)]) -> Vec<u8> {
        let bits = fields.iter().flat_map(|(value, n)| (0..*n).rev().map(move |i| value >> i & 1));
        let bits: Vec<u32> = bits.collect();
        let byte = |bits: &[u32]| {
            bits.iter().enumerate().fold(0, |byte, (i, bit)| byte | (*bit as u8) << (7 - i))
        };
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn the_slot_is_one_that_the_frame_writes() {
        let key = [(2, 2), (0, 2), (0, 1), (0, 1), (1, 1), (0, 1)];
        assert_eq!(slot(&bytes(&key)), Some(0));
        // A shown inter frame: reset_frame_context is not there if the frame is error resilient.
        let inter = [(2, 2), (0, 2), (0, 1), (1, 1), (1, 1), (0, 1), (0, 2), (0x28, 8)];
        assert_eq!(slot(&bytes(&inter)), Some(3));
        let resilient = [(2, 2), (0, 2), (0, 1), (1, 1), (1, 1), (1, 1), (0x80, 8)];
        assert_eq!(slot(&bytes(&resilient)), Some(7));
        let nothing = [(2, 2), (0, 2), (0, 1), (1, 1), (1, 1), (1, 1), (0, 8)];
        assert_eq!(slot(&bytes(&nothing)), None);
        // Intra-only, hidden, profile 0 and 2.
        let begin = [(0, 1), (1, 1), (0, 1), (0, 1), (1, 1), (0, 2), (0x498342, 24)];
        let intra = [&[(2, 2), (0, 2)], &begin[..], &[(0x40, 8)]].concat();
        assert_eq!(slot(&bytes(&intra)), Some(6));
        let intra = [&[(2, 2), (1, 2)], &begin[..], &[(0, 1), (2, 3), (0, 1), (0x04, 8)]].concat();
        // profile_low_bit comes first: the bits of profile 2 are 0, 1.
        assert_eq!(slot(&bytes(&intra)), Some(2));
        assert_eq!(slot(&[0x82][..0]), None);
    }

    #[test]
    fn the_filler_shows_that_slot_again() {
        let mut filler = Filler::new(Codec::Vp9);
        filler.observe(&bytes(&[(2, 2), (1, 2), (0, 1), (1, 1), (1, 1), (1, 1), (0x20, 8)]));
        assert_eq!(filler.bytes(), [0x98 | 5]);
        filler.observe(&[0x94]);
        assert_eq!(filler.bytes(), [0x98 | 5], "cut off: the slot of before");
    }
}
