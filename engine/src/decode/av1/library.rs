//! The library behind [`super::Av1Decoder`]: safe handles over dav1d's C API, which libdav1d and the
//! rav1d crate have in common. What differs between the two bindings is in `api`.

use self::api::{Dav1dData, Dav1dDataProps, Dav1dPicture, code, ptr};
use crate::host_thread;

/// The most samples of one picture; AV1's level 6.3 allows 35,651,584.
const FRAME_SIZE_LIMIT: u32 = 1 << 26;

/// dav1d's result for "nothing ready" and "full".
pub(super) const EAGAIN: i32 = -libc::EAGAIN;

/// libdav1d as bindgen reads it.
#[cfg(system_dav1d)]
mod api {
    #![allow(non_camel_case_types, non_upper_case_globals, non_snake_case, dead_code)]
    #![allow(missing_docs, clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

    include!(concat!(env!("OUT_DIR"), "/dav1d.rs"));

    pub use self::{DAV1D_PIXEL_LAYOUT_I400 as I400, DAV1D_PIXEL_LAYOUT_I420 as I420};

    /// A context as the API takes it; null when closed.
    pub type Handle = *mut Dav1dContext;
    pub const CLOSED: Handle = std::ptr::null_mut();
    pub const LEAST_THREADS: usize = 1;

    pub fn ptr<T>(value: &mut T) -> *mut T {
        value
    }

    /// dav1d says so itself where it cannot start its threads.
    pub fn can_start(_threads: usize) -> bool {
        true
    }

    macro_rules! code {
        ($result:expr) => {
            $result
        };
    }
    pub(super) use code;

    /// The library's defaults, without its logger.
    pub fn silent_settings() -> Dav1dSettings {
        let mut settings = Dav1dSettings::default();
        // SAFETY: the struct is valid for writing.
        unsafe { dav1d_default_settings(&mut settings) };
        settings.logger.callback = None;
        settings
    }

    pub fn plane(picture: &Dav1dPicture, index: usize) -> *const u8 {
        picture.data[index].cast_const().cast()
    }

    /// libdav1d takes references of its own.
    pub unsafe fn ready_for_grain(_picture: &Dav1dPicture) {}

    pub fn frame_header(picture: &Dav1dPicture) -> *const Dav1dFrameHeader {
        picture.frame_hdr
    }

    #[cfg(test)]
    pub fn restoration_types(header: &Dav1dFrameHeader) -> [u32; 3] {
        header.restoration.type_.map(|kind| kind as u32)
    }

    #[cfg(test)]
    pub fn segment_reference(segment: &Dav1dSegmentationData) -> i8 {
        segment.ref_
    }

    /// # Safety
    /// The picture is empty or as the library filled it, and is not used again.
    pub unsafe fn release(picture: &mut Dav1dPicture) {
        // SAFETY: the caller's promise.
        unsafe { dav1d_picture_unref(picture) }
    }
}

/// The rav1d crate: pointers are `Option<NonNull>`, results a tuple struct.
#[cfg(not(system_dav1d))]
mod api {
    use std::{
        mem::{self, MaybeUninit},
        ptr::NonNull,
        sync::{Arc, Mutex},
        thread,
    };

    pub use rav1d::{
        include::dav1d::{
            common::Dav1dDataProps,
            data::Dav1dData,
            dav1d::{Dav1dContext, Dav1dLogger, Dav1dSettings},
            headers::{
                DAV1D_PIXEL_LAYOUT_I400 as I400, DAV1D_PIXEL_LAYOUT_I420 as I420, Dav1dFrameHeader,
            },
            picture::Dav1dPicture,
        },
        src::lib::{
            dav1d_apply_grain, dav1d_close, dav1d_data_create, dav1d_data_props_unref,
            dav1d_data_unref, dav1d_default_settings, dav1d_get_decode_error_data_props,
            dav1d_get_picture, dav1d_open, dav1d_picture_unref, dav1d_send_data,
        },
    };

    /// A context as the API takes it; none when closed.
    pub type Handle = Option<Dav1dContext>;
    pub const CLOSED: Handle = None;
    /// Without frame threads rav1d 1.1 panics, and so aborts the process, at the first damaged tile.
    pub const LEAST_THREADS: usize = 2;

    pub fn ptr<T>(value: &mut T) -> Option<NonNull<T>> {
        Some(NonNull::from(value))
    }

    /// Whether so many threads can be started. Where one cannot, rav1d 1.1 panics, and so aborts the process. (Who takes
    /// the last one between this and that still makes it.)
    pub fn can_start(threads: usize) -> bool {
        // No scope, no channel: what they know their thread by is left behind in the host's (`thread::current`).
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock();
        let start = |_| {
            let gate = gate.clone();
            thread::Builder::new().spawn(move || drop(gate.lock())).ok()
        };
        // All are there at the same time.
        let started: Vec<_> = (0..threads).map_while(start).collect();
        drop(closed);
        let count = started.len();
        for thread in started {
            let _ = thread.join();
        }
        count == threads
    }

    macro_rules! code {
        ($result:expr) => {
            $result.0
        };
    }
    pub(super) use code;

