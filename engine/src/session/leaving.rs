//! Threads of sessions that ended on a session's thread: nobody could wait for them then.

use std::{
    cell::Cell,
    mem,
    sync::{Mutex, PoisonError, TryLockError},
    thread::JoinHandle,
};

/// With the process whose threads they are: after a fork the child has a list of what it has not.
static LEAVING: Mutex<Vec<(u32, JoinHandle<()>)>> = Mutex::new(Vec::new());

thread_local! {
    static IS_SESSIONS: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is a session's from now on.
pub(super) fn begin() {
    IS_SESSIONS.set(true);
}

/// Whether the calling thread is a session's, of whichever. It must wait for no session's threads: they may come to wait
/// for it, if what they drop last ends its session, too.
pub fn is_session_thread() -> bool {
    IS_SESSIONS.get()
}

/// These are about to end.
pub(super) fn add(threads: Vec<JoinHandle<()>>) {
    let mut leaving = LEAVING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut left = ours(mem::take(&mut *leaving));
    left.retain(|thread| !thread.is_finished());
    left.extend(threads);
    leaving.extend(left.into_iter().map(|thread| (std::process::id(), thread)));
}

/// Those of this process. The others' are forgotten: dropping them would detach whichever threads have their numbers
/// here.
fn ours(leaving: Vec<(u32, JoinHandle<()>)>) -> Vec<JoinHandle<()>> {
    let mut ours = Vec::new();
    for (owner, thread) in leaving {
        if owner == std::process::id() {
            ours.push(thread);
        } else {
            mem::forget(thread);
        }
    }
    ours
}

/// Waits until no session that is gone has threads that still run, as a library should before its host leaves:
/// not from such a thread. Where another thread is just adding some, or had been at a fork, it does not wait.
pub fn settle() {
    let leaving = match LEAVING.try_lock() {
        Ok(mut leaving) => std::mem::take(&mut *leaving),
        Err(TryLockError::Poisoned(leaving)) => std::mem::take(&mut *leaving.into_inner()),
        Err(TryLockError::WouldBlock) => return,
    };
    for thread in ours(leaving) {
        let _ = thread.join();
    }
}
