//! Subpictures (overlays): there are none, so no id of one is ever valid.

use std::ffi::c_uint;

use libva_sys as va;

use super::entries;
use crate::error::Error;

entries! {
    /// Lists no format.
    fn vaQuerySubpictureFormats(
        _driver,
        _format_list: *mut va::VAImageFormat,
        _flags: *mut c_uint,
        num_formats: *mut c_uint,
    ) {
        num_formats.write(0)
    }

    /// No image has a format for subpictures.
    fn vaCreateSubpicture(driver, image: va::VAImageID, _subpicture: *mut va::VASubpictureID) {
        driver.image(image)?;
        Err(Error::InvalidImageFormat("no subpicture formats".into()))
    }

    /// No such subpicture.
    fn vaDestroySubpicture(_driver, subpicture: va::VASubpictureID) {
        Err(Error::InvalidSubpicture(subpicture))
    }

    /// No such subpicture.
    fn vaSetSubpictureImage(_driver, subpicture: va::VASubpictureID, _image: va::VAImageID) {
        Err(Error::InvalidSubpicture(subpicture))
    }

    /// No such subpicture.
    fn vaSetSubpictureChromakey(
        _driver,
        subpicture: va::VASubpictureID,
        _chromakey_min: c_uint,
        _chromakey_max: c_uint,
        _chromakey_mask: c_uint,
    ) {
        Err(Error::InvalidSubpicture(subpicture))
    }

    /// No such subpicture.
    fn vaSetSubpictureGlobalAlpha(_driver, subpicture: va::VASubpictureID, _global_alpha: f32) {
        Err(Error::InvalidSubpicture(subpicture))
    }

    /// No such subpicture.
    fn vaAssociateSubpicture(
        _driver,
        subpicture: va::VASubpictureID,
        _target_surfaces: *mut va::VASurfaceID,
        _num_surfaces: i32,
        _src_x: i16,
        _src_y: i16,
        _src_width: u16,
        _src_height: u16,
        _dest_x: i16,
        _dest_y: i16,
        _dest_width: u16,
        _dest_height: u16,
        _flags: u32,
    ) {
        Err(Error::InvalidSubpicture(subpicture))
    }

    /// No such subpicture.
    fn vaDeassociateSubpicture(
        _driver,
        subpicture: va::VASubpictureID,
        _target_surfaces: *mut va::VASurfaceID,
        _num_surfaces: i32,
    ) {
        Err(Error::InvalidSubpicture(subpicture))
    }
}
