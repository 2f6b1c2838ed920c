//! The kernel's structs as far as a stateless decoder's client needs them: `linux/videodev2.h` and
//! `linux/media.h` of Linux 6.12. Sizes are checked here; ioctl numbers contain them, so that a kernel
//! with other structs refuses the call instead of misreading it.
//!
//! Written by hand, because the headers of the oldest supported system (Debian 12) lack a part of it.

use std::ffi::c_ulong;

use zerocopy::FromZeros;

/// `V4L2_CAP_VIDEO_M2M_MPLANE`: the device turns buffers into others, multi-planar API.
pub const CAP_VIDEO_M2M_MPLANE: u32 = 0x0000_4000;
/// `V4L2_CAP_STREAMING`: buffers are queued.
pub const CAP_STREAMING: u32 = 0x0400_0000;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE`: pictures.
pub const CAPTURE: u32 = 9;
/// `V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE`: coded data.
pub const OUTPUT: u32 = 10;

/// `V4L2_MEMORY_MMAP`: the device's own memory.
pub const MEMORY_MMAP: u32 = 1;
/// `V4L2_MEMORY_DMABUF`.
pub const MEMORY_DMABUF: u32 = 4;

/// `V4L2_FIELD_NONE`: progressive, or nothing to say.
pub const FIELD_NONE: u32 = 1;

/// `V4L2_BUF_CAP_SUPPORTS_REQUESTS`.
pub const BUF_CAP_SUPPORTS_REQUESTS: u32 = 1 << 3;
/// `V4L2_BUF_CAP_SUPPORTS_M2M_HOLD_CAPTURE_BUF`.
pub const BUF_CAP_SUPPORTS_M2M_HOLD_CAPTURE_BUF: u32 = 1 << 5;
/// `V4L2_BUF_CAP_SUPPORTS_REMOVE_BUFS` (Linux 6.9).
pub const BUF_CAP_SUPPORTS_REMOVE_BUFS: u32 = 1 << 8;

/// `V4L2_BUF_FLAG_ERROR`: the content is damaged or missing.
pub const BUF_FLAG_ERROR: u32 = 0x0000_0040;
/// `V4L2_BUF_FLAG_M2M_HOLD_CAPTURE_BUF`.
pub const BUF_FLAG_M2M_HOLD_CAPTURE_BUF: u32 = 0x0000_0200;
/// `V4L2_BUF_FLAG_REQUEST_FD`: the buffer belongs to a request.
pub const BUF_FLAG_REQUEST_FD: u32 = 0x0080_0000;

/// `V4L2_CTRL_WHICH_CUR_VAL`: controls of the session.
pub const CTRL_WHICH_CUR_VAL: u32 = 0;
/// `V4L2_CTRL_WHICH_REQUEST_VAL`: controls of a request.
pub const CTRL_WHICH_REQUEST_VAL: u32 = 0x0f01_0000;

/// `V4L2_DEC_CMD_FLUSH`: gives back a held capture buffer.
pub const DEC_CMD_FLUSH: u32 = 4;

/// `MEDIA_INTF_T_V4L_VIDEO`.
pub const MEDIA_INTF_T_V4L_VIDEO: u32 = 0x0000_0200;

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct Capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus_info: [u8; 32],
    pub version: u32,
    /// Of the whole physical device.
    pub capabilities: u32,
    /// Of this device node.
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct FormatDescription {
    pub index: u32,
    pub kind: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub pixelformat: u32,
    pub mbus_code: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_plane_pix_format`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct PlaneFormat {
    pub sizeimage: u32,
    pub bytesperline: u32,
    pub reserved: [u16; 6],
}

/// `struct v4l2_format` with its multi-planar member.
#[repr(C, align(8))]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct Format {
    pub kind: u32,
    pub padding: u32,
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub colorspace: u32,
    pub plane_fmt: [PlaneFormat; 8],
    pub num_planes: u8,
    pub flags: u8,
    pub ycbcr_enc: u8,
    pub quantization: u8,
    pub xfer_func: u8,
    pub reserved: [u8; 7],
    /// The union is as large as its largest member.
    pub rest: [u8; 8],
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct RequestBuffers {
    pub count: u32,
    pub kind: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags: u8,
    pub reserved: [u8; 3],
}

/// `struct v4l2_create_buffers`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct CreateBuffers {
    pub index: u32,
    pub count: u32,
    pub memory: u32,
    pub format: Format,
    pub capabilities: u32,
    pub flags: u32,
    pub max_num_buffers: u32,
    pub reserved: [u32; 5],
}

/// `struct v4l2_remove_buffers`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct RemoveBuffers {
    pub index: u32,
    pub count: u32,
    pub kind: u32,
    pub reserved: [u32; 13],
}

/// `struct timeval`, which here is no time: it names a picture.
#[repr(C)]
#[derive(Clone, Copy, FromZeros, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Timeval {
    pub seconds: libc::time_t,
    pub microseconds: libc::suseconds_t,
}

