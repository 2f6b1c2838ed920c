//! The C entry points, one file per group, and the table that libva calls them through.
//!
//! Each entry is written as an ordinary function that returns `Result<()>`. The [`entries!`] macro wraps
//! it once: driver lookup, pointer arguments as [`args::Foreign`], panics caught, errors logged and
//! turned into a `VAStatus`.

mod args;
mod buffer;
mod config;
mod context;
mod display;
mod image;
mod import;
mod present;
mod sharing;
mod subpicture;
mod surface;

use std::{
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Once},
};

use libva_sys as va;
use log::LevelFilter;

use crate::{
    convert::Format,
    error::Result,
    object::Driver,
    present::{ClientDisplay, Presenter},
};

/// Runs an entry point's body on the driver behind `ctx`.
fn guard(
    name: &str,
    ctx: va::VADriverContextP,
    body: impl FnOnce(&Driver) -> Result<()>,
) -> va::VAStatus {
    // SAFETY: libva calls entry points with the context that `init` was given.
    let driver = unsafe { ctx.as_ref() }.map(|ctx| ctx.pDriverData.cast::<Driver>());
    let Some(driver) = driver.filter(|driver| !driver.is_null()) else {
        return va::VA_STATUS_ERROR_INVALID_DISPLAY as va::VAStatus;
    };
    // SAFETY: pDriverData is what `init` stored and vaTerminate has not taken back. A vaTerminate that comes during
    // the call, which a client may not do, leaves the driver to it.
    let driver = unsafe {
        Arc::increment_strong_count(driver);
        Arc::from_raw(driver)
    };
    match catch_unwind(AssertUnwindSafe(move || body(&driver))) {
        Ok(Ok(())) => va::VA_STATUS_SUCCESS as va::VAStatus,
        Ok(Err(error)) => {
            log::log!(error.log_level(), entry = name; "{name}: {error}");
            error.status()
        }
        Err(_) => {
            log::error!("{name}: a bug in the driver (panic caught)");
            va::VA_STATUS_ERROR_UNKNOWN as va::VAStatus
        }
    }
}

/// Writes the C stubs of entry points.
macro_rules! entries {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($driver:ident $(, $arg:ident: $ty:ty)* $(,)?) $body:block
    )*) => {$(
        $(#[$doc])*
        #[allow(non_snake_case)]
        pub(super) unsafe extern "C" fn $name(
            ctx: libva_sys::VADriverContextP $(, $arg: $ty)*
        ) -> libva_sys::VAStatus {
            // SAFETY: libva hands through the client's arguments, for which the VA API asks what
            // `Argument` needs.
            $(let $arg = unsafe { $crate::entry::args::Argument::into_safe($arg) };)*
            $crate::entry::guard(stringify!($name), ctx, |$driver| $body)
        }
    )*};
}
use entries;

/// The name that clients see, with version and git revision. GStreamer's `va` plugin knows a fixed list of names;
/// others want any.
const VENDOR: &CStr = daedalus_version::c_string!("Daedalus stateless decoder");

