//! Images: formats, memory, and copies from and to surfaces.

use std::{ffi::c_uchar, sync::Arc};

use libva_sys as va;

use super::{config::MAX_SIZE, entries, surface::fourcc_name};
use crate::{
    convert::{Format, Layout, Rect, copy_region},
    error::{Error, Result},
    memory::{Block, copy_between},
    object::{
        Driver,
        buffer::Buffer,
        image::{Image, image_format},
        surface::Surface,
    },
};

/// Registers an image with its buffer, and describes it to the client.
fn register(
    driver: &Driver,
    layout: Layout,
    memory: Arc<Block>,
    surface: Option<Arc<Surface>>,
) -> Result<va::VAImage> {
    let data_size = memory.length() as u32;
    let buffer = Buffer::of_image(memory.clone(), surface);
    let buffer = driver.buffers.insert(|_| buffer)?;
    let image_id =
        driver.images.insert(|_| Image { buffer, layout, memory }).inspect_err(|_| {
            driver.buffers.remove(buffer);
        })?;
    Ok(va::VAImage {
        image_id,
        format: image_format(layout.format),
        buf: buffer,
        width: layout.width as u16,
        height: layout.height as u16,
        data_size,
        num_planes: layout.format.planes() as u32,
        pitches: layout.planes.map(|plane| plane.pitch as u32),
        offsets: layout.planes.map(|plane| plane.offset as u32),
        ..Default::default()
    })
}

/// A rectangle from a client's signed position and size.
fn rectangle(x: i32, y: i32, width: u32, height: u32) -> Result<Rect> {
    match (u32::try_from(x), u32::try_from(y)) {
        (Ok(x), Ok(y)) => Ok(Rect { x, y, width, height }),
        _ => Err(Error::InvalidParameter(format!("a rectangle at {x}, {y}"))),
    }
}

entries! {
    /// Lists the formats.
    fn vaQueryImageFormats(_driver, format_list: *mut va::VAImageFormat, num_formats: *mut i32) {
        format_list.write_all(Format::ALL.map(image_format))?;
        num_formats.write(Format::ALL.len() as i32)
    }

    /// An image of its own.
    fn vaCreateImage(
        driver,
        format: *mut va::VAImageFormat,
        width: i32,
        height: i32,
        image: *mut va::VAImage,
    ) {
        let fourcc = format.read()?.fourcc;
        let format = Format::from_fourcc(fourcc)
            .ok_or_else(|| Error::InvalidImageFormat(fourcc_name(fourcc)))?;
        let (width, height) = (width as u32, height as u32);
        if !(1..=MAX_SIZE).contains(&width) || !(1..=MAX_SIZE).contains(&height) {
            return Err(Error::UnsupportedResolution(width, height));
        }
        if image.is_null() {
            return Err(Error::InvalidParameter("no place for the image".into()));
        }
        let layout = Layout::new(format, width, height)?;
        let size = layout.data_size().ok_or(Error::UnsupportedResolution(width, height))?;
        image.write(register(driver, layout, Arc::new(Block::pooled(&driver.image_memory, size)?), None)?)
    }

    /// An image that is a surface's own memory: writes to it change the surface.
    fn vaDeriveImage(driver, surface: va::VASurfaceID, image: *mut va::VAImage) {
        let surface = driver.surface(surface)?;
        if image.is_null() {
            return Err(Error::InvalidParameter("no place for the image".into()));
        }
        let memory = surface.watched_memory().clone();
        image.write(register(driver, surface.layout, memory, Some(surface))?)
    }

    /// Forgets an image and its buffer.
    fn vaDestroyImage(driver, image: va::VAImageID) {
        let removed = driver.images.remove(image).ok_or(Error::InvalidImage(image))?;
        driver.buffers.remove(removed.buffer);
        Ok(())
    }

    /// Copies a rectangle of a surface to the image's upper left corner, once the surface's picture is
    /// there.
    fn vaGetImage(
        driver,
        surface: va::VASurfaceID,
        x: i32,
        y: i32,
        width: u32,
        height: u32,
        image: va::VAImageID,
    ) {
        let (surface, image) = (driver.surface(surface)?, driver.image(image)?);
        let rect = rectangle(x, y, width, height)?;
        surface.settle();
        surface.layout.check_inside(rect)?;
        image.layout.check_inside(Rect { x: 0, y: 0, ..rect })?;
        if image.layout.format == surface.layout.format && (rect.x, rect.y) == (0, 0) {
            surface.was_downloaded();
            let part = Layout { width: rect.width, height: rect.height, ..image.layout };
            if surface.download(&part, &image.memory)? {
                return Ok(());
            }
        } else {
            surface.was_seen();
        }
        copy_between(surface.memory(), &image.memory, |from, to| {
            copy_region(from, &surface.layout, rect, to, &image.layout, (0, 0))
        })
        ??;
        Ok(())
    }

    /// Copies a rectangle of an image to a surface. The two rectangles must have the same size: nothing
    /// is scaled.
    fn vaPutImage(
        driver,
        surface: va::VASurfaceID,
        image: va::VAImageID,
        src_x: i32,
        src_y: i32,
        src_width: u32,
        src_height: u32,
        dest_x: i32,
        dest_y: i32,
        dest_width: u32,
        dest_height: u32,
    ) {
        let (surface, image) = (driver.surface(surface)?, driver.image(image)?);
        let from = rectangle(src_x, src_y, src_width, src_height)?;
        let to = rectangle(dest_x, dest_y, dest_width, dest_height)?;
        if (from.width, from.height) != (to.width, to.height) {
            return Err(Error::InvalidParameter(format!(
                "scaling {src_width}x{src_height} to {dest_width}x{dest_height}"
            )));
        }
        surface.settle();
        copy_between(&image.memory, surface.memory(), |source, target| {
            copy_region(source, &image.layout, from, target, &surface.layout, (to.x, to.y))
        })
        ??;
        surface.replaced();
        Ok(())
    }

    /// No image format has a palette.
    fn vaSetImagePalette(driver, image: va::VAImageID, _palette: *mut c_uchar) {
        driver.image(image)?;
        Err(Error::Unimplemented("palettes"))
    }
}
