//! Why a request got no picture, or not a whole one.

use daedalus_uapi::Codec;

/// Errors of the engine. Each names what was wrong and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A control or the coded bytes break the codec's rules.
    #[error("{codec}: invalid {what}")]
    Invalid {
        /// The codec whose rule was broken.
        codec: Codec,
        /// The field or syntax element, in the specification's words.
        what: String,
    },
    /// Valid, but beyond what this engine decodes (4:2:2, 12-bit, slice groups ...).
    #[error("{codec}: {what} is not supported")]
    Unsupported {
        /// The codec.
        codec: Codec,
        /// The feature.
        what: String,
    },
    /// The decoder refused the picture or produced nothing for it.
    #[error("{codec}: the decoder failed: {what}")]
    Decode {
        /// The codec.
        codec: Codec,
        /// The decoder's own words.
        what: String,
    },
    /// The picture was decoded, but parts of it are damaged (concealed). The target holds pixels.
    #[error("{codec}: the picture is damaged: {what}")]
    Damaged {
        /// The codec.
        codec: Codec,
        /// What is known about the damage.
        what: String,
    },
    /// The picture is much larger than the frames that its client has.
    #[error(
        "{codec}: a picture of {width}x{height}: only {largest} samples are allowed with these frames"
    )]
    TooLarge {
        /// The codec.
        codec: Codec,
        /// In luma samples.
        width: u32,
        /// In luma samples.
        height: u32,
        /// The most luma samples that are allowed.
        largest: u64,
    },
    /// The target frame cannot hold the picture.
    #[error("the target frame does not fit: {0}")]
    Target(String),
    /// The controls belong to another codec than the session.
    #[error("the request is {got}, the session {session}")]
    WrongCodec {
        /// The session's codec.
        session: Codec,
        /// The request's codec.
        got: Codec,
    },
    /// A decoder library could not be set up.
    #[error("cannot set up the {codec} decoder: {what}")]
    Setup {
        /// The codec.
        codec: Codec,
        /// The library's own words.
        what: String,
    },
    /// The session ended before the request was decoded.
    #[error("the session ended before the request was decoded")]
    Abandoned,
}

/// Result with the engine's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
