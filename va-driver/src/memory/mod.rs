//! Memory that clients see: blocks behind buffers and images, and the frames behind surfaces.
//!
//! A [`Block`] is plain memory, memory that can become a dma-buf (`shared`) or move to one (`movable`), or a
//! dma-buf from the beginning. `file` maps descriptors, `dma_buf` knows how access to a dma-buf is bracketed, and
//! `anonymous` where one comes from when no decoder gives it; `card` is the last resort.

mod anonymous;
mod card;
mod dma_buf;
mod file;
mod movable;
mod plain;
mod pool;
mod shared;

use std::{
    cmp::Ordering,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{self, AtomicBool},
    },
};

use self::{
    anonymous::Udmabuf, card::Card, file::FileMemory, movable::Movable, plain::Plain, pool::Pooled,
    shared::Shared,
};
pub(crate) use self::{
    anonymous::{Anonymous, dma_buf as anonymous_dma_buf},
    pool::Pool,
};
use crate::error::{Error, Result};

/// Alignment of blocks and row pitches in bytes: a cache line, and what GPU importers ask of linear
/// NV12.
pub(crate) const ALIGNMENT: usize = 64;

/// A piece of memory with a fixed address, which a client may map and write at any time.
#[derive(Debug)]
pub(crate) struct Block {
    backing: Backing,
    /// Keeps the driver's own readers and writers apart. A client that touches mapped memory while the
    /// driver uses it spoils its own picture and nothing else.
    access: Mutex<()>,
    /// Others have a descriptor of it, and may be reading it.
    given: AtomicBool,
}

#[derive(Debug)]
enum Backing {
    Plain(Plain),
    Pooled(Pooled),
    Shared(Shared),
    Movable(Movable),
    DmaBuf(FileMemory),
}

impl Block {
    fn of(backing: Backing) -> Block {
        Block { backing, access: Mutex::new(()), given: AtomicBool::new(false) }
    }

    /// Allocates `length` zeroed bytes.
    pub fn new(length: usize) -> Result<Block> {
        Ok(Block::of(Backing::Plain(Plain::new(length)?)))
    }

    /// So many bytes of a pool, in which there is whatever an earlier image has left.
    pub fn pooled(pool: &Pool, length: usize) -> Result<Block> {
        Ok(Block::of(Backing::Pooled(pool.take(length)?)))
    }

    /// So many zeroed bytes of which `maker` can make a dma-buf.
    fn shareable(length: usize, maker: &Arc<Udmabuf>) -> Result<Block> {
        Ok(Block::of(Backing::Shared(Shared::new(length, maker)?)))
    }

    /// So many zeroed bytes that move to a dma-buf of `card` when they are shared.
    fn movable(length: usize, card: &Arc<Card>) -> Result<Block> {
        Ok(Block::of(Backing::Movable(Movable::new(length, card.clone())?)))
    }

    /// The memory of a dma-buf. Fails if that has less than `length` bytes.
    pub fn of_dma_buf(fd: OwnedFd, length: usize) -> Result<Block> {
        Ok(Block::of(Backing::DmaBuf(FileMemory::new(fd, length)?)))
    }

    /// All the memory of somebody else's dma-buf, or of a memfd that cannot shrink. Fails for other files.
    pub fn of_foreign(fd: OwnedFd) -> Result<Block> {
        if !file::stays(fd.as_fd()) {
            let what = "external memory: neither a dma-buf nor a memfd sealed against shrinking";
            return Err(Error::InvalidParameter(what.into()));
        }
        let length = file::size(fd.as_fd())?;
        let block = Block::of_dma_buf(fd, length)?;
        block.given.store(true, atomic::Ordering::Relaxed);
        Ok(block)
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        match &self.backing {
            Backing::Plain(plain) => plain.length(),
            Backing::Pooled(pooled) => pooled.plain().map_or(0, Plain::length),
            Backing::Shared(shared) => shared.length(),
            Backing::Movable(movable) => movable.length(),
            Backing::DmaBuf(memory) => memory.length(),
        }
    }

