//! dma-bufs from a display device: "dumb" buffers, which every user of the seat may make.
//!
//! Firefox' decoder process may open nothing else that gives dma-bufs, and make no other call than DRM's. Where
//! the memory is a graphics card's own, reading it is slow: so it is what surfaces move to when they are
//! exported, and not before (`movable`).

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::PathBuf,
};

use super::{anonymous::whole_pages, file::FileMemory, movable::Source};

/// `struct drm_mode_create_dumb`.
#[repr(C)]
#[derive(Default)]
struct CreateDumb {
    height: u32,
    width: u32,
    bpp: u32,
    flags: u32,
    handle: u32,
    pitch: u32,
    size: u64,
}

/// `struct drm_prime_handle`.
#[repr(C)]
struct PrimeHandle {
    handle: u32,
    flags: u32,
    fd: i32,
}

const _: () = {
    assert!(size_of::<CreateDumb>() == 32);
    assert!(size_of::<PrimeHandle>() == 12);
};

mod raw {
    // Linux, include/uapi/drm/drm.h.
    nix::ioctl_none!(drop_master, b'd', 0x1f);
    nix::ioctl_readwrite!(prime_handle_to_fd, b'd', 0x2d, super::PrimeHandle);
    nix::ioctl_readwrite!(create_dumb, b'd', 0xb2, super::CreateDumb);
    // `struct drm_mode_destroy_dumb` is its handle.
    nix::ioctl_readwrite!(destroy_dumb, b'd', 0xb4, u32);
}

/// Pixels of four bytes in a row of a buffer: a page, whatever a device aligns rows to.
const PIXELS: u32 = 1024;

/// A display device that makes dma-bufs.
#[derive(Debug)]
pub(super) struct Card(File);

impl Card {
    /// The first that makes one which can be mapped.
    pub fn open() -> io::Result<Card> {
        let mut nodes: Vec<PathBuf> = fs::read_dir("/dev/dri")?
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("card"))
            .map(|entry| entry.path())
            .collect();
        nodes.sort();
        let mut error = io::Error::from(io::ErrorKind::NotFound);
        for node in nodes {
            match Card::at(&node) {
                Ok(card) => return Ok(card),
                Err(why) => {
                    error = io::Error::new(why.kind(), format!("{}: {why}", node.display()))
                }
            }
        }
        Err(error)
    }

    fn at(node: &PathBuf) -> io::Result<Card> {
        let card = Card(OpenOptions::new().read(true).write(true).open(node)?);
        // Who opens a device first is its master, and a compositor could not become it.
        // SAFETY: an open descriptor; the call has no argument. It fails for whoever is no master.
        let _ = unsafe { raw::drop_master(card.0.as_raw_fd()) };
        let tried = card.allocate(whole_pages(1))?;
        FileMemory::new(tried, 1)
            .and_then(|memory| memory.address().map(drop))
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(card)
    }
}

impl Source for Card {
    fn allocate(&self, length: u64) -> io::Result<OwnedFd> {
        let rows = length.div_ceil(u64::from(PIXELS) * 4);
        let height = u32::try_from(rows).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut created = CreateDumb { height, width: PIXELS, bpp: 32, ..CreateDumb::default() };
        // SAFETY: an open descriptor and a struct of the size that the call's number says.
        unsafe { raw::create_dumb(self.0.as_raw_fd(), &mut created)? };
        let flags = (libc::O_CLOEXEC | libc::O_RDWR) as u32;
        let mut prime = PrimeHandle { handle: created.handle, flags, fd: -1 };
        // SAFETY: as above.
        let exported = unsafe { raw::prime_handle_to_fd(self.0.as_raw_fd(), &mut prime) };
        // The dma-buf keeps the memory; the name that this file has for it is not needed any more.
        // SAFETY: as above.
        let destroyed = unsafe { raw::destroy_dumb(self.0.as_raw_fd(), &mut created.handle) };
        exported?;
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(prime.fd) };
        destroyed?;
        Ok(fd)
    }
}
