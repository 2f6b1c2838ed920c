//! Threads that answer requests, and those of them whose session ended on such a thread: nobody could wait for them then.
//!
//! This is for the kernel device's; the engine has the same for its own.

use std::{
    cell::Cell,
    mem,
    sync::{Mutex, PoisonError, TryLockError},
    thread::JoinHandle,
};

thread_local! {
    static ANSWERS: Cell<bool> = const { Cell::new(false) };
}

/// With the process whose threads they are: after a fork the child has a list of what it has not.
static LEAVING: Mutex<Vec<(u32, JoinHandle<()>)>> = Mutex::new(Vec::new());

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

/// This one is about to end.
pub(super) fn add(thread: JoinHandle<()>) {
    let mut leaving = LEAVING.lock().unwrap_or_else(PoisonError::into_inner);
    let owner = std::process::id();
    leaving.retain(|(of, thread)| *of != owner || !thread.is_finished());
    leaving.push((owner, thread));
}

/// Waits until those that were added have ended. Where another thread is just adding one, or had been at a fork, it does not
/// wait.
pub(super) fn settle() {
    let leaving = match LEAVING.try_lock() {
        Ok(mut leaving) => mem::take(&mut *leaving),
        Err(TryLockError::Poisoned(leaving)) => mem::take(&mut *leaving.into_inner()),
        Err(TryLockError::WouldBlock) => return,
    };
    for (owner, thread) in leaving {
        if owner == std::process::id() {
            let _ = thread.join();
        } else {
            // Dropping it would detach whichever thread has its number here.
            mem::forget(thread);
        }
    }
}
