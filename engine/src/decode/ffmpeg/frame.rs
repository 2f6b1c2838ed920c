//! An AVFrame as a planar picture.

use std::{ffi::c_int, ops::Range, ptr::NonNull, slice, sync::Arc};

use ffmpeg_sys_next as av;

use crate::frame::{Planar, PlanarView};

/// An owned AVFrame: a reference to frame buffers, or empty.
pub(super) struct CodedFrame(NonNull<av::AVFrame>);

// SAFETY: an AVFrame may move between threads; the buffers' reference counts are atomic.
unsafe impl Send for CodedFrame {}
// SAFETY: shared access only reads.
unsafe impl Sync for CodedFrame {}

impl CodedFrame {
    /// A frame without buffers; `None` when out of memory.
    pub(super) fn empty() -> Option<CodedFrame> {
        // SAFETY: no arguments; null is handled.
        NonNull::new(unsafe { av::av_frame_alloc() }).map(CodedFrame)
    }

    /// A further reference to the buffers of `frame`, with its present width and height.
    ///
    /// # Safety
    /// `frame` must be a valid frame with reference-counted buffers.
    pub(super) unsafe fn of(frame: *const av::AVFrame) -> Option<CodedFrame> {
        // SAFETY: the caller's promise; null is handled.
        NonNull::new(unsafe { av::av_frame_clone(frame) }).map(CodedFrame)
    }

    /// The frame, for libavcodec to fill.
    pub(super) fn as_ptr(&mut self) -> *mut av::AVFrame {
        self.0.as_ptr()
    }

    /// Drops the buffers.
    pub(super) fn clear(&mut self) {
        // SAFETY: a valid frame of ours.
        unsafe { av::av_frame_unref(self.0.as_ptr()) };
    }

    fn fields(&self) -> &av::AVFrame {
        // SAFETY: a valid frame of ours, and `&self` keeps it from being changed.
        unsafe { self.0.as_ref() }
    }

    /// Rows of luma.
    pub(super) fn height(&self) -> usize {
        usize::try_from(self.fields().height).unwrap_or(0)
    }

    /// Whether `frame` has the same buffer.
    pub(super) fn shares(&self, frame: &av::AVFrame) -> bool {
        self.fields().data[0] == frame.data[0]
    }

    /// The samples of plane `index`, `width` bytes of each of `height` rows from the row `top` on, and the
    /// pitch.
    fn plane(&self, index: usize, width: usize, top: usize, height: usize) -> (&[u8], usize) {
        let fields = self.fields();
        let (data, pitch) = (fields.data[index], fields.linesize[index]);
        match usize::try_from(pitch) {
            Ok(pitch) if !data.is_null() && pitch >= width && width > 0 && height > 0 => {
                // avcodec_default_get_buffer2 allocated `top + height` rows (of the coded height, at least)
                // of `pitch` bytes in this plane; the last row counts up to `width` only.
                let length = pitch * (height - 1) + width;
                // SAFETY: the plane holds as much, see above, and lives as long as the frame. libavcodec
                // is done with these rows: with the picture, or as it has said by draw_horiz_band.
                (unsafe { slice::from_raw_parts(data.add(pitch * top), length) }, pitch)
            }
            _ => (&[], 1),
        }
    }
}

impl Drop for CodedFrame {
    fn drop(&mut self) {
        let mut frame = self.0.as_ptr();
        // SAFETY: the frame is ours and is not used again.
        unsafe { av::av_frame_free(&mut frame) };
    }
}

/// What a picture's samples look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Samples {
    /// 8 or 10.
    pub bit_depth: u8,
    /// Whether there are chroma planes (4:2:0).
    pub chroma: bool,
}

impl Samples {
    /// The samples of an `AVPixelFormat`, if it is one that can be packed.
    pub(super) fn of(format: c_int) -> Option<Samples> {
        use av::AVPixelFormat::*;
        const FORMATS: [(av::AVPixelFormat, u8, bool); 5] = [
            (AV_PIX_FMT_YUV420P, 8, true),
            (AV_PIX_FMT_YUVJ420P, 8, true),
            (AV_PIX_FMT_YUV420P10LE, 10, true),
            (AV_PIX_FMT_GRAY8, 8, false),
            (AV_PIX_FMT_GRAY10LE, 10, false),
        ];
        FORMATS
            .iter()
            .find(|(known, ..)| *known as c_int == format)
            .map(|&(_, bit_depth, chroma)| Samples { bit_depth, chroma })
    }
}

/// A decoded picture, whole coded size.
#[derive(Clone)]
pub(super) struct CodedPicture {
    pub frame: Arc<CodedFrame>,
    pub samples: Samples,
}

impl CodedPicture {
    /// Borrows some rows, from an even one on. libavcodec may be at work on the others.
    pub(super) fn rows(&self, rows: Range<usize>) -> PlanarView<'_> {
        let fields = self.frame.fields();
        let width = usize::try_from(fields.width).unwrap_or(0);
        let (top, height) = (rows.start, rows.len());
        let bytes = if self.samples.bit_depth > 8 { 2 } else { 1 };
        let (chroma_width, chroma_height) = (width.div_ceil(2) * bytes, height.div_ceil(2));
        PlanarView {
            width,
            height,
            bit_depth: self.samples.bit_depth,
            luma: self.frame.plane(0, width * bytes, top, height),
            chroma: self.samples.chroma.then(|| {
                [1, 2].map(|index| self.frame.plane(index, chroma_width, top / 2, chroma_height))
            }),
        }
    }
}

impl Planar for CodedPicture {
    fn view(&self) -> PlanarView<'_> {
        self.rows(0..self.frame.height())
    }
}
