//! Pictures in memory: where their samples lie ([`Layout`]) and how a part of one picture is copied into
//! another, between the layouts that surfaces and images have ([`copy_region`]).
//!
//! Used by vaCreateImage, vaGetImage and vaPutImage. Everything here works on byte slices and refuses
//! with an [`Error`] what does not fit; nothing scales (a vaPutImage whose two rectangles differ in size
//! is for the caller to refuse) and nothing changes the bit depth.

mod copy;
mod layout;

pub use copy::copy_region;
pub use layout::{Format, Layout, Plane, Rect};

use crate::error::Error as DriverError;

/// Why a layout or a copy is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The picture has no samples, or more than the type that counts its bytes can say.
    #[error("a picture of {0}x{1}")]
    Size(u32, u32),
    /// The rectangle does not lie inside the picture.
    #[error("{0:?} in a picture of {1}x{2}")]
    Outside(Rect, u32, u32),
    /// A plane does not lie inside the memory, or its rows overlap.
    #[error("plane {plane} at {offset}, pitch {pitch}, does not fit into {memory} bytes")]
    Memory {
        /// Index of the plane.
        plane: usize,
        /// Its first byte.
        offset: usize,
        /// Bytes from row to row.
        pitch: usize,
        /// Length of the memory that should hold it.
        memory: usize,
    },
    /// Copying would have to change the bit depth.
    #[error("{0:?} and {1:?} differ in bit depth")]
    Depth(Format, Format),
}

impl From<Error> for DriverError {
    fn from(error: Error) -> Self {
        match error {
            Error::Size(width, height) => DriverError::UnsupportedResolution(width, height),
            Error::Outside(..) => DriverError::InvalidParameter(error.to_string()),
            Error::Memory { .. } => DriverError::InvalidBuffer(error.to_string()),
            Error::Depth(..) => DriverError::InvalidImageFormat(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
