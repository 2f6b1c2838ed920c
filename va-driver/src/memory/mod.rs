//! Memory that clients see: blocks behind buffers and images, and the frames behind surfaces.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    cmp::Ordering,
    ptr::NonNull,
    sync::{Mutex, PoisonError},
};

use crate::error::{Error, Result};

/// Alignment of blocks and row pitches in bytes: a cache line, and what GPU importers ask of linear
/// NV12.
pub(crate) const ALIGNMENT: usize = 64;

/// A zeroed piece of memory with a fixed address, which a client may map and write at any time.
#[derive(Debug)]
pub(crate) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    /// Keeps the driver's own readers and writers apart. A client that touches mapped memory while the
    /// driver uses it spoils its own picture and nothing else.
    access: Mutex<()>,
}

// SAFETY: the block owns its memory; the lock orders the driver's accesses.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Allocates `length` zeroed bytes.
    pub fn new(length: usize) -> Result<Block> {
        let layout = Layout::from_size_align(length.max(1), ALIGNMENT)
            .map_err(|_| Error::Allocation(format!("{length} bytes")))?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })
            .ok_or_else(|| Error::Allocation(format!("{length} bytes")))?;
        Ok(Block { start, layout, access: Mutex::new(()) })
    }

    pub fn length(&self) -> usize {
        self.layout.size()
    }

    /// The address that a client maps.
    pub fn address(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Lends the content to read.
    pub fn read<R>(&self, reader: impl FnOnce(&[u8]) -> R) -> R {
        let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the block is valid for its length, and the lock keeps the driver's writers out.
        reader(unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) })
    }

    /// Lends the content to write.
    pub fn write<R>(&self, writer: impl FnOnce(&mut [u8]) -> R) -> R {
        let _access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the block is valid for its length, and the lock makes this the driver's only access.
        writer(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) })
    }
}

/// Lends `from` to read and `to` to write. `None` if they are one and the same.
pub(crate) fn copy_between<R>(
    from: &Block,
    to: &Block,
    copy: impl FnOnce(&[u8], &mut [u8]) -> R,
) -> Option<R> {
    // The lower address is locked first, so that two copies in opposite directions cannot block each
    // other.
    match from.address().cmp(&to.address()) {
        Ordering::Equal => None,
        Ordering::Less => Some(from.read(|from| to.write(|to| copy(from, to)))),
        Ordering::Greater => Some(to.write(|to| from.read(|from| copy(from, to)))),
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
