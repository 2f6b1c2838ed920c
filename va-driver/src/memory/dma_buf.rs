//! A dma-buf as memory: mapped once, its caches looked after.

use std::{
    num::NonZeroUsize,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::OnceLock,
};

use nix::{
    errno::Errno,
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{Whence, lseek},
};

use crate::error::{Error, Result};

/// `DMA_BUF_SYNC_READ`.
pub(super) const READ: u64 = 1;
/// `DMA_BUF_SYNC_WRITE`.
pub(super) const WRITE: u64 = 2;
/// `DMA_BUF_SYNC_END`.
const END: u64 = 4;

mod raw {
    // `struct dma_buf_sync` is its flags.
    nix::ioctl_write_ptr!(dma_buf_sync, b'b', 0, u64);
}

/// A dma-buf, or the first part of one.
#[derive(Debug)]
pub(super) struct DmaBuf {
    fd: OwnedFd,
    length: NonZeroUsize,
    mapping: OnceLock<Result<Mapping>>,
}

impl DmaBuf {
    /// Takes the first `length` bytes. Fails if there are fewer.
    pub fn new(fd: OwnedFd, length: usize) -> Result<DmaBuf> {
        let length = NonZeroUsize::new(length.max(1)).unwrap_or(NonZeroUsize::MIN);
        // A dma-buf's end is its size: that is all that lseek does with one.
        let size = lseek(&fd, 0, Whence::SeekEnd)
            .map_err(|error| Error::Allocation(format!("a dma-buf of unknown size: {error}")))?;
        if u64::try_from(size).unwrap_or(0) < length.get() as u64 {
            return Err(Error::Allocation(format!("a dma-buf of {size} bytes for {length}")));
        }
        Ok(DmaBuf { fd, length, mapping: OnceLock::new() })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn length(&self) -> usize {
        self.length.get()
    }

    /// Where it is mapped, from the first call on.
    pub fn address(&self) -> Result<NonNull<u8>> {
        let mapped = self.mapping.get_or_init(|| Mapping::new(self.fd(), self.length));
        mapped.as_ref().map(|mapping| mapping.start).map_err(Clone::clone)
    }

    /// Brackets an access of the driver's own.
    pub fn sync(&self, access: u64) -> Sync<'_> {
        self.begin(access);
        Sync { dma_buf: self, access }
    }

    /// The processor is about to access the memory.
    pub fn begin(&self, access: u64) {
        self.control(access);
    }

    /// It is done.
    pub fn end(&self, access: u64) {
        self.control(access | END);
    }

    /// DMA_BUF_IOCTL_SYNC. The memory can be accessed without it; where caches are not coherent, a part
    /// of the picture would be stale.
    fn control(&self, flags: u64) {
        loop {
            // SAFETY: an open descriptor and a pointer to the call's struct, which is one number.
            match unsafe { raw::dma_buf_sync(self.fd.as_raw_fd(), &flags) } {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => return log::debug!("synchronising a dma-buf: {error}"),
                Ok(_) => return,
            }
        }
    }
}

/// An access of the driver's own; dropping it ends it.
pub(super) struct Sync<'a> {
    dma_buf: &'a DmaBuf,
    access: u64,
}

impl Drop for Sync<'_> {
    fn drop(&mut self) {
        self.dma_buf.end(self.access);
    }
}

/// Mapped memory.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: NonZeroUsize,
}

// SAFETY: the mapping is owned; the block's lock orders the driver's accesses.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl std::marker::Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, length: NonZeroUsize) -> Result<Mapping> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, 0) }
            .map_err(|error| Error::Allocation(format!("mapping a dma-buf: {error}")))?;
        Ok(Mapping { start: start.cast(), length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; the block that lent it is gone.
        if let Err(error) = unsafe { munmap(self.start.cast(), self.length.get()) } {
            log::error!("unmapping a dma-buf: {error}");
        }
    }
}