/// Fills in the table. Entries that only encoders and video processing need stay empty (multi-frame
/// contexts, vaCreateBuffer2, vaQueryProcessingRate), as does the long deprecated vaGetSurfaceAttributes:
/// for each, libva itself reports `VA_STATUS_ERROR_UNIMPLEMENTED`.
fn fill(vtable: &mut va::VADriverVTable) {
    vtable.vaTerminate = Some(vaTerminate);
    vtable.vaQueryConfigProfiles = Some(config::vaQueryConfigProfiles);
    vtable.vaQueryConfigEntrypoints = Some(config::vaQueryConfigEntrypoints);
    vtable.vaGetConfigAttributes = Some(config::vaGetConfigAttributes);
    vtable.vaCreateConfig = Some(config::vaCreateConfig);
    vtable.vaDestroyConfig = Some(config::vaDestroyConfig);
    vtable.vaQueryConfigAttributes = Some(config::vaQueryConfigAttributes);
    vtable.vaCreateSurfaces = Some(surface::vaCreateSurfaces);
    vtable.vaCreateSurfaces2 = Some(surface::vaCreateSurfaces2);
    vtable.vaDestroySurfaces = Some(surface::vaDestroySurfaces);
    vtable.vaQuerySurfaceAttributes = Some(surface::vaQuerySurfaceAttributes);
    vtable.vaSyncSurface = Some(surface::vaSyncSurface);
    vtable.vaSyncSurface2 = Some(surface::vaSyncSurface2);
    vtable.vaQuerySurfaceStatus = Some(surface::vaQuerySurfaceStatus);
    vtable.vaQuerySurfaceError = Some(surface::vaQuerySurfaceError);
    vtable.vaPutSurface = Some(present::vaPutSurface);
    vtable.vaCreateContext = Some(context::vaCreateContext);
    vtable.vaDestroyContext = Some(context::vaDestroyContext);
    vtable.vaBeginPicture = Some(context::vaBeginPicture);
    vtable.vaRenderPicture = Some(context::vaRenderPicture);
    vtable.vaEndPicture = Some(context::vaEndPicture);
    vtable.vaCreateBuffer = Some(buffer::vaCreateBuffer);
    vtable.vaBufferSetNumElements = Some(buffer::vaBufferSetNumElements);
    vtable.vaMapBuffer = Some(buffer::vaMapBuffer);
    #[cfg(libva_map_buffer2)]
    {
        vtable.vaMapBuffer2 = Some(buffer::vaMapBuffer2);
    }
    vtable.vaUnmapBuffer = Some(buffer::vaUnmapBuffer);
    vtable.vaDestroyBuffer = Some(buffer::vaDestroyBuffer);
    vtable.vaBufferInfo = Some(buffer::vaBufferInfo);
    vtable.vaSyncBuffer = Some(buffer::vaSyncBuffer);
    vtable.vaQueryImageFormats = Some(image::vaQueryImageFormats);
    vtable.vaCreateImage = Some(image::vaCreateImage);
    vtable.vaDeriveImage = Some(image::vaDeriveImage);
    vtable.vaDestroyImage = Some(image::vaDestroyImage);
    vtable.vaSetImagePalette = Some(image::vaSetImagePalette);
    vtable.vaGetImage = Some(image::vaGetImage);
    vtable.vaPutImage = Some(image::vaPutImage);
    vtable.vaQuerySubpictureFormats = Some(subpicture::vaQuerySubpictureFormats);
    vtable.vaCreateSubpicture = Some(subpicture::vaCreateSubpicture);
    vtable.vaDestroySubpicture = Some(subpicture::vaDestroySubpicture);
    vtable.vaSetSubpictureImage = Some(subpicture::vaSetSubpictureImage);
    vtable.vaSetSubpictureChromakey = Some(subpicture::vaSetSubpictureChromakey);
    vtable.vaSetSubpictureGlobalAlpha = Some(subpicture::vaSetSubpictureGlobalAlpha);
    vtable.vaAssociateSubpicture = Some(subpicture::vaAssociateSubpicture);
    vtable.vaDeassociateSubpicture = Some(subpicture::vaDeassociateSubpicture);
    vtable.vaQueryDisplayAttributes = Some(display::vaQueryDisplayAttributes);
    vtable.vaGetDisplayAttributes = Some(display::vaGetDisplayAttributes);
    vtable.vaSetDisplayAttributes = Some(display::vaSetDisplayAttributes);
    vtable.vaLockSurface = Some(sharing::vaLockSurface);
    vtable.vaUnlockSurface = Some(sharing::vaUnlockSurface);
    vtable.vaExportSurfaceHandle = Some(sharing::vaExportSurfaceHandle);
    vtable.vaAcquireBufferHandle = Some(sharing::vaAcquireBufferHandle);
    vtable.vaReleaseBufferHandle = Some(sharing::vaReleaseBufferHandle);
    vtable.vaCopy = Some(sharing::vaCopy);
}

