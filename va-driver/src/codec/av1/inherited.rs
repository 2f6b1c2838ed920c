//! What a frame takes over from its primary reference (load_previous(), AV1 section 7.21): loop filter
//! deltas and segmentation features.
//!
//! Clients send them merged, and it is their business to remember them. FFmpeg's parser forgets them in
//! one case, when a key frame is shown again (show_existing_frame): frames that take them over from it
//! arrive with zeros. So they are remembered here as well, and stand in where a client sends nothing but
//! zeros although the frame codes no values of its own.

use daedalus_uapi::av1::{Frame, loop_filter_flag, segmentation_flag};

use super::frame::segment_ids;

/// loop_filter_ref_deltas, loop_filter_mode_deltas, FeatureEnabled and FeatureData as a frame leaves them
/// to those that name it as their primary reference (section 7.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    ref_deltas: [i8; 8],
    mode_deltas: [i8; 2],
    feature_enabled: [u8; 8],
    feature_data: [[i16; 8]; 8],
}

/// setup_past_independence() (section 7.20).
pub const INDEPENDENT: Saved = Saved {
    ref_deltas: [1, 0, 0, 0, -1, 0, -1, -1],
    mode_deltas: [0, 0],
    feature_enabled: [0; 8],
    feature_data: [[0; 8]; 8],
};

impl Saved {
    /// What `frame` leaves behind.
    pub fn of(frame: &Frame, before: &Saved) -> Saved {
        let (lf, seg) = (&frame.loop_filter, &frame.segmentation);
        let enabled = lf.flags & loop_filter_flag::DELTA_ENABLED != 0;
        Saved {
            // Without deltas in use the header leaves those of the primary reference in place.
            ref_deltas: if enabled { lf.ref_deltas } else { before.ref_deltas },
            mode_deltas: if enabled { lf.mode_deltas } else { before.mode_deltas },
            feature_enabled: seg.feature_enabled,
            feature_data: seg.feature_data,
        }
    }
}

/// Puts in what the client forgot. `before` is what the primary reference left, or [`INDEPENDENT`].
pub fn restore(frame: &mut Frame, before: &Saved) {
    let lf = &mut frame.loop_filter;
    let takes_over = lf.flags & (loop_filter_flag::DELTA_ENABLED | loop_filter_flag::DELTA_UPDATE)
        == loop_filter_flag::DELTA_ENABLED;
    if takes_over && lf.ref_deltas == [0; 8] && lf.mode_deltas == [0; 2] {
        lf.ref_deltas = before.ref_deltas;
        lf.mode_deltas = before.mode_deltas;
    }
    let seg = &mut frame.segmentation;
    let takes_over = seg.flags & (segmentation_flag::ENABLED | segmentation_flag::UPDATE_DATA)
        == segmentation_flag::ENABLED;
    if takes_over && seg.feature_enabled == [0; 8] {
        seg.feature_enabled = before.feature_enabled;
        seg.feature_data = before.feature_data;
        segment_ids(seg);
    }
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::FromZeros;

    use super::*;

    fn frame(lf: u8, seg: u8) -> Frame {
        let mut frame = Frame::new_zeroed();
        frame.loop_filter.flags = lf;
        frame.segmentation.flags = seg;
        frame
    }

    #[test]
    fn zeros_in_place_of_what_is_taken_over_are_made_good() {
        let mut before = INDEPENDENT;
        before.feature_enabled[3] = 1 << 5;
        before.feature_data[3][5] = 2;
        let mut f = frame(loop_filter_flag::DELTA_ENABLED, segmentation_flag::ENABLED);
        restore(&mut f, &before);
        assert_eq!(f.loop_filter.ref_deltas, before.ref_deltas);
        assert_eq!(f.segmentation.feature_data[3][5], 2);
        assert_eq!(f.segmentation.last_active_seg_id, 3);
        assert_ne!(f.segmentation.flags & segmentation_flag::SEG_ID_PRE_SKIP, 0);
        assert_eq!(Saved::of(&f, &INDEPENDENT), before);
    }

    #[test]
    fn what_a_frame_codes_itself_stays() {
        let mut before = INDEPENDENT;
        before.feature_enabled[0] = 1;
        let lf = loop_filter_flag::DELTA_ENABLED | loop_filter_flag::DELTA_UPDATE;
        let mut f = frame(lf, segmentation_flag::ENABLED | segmentation_flag::UPDATE_DATA);
        restore(&mut f, &before);
        assert_eq!(f.loop_filter.ref_deltas, [0; 8]);
        assert_eq!(f.segmentation.feature_enabled, [0; 8]);
        f.loop_filter.ref_deltas[0] = 5;
        f.loop_filter.flags = loop_filter_flag::DELTA_ENABLED;
        let sent = f.loop_filter;
        restore(&mut f, &before);
        assert_eq!(f.loop_filter, sent, "a client that remembers is believed");
    }

    #[test]
    fn a_frame_without_deltas_leaves_those_before_it() {
        let mut before = INDEPENDENT;
        before.ref_deltas[7] = 9;
        let saved = Saved::of(&frame(0, 0), &before);
        assert_eq!(saved, before);
    }
}
