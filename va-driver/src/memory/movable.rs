//! Memory of the process' own that moves to a dma-buf at its first export.
//!
//! For dma-bufs that cannot be made of memory that is there (`shared` can), and that are slow to read.

use std::{
    fmt::Debug,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{anonymous::whole_pages, dma_buf, file::FileMemory, plain::Plain};
use crate::error::{Error, Result};

/// Gives dma-bufs.
pub(super) trait Source: Debug + Send + Sync {
    /// A zeroed one of at least `length` bytes.
    fn allocate(&self, length: u64) -> io::Result<OwnedFd>;
}

/// Plain memory, or a dma-buf. The block's lock orders moving and the driver's accesses.
#[derive(Debug)]
pub(super) struct Movable {
    length: usize,
    source: Arc<dyn Source>,
    before: Mutex<Before>,
    moved: OnceLock<FileMemory>,
}

#[derive(Debug)]
enum Before {
    Here(Plain),
    /// A client has the address: the memory has to stay.
    Mapped(Plain),
    Gone,
}

impl Movable {
    pub fn new(length: usize, source: Arc<dyn Source>) -> Result<Movable> {
        let before = Mutex::new(Before::Here(Plain::new(length)?));
        Ok(Movable { length, source, before, moved: OnceLock::new() })
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// The dma-buf, once there is one.
    pub fn dma_buf(&self) -> Option<BorrowedFd<'_>> {
        self.moved.get().map(FileMemory::fd)
    }

    /// Where the memory is, until it moves.
    pub fn address(&self) -> Result<NonNull<u8>> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*before, self.moved.get()) {
            (Before::Here(plain) | Before::Mapped(plain), _) => Ok(plain.start()),
            (Before::Gone, Some(moved)) => moved.address(),
            (Before::Gone, None) => Err(Error::Allocation("memory that is gone".into())),
        }
    }

    /// Where the memory is, for a client: from now on it does not move.
    pub fn fixed_address(&self) -> Result<NonNull<u8>> {
        {
            let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            if let Before::Here(_) = *before {
                if let Before::Here(plain) = std::mem::replace(&mut *before, Before::Gone) {
                    *before = Before::Mapped(plain);
                }
            }
        }
        self.address()
    }

    /// The dma-buf, to which the content moves now if it has not yet. The caller holds the block's lock. Fails
    /// if a client has the address of the memory before.
    pub fn share(&self) -> Result<BorrowedFd<'_>> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(moved) = self.moved.get() {
            return Ok(moved.fd());
        }
        let plain = match &*before {
            Before::Here(plain) => plain,
            _ => {
                let what = "a surface that a client has mapped cannot become a dma-buf any more";
                return Err(Error::OperationFailed(what.into()));
            }
        };
        let made = self.source.allocate(whole_pages(self.length));
        let made = made.map_err(|error| Error::Allocation(format!("a dma-buf: {error}")))?;
        let moved = self.fill(made, plain)?;
        *before = Before::Gone;
        Ok(self.moved.get_or_init(|| moved).fd())
    }

    /// A dma-buf with what is in `plain`.
    fn fill(&self, made: OwnedFd, plain: &Plain) -> Result<FileMemory> {
        let moved = FileMemory::new(made, self.length)?;
        let to = moved.address()?;
        dma_buf::begin(moved.fd().as_fd(), dma_buf::WRITE);
        // SAFETY: both are this long, they are two, and nobody else accesses either: the block's lock is held,
        // and the other has been made just now.
        unsafe {
            std::ptr::copy_nonoverlapping(plain.start().as_ptr(), to.as_ptr(), self.length);
        }
        dma_buf::end(moved.fd().as_fd(), dma_buf::WRITE);
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use nix::{
        sys::memfd::{MFdFlags, memfd_create},
        unistd::ftruncate,
    };

    use super::*;

    /// Files without names, which can be mapped as dma-bufs can.
    #[derive(Debug)]
    struct Files;

    impl Source for Files {
        fn allocate(&self, length: u64) -> io::Result<OwnedFd> {
            let file = memfd_create(c"test", MFdFlags::MFD_CLOEXEC)?;
            ftruncate(&file, length as i64)?;
            Ok(file)
        }
    }

    /// Gives nothing.
    #[derive(Debug)]
    struct Nothing;

    impl Source for Nothing {
        fn allocate(&self, _length: u64) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::OutOfMemory.into())
        }
    }

    fn write(movable: &Movable, at: usize, byte: u8) {
        // SAFETY: within the memory, and nobody else has it.
        unsafe { *movable.address().unwrap().as_ptr().add(at) = byte }
    }

    fn read(movable: &Movable, at: usize) -> u8 {
        // SAFETY: as above.
        unsafe { *movable.address().unwrap().as_ptr().add(at) }
    }

    #[test]
    fn the_content_moves_and_later_writes_go_to_the_dma_buf() {
        let movable = Movable::new(5000, Arc::new(Files)).unwrap();
        assert!(movable.dma_buf().is_none());
        write(&movable, 4999, 7);
        let fd = movable.share().unwrap().try_clone_to_owned().unwrap();
        assert!(movable.dma_buf().is_some());
        let other = FileMemory::new(fd, 5000).unwrap();
        // SAFETY: as above.
        let seen = |at: usize| unsafe { *other.address().unwrap().as_ptr().add(at) };
        assert_eq!((seen(4999), seen(0)), (7, 0));
        write(&movable, 0, 9);
        assert_eq!(seen(0), 9);
        // It has moved for good: others and clients see the same memory.
        assert_eq!(movable.fixed_address(), movable.address());
        assert!(movable.share().is_ok());
    }

    #[test]
    fn what_a_client_has_mapped_stays_where_it_is() {
        let movable = Movable::new(100, Arc::new(Files)).unwrap();
        let address = movable.fixed_address().unwrap();
        assert!(matches!(movable.share(), Err(Error::OperationFailed(_))));
        assert_eq!(movable.address(), Ok(address));
    }

    #[test]
    fn a_failed_move_leaves_everything_as_it_was() {
        let movable = Movable::new(100, Arc::new(Nothing)).unwrap();
        write(&movable, 99, 3);
        assert!(matches!(movable.share(), Err(Error::Allocation(_))));
        assert_eq!(read(&movable, 99), 3);
        assert!(movable.fixed_address().is_ok());
    }
}
