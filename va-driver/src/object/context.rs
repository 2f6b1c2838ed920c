//! Contexts: pictures between vaBeginPicture and vaEndPicture.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use libva_sys as va;

use super::{Driver, buffer::Buffer, stream::Stream, surface::Surface};
use crate::{
    codec::{self, MAX_BYTES, Picture, Rendered},
    error::{Error, Result},
};

/// The most buffers one picture may have: AV1 allows 4096 tiles, each with two buffers.
const MAX_BUFFERS: usize = 3 * 4096;

/// A decoding context.
pub(crate) struct Context {
    pub id: va::VAContextID,
    pub profile: va::VAProfile,
    /// In samples, as given to vaCreateContext.
    pub size: (u32, u32),
    state: Mutex<State>,
    /// A child of a fork may have a state that is locked for ever.
    owner: u32,
}

#[derive(Default)]
struct State {
    building: Option<Building>,
    stream: Option<Arc<Stream>>,
}

/// The picture that is being put together.
struct Building {
    target: Arc<Surface>,
    buffers: Vec<Rendered>,
    /// In all buffers.
    bytes: usize,
}

impl Context {
    pub fn new(id: va::VAContextID, profile: va::VAProfile, size: (u32, u32)) -> Context {
        Context { id, profile, size, state: Mutex::default(), owner: std::process::id() }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        if self.owner == std::process::id() {
            return Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(Error::Decoding("the context is another process'".into()))
            }
        }
    }

    /// Starts a picture. One that was begun and never ended is given up, its surface flagged.
    pub fn begin(&self, target: Arc<Surface>) -> Result<()> {
        let mut state = self.state()?;
        target.begin(self.id)?;
        if let Some(old) = state.building.take() {
            if !Arc::ptr_eq(&old.target, &target) {
                old.target.abandoned(Error::Decoding("the picture was never ended".into()));
            }
        }
        state.building = Some(Building { target, buffers: Vec::new(), bytes: 0 });
        Ok(())
    }

    /// Adds buffers to the picture, copying their content. All or none.
    pub fn render(&self, buffers: &[Arc<Buffer>]) -> Result<()> {
        let mut state = self.state()?;
        let building = state.building.as_mut().ok_or_else(|| {
            Error::OperationFailed("vaRenderPicture without vaBeginPicture".into())
        })?;
        if building.buffers.len() + buffers.len() > MAX_BUFFERS {
            return Err(Error::MaxNumExceeded(MAX_BUFFERS, building.buffers.len() + buffers.len()));
        }
        let bytes = buffers.iter().fold(building.bytes, |sum, buffer| sum + buffer.bytes());
        if bytes > MAX_BYTES {
            return Err(Error::Allocation(format!("{bytes} bytes of buffers for one picture")));
        }
        let rendered: Result<Vec<_>> =
            buffers.iter().map(|buffer| buffer.rendered(self.id)).collect();
        building.buffers.extend(rendered?);
        building.bytes = bytes;
        Ok(())
    }

    /// Completes the picture: translates it and hands the requests to the device.
    ///
    /// What can never work (missing or malformed buffers) fails here. A picture that is broken in its
    /// coded content is reported by vaSyncSurface instead: ffmpeg and Chromium give up hardware decoding
    /// for good when vaEndPicture fails.
    pub fn end(&self, driver: &Driver) -> Result<()> {
        let mut state = self.state()?;
        let building = state
            .building
            .take()
            .ok_or_else(|| Error::OperationFailed("vaEndPicture without vaBeginPicture".into()))?;
        let picture = Picture {
            target: building.target.id,
            context_size: self.size,
            buffers: &building.buffers,
        };
        let target = &building.target;
        let failed = |error: &Error| Error::Decoding(error.to_string());
        let ended = match self.stream_for(&mut state, driver, target, &picture) {
            Ok(stream) => {
                target.ended(&stream);
                stream.picture(&picture).inspect_err(|error| target.refused(failed(error)))
            }
            Err(error) => {
                target.abandoned(failed(&error));
                Err(error)
            }
        };
        match ended {
            Err(error @ Error::Decoding(_)) => {
                log::info!("surface {:#x}: {error}", building.target.id);
                Ok(())
            }
            other => other,
        }
    }

    /// The stream that the picture belongs to: the context's own, one that its references come from, or
    /// a new one.
    fn stream_for(
        &self,
        state: &mut State,
        driver: &Driver,
        target: &Surface,
        picture: &Picture<'_>,
    ) -> Result<Arc<Stream>> {
        if let Some(stream) = &state.stream {
            return Ok(stream.clone());
        }
        let codec = codec::codec_of(self.profile).ok_or(Error::UnsupportedProfile(self.profile))?;
        let ancestry = codec::ancestry(codec, picture)?;
        let references = ancestry.references.iter().filter_map(|id| driver.surfaces.get(*id));
        let parent = references.filter_map(|surface| surface.stream()).find(|s| s.codec() == codec);
        let stream = match parent {
            Some(parent) if !ancestry.key => {
                log::debug!("context {:#x} carries on a stream", self.id);
                parent
            }
            _ => driver.open_stream(self.profile, target)?,
        };
        state.stream = Some(stream.clone());
        Ok(stream)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(building) = state.building.take() {
            building.target.abandoned(Error::Decoding("the context was destroyed".into()));
        }
        // Nothing will follow in this context, but another may carry the stream on; a picture kept back
        // is released by whoever needs its pixels.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        convert::{Format, Layout},
        memory::Block,
        testing::holds_in_child,
    };

    fn surface() -> Arc<Surface> {
        let layout = Layout::new(Format::Nv12, 64, 64).unwrap();
        let memory = Block::new(layout.data_size().unwrap()).unwrap();
        Arc::new(Surface::new(layout, memory))
    }

    #[test]
    fn a_child_of_a_fork_does_not_wait_for_a_picture_that_its_parent_was_submitting() {
        let context = Context::new(1, va::VAProfileH264Main, (64, 64));
        let target = surface();
        // As if another thread were at it.
        let state = context.state().unwrap();
        assert!(holds_in_child(|| {
            let refused = Err(Error::Decoding("the context is another process'".into()));
            context.begin(target.clone()) == refused && context.render(&[]) == refused
        }));
        drop(state);
        assert!(holds_in_child(|| context.begin(target.clone()) == Ok(())));
    }

    #[test]
    fn a_picture_has_no_more_bytes_than_the_largest_buffer() {
        const PIECE: usize = 1 << 20;
        let context = Context::new(1, va::VAProfileH264Main, (64, 64));
        context.begin(surface()).unwrap();
        let buffer = Arc::new(Buffer::new(va::VASliceDataBufferType, 1, 1, PIECE).unwrap());
        let give = |times| context.render(&vec![buffer.clone(); times]);
        assert!(matches!(give(MAX_BYTES / PIECE + 1), Err(Error::Allocation(_))));
        assert_eq!(give(2), Ok(()), "nothing of it was taken");
        assert!(matches!(give(MAX_BYTES / PIECE - 1), Err(Error::Allocation(_))));
    }
}
