//! NAL units: finding them in a byte stream (Annex B), writing their payload bits.

use bitstream_io::{BigEndian, BitWrite, BitWriter};

/// The NAL units of a byte stream, each from its header byte on, without trailing zero bytes. Bytes
/// before the first start code are not part of any.
pub(super) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = start_code(stream, 0).map(|at| at + 3);
    std::iter::from_fn(move || {
        let start = next?;
        let end = start_code(stream, start);
        next = end.map(|at| at + 3);
        let nal = &stream[start..end.unwrap_or(stream.len())];
        let length = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..length])
    })
    .filter(|nal| !nal.is_empty())
}

/// Where the next `00 00 01` at or behind `from` begins.
fn start_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(window) = stream.get(at..at + 3) {
        match window {
            [0, 0, 1] => return Some(at),
            // No start code begins at a window whose last byte is above one, nor inside it.
            [_, _, third] if *third > 1 => at += 3,
            _ => at += 1,
        }
    }
    None
}

/// Appends `nal` to a byte stream, behind zero_byte and a start code.
pub(super) fn append_nal_unit(nal: &[u8], stream: &mut Vec<u8>) {
    stream.extend_from_slice(&[0, 0, 0, 1]);
    stream.extend_from_slice(nal);
}

/// Writes a raw byte sequence payload with the descriptors of section 7.2.
pub(super) struct RbspWriter(BitWriter<Vec<u8>, BigEndian>);

impl RbspWriter {
    pub(super) fn new() -> Self {
        RbspWriter(BitWriter::new(Vec::new()))
    }

    /// The lowest `n` bits of `value`, `n` at most 64.
    fn bits(&mut self, n: u32, value: u64) {
        let value = if n < 64 { value & ((1 << n) - 1) } else { value };
        // The value fits, and memory takes every byte.
        self.0.write_unsigned_var(n, value).expect("bits go to memory");
    }

    /// u(n): the lowest `n` bits of `value`.
    pub(super) fn u(&mut self, n: u32, value: u32) {
        self.bits(n, u64::from(value));
    }

    /// u(1).
    pub(super) fn flag(&mut self, value: bool) {
        self.bits(1, u64::from(value));
    }

    /// ue(v).
    pub(super) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        self.bits(length - 1, 0);
        self.bits(length, code);
    }

    /// se(v). [`i32::MIN`] has no code of 32 bits and becomes the value above it.
    pub(super) fn se(&mut self, value: i32) {
        let value = value.max(-i32::MAX);
        self.ue(2 * value.unsigned_abs() - u32::from(value > 0));
    }

    /// rbsp_trailing_bits(), then the NAL unit: header byte and payload with emulation prevention.
    pub(super) fn into_nal_unit(mut self, nal_ref_idc: u8, nal_unit_type: u8) -> Vec<u8> {
        self.flag(true);
        self.0.byte_align().expect("bits go to memory");
        let mut nal = vec![nal_ref_idc << 5 | nal_unit_type];
        let mut zeros = 0;
        for byte in self.0.into_writer() {
            if zeros == 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::h264::RbspReader;

    use super::*;

    #[test]
    fn start_codes_of_both_lengths_separate_nal_units() {
        let stream = [9, 0, 0, 1, 0x65, 0, 1, 0, 0, 0, 1, 0x41, 2, 0, 0, 0, 0, 1, 0, 0, 1, 0x01];
        let nals: Vec<&[u8]> = nal_units(&stream).collect();
        assert_eq!(nals, [&[0x65, 0, 1][..], &[0x41, 2], &[0x01]]);
        assert_eq!(nal_units(&[0, 0]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut writer = RbspWriter::new();
        writer.u(16, 0);
        writer.u(8, 1);
        for value in [0, 1, 7, 255, u32::MAX - 1] {
            writer.ue(value);
        }
        for value in [0, 1, -1, 300, -i32::MAX, i32::MAX] {
            writer.se(value);
        }
        let nal = writer.into_nal_unit(3, 7);
        assert!(!nal.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3), "{nal:x?}");
        let mut reader = RbspReader::new(&nal);
        assert_eq!(reader.u(8).unwrap(), 0x67);
        assert_eq!(reader.u(24).unwrap(), 1);
        for value in [0, 1, 7, 255, u32::MAX - 1] {
            assert_eq!(reader.ue().unwrap(), value);
        }
        for value in [0, 1, -1, 300, -i32::MAX, i32::MAX] {
            assert_eq!(reader.se().unwrap(), value);
        }
    }
}
