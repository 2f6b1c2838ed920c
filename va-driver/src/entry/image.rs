//! Images: formats, memory, and copies from and to surfaces.

use std::{ffi::c_uchar, sync::Arc};

use libva_sys as va;

use super::{entries, surface::fourcc_name};
use crate::{
    error::{Error, Result},
    memory::Block,
    object::{
        Driver,
        buffer::Buffer,
        image::{IMAGE_FORMATS, Image, image_format},
        surface::Surface,
    },
};

/// Registers an image and its buffer, and tells the client.
fn register(
    driver: &Driver,
    mut description: va::VAImage,
    memory: Arc<Block>,
    surface: Option<Arc<Surface>>,
) -> Result<va::VAImage> {
    let buffer = Buffer::of_image(memory.clone(), surface.clone());
    description.buf = driver.buffers.insert(|_| buffer)?;
    let buf = description.buf;
    let id = driver.images.insert(|id| {
        description.image_id = id;
        Image { description, memory, surface }
    });
    if id.is_err() {
        driver.buffers.remove(buf);
    }
    id.map(|id| va::VAImage { image_id: id, ..description })
}

entries! {
    /// Lists the formats.
    fn vaQueryImageFormats(_driver, format_list: *mut va::VAImageFormat, num_formats: *mut i32) {
        format_list.write_all(IMAGE_FORMATS.iter().filter_map(|fourcc| image_format(*fourcc)))?;
        num_formats.write(IMAGE_FORMATS.len() as i32)
    }

    /// An image that is a surface's own memory: writes to it change the surface.
    fn vaDeriveImage(driver, surface: va::VASurfaceID, image: *mut va::VAImage) {
        let surface = driver.surface(surface)?;
        if image.is_null() {
            return Err(Error::InvalidParameter("no place for the image".into()));
        }
        let fourcc = surface.format.fourcc();
        let format = image_format(fourcc)
            .ok_or_else(|| Error::InvalidImageFormat(fourcc_name(fourcc)))?;
        let description = va::VAImage {
            format,
            width: surface.width as u16,
            height: surface.height as u16,
            data_size: surface.memory.length() as u32,
            num_planes: 2,
            pitches: [surface.pitch as u32, surface.pitch as u32, 0],
            offsets: [0, surface.chroma_offset as u32, 0],
            ..Default::default()
        };
        let memory = surface.memory.clone();
        image.write(register(driver, description, memory, Some(surface))?)
    }

    /// Forgets an image and its buffer.
    fn vaDestroyImage(driver, image: va::VAImageID) {
        let removed = driver.images.remove(image).ok_or(Error::InvalidImage(image))?;
        driver.buffers.remove(removed.description.buf);
        Ok(())
    }

    /// No image format has a palette.
    fn vaSetImagePalette(driver, image: va::VAImageID, _palette: *mut c_uchar) {
        driver.image(image)?;
        Err(Error::Unimplemented("palettes"))
    }

    /// An image of its own.
    fn vaCreateImage(
        driver,
        format: *mut va::VAImageFormat,
        _width: i32,
        _height: i32,
        _image: *mut va::VAImage,
    ) {
        let _ = (driver, format.read()?);
        Err(Error::Unimplemented("vaCreateImage"))
    }

    /// Copies a surface into an image.
    fn vaGetImage(
        driver,
        surface: va::VASurfaceID,
        _x: i32,
        _y: i32,
        _width: u32,
        _height: u32,
        image: va::VAImageID,
    ) {
        driver.surface(surface)?;
        driver.image(image)?;
        Err(Error::Unimplemented("vaGetImage"))
    }

    /// Copies an image into a surface.
    fn vaPutImage(
        driver,
        surface: va::VASurfaceID,
        image: va::VAImageID,
        _src_x: i32,
        _src_y: i32,
        _src_width: u32,
        _src_height: u32,
        _dest_x: i32,
        _dest_y: i32,
        _dest_width: u32,
        _dest_height: u32,
    ) {
        driver.surface(surface)?;
        driver.image(image)?;
        Err(Error::Unimplemented("vaPutImage"))
    }
}
