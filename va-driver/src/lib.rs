//! `daedalus_drv_video.so`: a VA-API driver that turns each picture into one V4L2 stateless decode request.
//!
//! How the pieces meet: libva calls `entry/`, which checks arguments and works on the safe objects of
//! `object/`. At vaEndPicture a translator in `codec/` turns the picture's buffers into
//! [`daedalus_uapi::DecodeRequest`]s; `device/` carries them to whatever decodes: the engine in this
//! process (`embedded`) or a V4L2 stateless decoder of the kernel's. `memory/` is where surfaces keep their
//! pixels, `convert/` copies them between images and surfaces, and `present/` shows them on X11.

pub mod codec;
mod convert;
mod device;
mod entry;
pub mod error;
mod memory;
mod object;
mod present;
#[cfg(test)]
mod testing;
