//! Which of a decoder's eight reference slots each picture goes to.
//!
//! VA does not carry refresh_frame_flags, only (with the *next* picture) which pictures the client's
//! slots hold by then. So a map of our own is kept, unrelated to the client's slot numbers:
//!
//! * A picture goes to a slot whose picture the client no longer names. If the client's slots hold at
//!   most seven different pictures there is always such a slot, and nothing needs to be known about the
//!   future: a picture that turns out not to be a reference does no harm there.
//! * If the client holds eight different pictures, the next picture's map has to tell which one was
//!   replaced, if any. Until then the picture waits ([`Placement::Wait`]). Whoever needs its pixels
//!   earlier has it decoded without being stored; should it turn out to be a reference, it is decoded
//!   once more, into its slot.
//!
//! Pictures are known by their timestamps: a client may decode a new picture into a surface while this
//! map still holds an older picture of that surface.

use daedalus_uapi::{NO_REFERENCE, av1::NUM_REF_FRAMES};
use libva_sys as va;

use super::inherited::Saved;

/// A picture that a slot may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Names the picture in requests.
    pub timestamp: u64,
    /// The surface that the client names it by.
    pub surface: va::VASurfaceID,
    /// Its order hint.
    pub order_hint: u32,
    /// What frames with it as their primary reference take over.
    pub saved: Saved,
}

/// Where a new picture goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// To these slots (refresh_frame_flags).
    Refresh(u8),
    /// Nobody knows yet.
    Wait,
}

/// The pictures in a decoder's reference slots.
#[derive(Clone, Debug, Default)]
pub struct SlotMap {
    slots: [Option<Stored>; NUM_REF_FRAMES],
}

impl SlotMap {
    /// The slots' pictures.
    pub fn slots(&self) -> &[Option<Stored>; NUM_REF_FRAMES] {
        &self.slots
    }

    /// The slots' pictures as requests name them.
    pub fn timestamps(&self) -> [u64; NUM_REF_FRAMES] {
        self.slots.map(|slot| slot.map_or(NO_REFERENCE, |stored| stored.timestamp))
    }

    /// The slot that holds the picture which the client calls `surface`: the newest one, since decoding
    /// into a surface ends whatever it held before.
    pub fn slot_of(&self, surface: va::VASurfaceID) -> Option<usize> {
        let held = self.slots.iter().enumerate().filter_map(|(i, slot)| Some((i, (*slot)?)));
        held.filter(|(_, stored)| stored.surface == surface)
            .max_by_key(|(_, stored)| stored.timestamp)
            .map(|(i, _)| i)
    }

    /// Where a picture may go while every slot in `live` (as a mask) has to stay.
    pub fn place(&self, live: u8) -> Placement {
        let free = (0..NUM_REF_FRAMES).find(|i| live & (1 << i) == 0);
        free.map_or(Placement::Wait, |slot| Placement::Refresh(1 << slot))
    }

    /// The slots of the pictures that `surfaces` name, one slot for each picture.
    pub fn live(&self, surfaces: &[va::VASurfaceID]) -> u8 {
        surfaces
            .iter()
            .filter_map(|surface| self.slot_of(*surface))
            .fold(0, |mask, i| mask | 1 << i)
    }

    /// Records that `picture` went to the slots of `refresh_frame_flags`.
    pub fn store(&mut self, picture: Stored, refresh_frame_flags: u8) {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if refresh_frame_flags & (1 << i) != 0 {
                *slot = Some(picture);
            }
        }
    }

    /// The client no longer means any stored picture by `surface`.
    pub fn forget(&mut self, surface: va::VASurfaceID) {
        for slot in self.slots.iter_mut().flatten() {
            if slot.surface == surface {
                slot.surface = va::VA_INVALID_ID;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::inherited::INDEPENDENT, *};

    fn stored(n: u32) -> Stored {
        Stored { timestamp: u64::from(n) * 1000, surface: n, order_hint: n, saved: INDEPENDENT }
    }

    #[test]
    fn a_shown_key_frame_leaves_seven_slots_to_spare() {
        let mut map = SlotMap::default();
        map.store(stored(1), 0xff);
        let live = map.live(&[1; 8]);
        assert_eq!(live.count_ones(), 1, "one slot is enough for one picture");
        assert!(matches!(map.place(live), Placement::Refresh(slot) if slot & live == 0));
    }

    #[test]
    fn eight_different_pictures_leave_no_choice() {
        let mut map = SlotMap::default();
        for n in 0..8 {
            map.store(stored(n + 1), 1 << n);
        }
        assert_eq!(map.place(map.live(&[8, 7, 6, 5, 4, 3, 2, 1])), Placement::Wait);
        assert_eq!(map.place(map.live(&[8, 7, 6, 5, 4, 3, 3, 1])), Placement::Refresh(1 << 1));
    }

    #[test]
    fn a_surface_means_the_newest_picture_decoded_into_it() {
        let mut map = SlotMap::default();
        map.store(stored(7), 1 << 5);
        map.store(Stored { timestamp: 9000, ..stored(7) }, 1 << 2);
        assert_eq!(map.slot_of(7), Some(2));
        map.forget(7);
        assert_eq!(map.slot_of(7), None);
    }

    #[test]
    fn surfaces_that_hold_no_picture_are_not_live() {
        let map = SlotMap::default();
        assert_eq!(map.live(&[0, 1, 2, va::VA_INVALID_ID, 4, 5, 6, 7]), 0);
    }
}
