//! The system calls: open files as types, each ioctl as a method, interrupted calls repeated.
//!
//! `unsafe` ends here. Everything above works with owned descriptors, slices and numbers.

use std::{
    fs::{File, OpenOptions},
    io,
    num::NonZeroUsize,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    ptr::NonNull,
};

use nix::{
    errno::Errno,
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
};
use zerocopy::FromZeros;

use super::abi;

/// The raw calls, numbered as in `linux/videodev2.h` and `linux/media.h`.
mod raw {
    use super::abi;

    nix::ioctl_read!(querycap, b'V', 0, abi::Capability);
    nix::ioctl_readwrite!(enum_fmt, b'V', 2, abi::FormatDescription);
    nix::ioctl_readwrite!(s_fmt, b'V', 5, abi::Format);
    nix::ioctl_readwrite!(reqbufs, b'V', 8, abi::RequestBuffers);
    nix::ioctl_readwrite!(querybuf, b'V', 9, abi::Buffer);
    nix::ioctl_readwrite!(qbuf, b'V', 15, abi::Buffer);
    nix::ioctl_readwrite!(expbuf, b'V', 16, abi::ExportBuffer);
    nix::ioctl_readwrite!(dqbuf, b'V', 17, abi::Buffer);
    nix::ioctl_write_ptr!(streamon, b'V', 18, libc::c_int);
    nix::ioctl_write_ptr!(streamoff, b'V', 19, libc::c_int);
    nix::ioctl_readwrite!(g_ext_ctrls, b'V', 71, abi::ExtControls);
    nix::ioctl_readwrite!(s_ext_ctrls, b'V', 72, abi::ExtControls);
    nix::ioctl_readwrite!(create_bufs, b'V', 92, abi::CreateBuffers);
    nix::ioctl_readwrite!(decoder_cmd, b'V', 96, abi::DecoderCommand);
    nix::ioctl_readwrite!(query_ext_ctrl, b'V', 103, abi::QueryExtControl);
    nix::ioctl_readwrite!(remove_bufs, b'V', 104, abi::RemoveBuffers);

    nix::ioctl_readwrite!(device_info, b'|', 0, abi::MediaDeviceInfo);
    nix::ioctl_readwrite!(g_topology, b'|', 4, abi::MediaTopology);
    nix::ioctl_read!(request_alloc, b'|', 5, libc::c_int);
    nix::ioctl_none!(request_queue, b'|', 0x80);
    nix::ioctl_none!(request_reinit, b'|', 0x81);
}

/// What system calls fail with.
pub(super) type Result<T> = std::result::Result<T, Errno>;

/// Repeats a call that a signal interrupted: the client's threads have handlers of their own.
fn retry(mut call: impl FnMut() -> Result<libc::c_int>) -> Result<libc::c_int> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Opens a device node for reading and writing, without blocking.
fn open_node(path: &Path) -> Result<OwnedFd> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map(OwnedFd::from)
        .map_err(errno)
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Major and minor number of a device node; `None` if `path` is none.
pub(super) fn device_numbers(path: &Path) -> Option<(u32, u32)> {
    let metadata = std::fs::metadata(path).ok()?;
    let rdev = metadata.rdev();
    metadata
        .file_type()
        .is_char_device()
        .then(|| (nix::sys::stat::major(rdev) as u32, nix::sys::stat::minor(rdev) as u32))
}

/// A buffer on its way to or from the device; one plane each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    /// `abi::OUTPUT` or `abi::CAPTURE`.
    pub kind: u32,
    pub index: u32,
    /// `V4L2_BUF_FLAG_*`.
    pub flags: u32,
    /// Bytes of coded data, for OUTPUT.
    pub bytes: u32,
    /// Names the picture.
    pub timestamp: abi::Timeval,
}

/// What VIDIOC_CREATE_BUFS or VIDIOC_REQBUFS made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Created {
    /// The first index.
    pub index: u32,
    pub count: u32,
    /// `V4L2_BUF_CAP_*`.
    pub capabilities: u32,
}

/// An open video device: one session.
#[derive(Debug)]
pub(super) struct Video(OwnedFd);

impl AsFd for Video {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Video {
    /// Opens a device node.
    pub fn open(path: &Path) -> Result<Video> {
        open_node(path).map(Video)
    }

    fn raw(&self) -> libc::c_int {
        self.0.as_raw_fd()
    }

    /// VIDIOC_QUERYCAP.
    pub fn capability(&self) -> Result<abi::Capability> {
        let mut capability = abi::Capability::new_zeroed();
        // SAFETY: an open descriptor and a struct of the size that the call's number says.
        retry(|| unsafe { raw::querycap(self.raw(), &mut capability) })?;
        Ok(capability)
    }

