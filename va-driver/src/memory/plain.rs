//! Memory of the process' own.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    num::NonZeroUsize,
    ptr::NonNull,
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::ALIGNMENT;
use crate::error::{Error, Result};

/// From this length on memory is mapped: pages that nobody touches then cost nothing, and the rest is
/// not written twice. Clients make more surfaces than they use.
const MAPPED: usize = 256 << 10;

/// A zeroed piece of memory, aligned to [`ALIGNMENT`].
#[derive(Debug)]
pub(super) struct Plain {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned, and accessed through what owns this.
unsafe impl Send for Plain {}
// SAFETY: as above.
unsafe impl Sync for Plain {}

impl Plain {
    pub(super) fn new(length: usize) -> Result<Plain> {
        let failed = || Error::Allocation(format!("{length} bytes"));
        let layout = Layout::from_size_align(length.max(1), ALIGNMENT).map_err(|_| failed())?;
        let start = match NonZeroUsize::new(length) {
            Some(length) if length.get() >= MAPPED => {
                let (access, kind) =
                    (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
                // SAFETY: a new mapping at an address of the kernel's choice.
                unsafe { mmap_anonymous(None, length, access, kind) }.map_err(|_| failed())?.cast()
            }
            // SAFETY: the layout's size is not zero.
            _ => NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(failed)?,
        };
        Ok(Plain { start, layout })
    }

    /// Bytes.
    pub(super) fn length(&self) -> usize {
        self.layout.size()
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if self.length() >= MAPPED {
            // SAFETY: mapped in `new` with this length, and not used again.
            let unmapped = unsafe { munmap(self.start.cast(), self.length()) };
            debug_assert_eq!(unmapped, Ok(()));
        } else {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_every_length_is_zeroed_and_aligned() {
        for length in [0, 1, 4096, MAPPED - 1, MAPPED, MAPPED + 1, 3 * MAPPED] {
            let plain = Plain::new(length).unwrap();
            assert_eq!(plain.length(), length.max(1));
            assert_eq!(plain.start().as_ptr() as usize % ALIGNMENT, 0);
            // SAFETY: as long as that, and nobody else has it.
            let bytes =
                unsafe { std::slice::from_raw_parts_mut(plain.start().as_ptr(), plain.length()) };
            assert!(bytes.iter().all(|byte| *byte == 0), "{length}");
            bytes.fill(1);
        }
        assert!(Plain::new(usize::MAX).is_err());
        assert!(Plain::new(1 << 60).is_err());
    }
}
