//! The CAPTURE queue: which buffer index a surface's memory has.
//!
//! The device, and the process behind it, maps a buffer's memory when it first sees it under an index, and
//! keeps the mapping for as long as the same memory comes back. So a surface keeps its index; only when
//! there are more surfaces than indices, the one that was used longest ago gives way.

use std::sync::{Arc, Weak};

/// The indices of a queue; `M` is the memory of a surface.
#[derive(Debug)]
pub(super) struct Indices<M> {
    entries: Vec<Entry<M>>,
    /// How many the queue has.
    count: u32,
    /// Counts assignments.
    now: u64,
}

#[derive(Debug)]
struct Entry<M> {
    /// Weak, so that the surface can be destroyed. The device keeps the memory of a dead one until its
    /// index is used again.
    memory: Weak<M>,
    used: u64,
}

impl<M> Indices<M> {
    /// For a queue of `count` buffers, none of which has memory.
    pub fn new(count: u32) -> Indices<M> {
        Indices { entries: Vec::new(), count, now: 0 }
    }

    /// The index of `memory`, which it keeps if it has one. Otherwise it takes that of memory that is
    /// gone, one never used, or the one used longest ago. `None` if its own index is in the device's hands, or
    /// every other is: `busy` tells.
    pub fn assign(&mut self, memory: &Arc<M>, busy: impl Fn(u32) -> bool) -> Option<u32> {
        self.now += 1;
        let idle = |(index, _): &(usize, &Entry<M>)| !busy(*index as u32);
        let own =
            self.entries.iter().position(|entry| entry.memory.as_ptr() == Arc::as_ptr(memory));
        let index = match own {
            Some(index) if busy(index as u32) => return None,
            Some(index) => index,
            None => {
                let entries = || self.entries.iter().enumerate().filter(idle);
                let dead = entries().find(|(_, entry)| entry.memory.strong_count() == 0);
                let unused =
                    (self.entries.len() < self.count as usize).then_some(self.entries.len());
                let oldest = || entries().min_by_key(|(_, entry)| entry.used);
                dead.map(|(index, _)| index)
                    .or(unused)
                    .or_else(|| oldest().map(|(index, _)| index))?
            }
        };
        let entry = Entry { memory: Arc::downgrade(memory), used: self.now };
        match self.entries.get_mut(index) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        Some(index as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(_: u32) -> bool {
        false
    }

    #[test]
    fn a_surface_keeps_its_index() {
        let surfaces: Vec<_> = (0..3).map(Arc::new).collect();
        let mut indices = Indices::new(4);
        for _ in 0..3 {
            for (index, surface) in surfaces.iter().enumerate() {
                assert_eq!(indices.assign(surface, idle), Some(index as u32));
            }
        }
    }

    #[test]
    fn the_one_used_longest_ago_gives_way() {
        let surfaces: Vec<_> = (0..4).map(Arc::new).collect();
        let mut indices = Indices::new(3);
        for surface in &surfaces[..3] {
            indices.assign(surface, idle);
        }
        assert_eq!(indices.assign(&surfaces[0], idle), Some(0));
        assert_eq!(indices.assign(&surfaces[3], idle), Some(1));
        assert_eq!(indices.assign(&surfaces[1], idle), Some(2));
    }

    #[test]
    fn an_index_of_a_destroyed_surface_is_used_first() {
        let surfaces: Vec<_> = (0..2).map(Arc::new).collect();
        let mut indices = Indices::new(8);
        indices.assign(&surfaces[0], idle);
        let gone = Arc::new(9);
        assert_eq!(indices.assign(&gone, idle), Some(1));
        drop(gone);
        assert_eq!(indices.assign(&surfaces[1], idle), Some(1));
    }

    #[test]
    fn what_the_device_holds_is_not_taken() {
        let surfaces: Vec<_> = (0..3).map(Arc::new).collect();
        let mut indices = Indices::new(2);
        indices.assign(&surfaces[0], idle);
        indices.assign(&surfaces[1], idle);
        assert_eq!(indices.assign(&surfaces[2], |index| index == 0), Some(1));
        assert_eq!(indices.assign(&surfaces[1], |_| true), None);
        assert_eq!(indices.assign(&surfaces[0], |index| index == 0), None, "its own");
    }
}
