//! dma-bufs that no decoder gives: from the system heap, or made of ordinary memory.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::Arc,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::{SysconfVar, ftruncate, sysconf},
};

use super::{Block, card::Card};
use crate::error::{Error, Result};

/// `struct dma_heap_allocation_data`.
#[repr(C)]
struct HeapAllocation {
    length: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// `struct udmabuf_create`.
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// `UDMABUF_FLAGS_CLOEXEC`.
const UDMABUF_CLOEXEC: u32 = 1;

const _: () = {
    assert!(size_of::<HeapAllocation>() == 24);
    assert!(size_of::<UdmabufCreate>() == 24);
};

mod raw {
    nix::ioctl_readwrite!(dma_heap_alloc, b'H', 0, super::HeapAllocation);
    // Declared with _IOW, but it takes a pointer like every other.
    nix::ioctl_write_ptr!(udmabuf_create, b'u', 0x42, super::UdmabufCreate);
}

/// `length` in whole pages.
pub(super) fn whole_pages(length: usize) -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| usize::try_from(page).ok()).unwrap_or(4096);
    length.max(1).next_multiple_of(page) as u64
}

/// A zeroed dma-buf of at least `length` bytes in cached system memory. Fails if the system offers none:
/// neither device node need be there, nor be open to everybody.
pub(crate) fn dma_buf(length: usize) -> Result<OwnedFd> {
    let length = whole_pages(length);
    let made = Heap::open().and_then(|heap| heap.allocate(length));
    made.or_else(|heap| {
        let made = Udmabuf::open().and_then(|maker| {
            let memory = sealed_memory(length)?;
            maker.create(memory.as_fd(), length)
        });
        made.map_err(|udmabuf| {
            Error::Allocation(format!("/dev/dma_heap/system: {heap}; /dev/udmabuf: {udmabuf}"))
        })
    })
}

/// What the system offers to make memory of that can be shared. The nodes are opened once: a sandbox may
/// let nobody open them later.
#[derive(Debug)]
pub(crate) struct Anonymous {
    udmabuf: Option<Arc<Udmabuf>>,
    heap: Option<Heap>,
    card: Option<Arc<Card>>,
}

/// The most bytes of a udmabuf, unless an administrator says otherwise (the module's `size_limit_mb`).
const MOST_UDMABUF: usize = 64 << 20;

impl Anonymous {
    /// Looks what there is, and tries it.
    pub fn open() -> Anonymous {
        let udmabuf = Udmabuf::open().and_then(|maker| {
            let page = whole_pages(1);
            maker.create(sealed_memory(page)?.as_fd(), page).map(|_| Arc::new(maker))
        });
        let heap = Heap::open().and_then(|heap| heap.allocate(whole_pages(1)).map(|_| heap));
        let mut card = None;
        if let (Err(udmabuf), Err(heap)) = (&udmabuf, &heap) {
            match Card::open() {
                Ok(found) => card = Some(Arc::new(found)),
                Err(card) => log::info!(
                    "surfaces cannot be exported: /dev/udmabuf: {udmabuf}; /dev/dma_heap/system: {heap}; \
                     /dev/dri: {card}"
                ),
            }
        }
        Anonymous { udmabuf: udmabuf.ok(), heap: heap.ok(), card }
    }

    /// Whether blocks can be shared, as a rule.
    pub fn shares(&self) -> bool {
        self.is_cheap() || self.card.is_some()
    }

    /// Whether what is shared is ordinary memory.
    pub fn is_cheap(&self) -> bool {
        self.udmabuf.is_some() || self.heap.is_some()
    }

    /// Zeroed memory that can be shared if that is possible. The system's heap, whose memory is there from
    /// the beginning, comes second.
    pub fn block(&self, length: usize) -> Result<Block> {
        let (udmabuf, heap) = (self.udmabuf.as_ref(), self.heap.as_ref());
        let small = length <= MOST_UDMABUF || heap.is_none();
        let made = match (udmabuf.filter(|_| small), heap) {
            (Some(maker), _) => Block::shareable(length, maker),
            (None, Some(heap)) => heap
                .allocate(whole_pages(length))
                .map_err(|error| Error::Allocation(format!("/dev/dma_heap/system: {error}")))
                .and_then(|fd| Block::of_dma_buf(fd, length)),
            (None, None) => match &self.card {
                Some(card) => return Block::movable(length, card),
                None => return Block::new(length),
            },
        };
        // No descriptors left, perhaps: pictures can be decoded all the same.
        made.or_else(|error| {
            log::warn!("a surface that cannot be exported: {error}");
            Block::new(length)
        })
    }
}

fn open(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// The system's dma-heap (Linux, Documentation/userspace-api/dma-buf-alloc-exchange.rst).
#[derive(Debug)]
struct Heap(File);

impl Heap {
    fn open() -> io::Result<Heap> {
        open("/dev/dma_heap/system").map(Heap)
    }

    fn allocate(&self, length: u64) -> io::Result<OwnedFd> {
        let fd_flags = (libc::O_RDWR | libc::O_CLOEXEC) as u32;
        let mut allocation = HeapAllocation { length, fd: 0, fd_flags, heap_flags: 0 };
        // SAFETY: an open descriptor and a struct of the size that the call's number says.
        unsafe { raw::dma_heap_alloc(self.0.as_raw_fd(), &mut allocation)? };
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(allocation.fd as i32) })
    }
}

/// What makes dma-bufs of ordinary memory (Linux, include/uapi/linux/udmabuf.h).
#[derive(Debug)]
pub(super) struct Udmabuf(File);

impl Udmabuf {
    fn open() -> io::Result<Udmabuf> {
        open("/dev/udmabuf").map(Udmabuf)
    }

    /// A dma-buf over all `length` bytes of [`sealed_memory`].
    pub(super) fn create(&self, memory: BorrowedFd<'_>, length: u64) -> io::Result<OwnedFd> {
        let memfd = memory.as_raw_fd() as u32;
        let create = UdmabufCreate { memfd, flags: UDMABUF_CLOEXEC, offset: 0, size: length };
        // SAFETY: as in `Heap::allocate`.
        let fd = unsafe { raw::udmabuf_create(self.0.as_raw_fd(), &create)? };
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// A file without a name of so many zeroed bytes. Sealed, because a file that shrinks would take the memory
/// away from under whoever uses it.
pub(super) fn sealed_memory(length: u64) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let memory = memfd_create(c"daedalus surface", flags)?;
    ftruncate(&memory, length as i64)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
    Ok(memory)
}
