//! Threads that answer requests, and those of them whose session ended on such a thread: nobody could wait for them then.
//!
//! This is for the kernel device's; the engine has the same for its own.

use std::{
    cell::Cell,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
};

thread_local! {
    static ANSWERS: Cell<bool> = const { Cell::new(false) };
}

static LEAVING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// The process whose threads are in the list, 0 before there are any: a child of a fork has its parent's list, which may be
/// locked for ever.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The calling thread answers requests from now on.
pub(super) fn begin() {
    ANSWERS.set(true);
}

/// Whether the calling thread answers requests, of whichever session. It must wait for no such thread: that may come to
/// wait for it, if what it drops last ends its session, too.
pub(super) fn is_answering() -> bool {
    #[cfg(feature = "embedded")]
    if daedalus_engine::is_session_thread() {
        return true;
    }
    ANSWERS.get()
}

/// This process' list; `None` if it is the parent's, and locked.
fn list() -> Option<MutexGuard<'static, Vec<JoinHandle<()>>>> {
    let here = std::process::id();
    let first = OWNER.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed);
    if first.is_ok() || first == Err(here) {
        return Some(LEAVING.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let mut list = match LEAVING.try_lock() {
        Ok(list) => list,
        Err(TryLockError::Poisoned(list)) => list.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    // Dropping them would detach whichever threads have their numbers here.
    mem::take(&mut *list).into_iter().for_each(mem::forget);
    OWNER.store(here, Ordering::Relaxed);
    Some(list)
}

/// This one is about to end.
pub(super) fn add(thread: JoinHandle<()>) {
    if let Some(mut leaving) = list() {
        for thread in mem::replace(&mut *leaving, vec![thread]) {
            // Those that are through with their work end at once; left to themselves, they may outlive the library.
            if thread.is_finished() {
                let _ = thread.join();
            } else {
                leaving.push(thread);
            }
        }
    }
}

/// Waits until those that were added have ended; not for one that answers.
pub(super) fn settle() {
    let leaving = list().map(|mut list| mem::take(&mut *list));
    for thread in leaving.into_iter().flatten() {
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::testing::holds_in_child;

    #[test]
    fn a_child_of_a_fork_has_a_list_of_its_own_even_if_its_parents_is_locked() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        add(thread::spawn(move || {
            let _ = ended.recv();
        }));
        // It would wait for a thread that stayed with the parent.
        assert!(holds_in_child(|| {
            settle();
            add(thread::spawn(|| {}));
            settle();
            true
        }));
        let held = list();
        assert!(holds_in_child(|| {
            settle();
            add(thread::spawn(|| {}));
            true
        }));
        drop(held);
        drop(end);
        settle();
    }
}