    /// VIDIOC_ENUM_FMT: the pixel formats of a queue.
    pub fn formats(&self, kind: u32) -> Vec<u32> {
        /// No device has so many; the limit is for one that never ends the list.
        const MOST: u32 = 256;
        let mut formats = Vec::new();
        for index in 0..MOST {
            let mut description = abi::FormatDescription { index, kind, ..FromZeros::new_zeroed() };
            // SAFETY: as in `capability`.
            if retry(|| unsafe { raw::enum_fmt(self.raw(), &mut description) }).is_err() {
                break;
            }
            formats.push(description.pixelformat);
        }
        formats
    }

    /// VIDIOC_S_FMT; `format` becomes what the device makes of it.
    pub fn set_format(&self, format: &mut abi::Format) -> Result<()> {
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::s_fmt(self.raw(), format) }).map(drop)
    }

    /// VIDIOC_REQBUFS: replaces a queue's buffers by `count` new ones.
    pub fn request_buffers(&self, kind: u32, memory: u32, count: u32) -> Result<Created> {
        let mut request = abi::RequestBuffers { count, kind, memory, ..FromZeros::new_zeroed() };
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::reqbufs(self.raw(), &mut request) })?;
        Ok(Created { index: 0, count: request.count, capabilities: request.capabilities })
    }

    /// VIDIOC_CREATE_BUFS: adds `count` buffers of the format's size.
    pub fn create_buffers(&self, memory: u32, count: u32, format: &abi::Format) -> Result<Created> {
        let mut create =
            abi::CreateBuffers { count, memory, format: *format, ..FromZeros::new_zeroed() };
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::create_bufs(self.raw(), &mut create) })?;
        let abi::CreateBuffers { index, count, capabilities, .. } = create;
        Ok(Created { index, count, capabilities })
    }

    /// VIDIOC_REMOVE_BUFS: removes one buffer.
    pub fn remove_buffer(&self, kind: u32, index: u32) -> Result<()> {
        let mut remove = abi::RemoveBuffers { index, count: 1, kind, ..FromZeros::new_zeroed() };
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::remove_bufs(self.raw(), &mut remove) }).map(drop)
    }

    /// Maps a buffer of the device's own memory, for writing.
    pub fn map(&self, kind: u32, index: u32) -> Result<Mapping> {
        let mut plane = abi::Plane::new_zeroed();
        let mut buffer = abi::Buffer {
            kind,
            index,
            memory: abi::MEMORY_MMAP,
            planes: &mut plane,
            length: 1,
            ..FromZeros::new_zeroed()
        };
        // SAFETY: as in `capability`; `planes` points to as many planes as `length` says.
        retry(|| unsafe { raw::querybuf(self.raw(), &mut buffer) })?;
        Mapping::new(self.as_fd(), plane.length as usize, plane.m.into())
    }

    /// VIDIOC_EXPBUF: a dma-buf of a buffer of the device's own memory.
    pub fn export(&self, kind: u32, index: u32) -> Result<OwnedFd> {
        let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u32;
        let mut export = abi::ExportBuffer { kind, index, flags, ..FromZeros::new_zeroed() };
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::expbuf(self.raw(), &mut export) })?;
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(export.fd) })
    }

    /// VIDIOC_QBUF of an OUTPUT buffer in mapped memory, as a part of `request`.
    pub fn queue_output(&self, buffer: &Queued, request: &MediaRequest) -> Result<()> {
        let plane = abi::Plane { bytesused: buffer.bytes, ..FromZeros::new_zeroed() };
        self.queue(buffer, abi::MEMORY_MMAP, plane, Some(request))
    }

    /// VIDIOC_QBUF of a CAPTURE buffer whose memory is `dma_buf`, `length` bytes of it.
    pub fn queue_capture(
        &self,
        buffer: &Queued,
        dma_buf: BorrowedFd<'_>,
        length: u32,
    ) -> Result<()> {
        // File descriptors are not negative.
        let m = dma_buf.as_raw_fd() as u32;
        let plane = abi::Plane { length, m, ..FromZeros::new_zeroed() };
        self.queue(buffer, abi::MEMORY_DMABUF, plane, None)
    }

    fn queue(
        &self,
        buffer: &Queued,
        memory: u32,
        mut plane: abi::Plane,
        request: Option<&MediaRequest>,
    ) -> Result<()> {
        let request_flag = if request.is_some() { abi::BUF_FLAG_REQUEST_FD } else { 0 };
        let mut raw = abi::Buffer {
            index: buffer.index,
            kind: buffer.kind,
            flags: buffer.flags | request_flag,
            field: abi::FIELD_NONE,
            timestamp: buffer.timestamp,
            memory,
            planes: &mut plane,
            length: 1,
            request_fd: request.map_or(0, |request| request.0.as_raw_fd()),
            ..FromZeros::new_zeroed()
        };
        // SAFETY: as in `map`.
        retry(|| unsafe { raw::qbuf(self.raw(), &mut raw) }).map(drop)
    }

    /// VIDIOC_DQBUF; `None` if the queue has nothing to give yet.
    pub fn dequeue(&self, kind: u32, memory: u32) -> Result<Option<Queued>> {
        let mut plane = abi::Plane::new_zeroed();
        let mut buffer =
            abi::Buffer { kind, memory, planes: &mut plane, length: 1, ..FromZeros::new_zeroed() };
        // SAFETY: as in `map`.
        match retry(|| unsafe { raw::dqbuf(self.raw(), &mut buffer) }) {
            Ok(_) => Ok(Some(Queued {
                kind,
                index: buffer.index,
                flags: buffer.flags,
                bytes: plane.bytesused,
                timestamp: buffer.timestamp,
            })),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// VIDIOC_STREAMON.
    pub fn stream_on(&self, kind: u32) -> Result<()> {
        let kind = kind as libc::c_int;
        // SAFETY: an open descriptor and a pointer to an int.
        retry(|| unsafe { raw::streamon(self.raw(), &kind) }).map(drop)
    }

    /// VIDIOC_STREAMOFF: the queue gives up all its buffers.
    pub fn stream_off(&self, kind: u32) -> Result<()> {
        let kind = kind as libc::c_int;
        // SAFETY: as in `stream_on`.
        retry(|| unsafe { raw::streamoff(self.raw(), &kind) }).map(drop)
    }

    /// VIDIOC_DECODER_CMD: gives back a held capture buffer.
    pub fn flush(&self) -> Result<()> {
        let mut command =
            abi::DecoderCommand { cmd: abi::DEC_CMD_FLUSH, ..FromZeros::new_zeroed() };
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::decoder_cmd(self.raw(), &mut command) }).map(drop)
    }

    /// VIDIOC_QUERY_EXT_CTRL; `None` for a control that the device does not have.
    pub fn query_control(&self, id: u32) -> Option<abi::QueryExtControl> {
        let mut query = abi::QueryExtControl { id, ..FromZeros::new_zeroed() };
        // SAFETY: as in `capability`.
        retry(|| unsafe { raw::query_ext_ctrl(self.raw(), &mut query) }).ok().map(|_| query)
    }

    /// VIDIOC_S_EXT_CTRLS for compound controls, of `request` or, without one, of the session. The
    /// device may write what it made of the values back into them.
    pub fn set_controls(
        &self,
        controls: &mut [(u32, &mut [u8])],
        request: Option<&MediaRequest>,
    ) -> Result<()> {
        let mut raw: Vec<abi::ExtControl> = controls
            .iter_mut()
            .map(|(id, value)| {
                let mut pointer = [0; 8];
                let address = value.as_mut_ptr().expose_provenance().to_ne_bytes();
                pointer[..address.len()].copy_from_slice(&address);
                abi::ExtControl { id: *id, size: value.len() as u32, reserved2: 0, value: pointer }
            })
            .collect();
        let mut list = abi::ExtControls {
            which: match request {
                Some(_) => abi::CTRL_WHICH_REQUEST_VAL,
                None => abi::CTRL_WHICH_CUR_VAL,
            },
            count: raw.len() as u32,
            request_fd: request.map_or(0, |request| request.0.as_raw_fd()),
            controls: raw.as_mut_ptr(),
            ..FromZeros::new_zeroed()
        };
        // SAFETY: `list` has `count` controls, each with a pointer to `size` bytes that are borrowed
        // mutably until the call is over.
        let result = retry(|| unsafe { raw::s_ext_ctrls(self.raw(), &mut list) }).map(drop);
        if result.is_err() {
            if let Some(control) = raw.get(list.error_idx as usize) {
                log::debug!("the device refuses control {:#x}", { control.id });
            }
        }
        result
    }

    /// VIDIOC_S_EXT_CTRLS for one menu control of the session.
    pub fn set_menu(&self, id: u32, value: i32) -> Result<()> {
        let mut control = menu_control(id, value);
        let mut list =
            abi::ExtControls { count: 1, controls: &mut control, ..FromZeros::new_zeroed() };
        // SAFETY: `list` has one control, whose value lies in itself.
        retry(|| unsafe { raw::s_ext_ctrls(self.raw(), &mut list) }).map(drop)
    }

    /// VIDIOC_G_EXT_CTRLS for one menu control of the session.
    pub fn menu(&self, id: u32) -> Result<i32> {
        let mut control = menu_control(id, 0);
        let mut list =
            abi::ExtControls { count: 1, controls: &mut control, ..FromZeros::new_zeroed() };
        // SAFETY: as in `set_menu`.
        retry(|| unsafe { raw::g_ext_ctrls(self.raw(), &mut list) })?;
        let [a, b, c, d, ..] = control.value;
        Ok(i32::from_ne_bytes([a, b, c, d]))
    }
}

