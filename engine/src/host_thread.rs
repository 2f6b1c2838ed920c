//! What is done on, or beside, a thread of the host program's.

use std::{ffi::c_int, ptr};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Signals that the kernel sends a thread for what it has just done: a browser's sandbox answers forbidden system calls
/// when it gets SIGSYS, and where it is blocked the process ends.
const OWN: [Signal; 6] = [
    Signal::SIGSYS,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
];

/// Runs `body` with signals blocked, as they are then on threads that it starts, so that the host program's handlers do
/// not run there. [`OWN`] are as they were.
pub(crate) fn without_signals<T>(body: impl FnOnce() -> T) -> nix::Result<T> {
    let mut blocked = SigSet::all();
    OWN.into_iter().for_each(|signal| blocked.remove(signal));
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let done = body();
    before.thread_set_mask()?;
    Ok(done)
}

/// `<pthread.h>`: of glibc and of musl.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C-unwind" {
    // The `libc` crate has it for other systems. A thread that is cancelled asynchronously ends in it.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// Runs `body`, which ends before the thread does even if somebody cancels that (pthread_cancel): libraries that wait
/// there would be left in the middle of things, and their locks with them.
pub(crate) fn to_the_end(body: impl FnOnce()) {
    let mut before = 0;
    // SAFETY: a state that there is, and a place to write to.
    let status = unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
    body();
    if status == 0 {
        // SAFETY: the state from above; the C library allows null.
        unsafe { pthread_setcancelstate(before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::thread::JoinHandleExt, sync::mpsc, thread};

    use super::*;

    #[test]
    fn threads_have_their_own_signals_only() {
        let mask = || SigSet::thread_get_mask().unwrap();
        let before = mask();
        let there = without_signals(|| thread::spawn(mask).join().unwrap()).unwrap();
        assert!(there.contains(Signal::SIGINT) && there.contains(Signal::SIGPROF));
        assert!(!OWN.into_iter().any(|signal| there.contains(signal)));
        assert_eq!(mask(), before);
    }

    #[test]
    fn a_thread_that_is_cancelled_comes_to_the_end() {
        let (here, there) = mpsc::channel();
        let (cancel, cancelled) = mpsc::channel();
        let thread = thread::spawn(move || {
            to_the_end(|| {
                here.send(()).unwrap();
                cancelled.recv().unwrap();
                // SAFETY: nothing to write. A call that a cancelled thread does not come back from.
                unsafe { libc::read(-1, ptr::null_mut(), 0) };
                here.send(()).unwrap();
            });
            here.send(()).unwrap();
            // Its way out, with nothing of Rust's to be unwound, is not under test: another state than before stays.
            // SAFETY: a state that there is; the C library allows null.
            unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, ptr::null_mut()) };
        });
        there.recv().unwrap();
        // SAFETY: the thread runs until it is joined below.
        assert_eq!(unsafe { libc::pthread_cancel(thread.as_pthread_t()) }, 0);
        cancel.send(()).unwrap();
        there.recv().unwrap();
        there.recv().unwrap();
        thread.join().unwrap();
    }
}
