//! Surfaces: making, waiting for, and asking about them.

use std::{cell::RefCell, ffi::c_void, time::Duration};

use libva_sys as va;

use super::{args::Foreign, config::MAX_SIZE, entries, import::External, sharing::LINEAR};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    object::{
        Driver,
        surface::{Surface, format_of},
    },
};

/// What the attributes of vaCreateSurfaces2 ask for: a format, and memory if it is not to be our own.
fn wanted(
    rt_format: u32,
    attributes: &[va::VASurfaceAttrib],
) -> Result<(Format, Option<External>)> {
    let mut format = format_of(rt_format).ok_or(Error::UnsupportedRtFormat(rt_format))?;
    let mut mem_type = va::VA_SURFACE_ATTRIB_MEM_TYPE_VA;
    let mut external = None;
    for attribute in attributes {
        if attribute.flags & va::VA_SURFACE_ATTRIB_SETTABLE == 0 {
            continue;
        }
        match attribute.type_ {
            va::VASurfaceAttribPixelFormat => {
                let fourcc = integer(attribute)? as u32;
                let depth = match Format::from_fourcc(fourcc) {
                    Some(Format::Nv12) => va::VA_RT_FORMAT_YUV420,
                    Some(Format::P010) => va::VA_RT_FORMAT_YUV420_10,
                    _ => {
                        return Err(Error::UnsupportedAttribute(format!(
                            "pixel format {}",
                            fourcc_name(fourcc)
                        )));
                    }
                };
                format =
                    format_of(rt_format & depth).ok_or(Error::UnsupportedRtFormat(rt_format))?;
            }
            va::VASurfaceAttribMemoryType => {
                mem_type = integer(attribute)? as u32;
            }
            // A hint asks for nothing.
            va::VASurfaceAttribUsageHint => {}
            // Clients may list a NULL descriptor together with the VA memory type.
            va::VASurfaceAttribExternalBufferDescriptor => {
                let at = Foreign::of_attribute(attribute)?;
                external = (!at.is_null()).then_some(at);
            }
            va::VASurfaceAttribDRMFormatModifiers => {
                let at = Foreign::of_attribute(attribute)?;
                if !at.is_null() {
                    takes_linear(at.cast())?;
                }
            }
            kind => return Err(Error::UnsupportedAttribute(format!("surface attribute {kind}"))),
        }
    }
    let external = match external {
        // Several types: whichever suits us.
        None if mem_type & va::VA_SURFACE_ATTRIB_MEM_TYPE_VA != 0 => None,
        None => return Err(Error::UnsupportedMemoryType(mem_type)),
        Some(at) => Some(External::new(mem_type, at)?),
    };
    Ok((format, external))
}

/// Fails unless linear memory is among what a client can do with.
fn takes_linear(list: Foreign<va::VADRMFormatModifierList>) -> Result<()> {
    let list = list.read()?;
    // SAFETY: the VA API asks for `num_modifiers` of them there.
    let modifiers = unsafe { Foreign::of_field(list.modifiers) }.read_all(list.num_modifiers)?;
    if modifiers.is_empty() || modifiers.contains(&LINEAR) {
        return Ok(());
    }
    Err(Error::UnsupportedAttribute(format!("format modifiers {modifiers:#x?} without linear")))
}

/// The value of an integer attribute.
fn integer(attribute: &va::VASurfaceAttrib) -> Result<i32> {
    if attribute.value.type_ != va::VAGenericValueTypeInteger {
        return Err(Error::InvalidParameter(format!(
            "surface attribute {} is not an integer",
            attribute.type_
        )));
    }
    // SAFETY: the type tag says that the union holds an integer.
    Ok(unsafe { attribute.value.value.i })
}

/// `NV12` for its code, for messages.
pub(super) fn fourcc_name(fourcc: u32) -> String {
    fourcc
        .to_le_bytes()
        .map(|byte| if byte.is_ascii_graphic() { byte as char } else { '?' })
        .iter()
        .collect()
}

