//! The control socket: what the daemon knows of itself, for those who may look (docs/operations.md).
//!
//! One thread answers all clients, which are few. Locks that decoding takes, too, it holds for no longer than copying
//! what they guard takes: numbers ([`crate::statistics`]), and queues that lose what does not fit, through which
//! requests that are dumped come ([`tap`]). What a client can make it keep is bounded, as is how often it is answered.

mod answer;
mod client;
mod listen;
mod server;
pub mod tap;

use std::sync::Arc;

use daedalus_uapi::control::Sandbox;

pub use listen::{Inherited, Socket};
pub use server::Server;
use tap::Taps;

use crate::statistics::Statistics;

/// What the pump and the control socket share.
#[derive(Debug)]
pub struct Watch {
    /// Numbers.
    pub statistics: Statistics,
    /// Requests for those who want to see them.
    pub taps: Arc<Taps>,
}

/// What of the daemon does not change.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The module's node.
    pub device: String,
    /// What it decodes, as answers name it.
    pub codecs: Vec<String>,
    /// What it has given up.
    pub sandbox: Sandbox,
    /// The user that it is. In the sandbox it cannot ask.
    pub uid: u32,
}
