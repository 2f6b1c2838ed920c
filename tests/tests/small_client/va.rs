//! The client's side of libva: what decoding H.264 needs, on an X display.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use libva_sys::{
    VA_FOURCC_P010, VA_PROGRESSIVE, VA_RT_FORMAT_YUV420_10, VA_STATUS_SUCCESS,
    VA_SURFACE_ATTRIB_SETTABLE, VABufferID, VABufferType, VAConfigAttrib, VAConfigAttribRTFormat,
    VAConfigID, VAContextID, VADisplay, VAEntrypoint, VAEntrypointVLD, VAGenericValue,
    VAGenericValueTypeInteger, VAIQMatrixBufferH264, VAIQMatrixBufferType, VAImage, VAImageID,
    VAPictureParameterBufferH264, VAPictureParameterBufferType, VAProfile, VASliceDataBufferType,
    VASliceParameterBufferH264, VASliceParameterBufferType, VAStatus, VASurfaceAttrib,
    VASurfaceAttribPixelFormat, VASurfaceID,
};

/// `VAProfileH264High10`, which libva's headers name from 2.18 on.
const PROFILE_H264_HIGH10: VAProfile = 36;

#[link(name = "X11")]
unsafe extern "C" {
    fn XOpenDisplay(name: *const c_char) -> *mut c_void;
    fn XCloseDisplay(display: *mut c_void) -> c_int;
}

#[link(name = "va-x11")]
unsafe extern "C" {
    fn vaGetDisplay(native: *mut c_void) -> VADisplay;
}

#[link(name = "va")]
unsafe extern "C" {
    fn vaErrorStr(status: VAStatus) -> *const c_char;
    fn vaInitialize(display: VADisplay, major: *mut c_int, minor: *mut c_int) -> VAStatus;
    fn vaTerminate(display: VADisplay) -> VAStatus;
    fn vaQueryVendorString(display: VADisplay) -> *const c_char;
    fn vaCreateConfig(
        display: VADisplay,
        profile: VAProfile,
        entrypoint: VAEntrypoint,
        attributes: *mut VAConfigAttrib,
        count: c_int,
        config: *mut VAConfigID,
    ) -> VAStatus;
    fn vaDestroyConfig(display: VADisplay, config: VAConfigID) -> VAStatus;
    fn vaCreateSurfaces(
        display: VADisplay,
        format: c_uint,
        width: c_uint,
        height: c_uint,
        surfaces: *mut VASurfaceID,
        count: c_uint,
        attributes: *mut VASurfaceAttrib,
        attribute_count: c_uint,
    ) -> VAStatus;
    fn vaDestroySurfaces(display: VADisplay, surfaces: *mut VASurfaceID, count: c_int) -> VAStatus;
    fn vaCreateContext(
        display: VADisplay,
        config: VAConfigID,
        width: c_int,
        height: c_int,
        flag: c_int,
        targets: *mut VASurfaceID,
        count: c_int,
        context: *mut VAContextID,
    ) -> VAStatus;
    fn vaDestroyContext(display: VADisplay, context: VAContextID) -> VAStatus;
    fn vaCreateBuffer(
        display: VADisplay,
        context: VAContextID,
        kind: VABufferType,
        size: c_uint,
        count: c_uint,
        data: *mut c_void,
        buffer: *mut VABufferID,
    ) -> VAStatus;
    fn vaDestroyBuffer(display: VADisplay, buffer: VABufferID) -> VAStatus;
    fn vaMapBuffer(display: VADisplay, buffer: VABufferID, data: *mut *mut c_void) -> VAStatus;
    fn vaUnmapBuffer(display: VADisplay, buffer: VABufferID) -> VAStatus;
    fn vaBeginPicture(display: VADisplay, context: VAContextID, target: VASurfaceID) -> VAStatus;
    fn vaRenderPicture(
        display: VADisplay,
        context: VAContextID,
        buffers: *mut VABufferID,
        count: c_int,
    ) -> VAStatus;
    fn vaEndPicture(display: VADisplay, context: VAContextID) -> VAStatus;
    fn vaSyncSurface(display: VADisplay, surface: VASurfaceID) -> VAStatus;
    fn vaDeriveImage(display: VADisplay, surface: VASurfaceID, image: *mut VAImage) -> VAStatus;
    fn vaDestroyImage(display: VADisplay, image: VAImageID) -> VAStatus;
}

