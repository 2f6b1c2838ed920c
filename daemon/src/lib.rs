//! `daedalusd`: decodes what the kernel module's V4L2 device is asked for.
//!
//! How the pieces meet: [`pump`] reads the module's messages from a [`Device`](device::Device) and hands
//! each to its [`session`], which has an `engine::Session` and the [`buffer`]s that pictures go to, mapped
//! ([`mapping`]) once per buffer. The engine's worker threads write pictures and complete requests while
//! the pump reads on. Sessions that are told to end are kept ([`reaper`]) until they have, which takes them a picture.
//!
//! Before the first message the process gives up what it does not need ([`sandbox`]). Beside the pump a thread
//! tells those who ask ([`control`]) what was counted ([`statistics`]).
//!
//! Nothing here knows a codec: messages are checked and read by `daedalus_uapi::protocol`, and what is in
//! them goes to the engine as it is.

#![deny(unsafe_code)]

pub mod buffer;
pub mod completion;
pub mod control;
pub mod device;
pub mod dump;
pub mod error;
pub mod mapping;
pub mod pump;
pub mod reaper;
pub mod sandbox;
pub mod session;
pub mod statistics;

pub use error::{Error, Result};