fn menu_control(id: u32, value: i32) -> abi::ExtControl {
    let mut control = abi::ExtControl { id, ..FromZeros::new_zeroed() };
    control.value[..4].copy_from_slice(&value.to_ne_bytes());
    control
}

/// An open media device: where requests come from.
#[derive(Debug)]
pub(super) struct Media(OwnedFd);

impl Media {
    /// Opens a device node.
    pub fn open(path: &Path) -> Result<Media> {
        open_node(path).map(Media)
    }

    /// MEDIA_IOC_DEVICE_INFO.
    pub fn info(&self) -> Result<abi::MediaDeviceInfo> {
        let mut info = abi::MediaDeviceInfo::new_zeroed();
        // SAFETY: an open descriptor and a struct of the size that the call's number says.
        retry(|| unsafe { raw::device_info(self.0.as_raw_fd(), &mut info) })?;
        Ok(info)
    }

    /// MEDIA_IOC_G_TOPOLOGY: the interfaces.
    pub fn interfaces(&self) -> Result<Vec<abi::MediaInterface>> {
        /// No device has so many.
        const MOST: u32 = 4096;
        let mut topology = abi::MediaTopology::new_zeroed();
        // SAFETY: as in `info`; without arrays the call only counts.
        retry(|| unsafe { raw::g_topology(self.0.as_raw_fd(), &mut topology) })?;
        let room = topology.num_interfaces.min(MOST);
        let mut interfaces = vec![abi::MediaInterface::new_zeroed(); room as usize];
        let mut topology = abi::MediaTopology {
            num_interfaces: room,
            ptr_interfaces: interfaces.as_mut_ptr().expose_provenance() as u64,
            ..FromZeros::new_zeroed()
        };
        // SAFETY: as in `info`; the array has as many entries as the struct says. (If there are more
        // interfaces by now, the call fails with ENOSPC.)
        retry(|| unsafe { raw::g_topology(self.0.as_raw_fd(), &mut topology) })?;
        interfaces.truncate(topology.num_interfaces as usize);
        Ok(interfaces)
    }

