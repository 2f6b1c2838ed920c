//! AV1 files in the length-delimited format (AV1 specification, Annex B) made into IVF, with a choice
//! of which OBUs stay.

/// `obu_type` of a sequence header.
pub const SEQUENCE_HEADER: u8 = 1;

/// `obu_type` of a frame header.
pub const FRAME_HEADER: u8 = 3;

/// `obu_type` of a frame header and of a frame, which begins with its header.
const FRAMES: [u8; 2] = [FRAME_HEADER, 6];

/// `obu_type` of metadata: nothing in it takes part in decoding (6.7.1).
pub const METADATA: u8 = 5;

/// One open bitstream unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'d> {
    /// `obu_type` (6.2.2).
    pub kind: u8,
    /// `temporal_id` and `spatial_id` as coded, if there is an extension header.
    pub extension: Option<u8>,
    /// What follows the header and the size.
    pub payload: &'d [u8],
}

/// Why a file is not in the length-delimited format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A size goes beyond what encloses it.
    #[error("a unit is longer than what holds it")]
    TooShort,
    /// A leb128() of more than eight bytes or 32 bits (4.10.5).
    #[error("a size cannot be read")]
    Size,
    /// `obu_forbidden_bit` is set.
    #[error("an OBU header has its forbidden bit set")]
    Forbidden,
}

/// The OBUs of each temporal unit (`temporal_unit( sz )` in B.2).
pub fn temporal_units(mut file: &[u8]) -> Result<Vec<Vec<Obu<'_>>>, Error> {
    let mut units = Vec::new();
    while !file.is_empty() {
        let mut unit = sized(&mut file)?;
        let mut obus = Vec::new();
        while !unit.is_empty() {
            let mut frame = sized(&mut unit)?;
            while !frame.is_empty() {
                obus.push(obu(sized(&mut frame)?)?);
            }
        }
        units.push(obus);
    }
    Ok(units)
}

/// The OBUs of a temporal unit in the low-overhead format (5.2), each of which has a size.
pub fn low_overhead(mut unit: &[u8]) -> Result<Vec<Obu<'_>>, Error> {
    let mut obus = Vec::new();
    while !unit.is_empty() {
        let header = byte(&mut unit)?;
        if header & 0x80 != 0 {
            return Err(Error::Forbidden);
        }
        let extension = if header & 0x04 != 0 { Some(byte(&mut unit)?) } else { None };
        if header & 0x02 == 0 {
            return Err(Error::Size);
        }
        obus.push(Obu { kind: header >> 3 & 0x0f, extension, payload: sized(&mut unit)? });
    }
    Ok(obus)
}

/// `open_bitstream_unit( sz )` (5.3.1).
fn obu(mut rest: &[u8]) -> Result<Obu<'_>, Error> {
    let header = byte(&mut rest)?;
    if header & 0x80 != 0 {
        return Err(Error::Forbidden);
    }
    let extension = if header & 0x04 != 0 { Some(byte(&mut rest)?) } else { None };
    let has_size_field = header & 0x02 != 0;
    let payload = if has_size_field { sized(&mut rest)? } else { rest };
    Ok(Obu { kind: header >> 3 & 0x0f, extension, payload })
}

fn byte(rest: &mut &[u8]) -> Result<u8, Error> {
    let (first, others) = rest.split_first().ok_or(Error::TooShort)?;
    *rest = others;
    Ok(*first)
}

/// A leb128() and as many bytes as it says.
fn sized<'d>(rest: &mut &'d [u8]) -> Result<&'d [u8], Error> {
    let mut size = 0_u64;
    for i in 0..8 {
        let next = byte(rest)?;
        size |= u64::from(next & 0x7f) << (7 * i);
        if next & 0x80 == 0 {
            let size = u32::try_from(size).map_err(|_| Error::Size)? as usize;
            let (inside, others) = rest.split_at_checked(size).ok_or(Error::TooShort)?;
            *rest = others;
            return Ok(inside);
        }
    }
    Err(Error::Size)
}

/// `units` in pieces that decode on their own: a coded video sequence begins with a sequence header and
/// a key frame that is shown (7.5).
pub fn sequences<'u, 'd>(units: &'u [Vec<Obu<'d>>]) -> Vec<&'u [Vec<Obu<'d>>]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, unit) in units.iter().enumerate() {
        let mut obus = unit.iter();
        let begins = obus.any(|obu| obu.kind == SEQUENCE_HEADER)
            && obus.find(|obu| FRAMES.contains(&obu.kind)).is_some_and(is_shown_key_frame);
        if begins && at > start {
            pieces.push(&units[start..at]);
            start = at;
        }
    }
    pieces.push(&units[start..]);
    pieces
}