/// Makes `count` surfaces, all or none.
fn create(
    driver: &Driver,
    rt_format: u32,
    (width, height): (u32, u32),
    surfaces: Foreign<va::VASurfaceID>,
    count: u32,
    attributes: &[va::VASurfaceAttrib],
) -> Result<()> {
    let (format, external) = wanted(rt_format, attributes)?;
    if !(1..=MAX_SIZE).contains(&width) || !(1..=MAX_SIZE).contains(&height) {
        return Err(Error::UnsupportedResolution(width, height));
    }
    if count == 0 || surfaces.is_null() {
        return Err(Error::InvalidParameter("no surface asked for".into()));
    }
    let mut ids = Vec::new();
    let made = (0..count).try_for_each(|index| {
        // The id is known only inside the table; the memory must exist before.
        let (layout, memory) = match external {
            None => driver.device().frame(Layout::new(format, width, height)?)?,
            Some(external) => external.frame(index as usize, format, (width, height))?,
        };
        let surface = Surface::new(layout, memory);
        ids.push(driver.surfaces.insert(|id| surface.with_id(id))?);
        Ok(())
    });
    if let Err(error) = made {
        for id in ids {
            driver.surfaces.remove(id);
        }
        return Err(error);
    }
    surfaces.write_all(ids)
}

/// One entry of vaQuerySurfaceAttributes with an integer value.
fn described(kind: va::VASurfaceAttribType, flags: u32, value: i32) -> va::VASurfaceAttrib {
    va::VASurfaceAttrib {
        type_: kind,
        flags,
        value: va::VAGenericValue {
            type_: va::VAGenericValueTypeInteger,
            value: va::_VAGenericValue__bindgen_ty_1 { i: value },
        },
    }
}

/// The time a client gives, `None` for `VA_TIMEOUT_INFINITE`.
pub(super) fn timeout(nanoseconds: u64) -> Option<Duration> {
    (nanoseconds != va::VA_TIMEOUT_INFINITE as u64).then(|| Duration::from_nanos(nanoseconds))
}

thread_local! {
    /// What vaQuerySurfaceError handed out last on this thread. VA leaves the array to the driver and
    /// has no call to free it, so it stays valid until the next query of the same thread.
    static ERRORS: RefCell<[va::VASurfaceDecodeMBErrors; 2]> =
        RefCell::new([va::VASurfaceDecodeMBErrors::default(); 2]);
}

