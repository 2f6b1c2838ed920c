//! dma-bufs as memory.

#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    num::NonZeroUsize,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    ptr::NonNull,
    slice,
    sync::{Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap},
    unistd::{SysconfVar, sysconf},
};

/// dma-bufs, mapped one behind the other into one range of addresses.
///
/// The memory is shared with the client, which may read and write it at any time; it is only ever
/// written here. It cannot go away below us: a dma-buf keeps its size, and those made of a memfd
/// (udmabuf) need one that is sealed against shrinking.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: NonZeroUsize,
    parts: Vec<Part>,
    /// Keeps our own writers apart.
    access: Mutex<()>,
}

/// One dma-buf of a mapping.
#[derive(Debug)]
struct Part {
    file: File,
    /// Bytes from the start of the mapping.
    offset: usize,
}

// SAFETY: the mapping owns its range of addresses; the lock orders our accesses.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first bytes of each dma-buf, as many as stand beside it. Fails if one is shorter.
    pub fn new(buffers: Vec<(OwnedFd, u32)>) -> io::Result<Mapping> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let page = page_size()?;
        let mut parts = Vec::new();
        let mut lengths = Vec::new();
        let mut end = 0_usize;
        for (fd, size) in buffers {
            let mut file = File::from(fd);
            let there = file.seek(SeekFrom::End(0))?;
            if u64::from(size) > there {
                return Err(invalid(format!("a dma-buf has {there} bytes, expected {size}")));
            }
            let length = NonZeroUsize::new(size as usize)
                .ok_or_else(|| invalid("a dma-buf of no bytes".into()))?;
            parts.push(Part { file, offset: end });
            lengths.push(length);
            end = length
                .get()
                .checked_next_multiple_of(page)
                .and_then(|length| end.checked_add(length))
                .ok_or_else(|| invalid("too large".into()))?;
        }
        let length = NonZeroUsize::new(end).ok_or_else(|| invalid("no dma-buf".into()))?;
        // SAFETY: a new range of addresses, wherever the kernel finds room.
        let start = unsafe {
            mmap_anonymous(
                None,
                length,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            )
        }?;
        // From here on dropping it unmaps the range.
        let mapping = Mapping { start: start.cast(), length, parts, access: Mutex::new(()) };
        for (part, length) in mapping.parts.iter().zip(lengths) {
            let at = mapping.start.addr().checked_add(part.offset);
            // SAFETY: replaces pages of our own range, which nobody uses yet: the part's length, in
            // whole pages, ends where the next part begins.
            unsafe {
                mmap(
                    at,
                    length,
                    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                    MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                    part.file.as_fd(),
                    0,
                )
            }?;
        }
        Ok(mapping)
    }

    /// Where the dma-buf `index` begins: bytes from the start of what [`Self::write`] lends.
    pub fn offset(&self, index: usize) -> usize {
        self.parts[index].offset
    }

    /// Lends the memory, of all dma-bufs, to write. Their caches are maintained around that.
    pub fn write(&self, writer: &mut dyn FnMut(&mut [u8])) {
        let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        self.sync(sync::START);
        // SAFETY: the range is mapped, to write, in whole pages, as long as the mapping lives; the lock
        // makes this our only access. What the client does to the same memory spoils its own picture:
        // plain bytes, of which nothing that is read here depends.
        writer(unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.length.get()) });
        self.sync(sync::END);
    }

    fn sync(&self, flags: u64) {
        for part in &self.parts {
            match sync::sync(&part.file, flags | sync::WRITE) {
                // Plain shared memory (in tests) has no such call and needs none.
                Ok(()) | Err(Errno::ENOTTY) => {}
                Err(errno) => log::warn!("DMA_BUF_IOCTL_SYNC: {errno}"),
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and nobody can use it any more.
        if let Err(errno) = unsafe { munmap(self.start.cast(), self.length.get()) } {
            log::error!("munmap: {errno}");
        }
    }
}

fn page_size() -> io::Result<usize> {
    let size = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| io::Error::other("the page size is unknown"))
}

/// `DMA_BUF_IOCTL_SYNC` of `linux/dma-buf.h`.
mod sync {
    use super::*;

    /// `DMA_BUF_SYNC_WRITE`.
    pub const WRITE: u64 = 2;
    /// `DMA_BUF_SYNC_START`.
    pub const START: u64 = 0;
    /// `DMA_BUF_SYNC_END`.
    pub const END: u64 = 4;

    /// `struct dma_buf_sync`.
    #[repr(C)]
    pub struct DmaBufSync {
        flags: u64,
    }

    nix::ioctl_write_ptr!(dma_buf_sync, b'b', 0, DmaBufSync);

    pub fn sync(file: &File, flags: u64) -> nix::Result<()> {
        loop {
            // SAFETY: the argument is the struct of this ioctl.
            match unsafe { dma_buf_sync(file.as_raw_fd(), &DmaBufSync { flags }) } {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                done => return done.map(drop),
            }
        }
    }
}
