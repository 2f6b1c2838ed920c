//! The driver's objects in safe Rust: configs, contexts, surfaces, buffers, images, and the [`Driver`]
//! that owns them.
//!
//! Ids carry a kind and a generation, so that a stale id, or one of another kind, finds nothing.

pub(crate) mod buffer;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod image;
pub(crate) mod stream;
mod streams;
pub(crate) mod surface;
mod table;

use std::sync::Arc;

use libva_sys as va;

use self::{
    buffer::Buffer, config::Config, context::Context, image::Image, stream::Stream,
    streams::Streams, surface::Surface, table::Table,
};
use crate::{
    device::{self, Device},
    error::{Error, Result},
    memory::Pool,
    present::Presenter,
};

/// Surfaces by id; shared with the streams, which look up the targets of requests.
pub(crate) type Surfaces = Table<Surface>;

/// One driver instance: what vaInitialize makes and vaTerminate ends.
pub(crate) struct Driver {
    device: Box<dyn Device>,
    pub configs: Table<Config>,
    pub contexts: Table<Context>,
    pub surfaces: Arc<Surfaces>,
    pub buffers: Table<Buffer>,
    pub images: Table<Image>,
    /// What images that are gone have left behind.
    pub image_memory: Pool,
    /// Shows surfaces, if the client's display is an X11 one.
    pub presenter: Option<Presenter>,
    /// Contexts and surfaces keep them.
    streams: Streams,
}

impl Driver {
    /// A driver on the device that `DAEDALUS_DEVICE` chooses.
    pub fn new(presenter: Option<Presenter>) -> Result<Driver> {
        Ok(Driver {
            device: device::choose()?,
            configs: Table::new(1),
            contexts: Table::new(2),
            surfaces: Arc::new(Table::new(3)),
            buffers: Table::new(4),
            images: Table::new(5),
            image_memory: Pool::default(),
            presenter,
            streams: Streams::default(),
        })
    }

    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// A new stream for a context of `profile`, whose first picture is for `target`.
    pub fn open_stream(&self, profile: va::VAProfile, target: &Surface) -> Result<Arc<Stream>> {
        self.streams
            .open(|presence| Stream::new(profile, self.device(), target, &self.surfaces, presence))
    }

    pub fn config(&self, id: va::VAConfigID) -> Result<Arc<Config>> {
        self.configs.get(id).ok_or(Error::InvalidConfig(id))
    }

    pub fn context(&self, id: va::VAContextID) -> Result<Arc<Context>> {
        self.contexts.get(id).ok_or(Error::InvalidContext(id))
    }

    pub fn surface(&self, id: va::VASurfaceID) -> Result<Arc<Surface>> {
        self.surfaces.get(id).ok_or(Error::InvalidSurface(id))
    }

    pub fn buffer(&self, id: va::VABufferID) -> Result<Arc<Buffer>> {
        self.buffers.get(id).ok_or_else(|| Error::InvalidBuffer(format!("no such buffer: {id:#x}")))
    }

    pub fn image(&self, id: va::VAImageID) -> Result<Arc<Image>> {
        self.images.get(id).ok_or(Error::InvalidImage(id))
    }
}

impl Driver {
    /// Nothing runs any more when vaTerminate returns: the client may end itself next.
    pub fn close(&self) {
        self.streams.close();
        device::settle();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.close();
    }
}
