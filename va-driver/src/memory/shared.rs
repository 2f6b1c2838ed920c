//! Ordinary memory that becomes a dma-buf once somebody asks for one.
//!
//! A udmabuf pins all of its pages, while clients make more surfaces than they use, and most never share
//! one. So the memory is that of a file without a name, which costs nothing until it is touched, and the
//! udmabuf over it is made at the first export. It stays the same memory.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::{Arc, OnceLock},
};

use super::{
    anonymous::{self, Udmabuf},
    file::FileMemory,
};
use crate::error::{Error, Result};

/// Memory of the process' own, until it is shared.
#[derive(Debug)]
pub(super) struct Shared {
    memory: FileMemory,
    /// As long as the dma-buf will be.
    whole: u64,
    maker: Arc<Udmabuf>,
    dma_buf: OnceLock<Result<OwnedFd>>,
}

impl Shared {
    /// `length` zeroed bytes of which `maker` can make a dma-buf.
    pub fn new(length: usize, maker: &Arc<Udmabuf>) -> Result<Shared> {
        let whole = anonymous::whole_pages(length);
        let failed = |error: io::Error| Error::Allocation(format!("{length} bytes: {error}"));
        let file = anonymous::sealed_memory(whole).map_err(failed)?;
        let memory = FileMemory::new(file, length)?;
        Ok(Shared { memory, whole, maker: maker.clone(), dma_buf: OnceLock::new() })
    }

    pub fn length(&self) -> usize {
        self.memory.length()
    }

    pub fn address(&self) -> Result<NonNull<u8>> {
        self.memory.address()
    }

    /// The dma-buf, if there is one by now.
    pub fn dma_buf(&self) -> Option<BorrowedFd<'_>> {
        self.dma_buf.get()?.as_ref().ok().map(OwnedFd::as_fd)
    }

    /// The dma-buf, made now if need be.
    pub fn share(&self) -> Result<BorrowedFd<'_>> {
        let made = self.dma_buf.get_or_init(|| {
            let made = self.maker.create(self.memory.fd(), self.whole);
            made.map_err(|error| Error::Allocation(format!("/dev/udmabuf: {error}")))
        });
        made.as_ref().map(OwnedFd::as_fd).map_err(Clone::clone)
    }
}