/// `struct v4l2_plane`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct Plane {
    pub bytesused: u32,
    pub length: u32,
    /// The union `m`: for MMAP the offset to map at, for DMABUF the file descriptor.
    pub m: u32,
    pub m_rest: [u32; size_of::<c_ulong>() / 4 - 1],
    pub data_offset: u32,
    pub reserved: [u32; 11],
}

/// `struct v4l2_buffer`; the ioctl layer adds the plane.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct Buffer {
    pub index: u32,
    pub kind: u32,
    pub bytesused: u32,
    pub flags: u32,
    pub field: u32,
    pub timestamp: Timeval,
    pub timecode: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    /// The union `m`: the array of planes.
    pub planes: *mut Plane,
    /// Planes in that array.
    pub length: u32,
    pub reserved2: u32,
    pub request_fd: i32,
}

/// `struct v4l2_exportbuffer`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct ExportBuffer {
    pub kind: u32,
    pub index: u32,
    pub plane: u32,
    pub flags: u32,
    pub fd: i32,
    pub reserved: [u32; 11],
}

/// `struct v4l2_ext_control`.
#[repr(C, packed)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct ExtControl {
    pub id: u32,
    pub size: u32,
    pub reserved2: u32,
    /// The union: a pointer to a compound value; 32-bit values lie in its first bytes.
    pub value: [u8; 8],
}

/// `struct v4l2_ext_controls`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct ExtControls {
    pub which: u32,
    pub count: u32,
    pub error_idx: u32,
    pub request_fd: i32,
    pub reserved: u32,
    pub controls: *mut ExtControl,
}

/// `struct v4l2_query_ext_ctrl`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct QueryExtControl {
    pub id: u32,
    pub kind: u32,
    pub name: [u8; 32],
    pub minimum: i64,
    pub maximum: i64,
    pub step: u64,
    pub default_value: i64,
    pub flags: u32,
    pub elem_size: u32,
    pub elems: u32,
    pub nr_of_dims: u32,
    pub dims: [u32; 4],
    pub reserved: [u32; 32],
}

/// `struct v4l2_decoder_cmd`.
#[repr(C, align(8))]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct DecoderCommand {
    pub cmd: u32,
    pub flags: u32,
    pub data: [u32; 16],
}

/// `struct media_device_info`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct MediaDeviceInfo {
    pub driver: [u8; 16],
    pub model: [u8; 32],
    pub serial: [u8; 40],
    pub bus_info: [u8; 32],
    pub media_version: u32,
    pub hw_revision: u32,
    pub driver_version: u32,
    pub reserved: [u32; 31],
}

/// `struct media_v2_interface` with its device node member.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct MediaInterface {
    pub id: u32,
    pub intf_type: u32,
    pub flags: u32,
    pub reserved: [u32; 9],
    pub major: u32,
    pub minor: u32,
    pub rest: [u32; 14],
}

/// `struct media_v2_topology`.
#[repr(C)]
#[derive(Clone, Copy, FromZeros)]
#[allow(missing_docs)]
pub struct MediaTopology {
    pub topology_version: u64,
    pub num_entities: u32,
    pub reserved1: u32,
    pub ptr_entities: u64,
    pub num_interfaces: u32,
    pub reserved2: u32,
    pub ptr_interfaces: u64,
    pub num_pads: u32,
    pub reserved3: u32,
    pub ptr_pads: u64,
    pub num_links: u32,
    pub reserved4: u32,
    pub ptr_links: u64,
}

const _: () = {
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FormatDescription>() == 64);
    assert!(size_of::<PlaneFormat>() == 20);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<RemoveBuffers>() == 64);
    assert!(size_of::<ExportBuffer>() == 64);
    assert!(size_of::<ExtControl>() == 20);
    assert!(size_of::<QueryExtControl>() == 232);
    assert!(size_of::<DecoderCommand>() == 72);
    assert!(size_of::<MediaDeviceInfo>() == 256);
    assert!(size_of::<MediaInterface>() == 112);
    assert!(size_of::<MediaTopology>() == 72);
};

/// Structs with pointers, `long`s or 8-byte alignment.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Format>() == 208);
    assert!(std::mem::offset_of!(Format, num_planes) == 8 + 180);
    assert!(size_of::<CreateBuffers>() == 256);
    assert!(std::mem::offset_of!(CreateBuffers, format) == 16);
    assert!(std::mem::offset_of!(CreateBuffers, capabilities) == 224);
    assert!(size_of::<Plane>() == 64);
    assert!(std::mem::offset_of!(Plane, data_offset) == 16);
    assert!(size_of::<Buffer>() == 88);
    assert!(std::mem::offset_of!(Buffer, timestamp) == 24);
    assert!(std::mem::offset_of!(Buffer, planes) == 64);
    assert!(std::mem::offset_of!(Buffer, request_fd) == 80);
    assert!(size_of::<ExtControls>() == 32);
    assert!(std::mem::offset_of!(ExtControls, controls) == 24);
};
