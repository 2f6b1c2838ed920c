//! Capture buffers: mapped once, written by the engine.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use daedalus_engine as engine;
use daedalus_uapi::protocol::{Decode, Frame, FrameFormat};

use crate::{device::Device, mapping::Mapping};

/// The mapped capture buffers of one session, by their numbers.
#[derive(Debug, Default)]
pub struct Buffers(HashMap<u64, Buffer>);

#[derive(Debug)]
struct Buffer {
    /// Bytes of each dma-buf, as the request said that it was mapped for.
    sizes: Vec<u32>,
    mapping: Arc<Mapping>,
}

impl Buffers {
    /// The memory of a request's frame. It is asked for when its number is new, or stands for more or less
    /// of the memory than before.
    pub fn mapping(
        &mut self,
        device: &dyn Device,
        request: &Decode<'_>,
        frame: &Frame,
    ) -> io::Result<Arc<Mapping>> {
        let known = self.0.get(&request.buffer).filter(|known| known.sizes == frame.buffers);
        if let Some(known) = known {
            return Ok(known.mapping.clone());
        }
        let dma_bufs: Vec<_> = (0..)
            .zip(&frame.buffers)
            .map(|(index, size)| {
                Ok((device.get_buffer(request.session, request.cookie, index)?, *size))
            })
            .collect::<io::Result<_>>()?;
        let mapping = Arc::new(Mapping::new(dma_bufs)?);
        let buffer = Buffer { sizes: frame.buffers.clone(), mapping: mapping.clone() };
        self.0.insert(request.buffer, buffer);
        Ok(mapping)
    }

    /// Forgets a buffer. It stays mapped as long as a picture is being written there.
    pub fn forget(&mut self, buffer: u64) {
        self.0.remove(&buffer);
    }
}

/// How often the client has taken back its requests.
#[derive(Clone, Debug, Default)]
pub struct Epoch(Arc<AtomicU64>);

impl Epoch {
    /// Voids the requests so far.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// This moment.
    pub fn moment(&self) -> Moment {
        Moment { made: self.now(), epoch: self.clone() }
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When a request was made.
#[derive(Debug)]
pub struct Moment {
    epoch: Epoch,
    made: u64,
}

impl Moment {
    /// Whether the client has taken back what it had requested by then.
    pub fn is_void(&self) -> bool {
        self.made != self.epoch.now()
    }
}

/// A frame in a capture buffer.
#[derive(Debug)]
pub struct Target {
    layout: engine::FrameLayout,
    mapping: Arc<Mapping>,
    /// When the request was made.
    made: Moment,
}

impl Target {
    /// The frame of a request made now.
    pub fn new(frame: &Frame, mapping: Arc<Mapping>, epoch: &Epoch) -> Target {
        let layout = engine::FrameLayout {
            format: match frame.format {
                FrameFormat::Nv12 => engine::PixelFormat::Nv12,
                FrameFormat::P010 => engine::PixelFormat::P010,
            },
            width: frame.width,
            height: frame.height,
            pitch: frame.planes.map(|plane| plane.pitch as usize),
            offset: frame.planes.map(|plane| mapping.offset(plane.buffer) + plane.offset as usize),
        };
        Target { layout, mapping, made: epoch.moment() }
    }
}

impl engine::Target for Target {
    fn layout(&self) -> engine::FrameLayout {
        self.layout
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        // The buffer of a request that was taken back is the client's again.
        if !self.made.is_void() {
            self.mapping.write(write);
        }
    }
}
