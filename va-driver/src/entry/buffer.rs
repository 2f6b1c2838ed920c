//! Buffers.

use std::ffi::c_void;

use libva_sys as va;

use super::{entries, surface::timeout};
use crate::{error::Error, object::buffer::Buffer};

/// The buffer types that decoding has a use for.
fn is_known(kind: va::VABufferType) -> bool {
    matches!(
        kind,
        va::VAPictureParameterBufferType
            | va::VAIQMatrixBufferType
            | va::VASliceParameterBufferType
            | va::VASliceDataBufferType
            | va::VAProbabilityBufferType
    )
}

entries! {
    /// Makes a buffer of `num_elements` elements of `size` bytes, filled with `data` if there is any.
    fn vaCreateBuffer(
        driver,
        context: va::VAContextID,
        kind: va::VABufferType,
        size: u32,
        num_elements: u32,
        data: *mut c_void,
        buf_id: *mut va::VABufferID,
    ) {
        driver.context(context)?;
        if !is_known(kind) {
            return Err(Error::UnsupportedBufferType(kind));
        }
        if size == 0 || num_elements == 0 {
            return Err(Error::InvalidParameter(format!("{num_elements} elements of {size} bytes")));
        }
        if buf_id.is_null() {
            return Err(Error::InvalidParameter("no place for the buffer's id".into()));
        }
        let buffer = Buffer::new(kind, context, size as usize, num_elements as usize)?;
        if !data.is_null() {
            buffer.initialise(|memory| data.copy_to(memory))?;
        }
        buf_id.write(driver.buffers.insert(|_| buffer)?)
    }

    /// Changes how many elements are in use.
    fn vaBufferSetNumElements(driver, buf_id: va::VABufferID, num_elements: u32) {
        driver.buffer(buf_id)?.set_count(num_elements as usize)
    }

    /// The buffer's memory. For a derived image this waits for the surface's picture.
    fn vaMapBuffer(driver, buf_id: va::VABufferID, pbuf: *mut *mut c_void) {
        let buffer = driver.buffer(buf_id)?;
        if pbuf.is_null() {
            return Err(Error::InvalidParameter("no place for the address".into()));
        }
        pbuf.write(buffer.map()?.cast())
    }

    /// Ends a mapping.
    fn vaUnmapBuffer(driver, buf_id: va::VABufferID) {
        driver.buffer(buf_id)?.unmap()
    }

    /// Forgets a buffer. A picture that it was rendered into has its own copy.
    fn vaDestroyBuffer(driver, buffer_id: va::VABufferID) {
        let buffer = driver.buffer(buffer_id)?;
        if buffer.kind == va::VAImageBufferType {
            return Err(Error::InvalidBuffer("an image's buffer goes with vaDestroyImage".into()));
        }
        driver.buffers.remove(buffer_id);
        Ok(())
    }

    /// What the buffer was made as.
    fn vaBufferInfo(
        driver,
        buf_id: va::VABufferID,
        kind: *mut va::VABufferType,
        size: *mut u32,
        num_elements: *mut u32,
    ) {
        let buffer = driver.buffer(buf_id)?;
        let (element_size, count) = buffer.size();
        kind.write(buffer.kind)?;
        size.write(element_size as u32)?;
        num_elements.write(count as u32)
    }

    /// Waits until nothing uses the buffer. Only a derived image's ever is: by its surface's decoding.
    fn vaSyncBuffer(driver, buf_id: va::VABufferID, timeout_ns: u64) {
        match driver.buffer(buf_id)?.surface() {
            Some(surface) => surface.wait(timeout(timeout_ns)),
            None => Ok(()),
        }
    }
}

#[cfg(libva_map_buffer2)]
entries! {
    /// Like vaMapBuffer; the flags only say what the client means to do with the memory.
    fn vaMapBuffer2(driver, buf_id: va::VABufferID, pbuf: *mut *mut c_void, _flags: u32) {
        let buffer = driver.buffer(buf_id)?;
        if pbuf.is_null() {
            return Err(Error::InvalidParameter("no place for the address".into()));
        }
        pbuf.write(buffer.map()?.cast())
    }
}
