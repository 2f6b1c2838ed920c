//! The client's Display, as libva hands it over.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    mem::transmute,
    ptr::NonNull,
};

type DisplayString = unsafe extern "C" fn(*mut c_void) -> *mut c_char;
type Sync = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

/// The `Display` that the client gave to vaGetDisplay, and the two functions of the client's libX11 that
/// the driver calls on it. The driver does not link libX11: where there is a Display, it is in the process.
#[derive(Debug)]
pub struct ClientDisplay {
    display: NonNull<c_void>,
    sync: Option<Sync>,
    name: Option<String>,
}

// SAFETY: the Display is only given to XSync, which locks it as every Xlib call does (Xlib makes Displays
// safe for threads by itself since 1.8; before, a client with threads calls XInitThreads).
unsafe impl Send for ClientDisplay {}
// SAFETY: see above.
unsafe impl std::marker::Sync for ClientDisplay {}

impl ClientDisplay {
    /// Wraps the `native_dpy` of an X11 driver context; `None` for a null pointer.
    ///
    /// # Safety
    /// `display` is null or an open Xlib `Display`, which stays open as long as the value is used.
    pub unsafe fn new(display: *mut c_void) -> Option<ClientDisplay> {
        let display = NonNull::new(display)?;
        let name = symbol(c"XDisplayString").and_then(|function| {
            // SAFETY: libX11's XDisplayString has this type.
            let function = unsafe { transmute::<NonNull<c_void>, DisplayString>(function) };
            // SAFETY: the Display is open, says the caller.
            let name = unsafe { function(display.as_ptr()) };
            if name.is_null() {
                return None;
            }
            // SAFETY: XDisplayString returns a C string that the Display owns; it is copied at once.
            let name = unsafe { CStr::from_ptr(name) };
            name.to_str().ok().map(str::to_owned)
        });
        let sync = symbol(c"XSync").map(|function| {
            // SAFETY: libX11's XSync has this type.
            unsafe { transmute::<NonNull<c_void>, Sync>(function) }
        });
        Some(ClientDisplay { display, sync, name })
    }

    /// The server's name, as `$DISPLAY` would give it. `None` if libX11 is not to be found.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Waits until the server has done what the client asked for so far. Events stay queued.
    pub(super) fn synchronise(&self) {
        if let Some(sync) = self.sync {
            // SAFETY: the Display is open, see `new`; 0 keeps the events.
            unsafe { sync(self.display.as_ptr(), 0) };
        }
    }
}

/// A function of the libX11 that is in the process: in the global scope, or loaded privately by a plugin.
fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: the name is a C string.
    let global = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    NonNull::new(global).or_else(|| {
        // SAFETY: the name is a C string; RTLD_NOLOAD runs no constructors. The handle is not closed:
        // the functions must stay.
        let library =
            unsafe { libc::dlopen(c"libX11.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        let library = NonNull::new(library)?;
        // SAFETY: the handle is open and the name a C string.
        NonNull::new(unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) })
    })
}
