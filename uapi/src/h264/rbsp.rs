//! Reading bits of a NAL unit: emulation prevention removed, Exp-Golomb codes (sections 7.2, 7.3.1, 9.1).

use std::io::{self, Read};

use bitstream_io::{BigEndian, BitRead, BitReader};

/// Coded bytes that break the H.264 syntax. Names the syntax element or what it lacks.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct SyntaxError(pub &'static str);

/// Bytes of a NAL unit without emulation_prevention_three_byte.
struct Unescaped<'a> {
    bytes: &'a [u8],
    zeros: u8,
}

impl Read for Unescaped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let Some((&byte, rest)) = self.bytes.split_first() else { break };
            self.bytes = rest;
            if self.zeros == 2 && byte == 3 {
                self.zeros = 0;
                continue;
            }
            self.zeros = if byte == 0 { (self.zeros + 1).min(2) } else { 0 };
            buffer[filled] = byte;
            filled += 1;
        }
        Ok(filled)
    }
}

/// Reads the bits of a raw byte sequence payload out of its NAL unit.
pub struct RbspReader<'a> {
    bits: BitReader<Unescaped<'a>, BigEndian>,
    position: u32,
}

impl<'a> RbspReader<'a> {
    /// Reads `nal` from its first byte, the NAL unit header.
    pub fn new(nal: &'a [u8]) -> Self {
        RbspReader { bits: BitReader::new(Unescaped { bytes: nal, zeros: 0 }), position: 0 }
    }

    /// Bits read so far, emulation prevention bytes not counted.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// u(n), n at most 32.
    pub fn u(&mut self, n: u32) -> Result<u32, SyntaxError> {
        self.position = self.position.wrapping_add(n);
        match n {
            0 => Ok(0),
            _ => self.bits.read_var(n).map_err(|_| SyntaxError("the NAL unit ends too early")),
        }
    }

    /// u(1).
    pub fn flag(&mut self) -> Result<bool, SyntaxError> {
        Ok(self.u(1)? == 1)
    }

    /// ue(v).
    pub fn ue(&mut self) -> Result<u32, SyntaxError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(SyntaxError("an Exp-Golomb code of more than 32 bits"));
            }
        }
        // At most 2^31 - 1 + 2^31 - 1.
        Ok((1 << zeros) - 1 + self.u(zeros)?)
    }

    /// ue(v) that must not be above `max`; `what` names the element.
    pub fn ue_max(&mut self, max: u32, what: &'static str) -> Result<u32, SyntaxError> {
        let value = self.ue()?;
        if value > max { Err(SyntaxError(what)) } else { Ok(value) }
    }

    /// se(v).
    pub fn se(&mut self) -> Result<i32, SyntaxError> {
        let code = self.ue()?;
        let magnitude = u64::from(code).div_ceil(2);
        // ue() ends at 2^32 - 2, so the magnitude is below 2^31.
        Ok(if code % 2 == 1 { magnitude as i32 } else { -(magnitude as i32) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_prevention_bytes_are_not_part_of_the_payload() {
        let mut reader = RbspReader::new(&[0x65, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3]);
        let bytes: Vec<u32> = (0..9).map(|_| reader.u(8).unwrap()).collect();
        assert_eq!(bytes, [0x65, 0, 0, 1, 0, 0, 0, 0, 3]);
        assert!(reader.u(1).is_err());
    }

    #[test]
    fn exp_golomb_codes_follow_table_9_2_and_9_3() {
        // 1 010 011 00100 00101
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = RbspReader::new(&bytes);
        let codes: Vec<u32> = (0..5).map(|_| reader.ue().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        assert_eq!(reader.position(), 17);
        let mut reader = RbspReader::new(&bytes);
        let codes: Vec<i32> = (0..5).map(|_| reader.se().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn the_longest_codes_do_not_overflow() {
        let longest = [0, 0, 3, 0, 1, 0xff, 0xff, 0xff, 0xff];
        // 31 zeros, a one, 31 ones.
        assert_eq!(RbspReader::new(&longest).ue().unwrap(), u32::MAX - 1);
        assert_eq!(RbspReader::new(&longest).se().unwrap(), -i32::MAX);
        assert!(RbspReader::new(&[0, 0, 3, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff]).ue().is_err());
    }
}
