//! Formats: what the device makes of a codec, a size and a pixel format, and whether surfaces agree.

use daedalus_uapi::{Codec, Controls};
use zerocopy::FromZeros;

use super::{abi, controls, ioctl::Video};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    object::surface::Surface,
};

/// `S264`, `VP9F` or `AV1F`.
pub(super) fn coded(codec: Codec) -> u32 {
    u32::from_le_bytes(*match codec {
        Codec::H264 => b"S264",
        Codec::Vp9 => b"VP9F",
        Codec::Av1 => b"AV1F",
    })
}

/// `NV12` or `P010`, as V4L2 and VA both name them.
fn raw(format: Format) -> u32 {
    format.fourcc()
}

/// A frame in one piece of memory: luma, then chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// NV12 or P010.
    pub format: Format,
    /// Width of the memory in samples: whole macroblocks.
    pub width: u32,
    /// Height of the memory in samples.
    pub height: u32,
    /// Bytes from one row to the next, of both planes.
    pub pitch: usize,
    /// Bytes from the start of the memory to the chroma plane.
    pub chroma: usize,
}

impl Geometry {
    /// The frame of a surface. Fails if its planes have different pitches, which V4L2 cannot say.
    pub fn of(surface: &Surface) -> Result<Geometry> {
        Geometry::of_layout(&surface.layout, surface.coded_width, surface.coded_height)
    }

    /// A layout whose memory is `width` x `height` samples.
    pub fn of_layout(layout: &Layout, width: u32, height: u32) -> Result<Geometry> {
        let [luma, chroma, _] = layout.planes;
        if layout.format.planes() != 2 || luma.offset != 0 || luma.pitch != chroma.pitch {
            return Err(Error::OperationFailed("a frame that V4L2 has no format for".into()));
        }
        Ok(Geometry {
            format: layout.format,
            width,
            height,
            pitch: luma.pitch,
            chroma: chroma.offset,
        })
    }

    /// Samples in a row of the memory, padding included.
    fn padded_width(&self) -> u32 {
        (self.pitch / self.format.bytes_per_sample()) as u32
    }

    /// Bytes of the raw picture.
    fn bytes(&self) -> usize {
        self.width as usize * self.height as usize * self.format.bytes_per_sample() * 3 / 2
    }

    /// The bytes that one coded picture gets at first. Few pictures need a quarter of what they decode to;
    /// for those that do, buffers grow.
    pub fn coded_bytes(&self) -> u32 {
        const LEAST: usize = 256 << 10;
        const MOST: usize = 32 << 20;
        (self.bytes() / 4).clamp(LEAST, MOST) as u32
    }
}

/// What the device answered.
#[derive(Clone, Copy)]
pub(super) struct Negotiated {
    /// The frames that it will write: width and height as asked for, pitch and chroma its own.
    pub geometry: Geometry,
    /// Bytes that it wants a frame's memory to have.
    pub size: usize,
    /// The format of the OUTPUT queue.
    pub output: abi::Format,
    /// The format of the CAPTURE queue.
    pub capture: abi::Format,
}

/// Sets the formats of both queues and the controls that decide about them, in the order that the kernel's
/// "stateless decoder" document gives. Neither queue may have buffers. `coded_bytes` is what an
/// OUTPUT buffer is to hold at least.
///
/// Pitch and chroma position are the device's to choose: if they are not those of `wanted`, a second attempt
/// is made with the width padded to the pitch, for the many devices that put rows one behind the other.
/// Whoever calls compares.
pub(super) fn negotiate(
    video: &Video,
    codec: Codec,
    wanted: &Geometry,
    coded_bytes: u32,
    stream: &mut Controls,
) -> Result<Negotiated> {
    let exact = set(video, codec, wanted, wanted.width, coded_bytes, stream)?;
    if exact.geometry == *wanted || wanted.padded_width() == wanted.width {
        return Ok(exact);
    }
    match set(video, codec, wanted, wanted.padded_width(), coded_bytes, stream) {
        Ok(padded) if padded.geometry == *wanted => Ok(padded),
        _ => set(video, codec, wanted, wanted.width, coded_bytes, stream),
    }
}

fn set(
    video: &Video,
    codec: Codec,
    wanted: &Geometry,
    width: u32,
    coded_bytes: u32,
    stream: &mut Controls,
) -> Result<Negotiated> {
    let failed =
        |what: &str| Error::OperationFailed(format!("{codec}, {width}x{}: {what}", wanted.height));
    let mut output = abi::Format {
        kind: abi::OUTPUT,
        width,
        height: wanted.height,
        pixelformat: coded(codec),
        field: abi::FIELD_NONE,
        num_planes: 1,
        ..FromZeros::new_zeroed()
    };
    output.plane_fmt[0].sizeimage = coded_bytes;
    video.set_format(&mut output).map_err(|e| failed(&format!("setting the coded format: {e}")))?;
    if output.pixelformat != coded(codec) {
        return Err(failed("the device does not decode it"));
    }
    video
        .set_controls(&mut controls::of_stream(stream), None)
        .map_err(|e| failed(&format!("setting the stream's controls: {e}")))?;

    let mut capture = abi::Format {
        kind: abi::CAPTURE,
        width,
        height: wanted.height,
        pixelformat: raw(wanted.format),
        field: abi::FIELD_NONE,
        num_planes: 1,
        ..FromZeros::new_zeroed()
    };
    capture.plane_fmt[0].bytesperline = wanted.pitch as u32;
    video.set_format(&mut capture).map_err(|e| failed(&format!("setting the format: {e}")))?;
    if capture.pixelformat != raw(wanted.format) || capture.num_planes != 1 {
        return Err(failed(&format!("the device has no {:?}", wanted.format)));
    }
    if capture.width < wanted.width || capture.height < wanted.height {
        return Err(failed(&format!("the device goes to {}x{}", capture.width, capture.height)));
    }
    let [plane, ..] = capture.plane_fmt;
    let pitch = plane.bytesperline as usize;
    let geometry = Geometry { pitch, chroma: pitch * capture.height as usize, ..*wanted };
    Ok(Negotiated { geometry, size: plane.sizeimage as usize, output, capture })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surface_has_one_pitch_and_chroma_behind_luma() {
        let layout = Layout::new(Format::P010, 33, 17).unwrap();
        let geometry = Geometry::of_layout(&layout, 48, 32).unwrap();
        assert_eq!(
            geometry,
            Geometry { format: Format::P010, width: 48, height: 32, pitch: 128, chroma: 128 * 32 }
        );
        assert_eq!(geometry.padded_width(), 64);
        let three_planes = Layout::new(Format::I420, 33, 17).unwrap();
        assert!(Geometry::of_layout(&three_planes, 48, 32).is_err());
    }

    #[test]
    fn coded_pictures_get_a_quarter_of_what_they_decode_to_but_not_little() {
        let coded = |width, height| {
            let layout = Layout::new(Format::Nv12, width, height).unwrap();
            Geometry::of_layout(&layout, width, height).unwrap().coded_bytes()
        };
        assert_eq!(coded(64, 64), 256 << 10);
        assert_eq!(coded(1920, 1088), 1920 * 1088 * 3 / 8);
    }

    #[test]
    fn formats_have_their_fourccs() {
        assert_eq!(coded(Codec::H264), 0x3436_3253);
        assert_eq!(raw(Format::P010), 0x3031_3050);
        assert_eq!(raw(Format::Nv12), 0x3231_564e);
    }
}
