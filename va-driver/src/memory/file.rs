//! The pages behind a descriptor, mapped once.

use std::{
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::OnceLock,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        mman::{MapFlags, ProtFlags, mmap, munmap},
        statfs::{FsType, Statfs, fstatfs},
    },
    unistd::{Whence, lseek},
};

use crate::error::{Error, Result};

/// The first part of what a descriptor stands for: a dma-buf, or a file without a name.
#[derive(Debug)]
pub(super) struct FileMemory {
    fd: OwnedFd,
    length: NonZeroUsize,
    mapping: OnceLock<Result<Mapping>>,
}

impl FileMemory {
    /// Takes the first `length` bytes. Fails if there are fewer.
    pub fn new(fd: OwnedFd, length: usize) -> Result<FileMemory> {
        let length = NonZeroUsize::new(length.max(1)).unwrap_or(NonZeroUsize::MIN);
        let size = size(fd.as_fd())?;
        if size < length.get() {
            return Err(Error::Allocation(format!("a dma-buf of {size} bytes for {length}")));
        }
        Ok(FileMemory { fd, length, mapping: OnceLock::new() })
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
}

/// How many bytes there are behind a descriptor. The end of a dma-buf is its size: that is all that lseek
/// does with one.
pub(super) fn size(fd: BorrowedFd<'_>) -> Result<usize> {
    let end = lseek(fd, 0, Whence::SeekEnd)
        .map_err(|error| Error::Allocation(format!("a dma-buf of unknown size: {error}")))?;
    Ok(usize::try_from(end).unwrap_or(0))
}

/// `DMA_BUF_MAGIC` (linux/magic.h).
const DMA_BUF: FsType = FsType(0x444d_4142);

/// Whether what is behind a descriptor stays as large as it is: a dma-buf, or a memfd that is sealed against
/// shrinking. Of any other file somebody may cut off what is mapped, and who touches that is killed (SIGBUS).
pub(super) fn stays(fd: BorrowedFd<'_>) -> bool {
    let is_dma_buf = |file: Statfs| file.filesystem_type() == DMA_BUF;
    let is_sealed = |seals| SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK);
    fstatfs(fd).is_ok_and(is_dma_buf) || fcntl(fd, FcntlArg::F_GET_SEALS).is_ok_and(is_sealed)
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
unsafe impl Sync for Mapping {}

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
