//! What decodes the requests: one trait, several transports.
//!
//! Here is `embedded`, the engine in this process. A kernel device that follows the V4L2 stateless
//! specification has its place beside it: it would carry the same [`Request`].

#[cfg(feature = "embedded")]
mod embedded;
pub(crate) mod trace;

use std::sync::Arc;

use daedalus_uapi::{Codec, DecodeRequest};

use crate::{
    error::{Error, Result},
    object::surface::Surface,
};

/// A request whose targets are surfaces.
pub(crate) type Request = DecodeRequest<Arc<Surface>>;

/// Takes the answer of one request, exactly once; dropped unanswered, it reports a lost picture.
pub(crate) struct Done(Option<Box<dyn FnOnce(Result<()>) + Send>>);

impl Done {
    pub fn new(deliver: impl FnOnce(Result<()>) + Send + 'static) -> Done {
        Done(Some(Box::new(deliver)))
    }

    pub fn answer(mut self, answer: Result<()>) {
        if let Some(deliver) = self.0.take() {
            deliver(answer);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(deliver) = self.0.take() {
            deliver(Err(Error::Decoding("the device lost the request".into())));
        }
    }
}

/// Something that decodes.
pub(crate) trait Device: Send + Sync {
    /// Starts a session for one stream.
    fn open(&self, codec: Codec) -> Result<Box<dyn DeviceSession>>;
}

/// One stream on a device. Requests are decoded in the order of submission.
pub(crate) trait DeviceSession: Send + Sync {
    /// Queues a request; returns without waiting for its picture.
    fn submit(&self, request: Request, done: Done);
}

/// The device that `DAEDALUS_DEVICE` names: `auto` (the default) or `embedded`.
pub(crate) fn choose() -> Result<Box<dyn Device>> {
    let wanted = std::env::var("DAEDALUS_DEVICE").unwrap_or_default();
    match wanted.as_str() {
        "" | "auto" | "embedded" => embedded(),
        path => Err(Error::OperationFailed(format!(
            "DAEDALUS_DEVICE={path}: this build decodes in-process only; use auto or embedded"
        ))),
    }
}

#[cfg(feature = "embedded")]
fn embedded() -> Result<Box<dyn Device>> {
    Ok(Box::new(embedded::Embedded::from_environment()?))
}

#[cfg(not(feature = "embedded"))]
fn embedded() -> Result<Box<dyn Device>> {
    Err(Error::OperationFailed("this build has no embedded engine".into()))
}