/// `call` unless `status` says success.
fn check(call: &str, status: VAStatus) -> Result<(), String> {
    if status == VA_STATUS_SUCCESS as VAStatus {
        return Ok(());
    }
    // SAFETY: vaErrorStr returns a static string for every status.
    let text = unsafe { CStr::from_ptr(vaErrorStr(status)) };
    Err(format!("{call}: {}", text.to_string_lossy()))
}

/// A connection to the driver through the X display that `DISPLAY` names.
pub struct Display {
    x11: *mut c_void,
    va: VADisplay,
}

impl Display {
    /// Connects and loads the driver.
    pub fn open() -> Result<Self, String> {
        // SAFETY: NULL means the display that DISPLAY names.
        let x11 = unsafe { XOpenDisplay(ptr::null()) };
        if x11.is_null() {
            return Err("XOpenDisplay: no X display".into());
        }
        // SAFETY: the X display stays open longer than the VA display: see `drop`.
        let display = Self { x11, va: unsafe { vaGetDisplay(x11) } };
        let (mut major, mut minor) = (0, 0);
        // SAFETY: a display of vaGetDisplay; both outputs are ours.
        check("vaInitialize", unsafe { vaInitialize(display.va, &mut major, &mut minor) })?;
        Ok(display)
    }

    /// What the driver calls itself.
    pub fn vendor(&self) -> String {
        // SAFETY: the display is initialised; the string lives as long as the driver is loaded.
        unsafe { CStr::from_ptr(vaQueryVendorString(self.va)) }.to_string_lossy().into_owned()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // SAFETY: nothing uses the display any more: a `Decoder` owns the one it uses. vaTerminate
        // also frees a display that could not be initialised.
        unsafe {
            vaTerminate(self.va);
            XCloseDisplay(self.x11);
        }
    }
}

/// A High 10 decoder with its surfaces, which are P010.
pub struct Decoder {
    display: Display,
    config: VAConfigID,
    context: Option<VAContextID>,
    surfaces: Vec<VASurfaceID>,
    size: (u32, u32),
}

impl Decoder {
    /// A decoder with `count` surfaces of `width` by `height` samples.
    pub fn new(
        display: Display,
        (width, height): (u32, u32),
        count: usize,
    ) -> Result<Self, String> {
        let va = display.va;
        let mut format =
            VAConfigAttrib { type_: VAConfigAttribRTFormat, value: VA_RT_FORMAT_YUV420_10 };
        let mut config = 0;
        // SAFETY: one attribute is given, and all pointers are to locals.
        check("vaCreateConfig", unsafe {
            vaCreateConfig(va, PROFILE_H264_HIGH10, VAEntrypointVLD, &mut format, 1, &mut config)
        })?;
        let mut decoder =
            Self { display, config, context: None, surfaces: vec![], size: (width, height) };
        let mut attribute = VASurfaceAttrib {
            type_: VASurfaceAttribPixelFormat,
            flags: VA_SURFACE_ATTRIB_SETTABLE,
            value: VAGenericValue { type_: VAGenericValueTypeInteger, ..Default::default() },
        };
        attribute.value.value.i = VA_FOURCC_P010 as i32;
        let mut surfaces = vec![0; count];
        // SAFETY: `surfaces` has room for `count` ids, and one attribute is given.
        check("vaCreateSurfaces", unsafe {
            let (format, count) = (VA_RT_FORMAT_YUV420_10, count as c_uint);
            let to = surfaces.as_mut_ptr();
            vaCreateSurfaces(va, format, width, height, to, count, &mut attribute, 1)
        })?;
        decoder.surfaces = surfaces;
        let (width, height) = (width as c_int, height as c_int);
        let (flag, count) = (VA_PROGRESSIVE as c_int, count as c_int);
        let mut context = 0;
        // SAFETY: `surfaces` holds `count` ids.
        check("vaCreateContext", unsafe {
            let targets = decoder.surfaces.as_mut_ptr();
            vaCreateContext(va, config, width, height, flag, targets, count, &mut context)
        })?;
        decoder.context = Some(context);
        Ok(decoder)
    }

    /// The surfaces to decode into.
    pub fn surfaces(&self) -> &[VASurfaceID] {
        &self.surfaces
    }

