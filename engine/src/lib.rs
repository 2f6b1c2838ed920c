//! The engine: stateless decode requests in, packed NV12 or P010 pictures out.
//!
//! How the pieces meet: a [`Session`] owns a thread that feeds a decoder and one that packs. Each [`Request`] is turned into a bitstream
//! that a stateful decoder understands (`reconstruct`), decoded (`decode`), and the planar picture is
//! packed into the request's [`Target`] (`pack`). The decoder's own output order is never consulted: a
//! picture is identified by the request that coded it. Every request is answered exactly once, in decode
//! order, through its [`Reply`].
//!
//! The engine knows neither VA nor the kernel device.

mod decode;
mod error;
mod frame;
mod host_thread;
mod pack;
// Not part of the engine's face: for what writes without decoding (fuzz/).
#[doc(hidden)]
pub mod reconstruct;
mod session;

pub use error::{Error, Result};
pub use frame::{FrameLayout, Picture, PixelFormat, Target};
pub use session::{Answer, Options, Reply, Request, Session, is_session_thread, settle};
