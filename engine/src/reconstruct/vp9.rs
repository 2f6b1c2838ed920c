//! VP9: the frame as it came.

use daedalus_uapi::{Codec, Controls, vp9};

use super::{Step, Writer};
use crate::{Error, Result};

/// Forwards frames. A frame carries both of its headers, so that a stateful decoder needs nothing else.
pub(crate) struct Vp9Writer {}

impl Vp9Writer {
    pub(crate) fn new() -> Self {
        Vp9Writer {}
    }
}

impl Writer for Vp9Writer {
    fn write(
        &mut self,
        _timestamp: u64,
        controls: &Controls,
        data: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<Step> {
        let Controls::Vp9(controls) = controls else {
            return Err(Error::WrongCodec { session: Codec::Vp9, got: controls.codec() });
        };
        let frame = &controls.frame;
        if !matches!(frame.profile, 0 | 2) || !matches!(frame.bit_depth, 8 | 10) {
            return Err(Error::Unsupported {
                codec: Codec::Vp9,
                what: format!("profile {} with {} bits", frame.profile, frame.bit_depth),
            });
        }
        let headers = [frame.uncompressed_header_size, frame.compressed_header_size];
        let header_bytes = headers.iter().map(|size| usize::from(*size)).sum::<usize>();
        // Tile data follows the headers.
        if headers.contains(&0) || header_bytes >= data.len() {
            return invalid(format!("header sizes {headers:?} in {} bytes", data.len()));
        }
        // uncompressed_header(), section 6.2: frame_marker, both profile bits, show_existing_frame.
        // A frame that only shows another one has no picture of its own.
        let (first, profile) = (data[0], (data[0] >> 5 & 1) | (data[0] >> 3 & 2));
        if first >> 6 != 2 || profile != frame.profile || first & 0x08 != 0 {
            return invalid(format!(
                "first byte {first:#04x} of a profile {} frame",
                frame.profile
            ));
        }
        packet.extend_from_slice(data);
        Ok(Step {
            key: frame.flags & vp9::FRAME_KEY_FRAME != 0,
            parts: 1 << frame.tile_cols_log2.min(6),
            ..Step::default()
        })
    }
}

fn invalid(what: String) -> Result<Step> {
    Err(Error::Invalid { codec: Codec::Vp9, what })
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::{FromZeros, vp9};

    use super::*;

    fn controls(uncompressed: u16, compressed: u16, profile: u8, bit_depth: u8) -> Controls {
        let mut controls = vp9::Controls::new_zeroed();
        controls.frame.uncompressed_header_size = uncompressed;
        controls.frame.compressed_header_size = compressed;
        controls.frame.profile = profile;
        controls.frame.bit_depth = bit_depth;
        Controls::Vp9(Box::new(controls))
    }

    fn write(controls: &Controls, data: &[u8]) -> Result<Vec<u8>> {
        let mut packet = vec![7];
        Vp9Writer::new().write(1000, controls, data, &mut packet).map(|_| packet)
    }

    #[test]
    fn a_frame_is_appended_unchanged() {
        assert_eq!(write(&controls(2, 1, 0, 8), &[0x82, 1, 2, 3]).unwrap(), [7, 0x82, 1, 2, 3]);
        assert_eq!(write(&controls(2, 1, 2, 10), &[0x92, 1, 2, 3]).unwrap(), [7, 0x92, 1, 2, 3]);
    }

    #[test]
    fn headers_must_fit_and_leave_tile_data() {
        let frame = [0x82, 1, 2];
        for sizes in [(2, 1), (0, 1), (1, 0), (u16::MAX, u16::MAX)] {
            assert!(write(&controls(sizes.0, sizes.1, 0, 8), &frame).is_err());
        }
        assert!(write(&controls(1, 1, 0, 8), &[]).is_err());
    }

    #[test]
    fn frames_that_show_others_or_belong_to_another_profile_are_refused() {
        for first in [0x88, 0x42, 0x92, 0xa2] {
            assert!(write(&controls(1, 1, 0, 8), &[first, 1, 2]).is_err(), "{first:#x}");
        }
        assert!(write(&controls(1, 1, 1, 8), &[0xa2, 1, 2]).is_err());
        assert!(write(&controls(1, 1, 2, 12), &[0x92, 1, 2]).is_err());
    }
}
