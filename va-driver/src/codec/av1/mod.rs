//! AV1: one request per frame, tile groups and spatial layers included.
//!
//! What VA leaves out, the reference slots and what follows from them, is derived in `slots`; see there
//! for when a picture has to wait for its successor.

mod film_grain;
mod frame;
mod inherited;
mod params;
mod sequence;
mod slots;
#[cfg(test)]
mod tests;
mod tiles;

use daedalus_uapi::{
    Controls, Timestamps,
    av1::{self, NUM_REF_FRAMES, PRIMARY_REF_NONE, frame_flag, frame_type, order_hint},
};
use libva_sys as va;

use self::{
    inherited::{INDEPENDENT, Saved},
    params::Params,
    slots::{Placement, SlotMap, Stored},
};
use super::{Ancestry, Draft, Picture, Translator};
use crate::error::{Error, Result};

/// A picture whose slot is not known yet.
struct Pending {
    /// The picture as a request, references filled in, refresh_frame_flags zero.
    draft: Draft,
    stored: Stored,
    /// Somebody needed the pixels: it was decoded without being stored.
    decoded: bool,
}

/// How often the slot map could not decide at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pictures that had to wait for their successor.
    pub waited: u64,
    /// Of these, pictures whose pixels were needed before.
    pub committed: u64,
    /// Of these, pictures that turned out to be references and were decoded once more.
    pub repeated: u64,
}

/// VA's AV1 buffers → requests.
#[derive(Default)]
pub struct Av1Translator {
    timestamps: Timestamps,
    slots: SlotMap,
    /// The slots whose pictures the client may still refer to.
    live: u8,
    /// In decode order. More than one only behind hidden key frames of a client (ffmpeg) that does not
    /// say what its slots hold when it decodes a key frame.
    pending: Vec<Pending>,
    counts: Counts,
}

impl Av1Translator {
    /// A translator for a new stream.
    pub fn new() -> Self {
        Av1Translator::default()
    }

    /// How often a picture's slot could not be chosen at once.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Settles the pictures kept back, now that the client's references are known. `named` are the
    /// surfaces in its slots.
    fn settle(&mut self, named: &[va::VASurfaceID], ready: &mut Vec<Draft>) {
        for mut pending in std::mem::take(&mut self.pending) {
            let is_reference = named.contains(&pending.stored.surface);
            if !is_reference {
                if !pending.decoded {
                    ready.push(pending.draft);
                }
                continue;
            }
            // It replaced at least one picture, so one slot of the eight is free now.
            let surface = pending.stored.surface;
            let others: Vec<_> = named.iter().copied().filter(|other| *other != surface).collect();
            let refresh_frame_flags = match self.slots.place(self.slots.live(&others)) {
                Placement::Refresh(flags) => flags,
                Placement::Wait => 1,
            };
            if pending.decoded {
                // Its pixels have been delivered: decode it again for its effect on later pictures.
                self.counts.repeated += 1;
                log::debug!("AV1: surface {surface:#x} is decoded again, into its slot");
                pending.stored.timestamp = self.timestamps.advance();
                pending.draft.timestamp = pending.stored.timestamp;
                pending.draft.target = None;
                pending.draft.ungrained = None;
            }
            if let Controls::Av1(controls) = &mut pending.draft.controls {
                controls.frame.refresh_frame_flags = refresh_frame_flags;
                controls.frame.reference_frame_ts = self.slots.timestamps();
            }
            self.slots.store(pending.stored, refresh_frame_flags);
            ready.push(pending.draft);
        }
    }

    /// What the frame takes over; its references must be filled in.
    fn primary(&self, frame: &av1::Frame) -> Saved {
        let idx = frame.ref_frame_idx.get(usize::from(frame.primary_ref_frame));
        let slot = idx.and_then(|idx| self.slots.slots().get(usize::try_from(*idx).ok()?));
        slot.copied().flatten().map_or(INDEPENDENT, |stored| stored.saved)
    }

    /// Fills in what depends on the reference slots.
    fn references(&self, p: &Params, frame: &mut av1::Frame, order_hint_bits: u8) {
        let slots = self.slots.slots();
        frame.reference_frame_ts = self.slots.timestamps();
        frame.ref_frame_idx = [-1; av1::REFS_PER_FRAME];
        if matches!(frame.frame_type, frame_type::KEY | frame_type::INTRA_ONLY) {
            frame.primary_ref_frame = PRIMARY_REF_NONE;
            return;
        }
        let mut hints = [0; av1::REFS_PER_FRAME];
        for (i, idx) in p.buffer.ref_frame_idx.iter().enumerate() {
            let surface = p.buffer.ref_frame_map.get(usize::from(*idx));
            let Some(slot) = surface.and_then(|surface| self.slots.slot_of(*surface)) else {
                log::debug!("AV1: reference {i} is missing");
                continue;
            };
            frame.ref_frame_idx[i] = slot as i8;
            hints[i] = slots[slot].map_or(0, |stored| stored.order_hint);
            frame.order_hints[i + 1] = hints[i];
        }
        if order_hint_bits > 0 && frame.flags & frame_flag::REFERENCE_SELECT != 0 {
            let frames = order_hint::skip_mode_frames(frame.order_hint, &hints, order_hint_bits);
            if let Some(frames) = frames {
                frame.flags |= frame_flag::SKIP_MODE_ALLOWED;
                frame.skip_mode_frame = frames;
            }
        }
    }
}

