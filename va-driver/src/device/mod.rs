//! What decodes the requests: one trait, several transports.
//!
//! `embedded` is the engine in this process, `kernel` a V4L2 stateless decoder; both carry the same
//! [`Request`]. `auto` has the two and takes the kernel's where it can. `enduring` gives a stream a new session
//! when it has lost its own.

#[cfg(feature = "embedded")]
mod auto;
#[cfg(feature = "embedded")]
mod embedded;
mod enduring;
mod kernel;
mod leaving;
pub(crate) mod trace;

use std::{path::Path, sync::Arc};

use daedalus_uapi::{Codec, DecodeRequest};

use self::{enduring::Enduring, kernel::Kernel};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    memory::Block,
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
    /// It decodes pictures of the codec that have this format.
    fn decodes(&self, codec: Codec, format: Format) -> bool;

    /// Starts a session for one stream, whose first picture is for `target`.
    fn open(&self, codec: Codec, target: &Surface) -> Result<Box<dyn DeviceSession>>;

    /// Memory for a surface, and where its planes lie there: as in `wanted`, or as the device needs them.
    fn frame(&self, wanted: Layout) -> Result<(Layout, Block)>;

    /// Whether that memory can be shared with others, as a rule.
    fn shares(&self) -> bool;
}

/// One stream on a device. Requests are decoded in the order of submission.
pub(crate) trait DeviceSession: Send + Sync {
    /// Queues a request; returns without waiting for its picture, but may wait until the device takes
    /// it. What comes back names the request.
    fn submit(&self, request: Request, done: Done) -> u64;

    /// Somebody waits for the answer of the request with this name. For devices that would otherwise wait
    /// for more requests.
    fn expect(&self, _request: u64) {}

    /// The same, of a caller who has nothing to do until then, and whose thread may decode it.
    fn help(&self, request: u64) {
        self.expect(request);
    }

    /// Why there will be no more pictures from here, once that is so.
    fn lost(&self) -> Option<String> {
        None
    }

    /// Ends the session although others still have it. What is under way is answered with errors before this
    /// returns, and whatever is submitted later as well.
    fn close(&self);
}

/// Waits for threads that sessions left behind: those that ended on one of their own.
pub(crate) fn settle() {
    leaving::settle();
    #[cfg(feature = "embedded")]
    daedalus_engine::settle();
}

/// The device that `DAEDALUS_DEVICE` names: `auto` (the default), `embedded`, `kernel`, or the path of a
/// video or media device.
pub(crate) fn choose() -> Result<Box<dyn Device>> {
    let wanted = std::env::var("DAEDALUS_DEVICE").unwrap_or_default();
    match wanted.as_str() {
        "" | "auto" => auto(),
        "embedded" => embedded("asked for"),
        "kernel" => kernel(Kernel::find()?),
        path if path.starts_with('/') => kernel(Kernel::at(Path::new(path))?),
        other => Err(Error::OperationFailed(format!(
            "DAEDALUS_DEVICE={other}: neither auto, embedded, kernel nor the path of a device"
        ))),
    }
}

/// Why something cannot be used, for the log.
#[cfg(feature = "embedded")]
fn reason(error: &Error) -> String {
    match error {
        Error::OperationFailed(what) => what.clone(),
        other => other.to_string(),
    }
}

/// A kernel device that was asked for: there is no other.
fn kernel(kernel: Kernel) -> Result<Box<dyn Device>> {
    log::info!("decoding on {kernel}: asked for");
    Ok(Box::new(Enduring::new(kernel)))
}

#[cfg(feature = "embedded")]
fn auto() -> Result<Box<dyn Device>> {
    match Kernel::find() {
        Ok(kernel) => {
            let embedded = embedded::Embedded::from_environment()?;
            Ok(Box::new(Enduring::new(auto::Auto::new(kernel, embedded))))
        }
        Err(error) => embedded(&reason(&error)),
    }
}

#[cfg(not(feature = "embedded"))]
fn auto() -> Result<Box<dyn Device>> {
    kernel(Kernel::find()?)
}

#[cfg(feature = "embedded")]
fn embedded(why: &str) -> Result<Box<dyn Device>> {
    log::info!("decoding in this process: {why}");
    Ok(Box::new(embedded::Embedded::from_environment()?))
}

#[cfg(not(feature = "embedded"))]
fn embedded(_why: &str) -> Result<Box<dyn Device>> {
    Err(Error::OperationFailed("this build has no embedded engine".into()))
}