    /// The library's defaults, without its logger.
    pub fn silent_settings() -> Dav1dSettings {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: dav1d_default_settings writes the whole struct; a logger without callback cannot be
        // called wrongly.
        unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            let mut settings = settings.assume_init();
            settings.logger = Dav1dLogger::new(None, None);
            settings
        }
    }

    pub fn plane(picture: &Dav1dPicture, index: usize) -> *const u8 {
        picture.data[index].map_or(std::ptr::null(), |data| data.as_ptr().cast())
    }

    /// dav1d_apply_grain() of rav1d 1.1 releases the input's references, which are the caller's: gives it
    /// a set of its own.
    ///
    /// # Safety
    /// The picture is as the library filled it.
    pub unsafe fn ready_for_grain(picture: &Dav1dPicture) {
        macro_rules! add_reference {
            ($($field:ident),*) => {
                $(if let Some(raw) = picture.$field {
                    // SAFETY: the library made it from an Arc that the picture still holds.
                    let held = unsafe { raw.into_arc() };
                    mem::forget(Arc::clone(&held));
                    mem::forget(held);
                })*
            };
        }
        add_reference!(
            frame_hdr_ref,
            seq_hdr_ref,
            content_light_ref,
            mastering_display_ref,
            itut_t35_ref,
            r#ref
        );
    }

    pub fn frame_header(picture: &Dav1dPicture) -> *const Dav1dFrameHeader {
        picture.frame_hdr.map_or(std::ptr::null(), |header| header.as_ptr())
    }

    #[cfg(test)]
    pub fn restoration_types(header: &Dav1dFrameHeader) -> [u32; 3] {
        header.restoration.r#type.map(|kind| kind as u32)
    }

    #[cfg(test)]
    pub fn segment_reference(
        segment: &rav1d::include::dav1d::headers::Dav1dSegmentationData,
    ) -> i8 {
        segment.r#ref
    }

    /// Releases a picture. dav1d_picture_unref() of rav1d 1.1 leaves a default picture behind, which owns
    /// a new, empty list of ITU-T T.35 messages.
    ///
    /// # Safety
    /// The picture is empty or as the library filled it, and is not used again.
    pub unsafe fn release(picture: &mut Dav1dPicture) {
        // SAFETY: the caller's promise.
        unsafe { dav1d_picture_unref(ptr(picture)) };
        if let Some(list) = picture.itut_t35_ref.take() {
            // SAFETY: the library made it from an Arc just now, and nobody else knows it.
            drop(unsafe { list.into_arc() });
        }
    }

    /// # Safety
    /// `handle` is open.
    pub unsafe fn dav1d_flush(handle: Handle) {
        if let Some(context) = handle {
            // SAFETY: the caller's promise.
            unsafe { rav1d::src::lib::dav1d_flush(context) }
        }
    }
}

#[cfg(test)]
pub(super) use self::api::{restoration_types, segment_reference};

/// An error code in words.
pub(super) fn describe(code: i32) -> String {
    match code.checked_neg() {
        Some(errno) if errno > 1 => std::io::Error::from_raw_os_error(errno).to_string(),
        _ => "generic error".into(),
    }
}

/// A decoder context. Results are dav1d's: negative errno values.
pub(super) struct Library(api::Handle);

// SAFETY: a context may be used from any thread, one call at a time, which `&mut self` ensures.
unsafe impl Send for Library {}

impl Library {
    pub(super) fn open(threads: usize) -> Result<Library, i32> {
        let threads = threads.clamp(api::LEAST_THREADS, 64) as i32;
        let mut settings = api::silent_settings();
        settings.n_threads = threads;
        settings.max_frame_delay = threads;
        settings.apply_grain = 0;
        settings.operating_point = 0;
        settings.all_layers = 0;
        settings.frame_size_limit = FRAME_SIZE_LIMIT;
        settings.strict_std_compliance = 0;
        settings.output_invisible_frames = 1;
        let mut library = Library(api::CLOSED);
        let open = || {
            if !api::can_start(threads as usize) {
                return EAGAIN;
            }
            // SAFETY: both pointers are valid for the call.
            unsafe { code!(api::dav1d_open(ptr(&mut library.0), ptr(&mut settings))) }
        };
        match host_thread::without_signals(open) {
            Ok(0) => Ok(library),
            Ok(code) => Err(code),
            Err(_) => Err(-libc::EINVAL),
        }
    }

