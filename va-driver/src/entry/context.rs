//! Contexts and the pictures made in them.

use std::sync::Arc;

use libva_sys as va;

use super::{config::MAX_SIZE, entries};
use crate::{
    error::{Error, Result},
    object::context::Context,
};

entries! {
    /// Makes a decoding context. The render targets are only checked: any surface may be decoded into
    /// later (ffmpeg lists none).
    fn vaCreateContext(
        driver,
        config_id: va::VAConfigID,
        picture_width: i32,
        picture_height: i32,
        _flag: i32,
        render_targets: *mut va::VASurfaceID,
        num_render_targets: i32,
        context: *mut va::VAContextID,
    ) {
        let config = driver.config(config_id)?;
        for id in render_targets.read_all(num_render_targets)? {
            driver.surface(id)?;
        }
        let size = (picture_width as u32, picture_height as u32);
        if !(1..=MAX_SIZE).contains(&size.0) || !(1..=MAX_SIZE).contains(&size.1) {
            return Err(Error::UnsupportedResolution(size.0, size.1));
        }
        if context.is_null() {
            return Err(Error::InvalidParameter("no place for the context's id".into()));
        }
        context.write(driver.contexts.insert(|id| Context::new(id, config.profile, size))?)
    }

    /// Ends a context. Pictures on their way still arrive; one not yet ended never will.
    fn vaDestroyContext(driver, context: va::VAContextID) {
        driver.contexts.remove(context).map(drop).ok_or(Error::InvalidContext(context))
    }

    /// Starts a picture.
    fn vaBeginPicture(driver, context: va::VAContextID, render_target: va::VASurfaceID) {
        let context = driver.context(context)?;
        context.begin(driver.surface(render_target)?)
    }

    /// Adds buffers to the picture; their content is copied now.
    fn vaRenderPicture(
        driver,
        context: va::VAContextID,
        buffers: *mut va::VABufferID,
        num_buffers: i32,
    ) {
        let context = driver.context(context)?;
        let buffers = buffers.read_all(num_buffers)?.into_iter().map(|id| driver.buffer(id));
        let buffers: Vec<Arc<_>> = buffers.collect::<Result<_>>()?;
        context.render(&buffers)
    }

    /// Completes the picture; returns without waiting for its pixels.
    fn vaEndPicture(driver, context: va::VAContextID) {
        driver.context(context)?.end(driver)
    }
}
