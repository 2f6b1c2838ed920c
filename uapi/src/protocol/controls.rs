//! The controls of a message as the types of this crate.

use std::collections::BTreeMap;

use zerocopy::{FromBytes, FromZeros, Immutable};

use super::{ControlHead, Flaw};
use crate::{Codec, Controls, av1, h264, vp9};

/// Every control that is known, whose it is, and what it is called in errors.
const KNOWN: [(u32, Codec, &str); 12] = [
    (h264::CID_DECODE_MODE, Codec::H264, "H.264 decode mode"),
    (h264::CID_START_CODE, Codec::H264, "H.264 start code"),
    (h264::CID_SPS, Codec::H264, "H.264 SPS"),
    (h264::CID_PPS, Codec::H264, "H.264 PPS"),
    (h264::CID_SCALING_MATRIX, Codec::H264, "H.264 scaling matrix"),
    (h264::CID_DECODE_PARAMS, Codec::H264, "H.264 decode parameters"),
    (vp9::CID_FRAME, Codec::Vp9, "VP9 frame"),
    (vp9::CID_COMPRESSED_HDR, Codec::Vp9, "VP9 compressed header"),
    (av1::CID_SEQUENCE, Codec::Av1, "AV1 sequence"),
    (av1::CID_TILE_GROUP_ENTRY, Codec::Av1, "AV1 tile group entry"),
    (av1::CID_FRAME, Codec::Av1, "AV1 frame"),
    (av1::CID_FILM_GRAIN, Codec::Av1, "AV1 film grain"),
];

/// `V4L2_STATELESS_H264_DECODE_MODE_FRAME_BASED` and `V4L2_STATELESS_H264_START_CODE_ANNEX_B`.
const H264_MODE: u32 = 1;

/// Reads `count` controls, each at a multiple of 8 bytes. Ids that nobody knows go to `unknown`.
///
/// Those that a stream need not have (scaling matrix, compressed header, film grain) may be missing: they
/// are all zero then, as V4L2 has it for a control that was never set.
pub(super) fn read(bytes: &[u8], count: u32, unknown: &mut Vec<u32>) -> Result<Controls, Flaw> {
    let mut values = Values::default();
    let mut codec = None;
    let mut rest = bytes;
    for _ in 0..count {
        let (head, after) = ControlHead::read_from_prefix(rest).map_err(|_| Flaw::ControlsEnd)?;
        let value = after.get(..head.size as usize).ok_or(Flaw::ControlsEnd)?;
        // The last value may end where the controls end.
        rest = after.get(value.len().next_multiple_of(8)..).unwrap_or_default();
        let Some(&(id, of, name)) = KNOWN.iter().find(|(id, ..)| *id == head.id) else {
            unknown.push(head.id);
            continue;
        };
        if codec.replace(of).is_some_and(|codec| codec != of) {
            return Err(Flaw::MixedControls);
        }
        if values.0.insert(id, value).is_some() {
            return Err(Flaw::ControlTwice(name));
        }
    }
    match codec {
        None => Err(Flaw::NoControls),
        Some(Codec::H264) => {
            for id in [h264::CID_DECODE_MODE, h264::CID_START_CODE] {
                if values.optional::<u32>(id)?.is_some_and(|value| value != H264_MODE) {
                    return Err(Flaw::Mode(name(id)));
                }
            }
            Ok(Controls::H264(Box::new(h264::Controls {
                sps: values.required(h264::CID_SPS)?,
                pps: values.required(h264::CID_PPS)?,
                scaling_matrix: values.or_zero(h264::CID_SCALING_MATRIX)?,
                decode_params: values.required(h264::CID_DECODE_PARAMS)?,
            })))
        }
        Some(Codec::Vp9) => Ok(Controls::Vp9(Box::new(vp9::Controls {
            frame: values.required(vp9::CID_FRAME)?,
            compressed_hdr: values.or_zero(vp9::CID_COMPRESSED_HDR)?,
        }))),
        Some(Codec::Av1) => Ok(Controls::Av1(Box::new(av1::Controls {
            sequence: values.required(av1::CID_SEQUENCE)?,
            frame: values.required(av1::CID_FRAME)?,
            film_grain: values.or_zero(av1::CID_FILM_GRAIN)?,
            tiles: values.array(av1::CID_TILE_GROUP_ENTRY, av1::MAX_TILE_COUNT)?,
        }))),
    }
}

fn name(id: u32) -> &'static str {
    KNOWN.iter().find(|(known, ..)| *known == id).map_or("?", |(.., name)| name)
}

/// The bytes of each control.
#[derive(Default)]
struct Values<'a>(BTreeMap<u32, &'a [u8]>);

impl Values<'_> {
    fn optional<T: FromBytes + Immutable>(&self, id: u32) -> Result<Option<T>, Flaw> {
        let read = |value: &&[u8]| {
            let wrong = |_| Flaw::ControlSize(name(id), value.len(), size_of::<T>());
            T::read_from_bytes(value).map_err(wrong)
        };
        self.0.get(&id).map(read).transpose()
    }

    fn required<T: FromBytes + Immutable>(&self, id: u32) -> Result<T, Flaw> {
        self.optional(id)?.ok_or(Flaw::ControlMissing(name(id)))
    }

    fn or_zero<T: FromBytes + FromZeros + Immutable>(&self, id: u32) -> Result<T, Flaw> {
        Ok(self.optional(id)?.unwrap_or_else(T::new_zeroed))
    }

    /// A dynamic array: 1 to `most` whole structs.
    fn array<T: FromBytes + Immutable>(&self, id: u32, most: usize) -> Result<Vec<T>, Flaw> {
        let value = self.0.get(&id).ok_or(Flaw::ControlMissing(name(id)))?;
        let size = size_of::<T>();
        let wrong = || Flaw::ControlSize(name(id), value.len(), size);
        if value.is_empty() || value.len() / size > most {
            return Err(wrong());
        }
        value.chunks(size).map(|chunk| T::read_from_bytes(chunk).map_err(|_| wrong())).collect()
    }
}
