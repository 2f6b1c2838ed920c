//! Object tables: ids that never reach a later object by accident.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use crate::error::{Error, Result};

const INDEX_BITS: u32 = 20;
const GENERATION_BITS: u32 = 8;

/// Objects of one kind by id. An id is the kind (4 bits), a generation (8 bits) that changes each time
/// its place is reused, and the place (20 bits). Kinds count from 1, so that no id is 0 or
/// `VA_INVALID_ID`.
pub(crate) struct Table<T> {
    kind: u32,
    places: RwLock<Places<T>>,
}

struct Places<T> {
    entries: Vec<Entry<T>>,
    /// First in, first out: a place rests as long as possible before it is reused.
    free: VecDeque<u32>,
}

struct Entry<T> {
    generation: u8,
    object: Option<Arc<T>>,
}

impl<T> Table<T> {
    pub(super) fn new(kind: u32) -> Self {
        debug_assert!(kind > 0 && kind < 15);
        Table { kind, places: RwLock::new(Places { entries: Vec::new(), free: VecDeque::new() }) }
    }

    /// Adds the object that `make` builds for its id.
    pub fn insert(&self, make: impl FnOnce(u32) -> T) -> Result<u32> {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        // A few places always rest, so that an id just freed is not handed out again at once.
        let index = if places.free.len() > 64 || places.entries.len() >= 1 << INDEX_BITS {
            places.free.pop_front()
        } else {
            None
        };
        let index = match index {
            Some(index) => index,
            None if places.entries.len() < 1 << INDEX_BITS => {
                places.entries.push(Entry { generation: 0, object: None });
                (places.entries.len() - 1) as u32
            }
            None => return Err(Error::Allocation("all object ids are in use".into())),
        };
        let entry = &mut places.entries[index as usize];
        let id = self.kind << (INDEX_BITS + GENERATION_BITS)
            | u32::from(entry.generation) << INDEX_BITS
            | index;
        entry.object = Some(Arc::new(make(id)));
        Ok(id)
    }

    /// The object with this id, if it exists.
    pub fn get(&self, id: u32) -> Option<Arc<T>> {
        let (index, generation) = self.split(id)?;
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let entry = places.entries.get(index)?;
        if entry.generation == generation { entry.object.clone() } else { None }
    }

    /// Takes the object with this id out.
    pub fn remove(&self, id: u32) -> Option<Arc<T>> {
        let (index, generation) = self.split(id)?;
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let entry = places.entries.get_mut(index)?;
        if entry.generation != generation {
            return None;
        }
        let object = entry.object.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        places.free.push_back(index as u32);
        Some(object)
    }

    fn split(&self, id: u32) -> Option<(usize, u8)> {
        let index = id & ((1 << INDEX_BITS) - 1);
        (id >> (INDEX_BITS + GENERATION_BITS) == self.kind)
            .then_some((index as usize, (id >> INDEX_BITS) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing_even_after_its_place_is_reused() {
        let table = Table::new(3);
        let first = table.insert(|_| 0).unwrap();
        assert_eq!(table.remove(first).as_deref(), Some(&0));
        assert_eq!(table.remove(first), None);
        let mut reused = false;
        for n in 1..200 {
            let id = table.insert(|_| n).unwrap();
            reused |= id & 0xfffff == first & 0xfffff;
            assert_eq!(table.get(first), None);
            table.remove(id).unwrap();
        }
        assert!(reused, "the test must reach the reused place");
    }

    #[test]
    fn ids_of_another_kind_find_nothing() {
        let surfaces = Table::new(3);
        let buffers: Table<i32> = Table::new(4);
        let id = surfaces.insert(|_| 7).unwrap();
        buffers.insert(|_| 8).unwrap();
        assert_eq!(buffers.get(id), None);
        assert_eq!(surfaces.get(u32::MAX), None);
        assert_eq!(surfaces.get(0), None);
    }
}
