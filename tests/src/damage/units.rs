//! Coded streams as the units that get lost or damaged on their way: NAL units, frames of VP9, OBUs.

use crate::obu;
use crate::stream::Codec;

/// Bytes of an IVF file before its first frame, and of each frame before its data.
const IVF_HEADER: usize = 32;
const IVF_FRAME: usize = 12;

/// What is carried together.
pub type Packet = Vec<Vec<u8>>;

/// A stream taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// The coded format.
    pub codec: Codec,
    /// Before the first packet.
    header: Vec<u8>,
    /// H.264: a NAL unit. VP9: a frame, or several with an index behind them. AV1: the OBUs of a temporal unit.
    pub packets: Vec<Packet>,
}

impl Coded {
    /// Takes a byte stream (H.264, Annex B) or an IVF file apart.
    pub fn parse(codec: Codec, file: &[u8]) -> Result<Coded, String> {
        if codec == Codec::H264 {
            let packets = nal_units(file).into_iter().map(|unit| vec![unit.to_vec()]).collect();
            return Ok(Coded { codec, header: Vec::new(), packets });
        }
        let (header, mut rest) = file.split_at_checked(IVF_HEADER).ok_or("no IVF file")?;
        let mut packets = Vec::new();
        while let Some((frame, more)) = rest.split_at_checked(IVF_FRAME) {
            let length = frame.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
            let (data, after) = more.split_at_checked(length).ok_or("an IVF file cut short")?;
            rest = after;
            packets.push(match codec {
                Codec::Av1 => obus(data)?,
                Codec::H264 | Codec::Vp9 => vec![data.to_vec()],
            });
        }
        Ok(Coded { codec, header: header.to_vec(), packets })
    }

    /// The file again.
    pub fn write(&self) -> Vec<u8> {
        let mut file = self.header.clone();
        for (number, packet) in self.packets.iter().enumerate() {
            let data = packet.concat();
            if self.codec == Codec::H264 {
                file.extend([0, 0, 0, 1]);
            } else {
                file.extend((data.len() as u32).to_le_bytes());
                file.extend((number as u64).to_le_bytes());
            }
            file.extend(data);
        }
        file
    }

    /// Only the packets from number `first` on.
    pub fn from(&self, first: usize) -> Coded {
        Coded { packets: self.packets[first..].to_vec(), ..self.clone() }
    }

    /// The number of the packet with which the last part begins that needs nothing of before.
    pub fn last_key(&self) -> Option<usize> {
        let begins = |packet: &Packet| match self.codec {
            // A sequence parameter set: these streams have one before each IDR picture, and nothing in front of it.
            Codec::H264 => packet[0].first().is_some_and(|byte| byte & 0x1f == 7),
            // Neither show_existing_frame nor frame_type is set (VP9 6.2), in profiles 0 to 2.
            Codec::Vp9 => packet[0].first().is_some_and(|byte| byte & 0x0c == 0),
            Codec::Av1 => packet.iter().any(|unit| unit[0] >> 3 & 0x0f == obu::SEQUENCE_HEADER),
        };
        self.packets.iter().rposition(begins)
    }
}

/// What is between start codes (H.264, Annex B).
fn nal_units(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let next = |bytes: &[u8]| bytes.windows(3).position(|code| code == [0, 0, 1]);
    while let Some(start) = next(bytes) {
        bytes = &bytes[start + 3..];
        let end = next(bytes).unwrap_or(bytes.len());
        let unit = &bytes[..end];
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        units.push(&unit[..length]);
        bytes = &bytes[end..];
    }
    units.retain(|unit| !unit.is_empty());
    units
}

/// The OBUs of a temporal unit, each with its header and size.
fn obus(unit: &[u8]) -> Result<Packet, String> {
    let all = obu::low_overhead(unit).map_err(|e| e.to_string())?;
    let write = |obu: &obu::Obu<'_>| {
        let mut bytes = Vec::new();
        obu::write(obu, &mut bytes);
        bytes
    };
    Ok(all.iter().map(write).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_stream_is_cut_at_start_codes() {
        let file =
            [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 2, 3, 0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x41, 9];
        let coded = Coded::parse(Codec::H264, &file).unwrap();
        let units: Vec<&[u8]> = coded.packets.iter().map(|packet| &packet[0][..]).collect();
        assert_eq!(units, [&[0x67, 1][..], &[0x65, 2, 3], &[0x67], &[0x41, 9]]);
        assert_eq!(coded.last_key(), Some(2));
        assert_eq!(Coded::parse(Codec::H264, &coded.write()), Ok(coded));
    }

    #[test]
    fn an_ivf_file_comes_together_again() {
        let mut file = vec![7; IVF_HEADER];
        // A key frame, one that is not, one that shows another.
        for (number, frame) in [&[0x82, 1, 2][..], &[0x86], &[0x88]].into_iter().enumerate() {
            file.extend((frame.len() as u32).to_le_bytes());
            file.extend((number as u64).to_le_bytes());
            file.extend(frame);
        }
        let coded = Coded::parse(Codec::Vp9, &file).unwrap();
        assert_eq!(coded.write(), file);
        assert_eq!(coded.last_key(), Some(0));
        assert_eq!(coded.from(1).packets, [vec![vec![0x86]], vec![vec![0x88]]]);
        assert!(Coded::parse(Codec::Vp9, &file[..file.len() - 1]).is_err());
    }
}
