//! Why the daemon ends, or does not begin.

use std::{io, path::PathBuf};

/// Errors that end the daemon. What is wrong with one request or one session does not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device is not there.
    #[error("{0}: no such device; is the module loaded? (modprobe daedalus)")]
    NoDevice(PathBuf),
    /// The device cannot be opened.
    #[error("{0}: {1}")]
    Open(PathBuf, io::Error),
    /// Another process has it.
    #[error("{0}: another daemon is attached")]
    Busy(PathBuf),
    /// The user may not open it.
    #[error("{0}: permission denied; the daemon needs to read and write the device")]
    Permission(PathBuf),
    /// The module speaks another version of the protocol.
    #[error("the module speaks version {module} of the protocol, this daemon version {daemon}")]
    Version {
        /// The module's.
        module: u32,
        /// Ours.
        daemon: u32,
    },
    /// None of the wanted codecs can be decoded.
    #[error("no decoder could be set up")]
    NoCodec,
    /// A call failed that has no reason to.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// There cannot be a control socket.
    #[error("{0}: {1}; --no-socket does without")]
    Socket(PathBuf, io::Error),
    /// The user to become.
    #[error("there is no user {0}")]
    NoUser(String),
    /// The sandbox cannot be entered.
    #[error("the sandbox: {0}: {1}; --no-sandbox does without")]
    Sandbox(&'static str, String),
    /// The device ended the connection.
    #[error("the device is gone")]
    Gone,
}

/// Result with the daemon's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
