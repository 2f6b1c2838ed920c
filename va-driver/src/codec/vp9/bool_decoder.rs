//! The bool decoder, VP9 section 9.2.

use crate::error::{Error, Result};

/// Reads arithmetic-coded bools. Names follow the specification.
pub(super) struct BoolDecoder<'a> {
    data: &'a [u8],
    /// Bits of `data` that were shifted into `value`.
    position: usize,
    value: u32,
    range: u32,
}

impl<'a> BoolDecoder<'a> {
    /// `init_bool(sz)`, section 9.2.1, over all of `data`.
    pub(super) fn new(data: &'a [u8]) -> Result<Self> {
        let Some(first) = data.first() else {
            return Err(Error::Decoding("VP9: empty compressed header".into()));
        };
        let mut decoder = BoolDecoder { data, position: 8, value: u32::from(*first), range: 255 };
        if decoder.bool(128) {
            return Err(Error::Decoding("VP9: marker bit of the compressed header".into()));
        }
        Ok(decoder)
    }

    /// `read_bool(p)`, section 9.2.2. Beyond the end of the data zeros are read.
    pub(super) fn bool(&mut self, p: u8) -> bool {
        let split = 1 + (((self.range - 1) * u32::from(p)) >> 8);
        let bool = self.value >= split;
        if bool {
            self.range -= split;
            self.value -= split;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range *= 2;
            self.value = self.value << 1 | self.next_bit();
        }
        bool
    }

    /// `read_literal(n)`, section 9.2.4.
    pub(super) fn literal(&mut self, n: u32) -> u8 {
        (0..n).fold(0, |x, _| x << 1 | u8::from(self.bool(128)))
    }

    fn next_bit(&mut self) -> u32 {
        let byte = self.data.get(self.position / 8).copied().unwrap_or(0);
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        u32::from(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_marker_bit_is_refused() {
        assert!(BoolDecoder::new(&[0xff, 0xff]).is_err());
        assert!(BoolDecoder::new(&[]).is_err());
        assert!(BoolDecoder::new(&[0x7f]).is_ok());
    }

    #[test]
    fn half_probability_bools_are_the_bits_of_a_literal() {
        // With p = 128 and a range that stays 128 after the marker, the data's bits come out in turn.
        let mut decoder = BoolDecoder::new(&[0b0101_1001, 0b1000_0000]).unwrap();
        assert_eq!(decoder.literal(7), 0b101_1001);
    }

    #[test]
    fn reading_beyond_the_end_yields_zeros() {
        let mut decoder = BoolDecoder::new(&[0]).unwrap();
        assert!((0..1000).all(|_| !decoder.bool(1)));
    }
}
