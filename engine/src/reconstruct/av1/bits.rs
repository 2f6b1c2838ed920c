//! The descriptors of AV1 section 4.10, for writing. Each takes the name of the syntax element, which an
//! error repeats.

use bitstream_io::{BigEndian, BitWrite, BitWriter};
use daedalus_uapi::Codec;

use crate::{Error, Result};

/// Writes syntax elements.
pub(super) struct Bits(BitWriter<Vec<u8>, BigEndian>);

impl Bits {
    pub(super) fn new() -> Self {
        Bits(BitWriter::new(Vec::new()))
    }

    /// f(n): an unsigned number in `n` bits.
    pub(super) fn f(&mut self, name: &str, n: u32, value: impl Into<u32>) -> Result<()> {
        let value = value.into();
        if n < 32 && value >> n != 0 {
            return Err(invalid(format!("{name}: {value}")));
        }
        if n == 0 {
            return Ok(());
        }
        self.0.write_unsigned_var(n, value).map_err(|_| invalid(name.into()))
    }

    /// f(1).
    pub(super) fn flag(&mut self, name: &str, value: bool) -> Result<()> {
        self.f(name, 1, value)
    }

    /// su(n): a signed number in `n` bits.
    pub(super) fn su(&mut self, name: &str, n: u32, value: i32) -> Result<()> {
        let half = 1i32 << (n - 1);
        if !(-half..half).contains(&value) {
            return Err(invalid(format!("{name}: {value}")));
        }
        self.f(name, n, value as u32 & ((1 << n) - 1))
    }

    /// ns(n): one of `n` values.
    pub(super) fn ns(&mut self, name: &str, n: u32, value: u32) -> Result<()> {
        if value >= n {
            return Err(invalid(format!("{name}: {value} of {n}")));
        }
        let w = n.ilog2() + 1;
        let m = ((1u64 << w) - u64::from(n)) as u32;
        if value < m {
            self.f(name, w - 1, value)
        } else {
            let value = value + m;
            self.f(name, w - 1, value >> 1)?;
            self.f(name, 1, value & 1)
        }
    }

    /// byte_alignment().
    pub(super) fn byte_alignment(&mut self) {
        // Writing to a Vec does not fail.
        let _ = self.0.byte_align();
    }

    /// trailing_bits().
    pub(super) fn trailing_bits(&mut self) {
        let _ = self.0.write_bit(true);
        self.byte_alignment();
    }

    /// The bytes; whole ones after [`Bits::byte_alignment`] or [`Bits::trailing_bits`].
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// leb128(): seven bits a byte, lowest first.
pub(super) fn leb128(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// An AV1 rule that the controls break.
pub(super) fn invalid(what: String) -> Error {
    Error::Invalid { codec: Codec::Av1, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Bits)) -> Vec<u8> {
        let mut bits = Bits::new();
        write(&mut bits);
        bits.byte_alignment();
        bits.into_bytes()
    }

    #[test]
    fn ns_codes_small_values_with_one_bit_less() {
        // The example of section 4.10.7: n = 5.
        for (value, code) in
            [(0, 0b0000_0000), (1, 0b0100_0000), (2, 0b1000_0000), (3, 0b1100_0000)]
                .into_iter()
                .chain([(4, 0b1110_0000)])
        {
            assert_eq!(bytes(|b| b.ns("x", 5, value).unwrap()), [code], "{value}");
        }
        assert!(bytes(|b| b.ns("x", 1, 0).unwrap()).is_empty());
        assert!(Bits::new().ns("x", 5, 5).is_err());
        assert!(Bits::new().ns("x", 0, 0).is_err());
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        assert!(Bits::new().f("x", 3, 8u32).is_err());
        assert!(Bits::new().f("x", 0, 1u32).is_err());
        assert!(Bits::new().su("x", 7, 64).is_err());
        assert!(Bits::new().su("x", 7, -65).is_err());
        assert_eq!(bytes(|b| b.su("x", 7, -1).unwrap()), [0b1111_1110]);
    }

    #[test]
    fn leb128_continues_at_128() {
        let mut out = Vec::new();
        leb128(127, &mut out);
        leb128(128, &mut out);
        assert_eq!(out, [0x7f, 0x80, 0x01]);
    }
}