    /// The dma-buf, for memory that is one by now.
    pub fn dma_buf(&self) -> Option<BorrowedFd<'_>> {
        match &self.backing {
            Backing::Plain(_) | Backing::Pooled(_) => None,
            Backing::Shared(shared) => shared.dma_buf(),
            Backing::Movable(movable) => movable.dma_buf(),
            Backing::DmaBuf(memory) => Some(memory.fd()),
        }
    }

    /// A descriptor of the memory for others, and its bytes, from the start of the block on. `None` for
    /// memory that cannot be shared. Fails if a client has mapped memory that would have to move.
    pub fn share(&self) -> Result<Option<(OwnedFd, usize)>> {
        let fd = match &self.backing {
            Backing::Plain(_) | Backing::Pooled(_) => return Ok(None),
            Backing::Shared(shared) => shared.share()?,
            Backing::Movable(movable) => {
                let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
                movable.share()?
            }
            Backing::DmaBuf(memory) => memory.fd(),
        };
        let copy = fd
            .try_clone_to_owned()
            .map_err(|error| Error::Allocation(format!("a descriptor of a dma-buf: {error}")))?;
        self.given.store(true, atomic::Ordering::Relaxed);
        Ok(Some((copy, file::size(fd)?)))
    }

    /// Whether others have, or have had, a descriptor.
    pub fn is_given(&self) -> bool {
        self.given.load(atomic::Ordering::Relaxed)
    }

    /// Waits until those who have a descriptor have read what is there, as far as the kernel knows, and not
    /// for ever. For whoever is about to replace it.
    pub fn wait_for_readers(&self) {
        if self.is_given() {
            if let Some(fd) = self.dma_buf() {
                dma_buf::wait_for_readers(fd);
            }
        }
    }

    /// The address for a client that maps the memory. A dma-buf is mapped when it is first asked for, which can
    /// fail, and then stays so.
    pub fn fixed_address(&self) -> Result<*mut u8> {
        match &self.backing {
            Backing::Movable(movable) => Ok(movable.fixed_address()?.as_ptr()),
            _ => self.address(),
        }
    }

    /// Fails if the memory cannot be written.
    pub fn check(&self) -> Result<()> {
        self.address().map(drop)
    }

    /// Where the memory is for now.
    fn address(&self) -> Result<*mut u8> {
        let gone = || Error::Allocation("memory that is gone".into());
        let start = match &self.backing {
            Backing::Plain(plain) => plain.start(),
            Backing::Pooled(pooled) => pooled.plain().ok_or_else(gone)?.start(),
            Backing::Shared(shared) => shared.address()?,
            Backing::Movable(movable) => movable.address()?,
            Backing::DmaBuf(memory) => memory.address()?,
        };
        Ok(start.as_ptr())
    }

    /// Lends the content to read. Fails only if a dma-buf cannot be mapped.
    pub fn read<R>(&self, reader: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.address()?;
        let _sync = self.sync(dma_buf::READ);
        // SAFETY: the block is valid for its length, and the lock keeps the driver's writers out.
        Ok(reader(unsafe { std::slice::from_raw_parts(start, self.length()) }))
    }

    /// Lends the content to write. Fails only if a dma-buf cannot be mapped.
    pub fn write<R>(&self, writer: impl FnOnce(&mut [u8]) -> R) -> Result<R> {
        self.wait_for_readers();
        let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.address()?;
        let _sync = self.sync(dma_buf::READ | dma_buf::WRITE);
        // SAFETY: the block is valid for its length, and the lock makes this the driver's only access.
        Ok(writer(unsafe { std::slice::from_raw_parts_mut(start, self.length()) }))
    }

    fn sync(&self, access: u64) -> Option<Bracket<'_>> {
        let fd = self.dma_buf()?;
        dma_buf::begin(fd, access);
        Some(Bracket { fd, access })
    }
}