/// The surfaces that the picture and its version without film grain go to. With film grain, current_frame
/// is the plain picture that later ones refer to, and current_display_picture what is shown.
fn targets(p: &Params, begun: va::VASurfaceID) -> (va::VASurfaceID, Option<va::VASurfaceID>) {
    let valid = |surface: va::VASurfaceID| (surface != va::VA_INVALID_SURFACE).then_some(surface);
    let current = valid(p.buffer.current_frame).unwrap_or(begun);
    match valid(p.buffer.current_display_picture) {
        Some(shown) if p.film_grain.apply_grain() != 0 && shown != current => {
            (shown, Some(current))
        }
        _ => (current, None),
    }
}

/// The surfaces in the client's slots; `None` for a key frame whose client does not say.
fn named(p: &Params) -> Option<Vec<va::VASurfaceID>> {
    let map = p.buffer.ref_frame_map;
    let named: Vec<_> = map.into_iter().filter(|s| *s != va::VA_INVALID_SURFACE).collect();
    (!named.is_empty() || p.frame_type() != frame_type::KEY).then_some(named)
}

impl Drop for Av1Translator {
    fn drop(&mut self) {
        let Counts { waited, committed, repeated } = self.counts;
        if waited > 0 {
            log::info!(
                "AV1: {waited} pictures waited for their successor, {committed} of them were needed \
                 before, {repeated} of those were decoded again as references"
            );
        }
    }
}

impl Translator for Av1Translator {
    fn picture(&mut self, picture: &Picture<'_>, ready: &mut Vec<Draft>) -> Result<()> {
        let p = Params::of(picture)?;
        let (target, ungrained) = targets(&p, picture.target);
        let surface = ungrained.unwrap_or(target);
        let named = named(&p);
        if p.shown_key() {
            // Replaces all references, so what is kept back has no effect on anything.
            self.settle(&[], ready);
        } else if let Some(named) = &named {
            self.settle(named, ready);
            self.live = self.slots.live(named);
        }

        let translated = (|| {
            let mut controls = av1::Controls::new_zeroed();
            sequence::fill(&p, &mut controls.sequence)?;
            frame::fill(&p, picture.context_size.0, &mut controls.frame)?;
            film_grain::fill(&p, &mut controls.film_grain);
            let (tiles, data) = tiles::tiles(picture)?;
            let expected = usize::from(p.buffer.tile_cols) * usize::from(p.buffer.tile_rows);
            if tiles.len() != expected {
                return Err(Error::Decoding(format!("{} of {expected} tiles", tiles.len())));
            }
            controls.tiles = tiles;
            self.references(&p, &mut controls.frame, controls.sequence.order_hint_bits);
            Ok((controls, data))
        })();
        let (mut controls, data) = match translated {
            Ok(translated) => translated,
            Err(error) => {
                // The surface's name means this picture from here on, and there is none.
                self.slots.forget(surface);
                return Err(error);
            }
        };

        let before = self.primary(&controls.frame);
        inherited::restore(&mut controls.frame, &before);
        let stored = Stored {
            timestamp: self.timestamps.advance(),
            surface,
            order_hint: controls.frame.order_hint,
            saved: Saved::of(&controls.frame, &before),
        };
        let replaces_all = p.shown_key() || p.frame_type() == frame_type::SWITCH;
        let placement = if replaces_all {
            Placement::Refresh(0xff)
        } else if !self.pending.is_empty() {
            Placement::Wait
        } else {
            self.slots.place(self.live)
        };
        if let Placement::Refresh(flags) = placement {
            controls.frame.refresh_frame_flags = flags;
        }
        let draft = Draft {
            timestamp: stored.timestamp,
            controls: Controls::Av1(Box::new(controls)),
            data,
            hold_capture: false,
            target: Some(target),
            ungrained,
        };
        match placement {
            Placement::Refresh(flags) => {
                self.slots.store(stored, flags);
                self.live = if replaces_all { 1 } else { self.live | flags };
                ready.push(draft);
            }
            Placement::Wait => {
                self.counts.waited += 1;
                log::debug!("AV1: surface {surface:#x} waits for its successor");
                // Whoever waits for the surface given to vaBeginPicture commits the picture; nobody
                // would for another surface.
                let begun = target == picture.target && ungrained.is_none();
                self.pending.push(Pending { draft, stored, decoded: false });
                // So many only if a client decodes nothing but hidden key frames.
                let many = self.pending.len() > NUM_REF_FRAMES;
                if !begun || many {
                    self.commit(ready);
                }
                if many {
                    self.pending.remove(0);
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self, ready: &mut Vec<Draft>) {
        for pending in self.pending.iter_mut().filter(|pending| !pending.decoded) {
            self.counts.committed += 1;
            pending.decoded = true;
            ready.push(pending.draft.clone());
        }
    }
}

/// See [`super::ancestry`]. A hidden key frame does not end what came before it: later pictures may still
/// refer to that.
pub(super) fn ancestry(picture: &Picture<'_>) -> Result<Ancestry> {
    let p = Params::of(picture)?;
    let references = named(&p).unwrap_or_default();
    Ok(Ancestry { key: p.shown_key(), references })
}
