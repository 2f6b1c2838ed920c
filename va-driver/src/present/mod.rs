//! vaPutSurface: a surface's picture on an X11 drawable.
//!
//! How the pieces meet: [`Options`] reads the call's flags. Under the surface's lock, [`Snapshot`] copies
//! the part of the picture to be shown. Without the lock, [`Presenter::put`] turns it into BGRX pixels
//! (`colour`), scales it (`scale`) and sends it to the X server in strips, over a connection of the
//! driver's own (`connection`): errors there are values, while an error on the client's Xlib connection
//! would end the client. The client's Display (`xlib`) only tells the server's name, and is synchronised
//! before drawing, so that what the client asked for earlier (a window, a new size) has happened.

mod colour;
mod connection;
mod flags;
mod presenter;
mod scale;
mod snapshot;
mod xlib;

pub use colour::Colour;
pub use flags::{Field, Filter, Options};
pub use presenter::{Area, Presenter};
pub use snapshot::Snapshot;
pub use xlib::ClientDisplay;

use crate::{convert, error::Error as DriverError};

/// Why a picture is not shown.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Flags that vaPutSurface does not know or the driver does not honour.
    #[error("unsupported vaPutSurface flags: {0:#x}")]
    Flags(u32),
    /// The picture or the part to be shown makes no sense.
    #[error(transparent)]
    Picture(#[from] convert::Error),
    /// The surface has a format that is not shown.
    #[error("{0:?} surfaces cannot be shown")]
    Format(convert::Format),
    /// The server is not there, or went away.
    #[error("no X server: {0}")]
    Server(String),
    /// The server knows no such drawable, or it cannot be drawn into.
    #[error("drawable {0:#x}: {1}")]
    Drawable(u32, String),
    /// The drawable's pixels are not 32 bits of 8-bit red, green and blue.
    #[error("drawable {0:#x}: unsupported visual: {1}")]
    Visual(u32, String),
    /// A library refused what should have been right.
    #[error("conversion failed: {0}")]
    Conversion(String),
}

impl From<Error> for DriverError {
    fn from(error: Error) -> Self {
        match error {
            Error::Flags(flags) => DriverError::UnsupportedFlag(flags),
            Error::Picture(convert::Error::Outside(..)) | Error::Drawable(..) => {
                DriverError::InvalidParameter(error.to_string())
            }
            Error::Picture(error) => error.into(),
            Error::Format(_) => DriverError::InvalidImageFormat(error.to_string()),
            Error::Server(_) | Error::Visual(..) | Error::Conversion(_) => {
                DriverError::OperationFailed(error.to_string())
            }
        }
    }
}
