//! Images: pictures in memory that a client maps.

use std::sync::Arc;

use libva_sys as va;

use crate::{
    convert::{Format, Layout},
    memory::Block,
};

/// The description of an image format, as vaQueryImageFormats gives it.
pub(crate) fn image_format(format: Format) -> va::VAImageFormat {
    va::VAImageFormat {
        fourcc: format.fourcc(),
        byte_order: va::VA_LSB_FIRST,
        bits_per_pixel: format.bits_per_pixel(),
        ..Default::default()
    }
}

/// An image: a picture in the memory of a buffer.
pub(crate) struct Image {
    /// The buffer that a client maps.
    pub buffer: va::VABufferID,
    pub layout: Layout,
    /// The buffer's memory; a surface's own for derived images.
    pub memory: Arc<Block>,
}
