//! The module's side as a trait, and the real one: `/dev/daedalus`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

use daedalus_uapi::protocol::{
    Attach, Complete, GetBuffer, IOC_ATTACH, IOC_COMPLETE, IOC_GET_BUFFER, IOC_TYPE, VERSION,
};
use nix::errno::Errno;

use crate::{Error, Result};

/// What a request ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The capture buffer holds the picture.
    Ok = daedalus_uapi::protocol::STATUS_OK,
    /// It holds a picture with wrong parts.
    Damaged = daedalus_uapi::protocol::STATUS_DAMAGED,
    /// It holds no picture.
    Failed = daedalus_uapi::protocol::STATUS_FAILED,
}

/// What sends messages and takes pictures.
pub trait Device: Send + Sync + 'static {
    /// What to poll for messages.
    fn poll_fd(&self) -> BorrowedFd<'_>;

    /// Reads one message. `WouldBlock`: there is none. 0: there will be none any more.
    fn read(&self, message: &mut [u8]) -> io::Result<usize>;

    /// The dma-buf `index` of a request's capture buffer.
    fn get_buffer(&self, session: u64, cookie: u64, index: u32) -> io::Result<OwnedFd>;

    /// Gives a request back. `NotFound`: the client has taken it back, or is gone.
    fn complete(&self, session: u64, cookie: u64, status: Status) -> io::Result<()>;
}

/// What the daemon tells the module it can do.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// `CODEC_*` bits of [`daedalus_uapi::protocol`].
    pub codecs: u32,
    /// Those that also decode 10 bits per sample.
    pub codecs_10bit: u32,
    /// The largest frame in luma samples, in both directions.
    pub max_size: u32,
}

/// The module's character device, attached.
#[derive(Debug)]
pub struct KernelDevice {
    file: File,
    message_size: usize,
}

impl KernelDevice {
    /// Opens the device and attaches.
    pub fn attach(path: &Path, capabilities: Capabilities) -> Result<KernelDevice> {
        let open =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file =
            open.map_err(|error| match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => Error::NoDevice(path.into()),
                Errno::EBUSY => Error::Busy(path.into()),
                Errno::EACCES | Errno::EPERM => Error::Permission(path.into()),
                _ => Error::Open(path.into(), error),
            })?;
        let mut attach = Attach {
            version: VERSION,
            codecs: capabilities.codecs,
            codecs_10bit: capabilities.codecs_10bit,
            max_width: capabilities.max_size,
            max_height: capabilities.max_size,
            message_size: 0,
            reserved: [0; 10],
        };
        match ioctl::attach(file.as_fd(), &mut attach) {
            Ok(()) => {}
            Err(Errno::EBUSY) => return Err(Error::Busy(path.into())),
            Err(Errno::EPROTO) => {
                return Err(Error::Version { module: attach.version, daemon: VERSION });
            }
            Err(errno) => return Err(Error::Open(path.into(), errno.into())),
        }
        Ok(KernelDevice { file, message_size: attach.message_size as usize })
    }

    /// The most bytes that one message has.
    pub fn message_size(&self) -> usize {
        self.message_size
    }
}

impl Device for KernelDevice {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn read(&self, message: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(message)
    }

    fn get_buffer(&self, session: u64, cookie: u64, index: u32) -> io::Result<OwnedFd> {
        Ok(ioctl::get_buffer(self.file.as_fd(), GetBuffer { session, cookie, index, fd: -1 })?)
    }

    fn complete(&self, session: u64, cookie: u64, status: Status) -> io::Result<()> {
        let complete = Complete { session, cookie, status: status as u32, reserved: 0 };
        Ok(ioctl::complete(self.file.as_fd(), &complete)?)
    }
}

/// The ioctls as functions.
#[allow(unsafe_code)]
mod ioctl {
    use super::*;

    /// The `unsafe` functions.
    #[allow(missing_docs)]
    mod raw {
        use super::*;
        nix::ioctl_readwrite!(attach, IOC_TYPE, IOC_ATTACH, Attach);
        nix::ioctl_readwrite!(get_buffer, IOC_TYPE, IOC_GET_BUFFER, GetBuffer);
        nix::ioctl_write_ptr!(complete, IOC_TYPE, IOC_COMPLETE, Complete);
    }

    pub fn attach(device: BorrowedFd<'_>, argument: &mut Attach) -> nix::Result<()> {
        // SAFETY: the argument is the struct of this ioctl, which holds no pointers.
        unsafe { raw::attach(device.as_raw_fd(), argument) }.map(drop)
    }

    pub fn get_buffer(device: BorrowedFd<'_>, mut argument: GetBuffer) -> nix::Result<OwnedFd> {
        // SAFETY: as in `attach`.
        unsafe { raw::get_buffer(device.as_raw_fd(), &mut argument) }?;
        if argument.fd < 0 {
            return Err(Errno::EBADF);
        }
        // SAFETY: the module has made the descriptor for this call; nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(argument.fd) })
    }

    pub fn complete(device: BorrowedFd<'_>, argument: &Complete) -> nix::Result<()> {
        loop {
            // SAFETY: as in `attach`.
            match unsafe { raw::complete(device.as_raw_fd(), argument) } {
                Err(Errno::EINTR) => {}
                done => return done.map(drop),
            }
        }
    }
}
