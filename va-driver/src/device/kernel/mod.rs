//! A V4L2 stateless decoder as a device: the kernel's, through its documented interface. Nothing here is
//! peculiar to Daedalus' module but the driver name that is looked for.
//!
//! How the pieces meet: [`discover`] finds the two device nodes of a decoder. `format` agrees with it on
//! formats and frame layouts, and `memory` gets surfaces from it. A [`session`] is one open file: it turns
//! each request into a media request (`request`, with the controls of `controls`) and queues it together
//! with the surface's dma-buf (`queue` says under which index). Its thread (`completion`) takes back what the
//! device has finished and answers the pictures (`pictures`). `health` is what sessions learn about the
//! device. `ioctl` makes the system calls, with the structs of `abi`.
//!
//! Sources: Linux, `Documentation/userspace-api/media/v4l/dev-stateless-decoder.rst`,
//! `ext-ctrls-codec-stateless.rst`, and `../mediactl/request-api.rst`.

mod abi;
mod completion;
mod controls;
mod discover;
mod format;
mod health;
mod ioctl;
mod memory;
mod pictures;
mod queue;
mod request;
mod session;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use daedalus_uapi::Codec;

pub(super) use self::memory::FrameMemory;
use self::{
    controls::{Supported, example},
    discover::Node,
    format::{Geometry, coded, negotiate},
    health::Health,
    ioctl::Video,
    session::KernelSession,
};
use super::{Device, DeviceSession};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    memory::Block,
    object::surface::Surface,
};

/// A decoder of the kernel's.
pub(super) struct Kernel {
    node: Node,
    capabilities: Capabilities,
    memory: Arc<FrameMemory>,
    health: Arc<Health>,
    /// What [`Device::shares`] has found out.
    shares: OnceLock<bool>,
}

/// Codecs with the formats that their pictures may have.
#[derive(Clone, Debug, Default)]
struct Capabilities(Vec<(Codec, Format)>);

impl Capabilities {
    fn decodes(&self, codec: Codec, format: Format) -> bool {
        self.0.contains(&(codec, format))
    }

    /// Some codec whose pictures may have the format.
    fn codec(&self, format: Format) -> Option<Codec> {
        self.0.iter().find(|(_, other)| *other == format).map(|(codec, _)| *codec)
    }
}

impl FrameMemory {
    /// That of the first of Daedalus' devices that can be opened, for whoever may not open its media device:
    /// Firefox' decoder process may open video devices alone.
    #[cfg(feature = "embedded")]
    pub fn find() -> Option<FrameMemory> {
        Node::videos().into_iter().find_map(|node| {
            let memory =
                probe(&node).and_then(|capabilities| FrameMemory::open(&node, capabilities));
            memory
                .and_then(|memory| memory.try_out().map(|()| memory))
                .inspect_err(|error| log::debug!("no memory from a kernel device: {error}"))
                .ok()
        })
    }

    /// Fails if there is no memory that can be shared, as GStreamer tries it.
    fn try_out(&self) -> Result<()> {
        let (_, block) = self.frame(Layout::new(Format::Nv12, 64, 64)?)?;
        match block.dma_buf() {
            Some(_) => Ok(()),
            None => Err(Error::OperationFailed("its memory cannot be shared".into())),
        }
    }
}

impl Kernel {
    /// The first of Daedalus' decoders that can be used.
    pub fn find() -> Result<Kernel> {
        Kernel::first(Node::scan())
    }

    /// The decoder behind `/dev/videoN` or `/dev/mediaN`, whatever its driver.
    pub fn at(path: &Path) -> Result<Kernel> {
        Kernel::first(Node::at(path)?)
    }

    fn first(nodes: Vec<Node>) -> Result<Kernel> {
        let mut error = Error::OperationFailed("no kernel device found".into());
        for node in nodes {
            let opened = probe(&node).and_then(|capabilities| {
                let memory = Arc::new(FrameMemory::open(&node, capabilities.clone())?);
                let health = Arc::new(Health::of(node.clone()));
                let (node, shares) = (node.clone(), OnceLock::new());
                Ok(Kernel { node, capabilities, memory, health, shares })
            });
            match opened {
                Ok(kernel) => return Ok(kernel),
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// Why the device cannot decode at present, or is not to be relied on.
    pub fn unfit(&self) -> Option<String> {
        self.health.complaint().map(|why| format!("{}: {why}", self.node))
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.node.fmt(f)
    }
}

/// Finds out what a device decodes. Fails if that is nothing, or if it cannot be opened.
fn probe(node: &Node) -> Result<Capabilities> {
    let failed = |what: String| Error::OperationFailed(format!("{node}: {what}"));
    let video = Video::open(&node.video).map_err(|error| failed(error.to_string()))?;
    let capability = video.capability().map_err(|error| failed(error.to_string()))?;
    let needed = abi::CAP_VIDEO_M2M_MPLANE | abi::CAP_STREAMING;
    if capability.device_caps & needed != needed {
        return Err(failed("not a memory-to-memory device".into()));
    }
    let formats = video.formats(abi::OUTPUT);
    let mut capabilities = Capabilities::default();
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        if !formats.contains(&coded(codec)) {
            continue;
        }
        for format in [Format::Nv12, Format::P010] {
            // Any size that every decoder has.
            let (width, height) = (640, 480);
            let layout = Layout::new(format, width, height)?;
            let geometry = Geometry::of_layout(&layout, width, height)?;
            let mut stream = example(codec, format, width, height);
            match negotiate(&video, codec, &geometry, geometry.coded_bytes(), &mut stream)
                .and_then(|_| Supported::query(&video, codec))
            {
                Ok(_) => capabilities.0.push((codec, format)),
                Err(error) => log::debug!("{node}: {codec} to {format:?}: {error}"),
            }
        }
    }
    if capabilities.0.is_empty() {
        return Err(failed("it decodes nothing that the driver has requests for".into()));
    }
    Ok(capabilities)
}

impl Device for Kernel {
    fn decodes(&self, codec: Codec, format: Format) -> bool {
        self.capabilities.decodes(codec, format)
    }

    fn open(&self, codec: Codec, target: &Surface) -> Result<Box<dyn DeviceSession>> {
        let format = target.layout.format;
        if !self.decodes(codec, format) {
            let what = format!("{}: no {codec} to {format:?}", self.node);
            return Err(Error::OperationFailed(what));
        }
        let (memory, health) = (self.memory.clone(), self.health.clone());
        Ok(Box::new(KernelSession::open(&self.node, codec, target, memory, health)?))
    }

    fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
        self.memory.frame(wanted)
    }

    fn shares(&self) -> bool {
        *self.shares.get_or_init(|| self.memory.try_out().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_decoded_by_the_codecs_that_have_it() {
        let capabilities =
            Capabilities(vec![(Codec::H264, Format::Nv12), (Codec::Vp9, Format::P010)]);
        assert!(capabilities.decodes(Codec::H264, Format::Nv12));
        assert!(!capabilities.decodes(Codec::H264, Format::P010));
        assert_eq!(capabilities.codec(Format::P010), Some(Codec::Vp9));
        assert_eq!(Capabilities::default().codec(Format::Nv12), None);
    }

    #[test]
    fn without_a_device_the_reason_is_told() {
        assert!(matches!(Kernel::first(Vec::new()), Err(Error::OperationFailed(_))));
        assert!(Kernel::at(Path::new("/dev/zero")).is_err());
    }
}
