//! Images: pictures in memory that a client maps.

use std::sync::Arc;

use libva_sys as va;

use super::surface::Surface;
use crate::memory::Block;

/// The formats of vaQueryImageFormats.
pub(crate) const IMAGE_FORMATS: [u32; 4] =
    [va::VA_FOURCC_NV12, va::VA_FOURCC_P010, va::VA_FOURCC_I420, va::VA_FOURCC_YV12];

/// The full description of an image format, `None` for one that the driver does not have.
pub(crate) fn image_format(fourcc: u32) -> Option<va::VAImageFormat> {
    let bits_per_pixel = match fourcc {
        va::VA_FOURCC_NV12 | va::VA_FOURCC_I420 | va::VA_FOURCC_YV12 => 12,
        va::VA_FOURCC_P010 => 24,
        _ => return None,
    };
    Some(va::VAImageFormat {
        fourcc,
        byte_order: va::VA_LSB_FIRST,
        bits_per_pixel,
        ..Default::default()
    })
}

/// An image and the memory behind its buffer.
pub(crate) struct Image {
    /// As the client knows it, ids included.
    pub description: va::VAImage,
    pub memory: Arc<Block>,
    /// The surface that a derived image shares its memory with.
    pub surface: Option<Arc<Surface>>,
}
