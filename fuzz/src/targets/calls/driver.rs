//! A driver instance, and the calls that need care with memory.

use std::{
    ffi::c_void,
    os::fd::{FromRawFd, OwnedFd},
    ptr,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

// For its `__vaDriverInit_1_0`.
use daedalus_drv_video as _;
use libva_sys as va;

unsafe extern "C" {
    fn __vaDriverInit_1_0(context: va::VADriverContextP) -> va::VAStatus;
}

/// Most that is written at a time into what the driver maps.
const MOST_WRITTEN: usize = 1 << 16;

/// What libva keeps for a display, with our driver behind it.
pub struct Driver {
    context: va::VADriverContextP,
    table: Box<va::VADriverVTable>,
    /// Held to touch a buffer's memory; held alone to destroy one, as a client's own locks would have it.
    memory: RwLock<()>,
    ended: AtomicBool,
}

// SAFETY: a VA driver may be called from any thread, and from several at a time; nothing here writes to the
// context or the table between init and vaTerminate.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

/// Calls an entry of the table. All arguments must be what the VA API asks for.
macro_rules! call {
    ($driver:expr, $name:ident $(, $argument:expr)* $(,)?) => {{
        let driver: &Driver = $driver;
        match driver.table().$name {
            // SAFETY: the driver's own entry with its context; the pointers among the arguments are to
            // values of the caller's that outlive the call and have room for what the VA API says.
            Some(entry) => unsafe { entry(driver.context() $(, $argument)*) },
            None => libva_sys::VA_STATUS_ERROR_UNIMPLEMENTED as libva_sys::VAStatus,
        }
    }};
}
pub(super) use call;

/// Whether a call succeeded.
pub fn good(status: va::VAStatus) -> bool {
    status == va::VA_STATUS_SUCCESS as va::VAStatus
}

impl Driver {
    /// Starts an instance, on no display.
    pub fn new() -> Driver {
        let mut table = Box::<va::VADriverVTable>::default();
        let context = Box::new(va::VADriverContext {
            vtable: &mut *table,
            display_type: va::VA_DISPLAY_DRM.into(),
            ..Default::default()
        });
        let context = Box::into_raw(context);
        // SAFETY: a context with a table, as libva makes them.
        let status = unsafe { __vaDriverInit_1_0(context) };
        assert!(good(status), "the driver does not start: {status:#x}");
        Driver { context, table, memory: RwLock::new(()), ended: AtomicBool::new(false) }
    }

    /// vaTerminate, once. Nobody may begin a call afterwards.
    pub fn end(&self) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            let status = call!(self, vaTerminate);
            assert!(good(status), "the driver does not end: {status:#x}");
        }
    }

    /// For [`call!`].
    pub fn table(&self) -> &va::VADriverVTable {
        &self.table
    }

    /// For [`call!`].
    pub fn context(&self) -> va::VADriverContextP {
        self.context
    }

    /// The most entries of the lists that the driver fills: profiles, config attributes.
    pub fn room(&self) -> (usize, usize) {
        // SAFETY: init has filled the context in; nobody writes to it.
        let context = unsafe { &*self.context };
        (context.max_profiles as usize, context.max_attributes as usize)
    }

    /// vaMapBuffer, writing `bytes` at the beginning, and vaUnmapBuffer.
    pub fn write(&self, buffer: va::VABufferID, bytes: &[u8]) {
        let _touching = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let (mut kind, mut size, mut count) = (0, 0, 0);
        let mut address: *mut c_void = ptr::null_mut();
        if !good(call!(self, vaBufferInfo, buffer, &mut kind, &mut size, &mut count))
            || !good(call!(self, vaMapBuffer, buffer, &mut address))
        {
            return;
        }
        let room = size as usize * count as usize;
        let length = bytes.len().min(room).min(MOST_WRITTEN);
        // SAFETY: mapped, and not destroyed before the lock is released; the driver says how large.
        unsafe { ptr::copy(bytes.as_ptr(), address.cast(), length) };
        if room > 0 {
            // SAFETY: as above.
            let last = unsafe { address.cast::<u8>().add(room - 1).read() };
            std::hint::black_box(last);
        }
        call!(self, vaUnmapBuffer, buffer);
    }

    /// vaMapBuffer2, or vaMapBuffer where libva has no other.
    pub fn map_for(&self, buffer: va::VABufferID, flags: u32) {
        let mut address: *mut c_void = ptr::null_mut();
        #[cfg(libva_map_buffer2)]
        {
            call!(self, vaMapBuffer2, buffer, &mut address, flags);
        }
        #[cfg(not(libva_map_buffer2))]
        {
            let _ = flags;
            call!(self, vaMapBuffer, buffer, &mut address);
        }
    }

    /// vaDestroyBuffer.
    pub fn destroy_buffer(&self, buffer: va::VABufferID) {
        let _alone = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        call!(self, vaDestroyBuffer, buffer);
    }

    /// vaDestroyImage.
    pub fn destroy_image(&self, image: va::VAImageID) {
        let _alone = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        call!(self, vaDestroyImage, image);
    }

    /// vaQuerySurfaceError, and a look at the list, whose last entry says -1.
    pub fn errors(&self, surface: va::VASurfaceID) {
        let status = va::VA_STATUS_ERROR_DECODING_ERROR as va::VAStatus;
        let mut list: *mut c_void = ptr::null_mut();
        if !good(call!(self, vaQuerySurfaceError, surface, status, &mut list)) {
            return;
        }
        let mut at = list.cast::<va::VASurfaceDecodeMBErrors>();
        // SAFETY: the list is the thread's until its next query, and ends with -1.
        while unsafe { at.read() }.status != -1 {
            at = at.wrapping_add(1);
        }
    }

    /// vaExportSurfaceHandle; what it gives is closed.
    pub fn export(&self, surface: va::VASurfaceID, mem_type: u32, flags: u32) {
        // Large enough for every description.
        let mut room = [0_u64; 256];
        let to: *mut c_void = room.as_mut_ptr().cast();
        if !good(call!(self, vaExportSurfaceHandle, surface, mem_type, flags, to)) {
            return;
        }
        // SAFETY: both kinds of descriptions begin alike, and any bytes are one.
        let described = unsafe { to.cast::<va::VADRMPRIMESurfaceDescriptor>().read() };
        for object in &described.objects[..described.num_objects as usize] {
            // SAFETY: a new descriptor that the client has to close.
            drop(unsafe { OwnedFd::from_raw_fd(object.fd) });
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end();
        // SAFETY: made by Box::into_raw; the driver is gone, as are the calls, which borrow this.
        drop(unsafe { Box::from_raw(self.context) });
    }
}
