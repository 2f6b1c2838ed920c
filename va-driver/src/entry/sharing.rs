//! Sharing surface memory with others: dma-bufs out, and, in `import`, in.

use std::{
    ffi::{c_uint, c_void},
    os::fd::IntoRawFd,
};

use libva_sys as va;

use super::{args::Foreign, entries};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
};

/// `DRM_FORMAT_MOD_LINEAR`: rows one after the other.
pub(super) const LINEAR: u64 = 0;

/// A DRM format code (Linux, include/uapi/drm/drm_fourcc.h).
pub(super) const fn drm(code: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*code)
}

/// The DRM formats of a surface's planes, each as a picture of its own.
pub(super) fn drm_planes(format: Format) -> [u32; 2] {
    match format.bytes_per_sample() {
        1 => [drm(b"R8  "), drm(b"GR88")],
        _ => [drm(b"R16 "), drm(b"GR32")],
    }
}

/// The DRM format of a surface as a whole, whose code is VA's.
pub(super) fn drm_whole(format: Format) -> u32 {
    format.fourcc()
}

/// How a surface in one dma-buf of `size` bytes is described, but for the descriptor.
fn describe(layout: &Layout, size: usize, composed: bool) -> va::VADRMPRIMESurfaceDescriptor {
    let mut described = va::VADRMPRIMESurfaceDescriptor {
        fourcc: layout.format.fourcc(),
        width: layout.width,
        height: layout.height,
        num_objects: 1,
        ..Default::default()
    };
    described.objects[0].size = u32::try_from(size).unwrap_or(u32::MAX);
    described.objects[0].drm_format_modifier = LINEAR;
    let [luma, chroma, _] = layout.planes;
    let planes = [luma, chroma].map(|plane| (plane.offset as u32, plane.pitch as u32));
    if composed {
        described.num_layers = 1;
        let layer = &mut described.layers[0];
        layer.drm_format = drm_whole(layout.format);
        layer.num_planes = 2;
        for (at, (offset, pitch)) in planes.into_iter().enumerate() {
            (layer.offset[at], layer.pitch[at]) = (offset, pitch);
        }
    } else {
        described.num_layers = 2;
        let formats = drm_planes(layout.format);
        for ((layer, (offset, pitch)), format) in
            described.layers.iter_mut().zip(planes).zip(formats)
        {
            layer.drm_format = format;
            layer.num_planes = 1;
            (layer.offset[0], layer.pitch[0]) = (offset, pitch);
        }
    }
    described
}

/// Where a description goes. The two kinds differ in what follows the same beginning.
enum Destination {
    Prime2(Foreign<va::VADRMPRIMESurfaceDescriptor>),
    #[cfg(libva_prime3)]
    Prime3(Foreign<va::VADRMPRIME3SurfaceDescriptor>),
}

impl Destination {
    fn of(mem_type: u32, descriptor: Foreign<c_void>) -> Result<Destination> {
        match mem_type {
            va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2 => {
                Ok(Destination::Prime2(descriptor.cast()))
            }
            #[cfg(libva_prime3)]
            va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_3 => {
                Ok(Destination::Prime3(descriptor.cast()))
            }
            other => Err(Error::UnsupportedMemoryType(other)),
        }
    }

    fn write(&self, described: va::VADRMPRIMESurfaceDescriptor) -> Result<()> {
        match self {
            Destination::Prime2(to) => to.write(described),
            #[cfg(libva_prime3)]
            Destination::Prime3(to) => {
                to.write(va::VADRMPRIME3SurfaceDescriptor::default())?;
                to.cast::<va::VADRMPRIMESurfaceDescriptor>().write(described)
            }
        }
    }
}

/// All flags that there are.
const FLAGS: u32 = va::VA_EXPORT_SURFACE_READ_WRITE
    | va::VA_EXPORT_SURFACE_SEPARATE_LAYERS
    | va::VA_EXPORT_SURFACE_COMPOSED_LAYERS;

