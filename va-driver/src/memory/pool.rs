//! Memory of images that are gone, for those to come.
//!
//! Programs that download pictures make an image for each and destroy it at once. Memory that is new each
//! time would be unmapped, mapped, and cleared page by page by the kernel: a third of what a download costs.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::plain::Plain;
use crate::error::Result;

/// Blocks kept, and the bytes of all of them.
const MOST_BLOCKS: usize = 4;
const MOST_BYTES: usize = 64 << 20;

/// Memory of one driver instance that is not used at the moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Plain>>>);

/// Memory that goes back to its pool.
#[derive(Debug)]
pub(super) struct Pooled {
    /// There until dropped.
    memory: Option<Plain>,
    pool: Weak<Mutex<Vec<Plain>>>,
}

impl Pool {
    /// So many bytes: what an image of the same size has left behind, or new ones.
    pub(super) fn take(&self, length: usize) -> Result<Pooled> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.iter().position(|plain| plain.length() == length);
        let kept = at.map(|at| free.swap_remove(at));
        drop(free);
        let memory = Some(kept.map_or_else(|| Plain::new(length), Ok)?);
        Ok(Pooled { memory, pool: Arc::downgrade(&self.0) })
    }
}

impl Pooled {
    pub(super) fn plain(&self) -> Option<&Plain> {
        self.memory.as_ref()
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let (Some(memory), Some(pool)) = (self.memory.take(), self.pool.upgrade()) else { return };
        let mut free = pool.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(memory);
        // The oldest ones give way.
        while free.len() > MOST_BLOCKS || free.iter().map(Plain::length).sum::<usize>() > MOST_BYTES
        {
            free.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(pool: &Pool) -> Vec<usize> {
        pool.0.lock().unwrap().iter().map(Plain::length).collect()
    }

    #[test]
    fn memory_is_used_again_for_the_same_size_alone() {
        let pool = Pool::default();
        let first = pool.take(1000).unwrap().plain().unwrap().start();
        assert_eq!(lengths(&pool), [1000]);
        let other = pool.take(1001).unwrap();
        let again = pool.take(1000).unwrap();
        assert_eq!(again.plain().unwrap().start(), first);
        assert_eq!(lengths(&pool), [0; 0]);
        drop((other, again));
        assert_eq!(lengths(&pool), [1001, 1000]);
    }

    #[test]
    fn what_is_kept_is_limited() {
        let pool = Pool::default();
        let many: Vec<_> = (1..=9).map(|length| pool.take(length).unwrap()).collect();
        drop(many);
        assert_eq!(lengths(&pool), [6, 7, 8, 9]);
        drop(pool.take(MOST_BYTES).unwrap());
        assert_eq!(lengths(&pool), [MOST_BYTES]);
        drop(pool.take(MOST_BYTES + 1).unwrap());
        assert_eq!(lengths(&pool), [0; 0]);
    }

    #[test]
    fn memory_outlives_its_pool() {
        let pool = Pool::default();
        let taken = pool.take(100).unwrap();
        drop(pool);
        assert_eq!(taken.plain().unwrap().length(), 100);
    }
}