    /// MEDIA_IOC_REQUEST_ALLOC.
    pub fn allocate_request(&self) -> Result<MediaRequest> {
        let mut fd = -1;
        // SAFETY: an open descriptor and a pointer to an int.
        retry(|| unsafe { raw::request_alloc(self.0.as_raw_fd(), &mut fd) })?;
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
        Ok(MediaRequest(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

/// A request: one picture's controls and OUTPUT buffer.
#[derive(Debug)]
pub(super) struct MediaRequest(OwnedFd);

impl MediaRequest {
    /// MEDIA_REQUEST_IOC_QUEUE.
    pub fn queue(&self) -> Result<()> {
        // SAFETY: an open descriptor; the call has no argument.
        retry(|| unsafe { raw::request_queue(self.0.as_raw_fd()) }).map(drop)
    }

    /// MEDIA_REQUEST_IOC_REINIT: empty again, for the next picture.
    pub fn reinit(&self) -> Result<()> {
        // SAFETY: as in `queue`.
        retry(|| unsafe { raw::request_reinit(self.0.as_raw_fd()) }).map(drop)
    }
}

/// The device's memory of an OUTPUT buffer, mapped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: NonZeroUsize,
}

// SAFETY: the mapping is owned, and written through `&mut` alone.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, length: usize, offset: i64) -> Result<Mapping> {
        let length = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, offset)? };
        Ok(Mapping { start: start.cast(), length })
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.length.get()
    }

    /// The bytes, to be written. The device reads them later, when they are queued.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped for its length until it is dropped, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, and no borrow outlives `self`.
        if let Err(error) = unsafe { munmap(self.start.cast(), self.length.get()) } {
            log::error!("unmapping a buffer: {error}");
        }
    }
}

/// A file that another thread may wait for, to wake it.
#[derive(Debug)]
pub(super) struct Wake(File);

impl Wake {
    /// A new eventfd.
    pub fn new() -> Result<Wake> {
        use nix::sys::eventfd::{EfdFlags, EventFd};
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Wake(OwnedFd::from(EventFd::from_flags(flags)?).into()))
    }

    /// Wakes whoever waits.
    pub fn raise(&self) {
        use std::io::Write;
        // It fails only when it is raised already.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Takes notice.
    pub fn clear(&self) {
        use std::io::Read;
        // It fails only when nothing was raised.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