/// `uncompressed_header()` (5.9.2) begins with show_existing_frame = 0, frame_type = KEY_FRAME (two bits)
/// and show_frame = 1, unless the sequence is a still picture.
fn is_shown_key_frame(obu: &Obu<'_>) -> bool {
    obu.payload.first().is_some_and(|first| first >> 4 == 0b0001)
}

/// An IVF file with one frame per temporal unit, each OBU with its size (the low-overhead format).
/// Its header gives no picture size: decoders take that from the sequence header.
pub fn ivf(units: &[Vec<Obu<'_>>]) -> Vec<u8> {
    let mut file = b"DKIF\0\0\x20\0AV01\0\0\0\0".to_vec();
    for field in [30_u32, 1, length(units), 0] {
        file.extend(field.to_le_bytes());
    }
    for (time, obus) in units.iter().enumerate() {
        let mut unit = Vec::new();
        obus.iter().for_each(|obu| write(obu, &mut unit));
        file.extend(length(&unit).to_le_bytes());
        file.extend((time as u64).to_le_bytes());
        file.extend(unit);
    }
    file
}

/// Appends an OBU with its size.
pub fn write(obu: &Obu<'_>, to: &mut Vec<u8>) {
    to.push(obu.kind << 3 | u8::from(obu.extension.is_some()) << 2 | 0x02);
    to.extend(obu.extension);
    let mut size = length(obu.payload);
    while size > 0x7f {
        to.push(size as u8 | 0x80);
        size >>= 7;
    }
    to.push(size as u8);
    to.extend(obu.payload);
}

fn length<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).expect("a test stream is far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A temporal delimiter, then a frame of two OBUs: one without a size, one with an extension and
    /// a size that is longer than needed.
    const FILE: [u8; 17] =
        [16, 2, 1, 0x10, 12, 3, 0x28, 7, 8, 7, 0x36, 0x40, 0x82, 0x80, 0x00, 9, 10];

    #[test]
    fn nested_sizes_are_taken_apart() {
        let obu = |kind, extension, payload| Obu { kind, extension, payload };
        let expected = vec![vec![
            obu(2, None, &[][..]),
            obu(METADATA, None, &[7, 8][..]),
            obu(6, Some(0x40), &[9, 10][..]),
        ]];
        assert_eq!(temporal_units(&FILE), Ok(expected));
    }

    #[test]
    fn each_obu_of_an_ivf_frame_has_its_size() {
        let mut units = temporal_units(&FILE).unwrap();
        units[0].retain(|obu| obu.kind != METADATA);
        let ivf = ivf(&units);
        assert_eq!(&ivf[..12], b"DKIF\0\0\x20\0AV01");
        assert_eq!(ivf[32..36], [7, 0, 0, 0]);
        assert_eq!(ivf[44..], [0x12, 0, 0x36, 0x40, 2, 9, 10]);
        assert_eq!(low_overhead(&ivf[44..]).as_ref(), Ok(&units[0]));
        assert_eq!(low_overhead(&[0x10]), Err(Error::Size), "a delimiter without a size");
    }

    #[test]
    fn a_sequence_begins_with_a_header_and_a_shown_key_frame() {
        let obu = |kind, payload| Obu { kind, extension: None, payload };
        let header = obu(SEQUENCE_HEADER, &[0][..]);
        let (key, hidden_key, inter) =
            (obu(6, &[0x10][..]), obu(3, &[0x00][..]), obu(6, &[0x30][..]));
        let begins = [vec![header, key]];
        let others = [vec![header, inter, key], vec![header, hidden_key], vec![key], vec![inter]];
        let units = [&begins[..], &others, &begins, &others].concat();
        assert_eq!(sequences(&units), [&units[..5], &units[5..]]);
        assert_eq!(sequences(&others), [&others[..]]);
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        for end in 1..FILE.len() {
            assert_eq!(temporal_units(&FILE[..end]), Err(Error::TooShort), "{end} bytes");
        }
        assert_eq!(temporal_units(&[0x80; 9]), Err(Error::Size));
        assert_eq!(temporal_units(&[3, 2, 1, 0x90]), Err(Error::Forbidden));
    }
}
