//! dma-bufs that no decoder gives: from the system heap, or made of ordinary memory.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::{SysconfVar, ftruncate, sysconf},
};

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

/// A zeroed dma-buf of at least `length` bytes in cached system memory. Fails if the system offers none:
/// neither device node need be there, nor be open to everybody.
pub(crate) fn dma_buf(length: usize) -> Result<OwnedFd> {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| usize::try_from(page).ok()).unwrap_or(4096);
    let length = length.max(1).next_multiple_of(page) as u64;
    heap(length).or_else(|heap| {
        udmabuf(length).map_err(|udmabuf| {
            Error::Allocation(format!("/dev/dma_heap/system: {heap}; /dev/udmabuf: {udmabuf}"))
        })
    })
}

fn open(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn heap(length: u64) -> io::Result<OwnedFd> {
    let device = open("/dev/dma_heap/system")?;
    let fd_flags = (libc::O_RDWR | libc::O_CLOEXEC) as u32;
    let mut allocation = HeapAllocation { length, fd: 0, fd_flags, heap_flags: 0 };
    // SAFETY: an open descriptor and a struct of the size that the call's number says.
    unsafe { raw::dma_heap_alloc(device.as_raw_fd(), &mut allocation)? };
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(allocation.fd as i32) })
}

/// Sealed, because a file that shrinks would take the memory away from under the device.
fn udmabuf(length: u64) -> io::Result<OwnedFd> {
    let device = open("/dev/udmabuf")?;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let memory = memfd_create(c"daedalus surface", flags)?;
    ftruncate(&memory, length as i64)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
    let memfd = memory.as_raw_fd() as u32;
    let create = UdmabufCreate { memfd, flags: UDMABUF_CLOEXEC, offset: 0, size: length };
    // SAFETY: as in `heap`.
    let fd = unsafe { raw::udmabuf_create(device.as_raw_fd(), &create)? };
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
