//! The engine inside the driver: no kernel module, no daemon, no root.

use std::sync::{Arc, OnceLock};

use daedalus_engine as engine;
use daedalus_uapi::Codec;

use super::{Device, DeviceSession, Done, Request, kernel::FrameMemory};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    memory::{Anonymous, Block},
    object::surface::{Picture, Surface},
};

/// Pictures that a client may have under way in one stream. What holds it back first is that it has no more
/// surfaces; one that has many, or needs none, must not fill the memory with coded data.
const DEPTH: usize = 32;

/// The engine as a device.
pub(super) struct Embedded {
    options: engine::Options,
    memory: OnceLock<Memory>,
}

/// Where surfaces come from.
enum Memory {
    Anonymous(Anonymous),
    /// A kernel device's, whose media device this process may not open.
    Device(Box<FrameMemory>),
}

impl Embedded {
    /// Reads `DAEDALUS_THREADS`: decoder threads per session.
    pub fn from_environment() -> Result<Embedded> {
        let mut options = engine::Options { depth: DEPTH, ..engine::Options::default() };
        match std::env::var("DAEDALUS_THREADS") {
            Err(_) => {}
            Ok(text) => match text.parse() {
                Ok(threads @ 1..=64) => options.threads = threads,
                _ => log::warn!("DAEDALUS_THREADS={text} is not a number from 1 to 64: ignored"),
            },
        }
        Ok(Embedded { options, memory: OnceLock::new() })
    }
}

impl Embedded {
    /// Where surfaces come from: looked for once, and not beside a kernel device.
    fn memory(&self) -> &Memory {
        self.memory.get_or_init(|| {
            let anonymous = Anonymous::open();
            match if anonymous.is_cheap() { None } else { FrameMemory::find() } {
                Some(memory) => Memory::Device(Box::new(memory)),
                None => Memory::Anonymous(anonymous),
            }
        })
    }
}

impl Device for Embedded {
    fn decodes(&self, _codec: Codec, _format: Format) -> bool {
        true
    }

    fn open(&self, codec: Codec, _target: &Surface) -> Result<Box<dyn DeviceSession>> {
        let session = engine::Session::new(codec, &self.options)
            .map_err(|error| Error::Allocation(error.to_string()))?;
        Ok(Box::new(EmbeddedSession(session)))
    }

    fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
        let size = wanted.data_size();
        let size = size.ok_or(Error::UnsupportedResolution(wanted.width, wanted.height))?;
        match self.memory() {
            Memory::Anonymous(anonymous) => Ok((wanted, anonymous.block(size)?)),
            Memory::Device(memory) => memory.frame(wanted),
        }
    }

    fn shares(&self) -> bool {
        match self.memory() {
            Memory::Anonymous(anonymous) => anonymous.shares(),
            Memory::Device(_) => true,
        }
    }
}

struct EmbeddedSession(engine::Session);

impl DeviceSession for EmbeddedSession {
    fn submit(&self, request: Request, done: Done) -> u64 {
        let target = |surface| Arc::new(SurfaceTarget(surface)) as Arc<dyn engine::Target>;
        // A dma-buf is mapped when it is first asked for. The engine asks when the picture is there, and has
        // no ear for errors then.
        for surface in request.target.iter().chain(&request.ungrained) {
            if let Err(error) = surface.target().check() {
                done.answer(Err(error));
                return 0;
            }
        }
        let request = engine::Request {
            timestamp: request.timestamp,
            controls: request.controls,
            data: request.data,
            hold_capture: request.hold_capture,
            target: request.target.map(target),
            ungrained: request.ungrained.map(target),
        };
        let reply = engine::Reply::new(|answer| {
            done.answer(answer.map_err(|error| Error::Decoding(error.to_string())));
        });
        self.0.submit(request, reply)
    }

    fn expect(&self, request: u64) {
        self.0.expect(request);
    }

    fn help(&self, request: u64) {
        self.0.help(request);
    }

    fn close(&self) {
        self.0.close();
    }
}

/// A surface as the engine writes it.
struct SurfaceTarget(Arc<Surface>);

impl engine::Target for SurfaceTarget {
    fn layout(&self) -> engine::FrameLayout {
        let surface = &self.0;
        frame_layout(&Layout {
            width: surface.coded_width,
            height: surface.coded_height,
            ..surface.layout
        })
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        self.0.overwritten();
        if let Err(error) = self.0.target().write(write) {
            log::error!("surface {:#x}: {error}", self.0.id);
        }
    }

    fn defers(&self) -> bool {
        self.0.defers()
    }

    fn keep(&self, picture: engine::Picture) -> std::result::Result<(), engine::Picture> {
        self.0.keep(picture)
    }
}

impl Picture for engine::Picture {
    fn size(&self) -> (u32, u32) {
        engine::Picture::size(self)
    }

    fn pack(&self, layout: &Layout, memory: &mut [u8]) -> Result<()> {
        engine::Picture::pack(self, &frame_layout(layout), memory)
            .map_err(|error| Error::Decoding(error.to_string()))
    }
}

/// A surface's or an image's layout as the engine knows it; these are NV12 or P010.
fn frame_layout(layout: &Layout) -> engine::FrameLayout {
    let [luma, chroma, _] = layout.planes;
    engine::FrameLayout {
        format: match layout.format {
            Format::P010 => engine::PixelFormat::P010,
            _ => engine::PixelFormat::Nv12,
        },
        width: layout.width,
        height: layout.height,
        pitch: [luma.pitch, chroma.pitch],
        offset: [luma.offset, chroma.offset],
    }
}