/// An access of the driver's own to a dma-buf; dropping it ends it.
struct Bracket<'a> {
    fd: BorrowedFd<'a>,
    access: u64,
}

impl Drop for Bracket<'_> {
    fn drop(&mut self) {
        dma_buf::end(self.fd, self.access);
    }
}

/// A client's access to a block, from mapping to unmapping: dropping it ends the access.
#[derive(Debug)]
pub(crate) struct ClientAccess(Arc<Block>);

impl ClientAccess {
    /// Begins an access that may read and write; nothing to do for plain memory.
    pub fn begin(block: &Arc<Block>) -> ClientAccess {
        if let Some(fd) = block.dma_buf() {
            dma_buf::begin(fd, dma_buf::READ | dma_buf::WRITE);
        }
        ClientAccess(block.clone())
    }
}

impl Drop for ClientAccess {
    fn drop(&mut self) {
        if let Some(fd) = self.0.dma_buf() {
            dma_buf::end(fd, dma_buf::READ | dma_buf::WRITE);
        }
    }
}

/// Lends `from` to read and `to` to write. Fails if they are one and the same, or cannot be mapped.
pub(crate) fn copy_between<R>(
    from: &Block,
    to: &Block,
    copy: impl FnOnce(&[u8], &mut [u8]) -> R,
) -> Result<R> {
    // The lower address is locked first, so that two copies in opposite directions cannot block each
    // other.
    match std::ptr::from_ref(from).cmp(&std::ptr::from_ref(to)) {
        Ordering::Equal => Err(Error::OperationFailed("the image is the surface's own".into())),
        Ordering::Less => from.read(|from| to.write(|to| copy(from, to)))?,
        Ordering::Greater => to.write(|to| from.read(|from| copy(from, to)))?,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A descriptor that can be mapped as a dma-buf can.
    fn file(length: i64) -> OwnedFd {
        use nix::sys::memfd::{MFdFlags, memfd_create};
        let fd = memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap();
        nix::unistd::ftruncate(&fd, length).unwrap();
        fd
    }

    #[test]
    fn every_block_is_zeroed_and_keeps_what_is_written() {
        for block in [Block::new(100).unwrap(), Block::of_dma_buf(file(4096), 100).unwrap()] {
            assert_eq!(block.read(|bytes| bytes.iter().all(|byte| *byte == 0)), Ok(true));
            block.write(|bytes| bytes[99] = 7).unwrap();
            assert_eq!(block.read(|bytes| bytes[99]), Ok(7));
            assert!(block.length() >= 100);
            assert_eq!(block.address(), block.address());
        }
    }

    #[test]
    fn a_dma_buf_that_is_too_short_is_refused() {
        assert!(Block::of_dma_buf(file(4096), 4097).is_err());
        assert_eq!(Block::of_dma_buf(file(8192), 4097).unwrap().length(), 4097);
    }

    #[test]
    fn plain_memory_has_no_descriptor() {
        assert!(Block::new(1).unwrap().dma_buf().is_none());
        assert!(Block::of_dma_buf(file(1), 1).unwrap().dma_buf().is_some());
    }

    #[test]
    fn a_block_is_not_copied_onto_itself() {
        let (a, b) = (Block::new(4).unwrap(), Block::of_dma_buf(file(4), 4).unwrap());
        a.write(|bytes| bytes.fill(3)).unwrap();
        copy_between(&a, &b, |from, to| to.copy_from_slice(from)).unwrap();
        assert_eq!(b.read(<[u8]>::to_vec), Ok(vec![3; 4]));
        copy_between(&b, &a, |_, to| to.fill(1)).unwrap();
        assert_eq!(a.read(<[u8]>::to_vec), Ok(vec![1; 4]));
        assert!(copy_between(&a, &a, |_, _| ()).is_err());
    }
}
