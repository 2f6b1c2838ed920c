//! A request written down as one line of JSON, and read back.
//!
//! ```json
//! {"session":1,"timestamp":1000,"codec":"vp9","hold_capture":false,"bytes":1234,"shown":true,
//!  "controls":{"frame":"00…","compressed_hdr":"00…"}}
//! ```
//!
//! (on one line). A control is the bytes of its struct in the machine's byte order, as hexadecimal digits
//! under the name of the struct without `v4l2_ctrl_` and codec; AV1's `tile_group_entry` is the array of
//! all entries. The structs have no implicit padding, so the bytes are exact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Codec, Controls, DecodeRequest, av1, h264, vp9};

/// What a line holds: everything of a request but the coded bytes and the target frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Tells the streams of one process apart; timestamps are unique within one of them.
    pub session: u64,
    /// [`DecodeRequest::timestamp`].
    pub timestamp: u64,
    /// [`DecodeRequest::hold_capture`].
    pub hold_capture: bool,
    /// How many coded bytes the request has.
    pub bytes: usize,
    /// Whether the picture has a frame to go to; else it is decoded for later pictures alone.
    pub shown: bool,
    /// [`DecodeRequest::controls`].
    pub controls: Controls,
}

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON, or lacks a member.
    #[error("not a request: {0}")]
    Json(#[from] serde_json::Error),
    /// A control that the codec needs is not there.
    #[error("the control {0} is missing")]
    Missing(&'static str),
    /// A control is not made of hexadecimal digits.
    #[error("the control {0}: {1}")]
    Hex(&'static str, hex::FromHexError),
    /// A control is shorter or longer than its struct.
    #[error("the control {0} has {1} bytes, expected {2}")]
    Size(&'static str, usize, usize),
}

#[derive(Serialize, Deserialize)]
struct Line {
    session: u64,
    timestamp: u64,
    codec: Name,
    hold_capture: bool,
    bytes: usize,
    shown: bool,
    controls: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    H264,
    Vp9,
    Av1,
}

impl Record {
    /// Takes down a request of the stream that `session` names.
    pub fn of<T>(session: u64, request: &DecodeRequest<T>) -> Self {
        Record {
            session,
            timestamp: request.timestamp,
            hold_capture: request.hold_capture,
            bytes: request.data.len(),
            shown: request.target.is_some(),
            controls: request.controls.clone(),
        }
    }

    /// The line, without a line feed.
    pub fn to_json(&self) -> String {
        let (codec, controls) = match &self.controls {
            Controls::H264(c) => (
                Name::H264,
                vec![
                    ("sps", c.sps.as_bytes()),
                    ("pps", c.pps.as_bytes()),
                    ("scaling_matrix", c.scaling_matrix.as_bytes()),
                    ("decode_params", c.decode_params.as_bytes()),
                ],
            ),
            Controls::Vp9(c) => (
                Name::Vp9,
                vec![
                    ("frame", c.frame.as_bytes()),
                    ("compressed_hdr", c.compressed_hdr.as_bytes()),
                ],
            ),
            Controls::Av1(c) => (
                Name::Av1,
                vec![
                    ("sequence", c.sequence.as_bytes()),
                    ("frame", c.frame.as_bytes()),
                    ("film_grain", c.film_grain.as_bytes()),
                    ("tile_group_entry", c.tiles.as_bytes()),
                ],
            ),
        };
        let line = Line {
            session: self.session,
            timestamp: self.timestamp,
            codec,
            hold_capture: self.hold_capture,
            bytes: self.bytes,
            shown: self.shown,
            controls: controls
                .into_iter()
                .map(|(name, bytes)| (name.to_owned(), hex::encode(bytes)))
                .collect(),
        };
        // Strings, numbers and a map with string keys: nothing that JSON could not say.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// Reads a line. Fails if a control is missing or has not its struct's size.
    pub fn from_json(line: &str) -> Result<Self, Error> {
        let line: Line = serde_json::from_str(line)?;
        let of = &line.controls;
        let controls = match line.codec {
            Name::H264 => Controls::H264(Box::new(h264::Controls {
                sps: control(of, "sps")?,
                pps: control(of, "pps")?,
                scaling_matrix: control(of, "scaling_matrix")?,
                decode_params: control(of, "decode_params")?,
            })),
            Name::Vp9 => Controls::Vp9(Box::new(vp9::Controls {
                frame: control(of, "frame")?,
                compressed_hdr: control(of, "compressed_hdr")?,
            })),
            Name::Av1 => Controls::Av1(Box::new(av1::Controls {
                sequence: control(of, "sequence")?,
                frame: control(of, "frame")?,
                film_grain: control(of, "film_grain")?,
                tiles: controls_array(of, "tile_group_entry")?,
            })),
        };
        Ok(Record {
            session: line.session,
            timestamp: line.timestamp,
            hold_capture: line.hold_capture,
            bytes: line.bytes,
            shown: line.shown,
            controls,
        })
    }

    /// The codec of the stream.
    pub fn codec(&self) -> Codec {
        self.controls.codec()
    }
}

fn bytes(of: &BTreeMap<String, String>, name: &'static str) -> Result<Vec<u8>, Error> {
    let digits = of.get(name).ok_or(Error::Missing(name))?;
    hex::decode(digits).map_err(|error| Error::Hex(name, error))
}

fn control<T: FromBytes + Immutable>(
    of: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<T, Error> {
    let bytes = bytes(of, name)?;
    T::read_from_bytes(&bytes).map_err(|_| Error::Size(name, bytes.len(), size_of::<T>()))
}

/// A dynamic array control: any number of whole structs.
fn controls_array<T: FromBytes + Immutable>(
    of: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<Vec<T>, Error> {
    let bytes = bytes(of, name)?;
    let size = size_of::<T>();
    let wrong = |_| Error::Size(name, bytes.len(), bytes.len().next_multiple_of(size));
    bytes.chunks(size).map(|chunk| T::read_from_bytes(chunk).map_err(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    fn record(controls: Controls) -> Record {
        Record { session: 2, timestamp: 3000, hold_capture: true, bytes: 77, shown: true, controls }
    }

    #[test]
    fn a_record_survives_being_written_and_read() {
        let mut h264 = h264::Controls::new_zeroed();
        h264.sps.offset_for_ref_frame[254] = -5;
        h264.pps.flags = h264::PPS_WEIGHTED_PRED;
        h264.scaling_matrix.scaling_list_8x8[5][63] = 9;
        h264.decode_params.dpb[15].reference_ts = u64::MAX;
        let mut vp9 = vp9::Controls::new_zeroed();
        vp9.frame.alt_frame_ts = 1 << 40;
        vp9.compressed_hdr.mv.hp = [1, 255];
        let mut av1 = av1::Controls::new_zeroed();
        av1.frame.refresh_frame_flags = 0x81;
        av1.film_grain.cr_offset = 511;
        let tile = av1::TileGroupEntry { tile_offset: 1, tile_size: 2, tile_row: 3, tile_col: 4 };
        av1.tiles = vec![tile; 3];
        for controls in [
            Controls::H264(Box::new(h264)),
            Controls::Vp9(Box::new(vp9)),
            Controls::Av1(Box::new(av1)),
        ] {
            let record = record(controls);
            let line = record.to_json();
            assert!(!line.contains('\n'));
            assert_eq!(Record::from_json(&line).unwrap(), record);
        }
    }

    #[test]
    fn a_line_is_what_the_documentation_says() {
        let mut vp9 = vp9::Controls::new_zeroed();
        vp9.frame.lf.ref_deltas = [1, 0, -1, -1];
        let line = record(Controls::Vp9(Box::new(vp9))).to_json();
        let start = r#"{"session":2,"timestamp":3000,"codec":"vp9","hold_capture":true,"bytes":77,"shown":true,"controls":{"#;
        assert!(line.starts_with(start), "{line}");
        assert!(line.contains(r#""frame":"0100ffff0000"#), "{line}");
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let line = record(Controls::Vp9(Box::new(vp9::Controls::new_zeroed()))).to_json();
        let error = |line: &str| Record::from_json(line).unwrap_err();
        assert!(matches!(error("warn: no JSON"), Error::Json(_)));
        assert!(matches!(error(&line[..line.len() - 1]), Error::Json(_)));
        assert!(matches!(error(&line.replace("frame", "fram")), Error::Missing("frame")));
        let short = line.replace("\"frame\":\"00", "\"frame\":\"");
        assert!(matches!(error(&short), Error::Size("frame", 167, 168)));
        let odd = line.replace("\"frame\":\"0", "\"frame\":\"");
        assert!(matches!(error(&odd), Error::Hex("frame", _)));
    }
}
