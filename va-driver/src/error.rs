//! One error type for the driver, and the one place where it becomes a `VAStatus`.

use libva_sys as va;

/// Why an entry point refuses.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A config id that is unknown, destroyed or another driver's.
    #[error("no such config: {0:#x}")]
    InvalidConfig(u32),
    /// A context id that is unknown or destroyed.
    #[error("no such context: {0:#x}")]
    InvalidContext(u32),
    /// A surface id that is unknown or destroyed.
    #[error("no such surface: {0:#x}")]
    InvalidSurface(u32),
    /// A buffer id that is unknown or destroyed, or a buffer unfit for the call.
    #[error("invalid buffer: {0}")]
    InvalidBuffer(String),
    /// An image id that is unknown or destroyed.
    #[error("no such image: {0:#x}")]
    InvalidImage(u32),
    /// A subpicture id; none was ever handed out.
    #[error("no such subpicture: {0:#x}")]
    InvalidSubpicture(u32),
    /// A profile that the driver does not decode.
    #[error("unsupported profile: {0}")]
    UnsupportedProfile(i32),
    /// An entrypoint that the profile does not have.
    #[error("unsupported entrypoint: {0}")]
    UnsupportedEntrypoint(i32),
    /// A render target format that the config or driver lacks.
    #[error("unsupported render target format: {0:#x}")]
    UnsupportedRtFormat(u32),
    /// A buffer type that decoding has no use for.
    #[error("unsupported buffer type: {0}")]
    UnsupportedBufferType(u32),
    /// A surface attribute, or its value, that the driver does not know.
    #[error("unsupported attribute: {0}")]
    UnsupportedAttribute(String),
    /// Flags that the call does not know or the driver does not honour.
    #[error("unsupported flags: {0:#x}")]
    UnsupportedFlag(u32),
    /// A memory type that surfaces cannot have or export.
    #[error("unsupported memory type: {0:#x}")]
    UnsupportedMemoryType(u32),
    /// A width or height outside what the driver decodes.
    #[error("unsupported size: {0}x{1}")]
    UnsupportedResolution(u32, u32),
    /// An image format that the call cannot handle.
    #[error("invalid image format: {0}")]
    InvalidImageFormat(String),
    /// An argument, or a field of a parameter buffer, breaks the VA rules.
    #[error("invalid parameter: {0}")]
    InvalidParameter(String),
    /// A value is well-formed but refers to nothing usable.
    #[error("invalid value: {0}")]
    InvalidValue(String),
    /// The call makes no sense in the object's present state.
    #[error("operation failed: {0}")]
    OperationFailed(String),
    /// The surface's picture could not be decoded, or not wholly.
    #[error("decoding error: {0}")]
    Decoding(String),
    /// The surface is still being decoded.
    #[error("the surface is busy")]
    SurfaceBusy,
    /// The time given to wait is over.
    #[error("timed out")]
    TimedOut,
    /// The array given by the caller is too small.
    #[error("the array holds {0} of {1} entries")]
    MaxNumExceeded(usize, usize),
    /// Not implemented by this driver.
    #[error("not implemented: {0}")]
    Unimplemented(&'static str),
    /// Out of memory, descriptors or threads.
    #[error("allocation failed: {0}")]
    Allocation(String),
}

/// Result with the driver's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// How loudly to report it: clients probe, so most refusals are worth a line only to whoever looks.
    pub fn log_level(&self) -> log::Level {
        match self {
            Error::Allocation(_) | Error::Decoding(_) => log::Level::Warn,
            Error::TimedOut | Error::SurfaceBusy => log::Level::Debug,
            _ => log::Level::Info,
        }
    }

    /// The VA status that a client sees.
    pub fn status(&self) -> va::VAStatus {
        let status = match self {
            Error::InvalidConfig(_) => va::VA_STATUS_ERROR_INVALID_CONFIG,
            Error::InvalidContext(_) => va::VA_STATUS_ERROR_INVALID_CONTEXT,
            Error::InvalidSurface(_) => va::VA_STATUS_ERROR_INVALID_SURFACE,
            Error::InvalidBuffer(_) => va::VA_STATUS_ERROR_INVALID_BUFFER,
            Error::InvalidImage(_) => va::VA_STATUS_ERROR_INVALID_IMAGE,
            Error::InvalidSubpicture(_) => va::VA_STATUS_ERROR_INVALID_SUBPICTURE,
            Error::UnsupportedProfile(_) => va::VA_STATUS_ERROR_UNSUPPORTED_PROFILE,
            Error::UnsupportedEntrypoint(_) => va::VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT,
            Error::UnsupportedRtFormat(_) => va::VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT,
            Error::UnsupportedBufferType(_) => va::VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE,
            Error::UnsupportedAttribute(_) => va::VA_STATUS_ERROR_ATTR_NOT_SUPPORTED,
            Error::UnsupportedFlag(_) => va::VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
            Error::UnsupportedMemoryType(_) => va::VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE,
            Error::UnsupportedResolution(..) => va::VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED,
            Error::InvalidImageFormat(_) => va::VA_STATUS_ERROR_INVALID_IMAGE_FORMAT,
            Error::InvalidParameter(_) => va::VA_STATUS_ERROR_INVALID_PARAMETER,
            Error::InvalidValue(_) => va::VA_STATUS_ERROR_INVALID_VALUE,
            Error::OperationFailed(_) => va::VA_STATUS_ERROR_OPERATION_FAILED,
            Error::Decoding(_) => va::VA_STATUS_ERROR_DECODING_ERROR,
            Error::SurfaceBusy => va::VA_STATUS_ERROR_SURFACE_BUSY,
            Error::TimedOut => va::VA_STATUS_ERROR_TIMEDOUT,
            Error::MaxNumExceeded(..) => va::VA_STATUS_ERROR_MAX_NUM_EXCEEDED,
            Error::Unimplemented(_) => va::VA_STATUS_ERROR_UNIMPLEMENTED,
            Error::Allocation(_) => va::VA_STATUS_ERROR_ALLOCATION_FAILED,
        };
        status as va::VAStatus
    }
}
