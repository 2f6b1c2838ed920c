//! Sequence headers without timing_info(), which cros-codecs 0.0.6 cannot read: it has numbers of 32 bits.
//! No control has anything of it.

use bitstream_io::{BigEndian, BitRead, BitReader, BitWrite, BitWriter};

/// The payload of a sequence header OBU (5.5) without timing information; `None` if it has none. Fails if
/// a decoder model goes with it, since frame headers depend on that.
pub fn left_out(payload: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let without = || -> std::io::Result<Option<Vec<u8>>> {
        let mut r = BitReader::endian(payload, BigEndian);
        let mut w = BitWriter::endian(Vec::new(), BigEndian);
        // seq_profile, still_picture, reduced_still_picture_header
        let start: u8 = r.read::<5, u8>()?;
        let reduced_still_picture_header = start & 1 != 0;
        if reduced_still_picture_header || !r.read_bit()? {
            return Ok(None);
        }
        // num_units_in_display_tick, time_scale
        r.skip(64)?;
        let equal_picture_interval = r.read_bit()?;
        if equal_picture_interval {
            // num_ticks_per_picture_minus_1: uvlc()
            let zeros = r.read_unary::<1>()?;
            r.skip(zeros)?;
        }
        let decoder_model_info_present_flag = r.read_bit()?;
        if decoder_model_info_present_flag {
            return Err(std::io::Error::other("a sequence header with a decoder model"));
        }
        w.write::<5, u8>(start)?;
        // timing_info_present_flag
        w.write_bit(false)?;
        while let Ok(bit) = r.read_bit() {
            w.write_bit(bit)?;
        }
        w.byte_align()?;
        Ok(Some(w.into_writer()))
    };
    without().map_err(|e| e.to_string())
}
