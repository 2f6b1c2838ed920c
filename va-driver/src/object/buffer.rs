//! Buffers: parameters and slice data on their way to the driver, and the memory of images.

use std::{
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libva_sys as va;

use super::surface::Surface;
use crate::{
    codec::{MAX_BYTES, Rendered},
    error::{Error, Result},
    memory::{Block, ClientAccess},
};

/// A buffer of vaCreateBuffer, or the data of an image.
pub(crate) struct Buffer {
    pub kind: va::VABufferType,
    /// The context that it was created for; images' buffers have none.
    context: Option<va::VAContextID>,
    memory: Arc<Block>,
    element_size: usize,
    state: Mutex<State>,
    /// The surface whose memory this is, for derived images: mapping waits for its picture.
    surface: Option<Arc<Surface>>,
}

struct State {
    /// Elements in use.
    count: usize,
    /// Elements that the memory was made for.
    capacity: usize,
    /// vaMapBuffer calls without vaUnmapBuffer.
    mapped: u32,
    /// The access that the first of them began. A buffer that is destroyed while mapped ends it, too.
    access: Option<ClientAccess>,
    /// What vaAcquireBufferHandle gave out, its size in bytes, and how often.
    handle: Option<(OwnedFd, usize, u32)>,
}

impl State {
    fn new(count: usize) -> State {
        State { count, capacity: count, mapped: 0, access: None, handle: None }
    }
}

/// A descriptor that stays the driver's.
pub(crate) struct Handle {
    pub fd: RawFd,
    /// Of all that is behind it, in bytes.
    pub size: usize,
}

impl Buffer {
    /// A buffer for `count` elements; the content is zero. Fails if the size is absurd.
    pub fn new(
        kind: va::VABufferType,
        context: va::VAContextID,
        element_size: usize,
        count: usize,
    ) -> Result<Buffer> {
        let length = element_size.checked_mul(count).filter(|length| *length <= MAX_BYTES);
        let length = length.ok_or_else(|| {
            Error::Allocation(format!("{count} elements of {element_size} bytes"))
        })?;
        Ok(Buffer {
            kind,
            context: Some(context),
            memory: Arc::new(Block::new(length)?),
            element_size,
            state: Mutex::new(State::new(count)),
            surface: None,
        })
    }

    /// The buffer of an image over `memory`; `surface` if that is a surface's.
    pub fn of_image(memory: Arc<Block>, surface: Option<Arc<Surface>>) -> Buffer {
        Buffer {
            kind: va::VAImageBufferType,
            context: None,
            element_size: memory.length(),
            memory,
            state: Mutex::new(State::new(1)),
            surface,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.element_size * self.state().count
    }

    /// Bytes of one element, and elements in use.
    pub fn size(&self) -> (usize, usize) {
        (self.element_size, self.state().count)
    }

    /// Stores a client's initial data; `copy` fills the memory in use.
    pub fn initialise(&self, copy: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<()> {
        let length = self.bytes();
        self.memory.write(|memory| copy(&mut memory[..length]))?
    }

    /// Changes the number of elements in use, up to what the buffer was made for.
    pub fn set_count(&self, count: usize) -> Result<()> {
        let mut state = self.state();
        if count > state.capacity {
            return Err(Error::InvalidParameter(format!(
                "{count} elements in a buffer for {}",
                state.capacity
            )));
        }
        state.count = count;
        Ok(())
    }

    /// The address for the client. Waits for the picture of a derived image's surface. Fails if the
    /// memory cannot be mapped.
    pub fn map(&self) -> Result<*mut u8> {
        if let Some(surface) = &self.surface {
            surface.settle();
        }
        let mut state = self.state();
        let address = self.memory.fixed_address()?;
        state.mapped = state.mapped.saturating_add(1);
        if state.access.is_none() && self.surface.is_some() {
            state.access = Some(ClientAccess::begin(&self.memory));
        }
        Ok(address)
    }

    /// Ends one mapping; fails if there is none.
    pub fn unmap(&self) -> Result<()> {
        let mut state = self.state();
        state.mapped = state
            .mapped
            .checked_sub(1)
            .ok_or_else(|| Error::InvalidBuffer("the buffer is not mapped".into()))?;
        if state.mapped == 0 {
            state.access = None;
        }
        Ok(())
    }

    /// A dma-buf of the memory, which waits for the picture of a derived image's surface. `None` if the
    /// memory cannot be shared.
    pub fn acquire(&self) -> Result<Option<Handle>> {
        if let Some(surface) = &self.surface {
            surface.settle();
        }
        let mut state = self.state();
        let (fd, size, times) = match state.handle.take() {
            Some(handle) => handle,
            None => match self.memory.share()? {
                Some((fd, size)) => (fd, size, 0),
                None => return Ok(None),
            },
        };
        let handle = Handle { fd: fd.as_raw_fd(), size };
        state.handle = Some((fd, size, times.saturating_add(1)));
        Ok(Some(handle))
    }

    /// Takes one [`Buffer::acquire`] back; fails if there was none.
    pub fn release(&self) -> Result<()> {
        let mut state = self.state();
        match state.handle.take() {
            None => Err(Error::InvalidBuffer("the buffer's handle was not acquired".into())),
            Some((_, _, ..=1)) => Ok(()),
            Some((fd, size, times)) => {
                state.handle = Some((fd, size, times - 1));
                Ok(())
            }
        }
    }

    /// Waits for the surface that the buffer belongs to, if any.
    pub fn surface(&self) -> Option<&Arc<Surface>> {
        self.surface.as_ref()
    }

    /// A copy for the picture being put together in `context`.
    pub fn rendered(&self, context: va::VAContextID) -> Result<Rendered> {
        if self.context != Some(context) {
            return Err(Error::InvalidBuffer("the buffer belongs to another context".into()));
        }
        let count = self.state().count;
        let length = self.element_size * count;
        let data = self.memory.read(|memory| memory[..length].to_vec())?;
        Ok(Rendered { kind: self.kind, element_size: self.element_size, count, data })
    }
}
