//! How much stack a client's thread has.

use std::{mem::MaybeUninit, ops::Range, ptr};

/// What decoding may need: libavcodec's deepest calls have some ten KiB of arrays, and programs run it on threads of
/// 256 KiB.
const ENOUGH: usize = 192 << 10;

/// The stack of a thread. (The `stacker` crate knows how much is left of it, but not whether a coroutine has left it for
/// one of its own.)
pub(super) struct Stack {
    /// Threads may be given the numbers of those that ended, the library's as well as the kernel's; both are not.
    thread: (usize, libc::pid_t),
    /// Empty if nobody can say, as in a sandbox without /proc.
    addresses: Range<usize>,
}

impl Stack {
    /// This thread's.
    pub(super) fn here() -> Stack {
        let thread = number();
        let mut stack = Stack { thread, addresses: 0..0 };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: this thread exists; the call fills in the attributes if it returns zero.
        let status =
            unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) };
        if status != 0 {
            return stack;
        }
        // SAFETY: filled in, see above.
        let mut attributes = unsafe { attributes.assume_init() };
        let (mut start, mut size) = (ptr::null_mut(), 0);
        // SAFETY: valid attributes, which are not used after the second call; two places to write to.
        let status = unsafe {
            let status = libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
            libc::pthread_attr_destroy(&mut attributes);
            status
        };
        if status == 0 {
            stack.addresses = start.addr()..start.addr().saturating_add(size);
        }
        stack
    }

    /// Whether it is the caller's.
    pub(super) fn is_own(&self) -> bool {
        self.thread == number()
    }

    /// Whether the caller is on it, and has enough left.
    pub(super) fn has_room(&self) -> bool {
        let here = ptr::from_ref(&self).addr();
        let enough = here.checked_sub(ENOUGH).is_some_and(|end| end >= self.addresses.start);
        enough && here < self.addresses.end && self.is_own()
    }
}

fn number() -> (usize, libc::pid_t) {
    // SAFETY: neither call has conditions.
    unsafe { (libc::pthread_self() as usize, libc::gettid()) }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_stack_counts_if_there_is_enough_of_it_left() {
        let Stack { thread, addresses } = Stack::here();
        let here = ptr::from_ref(&addresses).addr();
        assert!(addresses.contains(&here));
        let left_from = |start| Stack { thread, addresses: start..addresses.end }.has_room();
        assert!(left_from(here - ENOUGH - 4096));
        assert!(!left_from(here - ENOUGH + 4096));
        let left_by_a_coroutine = Stack { thread, addresses: 1..here - 4096 };
        assert!(!left_by_a_coroutine.has_room());
    }

    #[test]
    fn another_threads_stack_is_not_here() {
        let Stack { thread, addresses } = Stack::here();
        let elsewhere = move || Stack { thread, addresses }.has_room();
        assert!(!thread::spawn(elsewhere).join().unwrap());
    }
}