    /// The surfaces' width and height.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Has one picture decoded into `target`. Each slice is its parameters and its NAL unit without a
    /// start code.
    pub fn decode(
        &self,
        target: VASurfaceID,
        picture: VAPictureParameterBufferH264,
        matrix: VAIQMatrixBufferH264,
        slices: Vec<(VASliceParameterBufferH264, Vec<u8>)>,
    ) -> Result<(), String> {
        let (va, context) = (self.display.va, self.context.expect("`new` has made it"));
        let mut buffers = vec![
            self.buffer(VAPictureParameterBufferType, &mut [picture])?,
            self.buffer(VAIQMatrixBufferType, &mut [matrix])?,
        ];
        for (parameters, mut nal) in slices {
            buffers.push(self.buffer(VASliceParameterBufferType, &mut [parameters])?);
            buffers.push(self.buffer(VASliceDataBufferType, &mut nal)?);
        }
        let mut ids: Vec<VABufferID> = buffers.iter().map(|buffer| buffer.id).collect();
        // SAFETY: the context, the target and the buffers exist; `ids` holds as many as is said.
        unsafe {
            check("vaBeginPicture", vaBeginPicture(va, context, target))?;
            let count = ids.len() as c_int;
            check("vaRenderPicture", vaRenderPicture(va, context, ids.as_mut_ptr(), count))?;
            check("vaEndPicture", vaEndPicture(va, context))
        }
    }

    /// Waits for the picture that `surface` is the target of.
    pub fn wait_for(&self, surface: VASurfaceID) -> Result<(), String> {
        // SAFETY: the surface exists.
        check("vaSyncSurface", unsafe { vaSyncSurface(self.display.va, surface) })
    }

    fn buffer<T>(&self, kind: VABufferType, data: &mut [T]) -> Result<Buffer<'_>, String> {
        let (va, context) = (self.display.va, self.context.expect("`new` has made it"));
        let size = size_of_val(data) as c_uint;
        let mut id = 0;
        // SAFETY: libva copies `size` bytes from `data`, which holds as many.
        check("vaCreateBuffer", unsafe {
            vaCreateBuffer(va, context, kind, size, 1, data.as_mut_ptr().cast(), &mut id)
        })?;
        Ok(Buffer { display: &self.display, id })
    }

    /// The pixels of `surface` from the left top on, `width` by `height` (both even), without padding.
    pub fn pixels(
        &self,
        surface: VASurfaceID,
        (width, height): (u32, u32),
    ) -> Result<Vec<u8>, String> {
        if width > self.size.0 || height > self.size.1 {
            return Err("the visible area is larger than the surface".into());
        }
        let va = self.display.va;
        let mut image = VAImage::default();
        // SAFETY: the surface exists; `image` is ours.
        check("vaDeriveImage", unsafe { vaDeriveImage(va, surface, &mut image) })?;
        let mut data = ptr::null_mut();
        // SAFETY: the image's buffer is mapped once and unmapped below.
        let mapped = check("vaMapBuffer", unsafe { vaMapBuffer(va, image.buf, &mut data) });
        let pixels = mapped.and_then(|()| {
            // SAFETY: libva says that a mapped image is `data_size` bytes long.
            let data = unsafe { std::slice::from_raw_parts(data.cast(), image.data_size as usize) };
            let pixels = copy(&image, data, (width as usize, height as usize));
            // SAFETY: it is mapped; `data` is not used any more.
            check("vaUnmapBuffer", unsafe { vaUnmapBuffer(va, image.buf) })?;
            pixels
        });
        // SAFETY: the image exists, and its buffer is not mapped.
        check("vaDestroyImage", unsafe { vaDestroyImage(va, image.image_id) })?;
        pixels
    }
}

/// Copies the rows of both planes.
fn copy(image: &VAImage, data: &[u8], (width, height): (usize, usize)) -> Result<Vec<u8>, String> {
    if image.format.fourcc != VA_FOURCC_P010 {
        return Err(format!("the image is not P010 but {:#x}", image.format.fourcc));
    }
    let mut pixels = Vec::new();
    for (plane, rows) in [height, height / 2].into_iter().enumerate() {
        let (offset, pitch) = (image.offsets[plane] as usize, image.pitches[plane] as usize);
        for row in 0..rows {
            let start = offset + row * pitch;
            let bytes = data.get(start..start + width * 2).ok_or("the image is too small")?;
            pixels.extend_from_slice(bytes);
        }
    }
    Ok(pixels)
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let va = self.display.va;
        // SAFETY: all these were made by `new` and are destroyed once; `surfaces` holds as many ids as
        // is said.
        unsafe {
            if let Some(context) = self.context {
                vaDestroyContext(va, context);
            }
            vaDestroySurfaces(va, self.surfaces.as_mut_ptr(), self.surfaces.len() as c_int);
            vaDestroyConfig(va, self.config);
        }
    }
}

struct Buffer<'d> {
    display: &'d Display,
    id: VABufferID,
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: the buffer exists and is destroyed once.
        unsafe { vaDestroyBuffer(self.display.va, self.id) };
    }
}
