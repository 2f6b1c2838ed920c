//! The ids that a client has seen, those of what is gone included.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use daedalus_uapi::Codec;
use libva_sys as va;

use crate::input::Input;

/// What ids stand for.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Config,
    Context,
    Surface,
    Buffer,
    Image,
}

/// From here on a byte in the input is no place in a list.
const STRANGE: u8 = 0xf0;

/// Every id by kind, in the order in which they came.
#[derive(Debug, Default)]
pub struct Ids {
    lists: Mutex<[Vec<u32>; 5]>,
    /// What surfaces were given last, where the driver has taken all of it.
    pictures: Mutex<HashMap<va::VASurfaceID, Codec>>,
}

impl Ids {
    /// The driver gave an id out.
    pub fn add(&self, kind: Kind, id: u32) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)[kind as usize].push(id);
    }

    /// The id that a byte means: one that was given out, be it stale, or one that never was.
    pub fn get(&self, kind: Kind, byte: u8) -> u32 {
        let ids = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |kind: usize| {
            let list = &ids[kind];
            let at = usize::from(byte).checked_rem(list.len());
            at.map(|at| list[at])
        };
        match byte {
            0xff => va::VA_INVALID_ID,
            0xfe => 0,
            // One of another kind.
            STRANGE.. => of((kind as usize + 1) % ids.len()).unwrap_or(1),
            _ => of(kind as usize).unwrap_or(va::VA_INVALID_ID),
        }
    }

    /// The driver has taken a whole picture for a surface.
    pub fn rendered(&self, surface: va::VASurfaceID, codec: Codec) {
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner).insert(surface, codec);
    }

    /// The surfaces for which it has, and the codecs of their last pictures.
    pub fn pictures(&self) -> Vec<(va::VASurfaceID, Codec)> {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.iter().map(|(surface, codec)| (*surface, *codec)).collect()
    }

    /// The id that the next byte of the input means.
    pub fn next(&self, kind: Kind, input: &mut Input<'_>) -> u32 {
        self.get(kind, input.u8())
    }
}
