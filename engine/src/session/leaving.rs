//! Threads of sessions that ended on one of their own threads: nobody could wait for them then.

use std::{
    sync::{Mutex, PoisonError, TryLockError},
    thread::JoinHandle,
};

/// With the process whose threads they are: after a fork the child has a list of what it has not.
static LEAVING: Mutex<Vec<(u32, JoinHandle<()>)>> = Mutex::new(Vec::new());

/// These are about to end.
pub(super) fn add(threads: Vec<JoinHandle<()>>) {
    let mut leaving = LEAVING.lock().unwrap_or_else(PoisonError::into_inner);
    leaving.retain(|(_, thread)| !thread.is_finished());
    leaving.extend(threads.into_iter().map(|thread| (std::process::id(), thread)));
}

/// Waits until no session that is gone has threads that still run, as a library should before its host leaves:
/// not from such a thread. Where another thread is just adding some, or had been at a fork, it does not wait.
pub fn settle() {
    let leaving = match LEAVING.try_lock() {
        Ok(mut leaving) => std::mem::take(&mut *leaving),
        Err(TryLockError::Poisoned(leaving)) => std::mem::take(&mut *leaving.into_inner()),
        Err(TryLockError::WouldBlock) => return,
    };
    for (owner, thread) in leaving {
        if owner == std::process::id() {
            let _ = thread.join();
        }
    }
}
