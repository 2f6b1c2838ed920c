//! The library behind [`super::Av1Decoder`]: safe handles over dav1d's C API.

use std::ptr;

use self::api::{Dav1dContext, Dav1dData, Dav1dDataProps, Dav1dPicture, Dav1dSettings};
use crate::host_thread;

// Brings the library that its build script has made.
#[cfg(feature = "bundled-dav1d")]
use libdav1d_sys as _;

/// The most samples of one picture; AV1's level 6.3 allows 35,651,584.
const FRAME_SIZE_LIMIT: u32 = 1 << 26;

/// dav1d's result for "nothing ready" and "full".
pub(super) const EAGAIN: i32 = -libc::EAGAIN;

/// dav1d as bindgen reads its headers, those of the library that is linked.
mod api {
    #![allow(non_camel_case_types, non_upper_case_globals, non_snake_case, dead_code)]
    #![allow(missing_docs, clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

    include!(concat!(env!("OUT_DIR"), "/dav1d.rs"));
}

/// An error code in words.
pub(super) fn describe(code: i32) -> String {
    match code.checked_neg() {
        Some(errno) if errno > 1 => std::io::Error::from_raw_os_error(errno).to_string(),
        _ => "generic error".into(),
    }
}

/// A decoder context. Results are dav1d's: negative errno values.
pub(super) struct Library(*mut Dav1dContext);

// SAFETY: a context may be used from any thread, one call at a time, which `&mut self` ensures.
unsafe impl Send for Library {}

impl Library {
    pub(super) fn open(threads: usize) -> Result<Library, i32> {
        let threads = threads.clamp(1, 64) as i32;
        let mut settings = Dav1dSettings::default();
        // SAFETY: the struct is valid for writing.
        unsafe { api::dav1d_default_settings(&mut settings) };
        // What a damaged stream would have it say on the host's standard error.
        settings.logger.callback = None;
        settings.n_threads = threads;
        settings.max_frame_delay = threads;
        settings.apply_grain = 0;
        settings.operating_point = 0;
        settings.all_layers = 0;
        settings.frame_size_limit = FRAME_SIZE_LIMIT;
        settings.strict_std_compliance = 0;
        settings.output_invisible_frames = 1;
        let mut library = Library(ptr::null_mut());
        // SAFETY: both pointers are valid for the call.
        let open = || unsafe { api::dav1d_open(&mut library.0, &settings) };
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
        match unsafe { api::dav1d_send_data(self.0, &mut data.0) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// The next finished picture. `EAGAIN`: none. Asking twice without sending waits for pictures in
    /// flight.
    pub(super) fn get_picture(&mut self) -> Result<Picture, i32> {
        let mut picture = Picture(Dav1dPicture::default());
        // SAFETY: the context is open and `picture` is empty.
        match unsafe { api::dav1d_get_picture(self.0, &mut picture.0) } {
            0 => Ok(picture),
            code => Err(code),
        }
    }

    /// The number of the packet whose error was reported last, if the library says so.
    pub(super) fn failed_id(&mut self) -> Option<u64> {
        let mut props = Dav1dDataProps::default();
        // SAFETY: the context is open and `props` is valid for writing; what it got is released below.
        unsafe {
            if api::dav1d_get_decode_error_data_props(self.0, &mut props) != 0 {
                return None;
            }
            let id = props.timestamp as u64;
            api::dav1d_data_props_unref(&mut props);
            Some(id)
        }
    }

    /// A copy of `picture` with film grain.
    pub(super) fn apply_grain(&mut self, picture: &Picture) -> Result<Picture, i32> {
        let mut grained = Picture(Dav1dPicture::default());
        // SAFETY: the context is open, `picture` came from it and `grained` is empty.
        let result = unsafe { api::dav1d_apply_grain(self.0, &mut grained.0, &picture.0) };
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
        unsafe { api::dav1d_close(&mut self.0) }
    }
}

/// Bytes on their way into the decoder, released unless it took them.
struct Data(Dav1dData);

impl Data {
    fn copy(bytes: &[u8]) -> Result<Data, i32> {
        // A misuse to dav1d, which aborts the process where it is built with its assertions.
        if bytes.is_empty() {
            return Err(-libc::EINVAL);
        }
        let mut data = Data(Dav1dData::default());
        // SAFETY: dav1d_data_create allocates `bytes.len()` bytes and returns their address, or null.
        unsafe {
            let memory = api::dav1d_data_create(&mut data.0, bytes.len());
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
        unsafe { api::dav1d_data_unref(&mut self.0) }
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
            api::DAV1D_PIXEL_LAYOUT_I400 => Layout::I400,
            api::DAV1D_PIXEL_LAYOUT_I420 => Layout::I420,
            _ => Layout::Other,
        }
    }

    /// Whether applying film grain would change anything.
    pub(super) fn has_grain(&self) -> bool {
        // SAFETY: the header lives as long as the picture's reference to it.
        let Some(header) = (unsafe { self.0.frame_hdr.as_ref() }) else { return false };
        let grain = &header.film_grain.data;
        grain.num_y_points != 0
            || grain.num_uv_points != [0, 0]
            || (grain.clip_to_restricted_range != 0 && grain.chroma_scaling_from_luma != 0)
    }

    /// The frame header as the library read it.
    #[cfg(test)]
    pub(super) fn header(&self) -> &api::Dav1dFrameHeader {
        // SAFETY: the header lives as long as the picture's reference to it.
        unsafe { self.0.frame_hdr.as_ref() }.expect("a picture has a header")
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
        (
            unsafe { std::slice::from_raw_parts(self.0.data[index].cast_const().cast(), length) },
            pitch,
        )
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: the struct is empty or holds a reference; it ends here.
        unsafe { api::dav1d_picture_unref(&mut self.0) }
    }
}
