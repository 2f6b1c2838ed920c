//! Controls: which of them a device has, and a request's in the form that VIDIOC_S_EXT_CTRLS takes.

use daedalus_uapi::{Codec, Controls, av1, h264, vp9};
use zerocopy::{FromZeros, IntoBytes};

use super::ioctl::Video;
use crate::{
    convert::Format,
    error::{Error, Result},
};

/// A control's id and the bytes of its value.
pub(super) type List<'a> = Vec<(u32, &'a mut [u8])>;

/// `V4L2_STATELESS_H264_DECODE_MODE_FRAME_BASED`.
const FRAME_BASED: i32 = 1;
/// `V4L2_STATELESS_H264_START_CODE_ANNEX_B`.
const ANNEX_B: i32 = 1;

/// A control that a codec may have.
struct Known {
    id: u32,
    /// Bytes of the value, or of one element of an array.
    size: usize,
    /// Decoding does not work without it. Others are there if the hardware has a use for them.
    needed: bool,
}

const fn known<T>(id: u32, needed: bool) -> Known {
    Known { id, size: size_of::<T>(), needed }
}

const H264: [Known; 4] = [
    known::<h264::Sps>(h264::CID_SPS, true),
    known::<h264::Pps>(h264::CID_PPS, true),
    known::<h264::ScalingMatrix>(h264::CID_SCALING_MATRIX, false),
    known::<h264::DecodeParams>(h264::CID_DECODE_PARAMS, true),
];
const VP9: [Known; 2] = [
    known::<vp9::Frame>(vp9::CID_FRAME, true),
    known::<vp9::CompressedHdr>(vp9::CID_COMPRESSED_HDR, false),
];
const AV1: [Known; 4] = [
    known::<av1::Sequence>(av1::CID_SEQUENCE, true),
    known::<av1::Frame>(av1::CID_FRAME, true),
    known::<av1::TileGroupEntry>(av1::CID_TILE_GROUP_ENTRY, true),
    known::<av1::FilmGrain>(av1::CID_FILM_GRAIN, false),
];

/// The controls that a device has for a codec.
#[derive(Clone, Debug)]
pub(super) struct Supported(Vec<u32>);

impl Supported {
    /// Asks an open device. Fails if it lacks one that is needed, or means another struct by it, and, for
    /// H.264, if it cannot take whole frames in Annex B.
    pub fn query(video: &Video, codec: Codec) -> Result<Supported> {
        let controls: &[Known] = match codec {
            Codec::H264 => &H264,
            Codec::Vp9 => &VP9,
            Codec::Av1 => &AV1,
        };
        let mut supported = Vec::new();
        for control in controls {
            match video.query_control(control.id) {
                Some(has) if has.elem_size as usize == control.size => supported.push(control.id),
                Some(has) => {
                    return Err(Error::OperationFailed(format!(
                        "control {:#x} has {} bytes, expected {}",
                        control.id, has.elem_size, control.size
                    )));
                }
                None if control.needed => {
                    return Err(Error::OperationFailed(format!("no control {:#x}", control.id)));
                }
                None => {}
            }
        }
        if codec == Codec::H264 {
            menu(video, h264::CID_DECODE_MODE, FRAME_BASED, "frame-based decoding")?;
            menu(video, h264::CID_START_CODE, ANNEX_B, "Annex B start codes")?;
        }
        Ok(Supported(supported))
    }

    /// The device knows the control.
    pub fn has(&self, id: u32) -> bool {
        self.0.contains(&id)
    }

    /// A request's controls, those that the device has.
    pub fn of_request<'a>(&self, controls: &'a mut Controls) -> List<'a> {
        let mut list = all(controls);
        list.retain(|(id, _)| self.has(*id));
        list
    }
}

/// Chooses an entry of a menu, or finds that it is the only one.
fn menu(video: &Video, id: u32, value: i32, what: &str) -> Result<()> {
    // A menu of one entry may be read-only.
    if video.set_menu(id, value).is_ok() || video.menu(id) == Ok(value) {
        return Ok(());
    }
    Err(Error::OperationFailed(format!("the device has no {what}")))
}

fn all(controls: &mut Controls) -> List<'_> {
    match controls {
        Controls::H264(c) => vec![
            (h264::CID_SPS, c.sps.as_mut_bytes()),
            (h264::CID_PPS, c.pps.as_mut_bytes()),
            (h264::CID_SCALING_MATRIX, c.scaling_matrix.as_mut_bytes()),
            (h264::CID_DECODE_PARAMS, c.decode_params.as_mut_bytes()),
        ],
        Controls::Vp9(c) => vec![
            (vp9::CID_FRAME, c.frame.as_mut_bytes()),
            (vp9::CID_COMPRESSED_HDR, c.compressed_hdr.as_mut_bytes()),
        ],
        Controls::Av1(c) => vec![
            (av1::CID_SEQUENCE, c.sequence.as_mut_bytes()),
            (av1::CID_FRAME, c.frame.as_mut_bytes()),
            (av1::CID_TILE_GROUP_ENTRY, c.tiles.as_mut_bytes()),
            (av1::CID_FILM_GRAIN, c.film_grain.as_mut_bytes()),
        ],
    }
}

