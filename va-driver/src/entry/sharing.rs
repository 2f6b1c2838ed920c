//! Sharing surface memory with others: not yet. Every call refuses and leaves nothing behind.

use std::ffi::{c_uint, c_void};

use libva_sys as va;

use super::entries;
use crate::error::Error;

entries! {
    /// Surfaces have plain memory, which has no handle to export.
    fn vaExportSurfaceHandle(
        driver,
        surface_id: va::VASurfaceID,
        mem_type: u32,
        _flags: u32,
        descriptor: *mut c_void,
    ) {
        // mpv closes whatever descriptors it finds here after an error.
        if mem_type == va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2 && !descriptor.is_null() {
            let empty = va::VADRMPRIMESurfaceDescriptor::default();
            descriptor.cast::<va::VADRMPRIMESurfaceDescriptor>().write(empty)?;
        }
        driver.surface(surface_id)?;
        Err(Error::UnsupportedMemoryType(mem_type))
    }

    /// Images have plain memory, which has no handle.
    fn vaAcquireBufferHandle(driver, buf_id: va::VABufferID, buf_info: *mut va::VABufferInfo) {
        let buffer = driver.buffer(buf_id)?;
        if buffer.kind != va::VAImageBufferType {
            return Err(Error::UnsupportedBufferType(buffer.kind));
        }
        Err(Error::UnsupportedMemoryType(buf_info.read()?.mem_type))
    }

    /// No handle was ever acquired.
    fn vaReleaseBufferHandle(driver, buf_id: va::VABufferID) {
        driver.buffer(buf_id)?;
        Err(Error::InvalidBuffer("the buffer's handle was not acquired".into()))
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
