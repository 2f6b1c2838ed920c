//! Showing surfaces.

use std::ffi::c_void;

use libva_sys as va;

use super::entries;
use crate::{
    convert::Rect,
    error::Error,
    present::{Area, Options, Snapshot},
};

entries! {
    /// Draws a rectangle of a surface, scaled, on an X11 drawable, once the surface's picture is there.
    fn vaPutSurface(
        driver,
        surface: va::VASurfaceID,
        draw: *mut c_void,
        srcx: i16,
        srcy: i16,
        srcw: u16,
        srch: u16,
        destx: i16,
        desty: i16,
        destw: u16,
        desth: u16,
        cliprects: *mut va::VARectangle,
        number_cliprects: u32,
        flags: u32,
    ) {
        let surface = driver.surface(surface)?;
        let presenter = driver.presenter.as_ref().ok_or(Error::Unimplemented("no X11 display"))?;
        // va_x11.h passes the drawable, an XID of 32 bits, in a pointer.
        let drawable = u32::try_from(draw.address() as usize)
            .map_err(|_| Error::InvalidParameter(format!("drawable {:?}", draw.address())))?;
        let (Ok(x), Ok(y)) = (u32::try_from(srcx), u32::try_from(srcy)) else {
            return Err(Error::InvalidParameter(format!("a source at {srcx}, {srcy}")));
        };
        let source = Rect { x, y, width: srcw.into(), height: srch.into() };
        let area = Area { x: destx, y: desty, width: destw, height: desth };
        let clips = cliprects.read_all(number_cliprects as usize)?.into_iter().map(|clip| Area {
            x: clip.x,
            y: clip.y,
            width: clip.width,
            height: clip.height,
        });
        let clips: Vec<_> = clips.collect();
        let options = Options::from_flags(flags)?;
        surface.settle();
        surface.was_seen();
        let snapshot = surface
            .memory()
            .read(|memory| Snapshot::new(&surface.layout, memory, source, options.field))??;
        presenter.put(drawable, &snapshot, area, &clips, &options)?;
        Ok(())
    }
}