entries! {
    /// The old way to make surfaces: a format, no attributes.
    fn vaCreateSurfaces(
        driver,
        width: i32,
        height: i32,
        format: i32,
        num_surfaces: i32,
        surfaces: *mut va::VASurfaceID,
    ) {
        let count = u32::try_from(num_surfaces)
            .map_err(|_| Error::InvalidParameter(format!("{num_surfaces} surfaces")))?;
        // A negative size becomes one far beyond the limit.
        create(driver, format as u32, (width as u32, height as u32), surfaces, count, &[])
    }

    /// Makes surfaces with attributes.
    fn vaCreateSurfaces2(
        driver,
        format: u32,
        width: u32,
        height: u32,
        surfaces: *mut va::VASurfaceID,
        num_surfaces: u32,
        attrib_list: *mut va::VASurfaceAttrib,
        num_attribs: u32,
    ) {
        let attributes = attrib_list.read_all(num_attribs as usize)?;
        create(driver, format, (width, height), surfaces, num_surfaces, &attributes)
    }

    /// Forgets surfaces, all or none. Pictures on their way into them finish in private.
    fn vaDestroySurfaces(driver, surface_list: *mut va::VASurfaceID, num_surfaces: i32) {
        let ids = surface_list.read_all(num_surfaces)?;
        for id in &ids {
            driver.surface(*id)?;
        }
        for id in ids {
            driver.surfaces.remove(id);
        }
        Ok(())
    }

    /// What surfaces for a config can be. With a null list only the number of entries is told.
    fn vaQuerySurfaceAttributes(
        driver,
        config: va::VAConfigID,
        attrib_list: *mut va::VASurfaceAttrib,
        num_attribs: *mut u32,
    ) {
        let config = driver.config(config)?;
        let both = va::VA_SURFACE_ATTRIB_GETTABLE | va::VA_SURFACE_ATTRIB_SETTABLE;
        let get = va::VA_SURFACE_ATTRIB_GETTABLE;
        // GStreamer takes this for what can be exported.
        let shared = if driver.device().shares() { External::TYPES } else { 0 };
        let types = va::VA_SURFACE_ATTRIB_MEM_TYPE_VA | shared;
        let mut attributes = Vec::new();
        for (rt_format, fourcc) in [
            (va::VA_RT_FORMAT_YUV420, va::VA_FOURCC_NV12),
            (va::VA_RT_FORMAT_YUV420_10, va::VA_FOURCC_P010),
        ] {
            if config.rt_format & rt_format != 0 {
                attributes.push(described(va::VASurfaceAttribPixelFormat, both, fourcc as i32));
            }
        }
        attributes.extend([
            described(va::VASurfaceAttribMinWidth, get, 1),
            described(va::VASurfaceAttribMaxWidth, get, MAX_SIZE as i32),
            described(va::VASurfaceAttribMinHeight, get, 1),
            described(va::VASurfaceAttribMaxHeight, get, MAX_SIZE as i32),
            described(va::VASurfaceAttribMemoryType, both, types as i32),
            described(
                va::VASurfaceAttribUsageHint,
                both,
                va::VA_SURFACE_ATTRIB_USAGE_HINT_DECODER as i32,
            ),
        ]);
        if shared != 0 {
            attributes.push(va::VASurfaceAttrib {
                type_: va::VASurfaceAttribExternalBufferDescriptor,
                flags: va::VA_SURFACE_ATTRIB_SETTABLE,
                value: va::VAGenericValue {
                    type_: va::VAGenericValueTypePointer,
                    value: va::_VAGenericValue__bindgen_ty_1 { p: std::ptr::null_mut() },
                },
            });
        }
        let needed = attributes.len();
        if attrib_list.is_null() {
            return num_attribs.write(needed as u32);
        }
        let room = num_attribs.read()? as usize;
        num_attribs.write(needed as u32)?;
        if room < needed {
            return Err(Error::MaxNumExceeded(room, needed));
        }
        attrib_list.write_all(attributes)
    }

    /// Waits for a surface's picture.
    fn vaSyncSurface(driver, render_target: va::VASurfaceID) {
        driver.surface(render_target)?.wait(None)
    }

    /// Waits for a surface's picture, but not longer than the client allows.
    fn vaSyncSurface2(driver, surface: va::VASurfaceID, timeout_ns: u64) {
        driver.surface(surface)?.wait(timeout(timeout_ns))
    }

    /// Whether a surface's picture is there, without waiting.
    fn vaQuerySurfaceStatus(
        driver,
        render_target: va::VASurfaceID,
        status: *mut va::VASurfaceStatus,
    ) {
        let ready = driver.surface(render_target)?.is_ready();
        status.write(if ready { va::VASurfaceReady } else { va::VASurfaceRendering })
    }

    /// What was wrong with a surface's picture, after vaSyncSurface reported a decoding error. Which
    /// macroblocks were lost is not known: the record spans the whole picture.
    fn vaQuerySurfaceError(
        driver,
        render_target: va::VASurfaceID,
        error_status: va::VAStatus,
        error_info: *mut *mut c_void,
    ) {
        let surface = driver.surface(render_target)?;
        if error_status != va::VA_STATUS_ERROR_DECODING_ERROR as va::VAStatus {
            return Err(Error::InvalidParameter(format!("error status {error_status:#x}")));
        }
        let macroblocks = surface.coded_width.div_ceil(16) * surface.coded_height.div_ceil(16);
        let end = va::VASurfaceDecodeMBErrors { status: -1, ..Default::default() };
        let first = match surface.outcome() {
            Ok(()) => end,
            Err(_) => va::VASurfaceDecodeMBErrors {
                status: 1,
                start_mb: 0,
                end_mb: macroblocks - 1,
                decode_error_type: va::VADecodeMBError,
                num_mb: macroblocks,
                ..Default::default()
            },
        };
        ERRORS.with(|errors| {
            *errors.borrow_mut() = [first, end];
            error_info.write(errors.as_ptr().cast())
        })
    }
}
