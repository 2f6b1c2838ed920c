//! The kernel's device where it can be used, the engine in this process where not.

use daedalus_uapi::Codec;

use super::{Device, DeviceSession, embedded::Embedded, kernel::Kernel};
use crate::{
    convert::{Format, Layout},
    error::Result,
    memory::Block,
    object::surface::Surface,
};

/// Both devices. Surfaces are such that either can decode to them, so the choice is made anew for each
/// stream: a daemon may come and go.
pub(super) struct Auto {
    kernel: Kernel,
    embedded: Embedded,
}

impl Auto {
    /// Says in the log what will decode, for now.
    pub fn new(kernel: Kernel, embedded: Embedded) -> Auto {
        match kernel.absent() {
            None => log::info!("decoding on {kernel}"),
            Some(why) => log::info!("decoding in this process: {why}"),
        }
        Auto { kernel, embedded }
    }
}

impl Device for Auto {
    fn decodes(&self, codec: Codec, format: Format) -> bool {
        self.kernel.decodes(codec, format) || self.embedded.decodes(codec, format)
    }

    fn open(&self, codec: Codec, target: &Surface) -> Result<Box<dyn DeviceSession>> {
        self.kernel.open(codec, target).or_else(|why| {
            log::info!("this {codec} stream is decoded in this process: {why}");
            self.embedded.open(codec, target)
        })
    }

    fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
        self.kernel.frame(wanted)
    }
}
