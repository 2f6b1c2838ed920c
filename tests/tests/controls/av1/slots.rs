//! The reference slots of the device that gets the driver's requests.

use daedalus_uapi::{NO_REFERENCE, av1 as uapi};

use crate::timestamps::{Timestamps, UNKNOWN};

/// A device's slots and the pictures in them.
#[derive(Default)]
pub struct Slots {
    session: u64,
    timestamps: [u64; uapi::NUM_REF_FRAMES],
    pictures: Timestamps,
    /// Frame controls of the pictures, by their number, for those that are decoded again.
    frames: Vec<uapi::Frame>,
}

impl Slots {
    /// Takes note of the session that the next request belongs to: a new one starts with empty slots.
    pub fn session(&mut self, session: u64) {
        if self.session != session {
            self.session = session;
            self.timestamps = [NO_REFERENCE; uapi::NUM_REF_FRAMES];
        }
    }

    /// What `reference_frame_ts` has to be for a device that did as the requests before said.
    pub fn timestamps(&self) -> [u64; uapi::NUM_REF_FRAMES] {
        self.timestamps
    }

    /// Takes in a picture that is decoded for the first time.
    pub fn picture(&mut self, number: usize, timestamp: u64, frame: &uapi::Frame) {
        self.pictures.name(self.session, timestamp, number);
        self.frames.push(*frame);
        self.refresh(timestamp, frame);
    }

    /// Takes in a request without target, if it decodes one of the last pictures again, into its slot:
    /// the same frame but for the slots.
    pub fn repeats(&mut self, timestamp: u64, frame: &uapi::Frame) -> bool {
        let same = |other: &uapi::Frame| {
            let mut other = *other;
            other.refresh_frame_flags = frame.refresh_frame_flags;
            other.reference_frame_ts = frame.reference_frame_ts;
            other == *frame
        };
        let Some(number) = self.frames.iter().rposition(same) else { return false };
        self.pictures.name(self.session, timestamp, number);
        self.refresh(timestamp, frame);
        true
    }

    fn refresh(&mut self, timestamp: u64, frame: &uapi::Frame) {
        for (i, slot) in self.timestamps.iter_mut().enumerate() {
            if frame.refresh_frame_flags >> i & 1 != 0 {
                *slot = timestamp;
            }
        }
    }

    /// The pictures that a frame refers to, LAST_FRAME first.
    pub fn named(&self, frame: &uapi::Frame) -> [Option<usize>; uapi::REFS_PER_FRAME] {
        frame.ref_frame_idx.map(|slot| {
            let slot = usize::try_from(slot).ok()?;
            let Some(timestamp) = frame.reference_frame_ts.get(slot) else { return Some(UNKNOWN) };
            self.pictures.known(self.session, *timestamp)
        })
    }

    /// Those of `live` that no slot holds.
    pub fn missing(
        &self,
        live: &[usize],
        reference_frame_ts: &[u64; uapi::NUM_REF_FRAMES],
    ) -> Vec<usize> {
        let held: Vec<usize> = reference_frame_ts
            .iter()
            .filter(|timestamp| **timestamp != NO_REFERENCE)
            .filter_map(|timestamp| self.pictures.known(self.session, *timestamp))
            .collect();
        live.iter().copied().filter(|picture| !held.contains(picture)).collect()
    }
}