entries! {
    /// A dma-buf of the surface's memory, which is the surface's for life: one linear object, the same
    /// at each call. Waits for the picture, since clients export first and synchronise after, if at all. The
    /// client closes the descriptor. It can be read and written, whichever flag says so: a dma-buf's
    /// descriptors are all alike.
    fn vaExportSurfaceHandle(
        driver,
        surface_id: va::VASurfaceID,
        mem_type: u32,
        flags: u32,
        descriptor: *mut c_void,
    ) {
        let to = Destination::of(mem_type, descriptor)?;
        // mpv closes whatever descriptors it finds here after an error.
        to.write(va::VADRMPRIMESurfaceDescriptor::default())?;
        let surface = driver.surface(surface_id)?;
        if flags & !FLAGS != 0 {
            return Err(Error::UnsupportedFlag(flags));
        }
        let composed = flags & va::VA_EXPORT_SURFACE_COMPOSED_LAYERS != 0;
        if composed && flags & va::VA_EXPORT_SURFACE_SEPARATE_LAYERS != 0 {
            return Err(Error::InvalidParameter("layers both separate and composed".into()));
        }
        surface.settle();
        let shared = surface.watched_memory().share()?;
        let (fd, size) = shared.ok_or(Error::UnsupportedMemoryType(mem_type))?;
        let mut described = describe(&surface.layout, size, composed);
        described.objects[0].fd = fd.into_raw_fd();
        to.write(described)
    }

    /// A dma-buf of a derived image's memory. The driver keeps it open until it is released.
    fn vaAcquireBufferHandle(driver, buf_id: va::VABufferID, buf_info: *mut va::VABufferInfo) {
        let buffer = driver.buffer(buf_id)?;
        if buffer.kind != va::VAImageBufferType {
            return Err(Error::UnsupportedBufferType(buffer.kind));
        }
        // Nothing in particular is asked for: then it is what there is.
        let mem_type = buf_info.read()?.mem_type;
        let prime = va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME;
        if mem_type != 0 && mem_type & prime == 0 {
            return Err(Error::UnsupportedMemoryType(mem_type));
        }
        let handle = buffer.acquire()?.ok_or(Error::UnsupportedMemoryType(prime))?;
        buf_info.write(va::VABufferInfo {
            handle: handle.fd as usize,
            type_: buffer.kind,
            mem_type: prime,
            mem_size: handle.size,
            ..Default::default()
        })
    }

    /// Closes the dma-buf once it has been released as often as it was acquired.
    fn vaReleaseBufferHandle(driver, buf_id: va::VABufferID) {
        driver.buffer(buf_id)?.release()
    }

    /// Never in VA's public API; libva's own tracing tries it and copes.
    fn vaLockSurface(
        driver,
        surface: va::VASurfaceID,
        _fourcc: *mut c_uint,
        _luma_stride: *mut c_uint,
        _chroma_u_stride: *mut c_uint,
        _chroma_v_stride: *mut c_uint,
        _luma_offset: *mut c_uint,
        _chroma_u_offset: *mut c_uint,
        _chroma_v_offset: *mut c_uint,
        _buffer_name: *mut c_uint,
        _buffer: *mut *mut c_void,
    ) {
        driver.surface(surface)?;
        Err(Error::Unimplemented("vaLockSurface"))
    }

    /// Nothing was locked.
    fn vaUnlockSurface(driver, surface: va::VASurfaceID) {
        driver.surface(surface)?;
        Err(Error::Unimplemented("vaUnlockSurface"))
    }

    /// Copies are for drivers with a copy engine.
    fn vaCopy(
        _driver,
        _dst: *mut va::VACopyObject,
        _src: *mut va::VACopyObject,
        _option: va::VACopyOption,
    ) {
        Err(Error::Unimplemented("vaCopy"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surface_is_described_as_one_picture_or_as_its_planes() {
        let layout = Layout::new(Format::Nv12, 130, 70).unwrap();
        let whole = describe(&layout, 40960, true);
        assert_eq!((whole.fourcc, whole.width, whole.height), (va::VA_FOURCC_NV12, 130, 70));
        assert_eq!((whole.num_objects, whole.objects[0].size), (1, 40960));
        assert_eq!((whole.num_layers, whole.layers[0].num_planes), (1, 2));
        assert_eq!(whole.layers[0].drm_format, u32::from_le_bytes(*b"NV12"));
        assert_eq!(whole.layers[0].pitch[..2], [192, 192]);
        assert_eq!(whole.layers[0].offset[..2], [0, 192 * 80]);

        let planes = describe(&layout, 40960, false);
        assert_eq!(planes.num_layers, 2);
        let layers = planes.layers.map(|layer| (layer.num_planes, layer.offset[0], layer.pitch[0]));
        assert_eq!(layers[..2], [(1, 0, 192), (1, 192 * 80, 192)]);
        assert_eq!(planes.layers[1].drm_format, u32::from_le_bytes(*b"GR88"));

        let deep = describe(&Layout::new(Format::P010, 16, 16).unwrap(), 4096, false);
        assert_eq!(deep.layers[0].drm_format, u32::from_le_bytes(*b"R16 "));
        assert_eq!(deep.layers[1].drm_format, u32::from_le_bytes(*b"GR32"));
    }
}