    /// Feeds a copy of `bytes`; the picture will carry `id`. `EAGAIN`: full, nothing was taken.
    pub(super) fn send(&mut self, id: u64, bytes: &[u8]) -> Result<(), i32> {
        let mut data = Data::copy(bytes)?;
        data.0.m.timestamp = id as i64;
        // SAFETY: the context is open; `data` holds a reference that the call takes over on success.
        match unsafe { code!(api::dav1d_send_data(self.0, ptr(&mut data.0))) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// The next finished picture. `EAGAIN`: none. Asking twice without sending waits for pictures in
    /// flight.
    pub(super) fn get_picture(&mut self) -> Result<Picture, i32> {
        let mut picture = Picture(Dav1dPicture::default());
        // SAFETY: the context is open and `picture` is empty.
        match unsafe { code!(api::dav1d_get_picture(self.0, ptr(&mut picture.0))) } {
            0 => Ok(picture),
            code => Err(code),
        }
    }

    /// The number of the packet whose error was reported last, if the library says so.
    pub(super) fn failed_id(&mut self) -> Option<u64> {
        let mut props = Dav1dDataProps::default();
        // SAFETY: the context is open and `props` is valid for writing; what it got is released below.
        unsafe {
            if code!(api::dav1d_get_decode_error_data_props(self.0, ptr(&mut props))) != 0 {
                return None;
            }
            let id = props.timestamp as u64;
            api::dav1d_data_props_unref(ptr(&mut props));
            Some(id)
        }
    }

    /// A copy of `picture` with film grain.
    pub(super) fn apply_grain(&mut self, picture: &mut Picture) -> Result<Picture, i32> {
        let mut grained = Picture(Dav1dPicture::default());
        // SAFETY: the context is open, `picture` came from it and `grained` is empty.
        let result = unsafe {
            api::ready_for_grain(&picture.0);
            code!(api::dav1d_apply_grain(self.0, ptr(&mut grained.0), ptr(&mut picture.0)))
        };
        match result {
            0 => Ok(grained),
            code => Err(code),
        }
    }

    /// Forgets all references.
    pub(super) fn flush(&mut self) {
        // SAFETY: the context is open.
        unsafe { api::dav1d_flush(self.0) }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: closes the context once; a closed handle is let pass.
        unsafe { api::dav1d_close(ptr(&mut self.0)) }
    }
}

/// Bytes on their way into the decoder, released unless it took them.
struct Data(Dav1dData);

impl Data {
    fn copy(bytes: &[u8]) -> Result<Data, i32> {
        let mut data = Data(Dav1dData::default());
        // SAFETY: dav1d_data_create allocates `bytes.len()` bytes and returns their address, or null.
        unsafe {
            let memory = api::dav1d_data_create(ptr(&mut data.0), bytes.len());
            if memory.is_null() {
                return Err(-libc::ENOMEM);
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory, bytes.len());
        }
        Ok(data)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // SAFETY: the struct is empty or holds a reference.
        unsafe { api::dav1d_data_unref(ptr(&mut self.0)) }
    }
}

/// How a picture's chroma is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    I400,
    I420,
    /// 4:2:2 or 4:4:4.
    Other,
}

/// A reference to a decoded picture; empty, or as the library filled it.
pub(super) struct Picture(Dav1dPicture);

// SAFETY: a picture is immutable, its reference count atomic.
unsafe impl Send for Picture {}

impl Picture {
    /// The number of the packet that coded it.
    pub(super) fn id(&self) -> u64 {
        self.0.m.timestamp as u64
    }

    /// In luma samples.
    pub(super) fn width(&self) -> usize {
        self.0.p.w as usize
    }

    /// In luma samples.
    pub(super) fn height(&self) -> usize {
        self.0.p.h as usize
    }

    pub(super) fn bit_depth(&self) -> u8 {
        self.0.p.bpc as u8
    }

    pub(super) fn layout(&self) -> Layout {
        match self.0.p.layout {
            api::I400 => Layout::I400,
            api::I420 => Layout::I420,
            _ => Layout::Other,
        }
    }

    /// Whether applying film grain would change anything.
    pub(super) fn has_grain(&self) -> bool {
        // SAFETY: the header lives as long as the picture's reference to it.
        let Some(header) = (unsafe { api::frame_header(&self.0).as_ref() }) else { return false };
        let grain = &header.film_grain.data;
        grain.num_y_points != 0
            || grain.num_uv_points != [0, 0]
            || (grain.clip_to_restricted_range != 0 && grain.chroma_scaling_from_luma != 0)
    }

    /// The frame header as the library read it.
    #[cfg(test)]
    pub(super) fn header(&self) -> &api::Dav1dFrameHeader {
        // SAFETY: the header lives as long as the picture's reference to it.
        unsafe { api::frame_header(&self.0).as_ref() }.expect("a picture has a header")
    }

    /// The samples of a plane, from its first one to the end of its last row, and the row pitch in
    /// bytes. For planes that the layout has.
    pub(super) fn plane(&self, index: usize) -> (&[u8], usize) {
        let chroma = usize::from(index > 0);
        let width = (self.width() + chroma) >> chroma;
        let height = (self.height() + chroma) >> chroma;
        let bytes = if self.bit_depth() > 8 { 2 } else { 1 };
        // The library's own allocator lays rows out downwards.
        let pitch = self.0.stride[chroma] as usize;
        let length = (height - 1) * pitch + width * bytes;
        // SAFETY: the plane has `height` rows of at least `width` samples, `pitch` bytes apart, and is
        // not written while the picture is referenced.
        (unsafe { std::slice::from_raw_parts(api::plane(&self.0, index), length) }, pitch)
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: the struct is empty or holds a reference; it ends here.
        unsafe { api::release(&mut self.0) }
    }
}
