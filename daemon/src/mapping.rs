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

/// The number of `DMA_BUF_IOCTL_SYNC`.
pub(crate) const SYNC_REQUEST: u64 =
    nix::request_code_write!(b'b', 0, size_of::<sync::DmaBufSync>());

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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    fn memory(length: u64) -> (File, OwnedFd) {
        let file = File::from(memfd_create(c"dma-buf", MFdFlags::MFD_CLOEXEC).unwrap());
        file.set_len(length).unwrap();
        let fd = file.try_clone().unwrap().into();
        (file, fd)
    }

    #[test]
    fn dma_bufs_lie_one_behind_the_other_at_pages() {
        let page = page_size().unwrap();
        let ((luma, first), (chroma, second)) = (memory(page as u64 + 1), memory(10));
        let mapping = Mapping::new(vec![(first, page as u32 + 1), (second, 10)]).unwrap();
        assert_eq!([0, 1].map(|index| mapping.offset(index)), [0, 2 * page]);
        mapping.write(&mut |memory| {
            assert_eq!(memory.len(), 3 * page);
            memory[page] = 1;
            memory[2 * page + 9] = 2;
        });
        let mut byte = [0];
        luma.read_exact_at(&mut byte, page as u64).unwrap();
        assert_eq!(byte, [1]);
        chroma.read_exact_at(&mut byte, 9).unwrap();
        assert_eq!(byte, [2]);
    }

    #[test]
    fn dma_bufs_that_are_too_short_are_refused() {
        for (length, size) in [(99, 100), (0, 1), (10, 0), (10, u32::MAX)] {
            assert!(Mapping::new(vec![(memory(length).1, size)]).is_err());
        }
        assert!(Mapping::new(Vec::new()).is_err());
        let directory = File::open("/").unwrap();
        assert!(Mapping::new(vec![(directory.into(), 1)]).is_err());
    }
}
