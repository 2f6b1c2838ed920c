//! How large pictures may be, given the frames that a session's client has. A client pays for its frames' memory
//! with what limits it (the kernel module's quota, its own address space), but not for those that a decoder
//! makes for itself: without this, frames of 16x16 would do for references of hundreds of megabytes.

use daedalus_uapi::{Controls, av1::frame_flag, h264::SPS_FRAME_MBS_ONLY};

use crate::{Error, FrameLayout, Result};

/// Luma samples that a picture may have whatever frames there are.
const LEAST: u64 = 1 << 20;

/// How many times as large as the largest frame a picture may be. More than one, since there are clients whose
/// frames are too small for a while after the size has changed; what they lose is cut off.
const FACTOR: u64 = 4;

/// Coded bytes that a picture may have for each luma sample: as many as its samples have in 10 bits. Decoders keep
/// what they were sent until other packets come, and buffers of its size for longer.
const CODED: u64 = 3;

/// The size of the largest picture. It only grows, since references stay.
pub(super) struct Allowance(u64);

impl Default for Allowance {
    fn default() -> Self {
        Allowance(LEAST)
    }
}

impl Allowance {
    /// A request has this frame.
    pub(super) fn grow(&mut self, frame: &FrameLayout) {
        let area = u64::from(frame.width) * u64::from(frame.height);
        self.0 = self.0.max(area.saturating_mul(FACTOR));
    }

    /// In luma samples.
    pub(super) fn largest(&self) -> u64 {
        self.0
    }

    /// Fails if the picture is larger, as far as its controls say, or has more coded bytes than any picture needs.
    pub(super) fn check(&self, controls: &Controls, coded: usize) -> Result<()> {
        let codec = controls.codec();
        let (width, height) = coded_size(controls);
        if u64::from(width) * u64::from(height) > self.0 {
            return Err(Error::TooLarge { codec, width, height, largest: self.0 });
        }
        if coded as u64 > self.0.saturating_mul(CODED) {
            let what = format!("{coded} coded bytes for a picture of at most {} samples", self.0);
            return Err(Error::Invalid { codec, what });
        }
        Ok(())
    }
}

/// Width and height in luma samples of the frame that a decoder makes for a picture. H.264 and AV1 headers are
/// written from the controls; those of VP9 come as bytes, and need not be as the controls have it.
fn coded_size(controls: &Controls) -> (u32, u32) {
    match controls {
        Controls::H264(controls) => {
            let sps = &controls.sps;
            // A map unit is two macroblocks high where there may be fields.
            let fields = if sps.flags & SPS_FRAME_MBS_ONLY == 0 { 2 } else { 1 };
            let width = (u32::from(sps.pic_width_in_mbs_minus1) + 1) * 16;
            (width, (u32::from(sps.pic_height_in_map_units_minus1) + 1) * 16 * fields)
        }
        Controls::Vp9(controls) => {
            let frame = &controls.frame;
            (u32::from(frame.frame_width_minus_1) + 1, u32::from(frame.frame_height_minus_1) + 1)
        }
        Controls::Av1(controls) => {
            let frame = &controls.frame;
            let coded_width = frame.frame_width_minus_1.saturating_add(1);
            let superres = frame.flags & frame_flag::USE_SUPERRES != 0;
            let width = if superres { coded_width.max(frame.upscaled_width) } else { coded_width };
            (width, frame.frame_height_minus_1.saturating_add(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::{Codec, av1, h264, vp9};
    use zerocopy::FromZeros;

    use super::*;
    use crate::PixelFormat;

    fn frame(width: u32, height: u32) -> FrameLayout {
        FrameLayout { format: PixelFormat::Nv12, width, height, pitch: [0; 2], offset: [0; 2] }
    }

    fn vp9_of(width: u16, height: u16) -> Controls {
        let mut controls = vp9::Controls::new_box_zeroed().unwrap();
        controls.frame.frame_width_minus_1 = width - 1;
        controls.frame.frame_height_minus_1 = height - 1;
        Controls::Vp9(controls)
    }

    #[test]
    fn pictures_may_be_four_times_the_largest_frame() {
        let mut allowance = Allowance::default();
        assert_eq!(allowance.check(&vp9_of(1024, 1024), 3 << 20), Ok(()));
        let what = "3145729 coded bytes for a picture of at most 1048576 samples".into();
        let refused = Error::Invalid { codec: Codec::Vp9, what };
        assert_eq!(allowance.check(&vp9_of(16, 16), (3 << 20) + 1), Err(refused));
        let (codec, largest) = (Codec::Vp9, 1 << 20);
        let refused = Error::TooLarge { codec, width: 1024, height: 1025, largest };
        assert_eq!(allowance.check(&vp9_of(1024, 1025), 1), Err(refused));
        for size in [(1280, 720), (16, 16)] {
            allowance.grow(&frame(size.0, size.1));
            assert_eq!(allowance.largest(), 4 * 1280 * 720);
        }
        assert_eq!(allowance.check(&vp9_of(2560, 1440), 12 * 1280 * 720), Ok(()));
        assert!(allowance.check(&vp9_of(2560, 1441), 1).is_err());
        allowance.grow(&frame(u32::MAX, u32::MAX));
        assert_eq!(allowance.largest(), u64::MAX);
    }

    #[test]
    fn the_size_is_the_one_that_decoders_make_frames_of() {
        let mut controls = h264::Controls::new_box_zeroed().unwrap();
        controls.sps.pic_width_in_mbs_minus1 = 119;
        controls.sps.pic_height_in_map_units_minus1 = 33;
        assert_eq!(coded_size(&Controls::H264(controls.clone())), (1920, 1088));
        controls.sps.flags = SPS_FRAME_MBS_ONLY;
        assert_eq!(coded_size(&Controls::H264(controls.clone())), (1920, 544));
        controls.sps.pic_width_in_mbs_minus1 = u16::MAX;
        assert_eq!(coded_size(&Controls::H264(controls)), (1 << 20, 544));

        assert_eq!(coded_size(&vp9_of(u16::MAX, 7)), (65535, 7));

        let mut controls = av1::Controls::new_zeroed();
        controls.frame.frame_width_minus_1 = 959;
        controls.frame.frame_height_minus_1 = 1079;
        controls.frame.upscaled_width = 1920;
        assert_eq!(coded_size(&Controls::Av1(Box::new(controls.clone()))), (960, 1080));
        controls.frame.flags = frame_flag::USE_SUPERRES;
        assert_eq!(coded_size(&Controls::Av1(Box::new(controls.clone()))), (1920, 1080));
        controls.frame.frame_height_minus_1 = u32::MAX;
        assert_eq!(coded_size(&Controls::Av1(Box::new(controls))), (1920, u32::MAX));
    }
}
