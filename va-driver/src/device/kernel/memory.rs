//! Surface memory from the decoder itself: no further device node need be open to the client.

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
};

use super::{
    Capabilities, abi,
    controls::example,
    discover::Node,
    format::{Geometry, Negotiated, negotiate},
    ioctl::Video,
};
use crate::{
    convert::Layout,
    error::{Error, Result},
    memory::{Block, anonymous_dma_buf},
    object::surface::coded_size,
};

/// A source of frames: an open file of the video device that never streams.
pub(in super::super) struct FrameMemory {
    codecs: Capabilities,
    state: Mutex<State>,
}

struct State {
    video: Video,
    /// What the file is set up for: the frame that was asked for, and what the device made of it.
    current: Option<(Geometry, Negotiated)>,
}

impl FrameMemory {
    /// Opens the device once more. `codecs` is what it decodes.
    pub(super) fn open(node: &Node, codecs: Capabilities) -> Result<FrameMemory> {
        let video = Video::open(&node.video)
            .map_err(|error| Error::OperationFailed(format!("{node}: {error}")))?;
        Ok(FrameMemory { codecs, state: Mutex::new(State { video, current: None }) })
    }

    /// Memory for a surface, and where the device wants its planes: as in `wanted`, unless the device has
    /// rules of its own that a layout can follow. It is a dma-buf of the device, of the system's heap, or of
    /// ordinary pages, whichever there is; plain memory, which only the engine can decode to, if there
    /// is none.
    pub fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
        let too_large = || Error::UnsupportedResolution(wanted.width, wanted.height);
        let size = wanted.data_size().ok_or_else(too_large)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (layout, size, from_device) = match self.negotiate(&mut state, &wanted) {
            Ok(negotiated) => {
                let (layout, size) = adopt(&wanted, size, &negotiated);
                let fd = export(&mut state, &negotiated, size);
                (layout, size, fd)
            }
            Err(error) => (wanted, size, Err(error)),
        };
        drop(state);
        let fd = from_device.or_else(|device| {
            log::debug!("no surface memory from the decoder: {device}");
            anonymous_dma_buf(size)
        });
        match fd.and_then(|fd| Block::of_dma_buf(fd, size)) {
            Ok(block) => Ok((layout, block)),
            Err(error) => {
                log::info!("a surface in plain memory, out of the kernel device's reach: {error}");
                Ok((layout, Block::new(size)?))
            }
        }
    }

    /// Sets the file up for frames of this layout, unless it is.
    fn negotiate(&self, state: &mut State, wanted: &Layout) -> Result<Negotiated> {
        let (width, height) = coded_size(wanted);
        let geometry = Geometry::of_layout(wanted, width, height)?;
        if let Some((current, negotiated)) = &state.current {
            if *current == geometry {
                return Ok(*negotiated);
            }
        }
        state.current = None;
        // A queue counts as busy, and its format as fixed, until it is told that it has no buffers.
        state
            .video
            .request_buffers(abi::CAPTURE, abi::MEMORY_MMAP, 0)
            .map_err(|error| Error::Allocation(format!("freeing buffers: {error}")))?;
        // Any codec will do whose pictures can have this format.
        let codec = self.codecs.codec(wanted.format).ok_or_else(|| {
            Error::OperationFailed(format!("the device does not decode to {:?}", wanted.format))
        })?;
        let mut stream = example(codec, wanted.format, width, height);
        let coded_bytes = geometry.coded_bytes();
        let negotiated = negotiate(&state.video, codec, &geometry, coded_bytes, &mut stream)?;
        state.current = Some((geometry, negotiated));
        Ok(negotiated)
    }
}

/// The layout that the device wants, with its size in bytes, if the planes have room there for all samples
/// in whole macroblocks. Otherwise the surface keeps its own.
fn adopt(wanted: &Layout, size: usize, negotiated: &Negotiated) -> (Layout, usize) {
    let Geometry { width, height, pitch, chroma, format } = negotiated.geometry;
    let mut layout = *wanted;
    layout.planes[0].pitch = pitch;
    layout.planes[1].pitch = pitch;
    layout.planes[1].offset = chroma;
    let row = width as usize * format.bytes_per_sample();
    let rows = pitch.checked_mul(height as usize);
    let fits = pitch >= row && rows.is_some_and(|rows| chroma >= rows);
    match layout.data_size().filter(|size| fits && u32::try_from(*size).is_ok()) {
        Some(needed) => (layout, needed.max(negotiated.size)),
        None => (*wanted, size),
    }
}

/// A buffer of the device's memory, as a dma-buf. The buffer itself goes at once: exported memory outlives
/// it.
fn export(state: &mut State, negotiated: &Negotiated, size: usize) -> Result<OwnedFd> {
    let failed = |what, error| Error::Allocation(format!("{what}: {error}"));
    let mut format = negotiated.capture;
    let [plane, ..] = &mut format.plane_fmt;
    plane.sizeimage = plane.sizeimage.max(size as u32);
    let created = state
        .video
        .create_buffers(abi::MEMORY_MMAP, 1, &format)
        .map_err(|error| failed("creating a buffer", error))?;
    let exported = state.video.export(abi::CAPTURE, created.index);
    let removed = if created.capabilities & abi::BUF_CAP_SUPPORTS_REMOVE_BUFS != 0 {
        state.video.remove_buffer(abi::CAPTURE, created.index)
    } else {
        state.video.request_buffers(abi::CAPTURE, abi::MEMORY_MMAP, 0).map(drop)
    };
    if let Err(error) = removed {
        // It would only hold memory for longer than it is needed.
        log::debug!("removing an exported buffer: {error}");
    }
    exported.map_err(|error| failed("exporting a buffer", error))
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;
    use crate::convert::Format;

    fn negotiated(wanted: &Layout, pitch: usize, chroma: usize, size: usize) -> Negotiated {
        let (width, height) = coded_size(wanted);
        let geometry = Geometry::of_layout(wanted, width, height).unwrap();
        Negotiated {
            geometry: Geometry { pitch, chroma, ..geometry },
            size,
            output: FromZeros::new_zeroed(),
            capture: FromZeros::new_zeroed(),
        }
    }

    #[test]
    fn a_layout_follows_the_device_where_the_picture_has_room() {
        let wanted = Layout::new(Format::Nv12, 100, 50).unwrap();
        let size = wanted.data_size().unwrap();
        assert_eq!(wanted.planes[1].offset, 128 * 64);

        let same = negotiated(&wanted, 128, 128 * 64, size + 100);
        assert_eq!(adopt(&wanted, size, &same), (wanted, size + 100));

        let (layout, bytes) = adopt(&wanted, size, &negotiated(&wanted, 256, 256 * 80, 0));
        assert_eq!((layout.planes[0].pitch, layout.planes[1].pitch), (256, 256));
        assert_eq!(layout.planes[1].offset, 256 * 80);
        assert_eq!(bytes, 256 * (80 + 32));

        // Rows too short for whole macroblocks; chroma over the last rows of luma.
        for device in [negotiated(&wanted, 100, 6400, 0), negotiated(&wanted, 128, 128 * 63, 0)] {
            assert_eq!(adopt(&wanted, size, &device), (wanted, size));
        }
    }
}
