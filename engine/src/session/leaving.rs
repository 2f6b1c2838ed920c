//! Threads of sessions that ended on a session's thread: nobody could wait for them then.

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
    static IS_SESSIONS: Cell<bool> = const { Cell::new(false) };
}

static LEAVING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// The process whose threads are in the list, 0 before there are any. A child of a fork has a list of what it has not, and
/// that may be locked for ever.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The calling thread is a session's from now on.
pub(super) fn begin() {
    IS_SESSIONS.set(true);
}

/// Whether the calling thread is a session's, of whichever. It must wait for no session's threads: they may come to wait
/// for it, if what they drop last ends its session, too.
pub fn is_session_thread() -> bool {
    IS_SESSIONS.get()
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

/// These are about to end.
pub(super) fn add(threads: Vec<JoinHandle<()>>) {
    if let Some(mut leaving) = list() {
        for thread in mem::replace(&mut *leaving, threads) {
            // Those that are through with their work end at once; left to themselves, they may outlive the library.
            if thread.is_finished() {
                let _ = thread.join();
            } else {
                leaving.push(thread);
            }
        }
    }
}

/// Waits until no session that is gone has threads that still run, as a library should before its host leaves:
/// not from such a thread.
pub fn settle() {
    let leaving = list().map(|mut list| mem::take(&mut *list));
    for thread in leaving.into_iter().flatten() {
        let _ = thread.join();
    }
}