/// The controls that decide about the format of the pictures; they are set before the first request.
pub(super) fn of_stream(controls: &mut Controls) -> List<'_> {
    let mut list = all(controls);
    list.retain(|(id, _)| matches!(*id, h264::CID_SPS | vp9::CID_FRAME | av1::CID_SEQUENCE));
    list
}

/// What a stream of such pictures would say in [`of_stream`]: for questions that come before the stream.
/// Width and height in samples.
pub(super) fn example(codec: Codec, format: Format, width: u32, height: u32) -> Controls {
    let deep = format == Format::P010;
    let bit_depth = if deep { 10 } else { 8 };
    let minus_1 = |size: u32| u16::try_from(size.saturating_sub(1)).unwrap_or(u16::MAX);
    match codec {
        Codec::H264 => {
            let mut c = h264::Controls::new_zeroed();
            // High 10 or High.
            c.sps.profile_idc = if deep { 110 } else { 100 };
            c.sps.level_idc = 51;
            c.sps.chroma_format_idc = 1;
            c.sps.bit_depth_luma_minus8 = bit_depth - 8;
            c.sps.bit_depth_chroma_minus8 = bit_depth - 8;
            c.sps.max_num_ref_frames = 1;
            c.sps.pic_width_in_mbs_minus1 = minus_1(width.div_ceil(16));
            c.sps.pic_height_in_map_units_minus1 = minus_1(height.div_ceil(16));
            c.sps.flags = h264::SPS_FRAME_MBS_ONLY | h264::SPS_DIRECT_8X8_INFERENCE;
            Controls::H264(Box::new(c))
        }
        Codec::Vp9 => {
            let mut c = vp9::Controls::new_zeroed();
            c.frame.profile = if deep { 2 } else { 0 };
            c.frame.bit_depth = bit_depth;
            c.frame.frame_width_minus_1 = minus_1(width);
            c.frame.frame_height_minus_1 = minus_1(height);
            c.frame.render_width_minus_1 = minus_1(width);
            c.frame.render_height_minus_1 = minus_1(height);
            c.frame.flags = vp9::FRAME_KEY_FRAME
                | vp9::FRAME_SHOW_FRAME
                | vp9::FRAME_X_SUBSAMPLING
                | vp9::FRAME_Y_SUBSAMPLING;
            Controls::Vp9(Box::new(c))
        }
        Codec::Av1 => {
            let mut c = av1::Controls::new_zeroed();
            c.sequence.bit_depth = bit_depth;
            c.sequence.max_frame_width_minus_1 = minus_1(width);
            c.sequence.max_frame_height_minus_1 = minus_1(height);
            c.sequence.flags =
                av1::sequence_flag::SUBSAMPLING_X | av1::sequence_flag::SUBSAMPLING_Y;
            Controls::Av1(Box::new(c))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &List<'_>) -> Vec<u32> {
        list.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn a_request_has_the_controls_that_the_device_knows() {
        let mut controls = example(Codec::H264, Format::Nv12, 64, 64);
        let every = Supported(H264.iter().map(|known| known.id).collect());
        assert_eq!(
            ids(&every.of_request(&mut controls)),
            [h264::CID_SPS, h264::CID_PPS, h264::CID_SCALING_MATRIX, h264::CID_DECODE_PARAMS]
        );
        let without = Supported(vec![h264::CID_SPS, h264::CID_PPS, h264::CID_DECODE_PARAMS]);
        assert_eq!(
            ids(&without.of_request(&mut controls)),
            [h264::CID_SPS, h264::CID_PPS, h264::CID_DECODE_PARAMS]
        );
        let mut controls = example(Codec::Vp9, Format::Nv12, 64, 64);
        let without = Supported(vec![vp9::CID_FRAME]);
        assert_eq!(ids(&without.of_request(&mut controls)), [vp9::CID_FRAME]);
    }

    #[test]
    fn values_have_the_sizes_of_their_structs_and_tiles_their_number() {
        for (codec, known) in
            [(Codec::H264, &H264[..]), (Codec::Vp9, &VP9[..]), (Codec::Av1, &AV1[..])]
        {
            let mut controls = example(codec, Format::P010, 64, 64);
            if let Controls::Av1(c) = &mut controls {
                c.tiles = vec![av1::TileGroupEntry::new_zeroed(); 3];
            }
            let every = Supported(known.iter().map(|known| known.id).collect());
            for ((id, value), known) in every.of_request(&mut controls).iter().zip(known) {
                let elements = if *id == av1::CID_TILE_GROUP_ENTRY { 3 } else { 1 };
                assert_eq!((*id, value.len()), (known.id, elements * known.size));
            }
        }
    }

    #[test]
    fn one_control_per_codec_decides_about_the_format() {
        for (codec, id) in [
            (Codec::H264, h264::CID_SPS),
            (Codec::Vp9, vp9::CID_FRAME),
            (Codec::Av1, av1::CID_SEQUENCE),
        ] {
            let mut controls = example(codec, Format::Nv12, 1920, 1088);
            assert_eq!(ids(&of_stream(&mut controls)), [id]);
        }
    }
}
