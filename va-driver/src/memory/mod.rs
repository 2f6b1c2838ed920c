//! Memory that clients see: blocks behind buffers and images, and the frames behind surfaces.
//!
//! A [`Block`] is plain memory, or, where surfaces go to a kernel device, a dma-buf. `dma_buf` knows how such
//! a descriptor is mapped and bracketed, `anonymous` where one comes from when no decoder gives it.

mod anonymous;
mod dma_buf;
mod plain;
mod pool;

use std::{
    cmp::Ordering,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

pub(crate) use self::{anonymous::dma_buf as anonymous_dma_buf, pool::Pool};
use self::{dma_buf::DmaBuf, plain::Plain, pool::Pooled};
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
}

#[derive(Debug)]
enum Backing {
    Plain(Plain),
    Pooled(Pooled),
    DmaBuf(DmaBuf),
}

impl Backing {
    /// Memory of the process' own, if it is that.
    fn plain(&self) -> Option<&Plain> {
        match self {
            Backing::Plain(plain) => Some(plain),
            Backing::Pooled(pooled) => pooled.plain(),
            Backing::DmaBuf(_) => None,
        }
    }

    fn dma_buf(&self) -> Option<&DmaBuf> {
        match self {
            Backing::DmaBuf(dma_buf) => Some(dma_buf),
            _ => None,
        }
    }
}

impl Block {
    /// Allocates `length` zeroed bytes.
    pub fn new(length: usize) -> Result<Block> {
        Ok(Block { backing: Backing::Plain(Plain::new(length)?), access: Mutex::new(()) })
    }

    /// So many bytes of a pool, in which there is whatever an earlier image has left.
    pub fn pooled(pool: &Pool, length: usize) -> Result<Block> {
        Ok(Block { backing: Backing::Pooled(pool.take(length)?), access: Mutex::new(()) })
    }

    /// The memory of a dma-buf. Fails if that has less than `length` bytes.
    pub fn of_dma_buf(fd: OwnedFd, length: usize) -> Result<Block> {
        Ok(Block { backing: Backing::DmaBuf(DmaBuf::new(fd, length)?), access: Mutex::new(()) })
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        let dma_buf = || self.backing.dma_buf().map_or(0, DmaBuf::length);
        self.backing.plain().map_or_else(dma_buf, Plain::length)
    }

    /// The dma-buf, for memory that is one.
    pub fn dma_buf(&self) -> Option<BorrowedFd<'_>> {
        self.backing.dma_buf().map(DmaBuf::fd)
    }

    /// The address that a client maps. A dma-buf is mapped when it is first asked for, which can fail, and
    /// then stays so.
    pub fn address(&self) -> Result<*mut u8> {
        match &self.backing {
            Backing::DmaBuf(dma_buf) => Ok(dma_buf.address()?.as_ptr()),
            other => match other.plain() {
                Some(plain) => Ok(plain.start().as_ptr()),
                None => Err(Error::Allocation("memory that is gone".into())),
            },
        }
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
        let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.address()?;
        let _sync = self.sync(dma_buf::READ | dma_buf::WRITE);
        // SAFETY: the block is valid for its length, and the lock makes this the driver's only access.
        Ok(writer(unsafe { std::slice::from_raw_parts_mut(start, self.length()) }))
    }

    fn sync(&self, access: u64) -> Option<dma_buf::Sync<'_>> {
        self.backing.dma_buf().map(|dma_buf| dma_buf.sync(access))
    }
}

/// A client's access to a block, from mapping to unmapping: dropping it ends the access.
#[derive(Debug)]
pub(crate) struct ClientAccess(Arc<Block>);

impl ClientAccess {
    /// Begins an access that may read and write; nothing to do for plain memory.
    pub fn begin(block: &Arc<Block>) -> ClientAccess {
        if let Backing::DmaBuf(dma_buf) = &block.backing {
            dma_buf.begin(dma_buf::READ | dma_buf::WRITE);
        }
        ClientAccess(block.clone())
    }
}

impl Drop for ClientAccess {
    fn drop(&mut self) {
        if let Backing::DmaBuf(dma_buf) = &self.0.backing {
            dma_buf.end(dma_buf::READ | dma_buf::WRITE);
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
