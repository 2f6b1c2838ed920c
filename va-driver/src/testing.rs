//! What tests of several rooms need.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Seconds that a child of a fork has; it needs moments.
const PATIENCE: u32 = 60;

/// Whether `condition` holds in a child of a fork, which has a copy of everything and no other thread. A child that
/// waits for something for ever is killed, and counts as one where it does not hold.
pub(crate) fn holds_in_child(condition: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child goes on with this thread alone. What it takes of locks that others may have held is the C
    // library's, which looks after them at a fork, and what is under test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the call has no conditions; the signal ends the process.
        unsafe { libc::alarm(PATIENCE) };
        let holds = catch_unwind(AssertUnwindSafe(condition)).unwrap_or(false);
        // SAFETY: the call has no conditions, and leaves the parent's things alone.
        unsafe { libc::_exit(if holds { 0 } else { 1 }) };
    }
    assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
    let mut status = -1;
    // SAFETY: a child of this process that nobody else waits for, and a status to write to.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child, "waitpid: {}", std::io::Error::last_os_error());
    status == 0
}
