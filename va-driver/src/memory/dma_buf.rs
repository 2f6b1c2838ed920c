//! What the processor owes a dma-buf that it accesses: its caches, and the fences of those who read it.

use std::{
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// `DMA_BUF_SYNC_READ`.
pub(super) const READ: u64 = 1;
/// `DMA_BUF_SYNC_WRITE`.
pub(super) const WRITE: u64 = 2;
/// `DMA_BUF_SYNC_END`.
const END: u64 = 4;

/// How long a reader may keep a dma-buf from being written again. A GPU is done with a frame within a few
/// milliseconds; one that hangs must not take the decoder with it.
const PATIENCE: Duration = Duration::from_millis(200);

mod raw {
    // `struct dma_buf_sync` is its flags.
    nix::ioctl_write_ptr!(dma_buf_sync, b'b', 0, u64);
}

/// The processor is about to access the memory.
pub(super) fn begin(fd: BorrowedFd<'_>, access: u64) {
    control(fd, access);
}

/// It is done.
pub(super) fn end(fd: BorrowedFd<'_>, access: u64) {
    control(fd, access | END);
}

/// DMA_BUF_IOCTL_SYNC. The memory can be accessed without it; where caches are not coherent, a part of the
/// picture would be stale.
fn control(fd: BorrowedFd<'_>, flags: u64) {
    loop {
        // SAFETY: an open descriptor and a pointer to the call's struct, which is one number.
        match unsafe { raw::dma_buf_sync(fd.as_raw_fd(), &flags) } {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(error) => return log::debug!("synchronising a dma-buf: {error}"),
            Ok(_) => return,
        }
    }
}

/// Waits until nobody reads the memory any more whose reading the kernel knows of (Linux,
/// Documentation/driver-api/dma-buf.rst, "Implicit Fence Poll Support"), but not for ever.
pub(super) fn wait_for_readers(fd: BorrowedFd<'_>) {
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO);
    match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], patience) {
        Ok(0) => log::warn!("a surface is written again while somebody still reads it"),
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => log::debug!("waiting for a dma-buf's readers: {error}"),
    }
}