/// libva's way in. It looks for `__vaDriverInit_1_N` from its own minor version down to 0, so that this
/// one name serves every libva.
///
/// # Safety
/// `ctx` is the driver context that libva allocated, with its vtable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vaDriverInit_1_0(ctx: va::VADriverContextP) -> va::VAStatus {
    // What went wrong with it does not keep anybody from decoding.
    let _ = catch_unwind(start_log);
    // SAFETY: libva passes a valid context that nothing else uses during the call.
    let Some(ctx) = (unsafe { ctx.as_mut() }) else {
        return va::VA_STATUS_ERROR_INVALID_PARAMETER as va::VAStatus;
    };
    // SAFETY: libva allocated the table with calloc before it called us.
    let Some(vtable) = (unsafe { ctx.vtable.as_mut() }) else {
        return va::VA_STATUS_ERROR_INVALID_PARAMETER as va::VAStatus;
    };
    let x11 =
        ctx.display_type & u64::from(va::VA_DISPLAY_MAJOR_MASK) == u64::from(va::VA_DISPLAY_X11);
    let presenter = x11.then(|| {
        // SAFETY: for X11, libva's native_dpy is the client's Display, open until vaTerminate.
        Presenter::new(unsafe { ClientDisplay::new(ctx.native_dpy) })
    });
    let driver = match catch_unwind(AssertUnwindSafe(|| Driver::new(presenter))) {
        Ok(Ok(driver)) => driver,
        Ok(Err(error)) => {
            log::error!("cannot start: {error}");
            return error.status();
        }
        Err(_) => return va::VA_STATUS_ERROR_UNKNOWN as va::VAStatus,
    };
    ctx.version_major = va::VA_MAJOR_VERSION as i32;
    ctx.version_minor = va::VA_MINOR_VERSION as i32;
    ctx.max_profiles = config::PROFILES.len() as i32;
    ctx.max_entrypoints = 1;
    ctx.max_attributes = va::VAConfigAttribTypeMax as i32;
    ctx.max_image_formats = Format::ALL.len() as i32;
    // libva insists on a number above zero; vaQuerySubpictureFormats answers with none.
    ctx.max_subpic_formats = 1;
    ctx.max_display_attributes = 1;
    ctx.str_vendor = VENDOR.as_ptr();
    fill(vtable);
    ctx.pDriverData = Arc::into_raw(Arc::new(driver)).cast_mut().cast();
    va::VA_STATUS_SUCCESS as va::VAStatus
}

/// Ends the driver instance: everything that the client left behind goes with it.
#[allow(non_snake_case)]
unsafe extern "C" fn vaTerminate(ctx: va::VADriverContextP) -> va::VAStatus {
    // SAFETY: libva calls this once per successful init, with the same context.
    let Some(ctx) = (unsafe { ctx.as_mut() }) else {
        return va::VA_STATUS_ERROR_INVALID_DISPLAY as va::VAStatus;
    };
    let driver = std::mem::replace(&mut ctx.pDriverData, std::ptr::null_mut()).cast::<Driver>();
    if driver.is_null() {
        return va::VA_STATUS_ERROR_INVALID_DISPLAY as va::VAStatus;
    }
    // SAFETY: `init` made it with Arc::into_raw, and it was taken out of the context just now.
    let driver = unsafe { Arc::from_raw(driver) };
    log::info!("vaTerminate");
    daedalus_logging::settle();
    match catch_unwind(AssertUnwindSafe(move || driver.close())) {
        Ok(()) => va::VA_STATUS_SUCCESS as va::VAStatus,
        Err(_) => va::VA_STATUS_ERROR_UNKNOWN as va::VAStatus,
    }
}

/// Sends log lines to stderr as `DAEDALUS_LOG` asks, warnings by default. libva keeps the driver loaded over
/// vaTerminate, so this happens once per process.
fn start_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = daedalus_logging::asked_for();
        let options = daedalus_logging::Options {
            identifier: "daedalus",
            plain: daedalus_logging::Plain::Named,
            // The process is somebody else's.
            fields: false,
        };
        daedalus_logging::start(filter.as_deref(), LevelFilter::Warn, options);
        log::info!("version {}", daedalus_version::TEXT);
    });
}
