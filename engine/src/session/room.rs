//! How many requests may be under way.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the requests of a session.
pub(super) struct Room {
    depth: usize,
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One request's place, given back when dropped.
pub(super) struct Place(Arc<Room>);

impl Room {
    /// Room for `depth` requests.
    pub(super) fn new(depth: usize) -> Arc<Room> {
        Arc::new(Room { depth, taken: Mutex::new(0), freed: Condvar::new() })
    }

    /// Takes a place, and waits for one if there is none.
    pub(super) fn take(self: &Arc<Room>) -> Place {
        let mut taken = self.taken();
        while *taken >= self.depth {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Place(self.clone())
    }

    fn taken(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken() -= 1;
        self.0.freed.notify_one();
    }
}
