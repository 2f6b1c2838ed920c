//! The kernel's device where it can be used, the engine in this process where not.

use std::sync::{Arc, Mutex, PoisonError};

use daedalus_uapi::Codec;

use super::{Device, DeviceSession, Done, Request, embedded::Embedded, kernel::Kernel, reason};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    memory::Block,
    object::surface::Surface,
};

/// Both devices. Surfaces are such that either can decode to them, so the choice is made anew for each
/// stream: a daemon may come and go.
pub(super) struct Auto {
    kernel: Arc<Kernel>,
    embedded: Embedded,
    /// What the log was told last.
    said: Mutex<String>,
}

impl Auto {
    /// Says in the log what will decode, for now.
    pub fn new(kernel: Kernel, embedded: Embedded) -> Auto {
        let auto = Auto { kernel: Arc::new(kernel), embedded, said: Mutex::default() };
        match auto.kernel.unfit() {
            None => auto.say(auto.on_kernel()),
            Some(why) => auto.say(in_process(&why)),
        }
        auto
    }

    fn on_kernel(&self) -> String {
        format!("decoding on {}: a kernel device, and ready", self.kernel)
    }

    /// Logs what decodes, and why, if that is news.
    fn say(&self, what: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != what {
            log::info!("{what}");
            *said = what;
        }
    }
}

fn in_process(why: &str) -> String {
    format!("decoding in this process: {why}")
}

impl Device for Auto {
    fn decodes(&self, codec: Codec, format: Format) -> bool {
        self.kernel.decodes(codec, format) || self.embedded.decodes(codec, format)
    }

    fn open(&self, codec: Codec, target: &Surface) -> Result<Box<dyn DeviceSession>> {
        let unfit = self.kernel.unfit().map(Error::OperationFailed);
        match unfit.map_or_else(|| self.kernel.open(codec, target), Err) {
            Ok(session) => {
                self.say(self.on_kernel());
                Ok(Box::new(OnKernel { session, kernel: self.kernel.clone() }))
            }
            Err(error) => {
                self.say(in_process(&reason(&error)));
                self.embedded.open(codec, target)
            }
        }
    }

    fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
        self.kernel.frame(wanted)
    }

    fn shares(&self) -> bool {
        self.kernel.shares()
    }
}

/// A session on the kernel's device, which is not worth waiting for while there is another.
struct OnKernel {
    session: Box<dyn DeviceSession>,
    kernel: Arc<Kernel>,
}

impl DeviceSession for OnKernel {
    fn submit(&self, request: Request, done: Done) -> u64 {
        self.session.submit(request, done)
    }

    fn expect(&self, request: u64) {
        self.session.expect(request);
    }

    fn help(&self, request: u64) {
        self.session.help(request);
    }

    fn lost(&self) -> Option<String> {
        self.session.lost().or_else(|| self.kernel.unfit())
    }

    fn close(&self) {
        self.session.close();
    }
}
