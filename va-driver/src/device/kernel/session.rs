//! A session: one open file of the video device, one coded stream. This is the submitting half; what
//! comes back is `completion`'s.
//!
//! In steady state a picture costs seven ioctls: its controls, its coded data and its frame are queued, then
//! the request (four, here); frame and data are taken back and the request is emptied (three, on the
//! thread).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use daedalus_uapi::{Codec, Controls, av1};
use nix::errno::Errno;

use super::{
    abi,
    completion::{Receiver, Shared, State, closed},
    controls::{Supported, example},
    discover::Node,
    format::{Geometry, negotiate},
    health::Health,
    ioctl::{Media, Queued, Video},
    memory::FrameMemory,
    queue::Indices,
    request::{self, Slot, timeval},
};
use crate::{
    convert::Layout,
    device::{DeviceSession, Done, Request},
    error::{Error, Result},
    memory::Block,
    object::surface::{Surface, coded_size},
};

/// CAPTURE buffers to ask for: more than the surfaces of most clients (VIDEO_MAX_FRAME).
const CAPTURES: u32 = 32;

/// Frames for pictures that nobody sees. A picture may be a reference for as long as there are others in
/// the eight slots of AV1.
const SCRATCH: usize = av1::NUM_REF_FRAMES + 1;

/// A stream on a kernel device.
pub(super) struct KernelSession {
    submitter: Mutex<Submitter>,
    shared: Arc<Shared>,
    receiver: Receiver,
}

/// What submissions have for themselves, one at a time.
struct Submitter {
    codec: Codec,
    shared: Arc<Shared>,
    supported: Supported,
    /// Field pairs can share a CAPTURE buffer.
    holds: bool,
    memory: Arc<FrameMemory>,
    /// The layout of the last surface.
    layout: Layout,
    /// What the queues are set up for.
    configured: Option<Configured>,
    /// The frames of pictures without a surface, the one used longest ago first.
    scratch: VecDeque<Arc<Block>>,
    warned_of_grain: bool,
}

struct Configured {
    geometry: Geometry,
    /// The OUTPUT queue's format, for more buffers.
    output: abi::Format,
    indices: Indices<Block>,
    /// A CAPTURE buffer was queued whose request was refused: the queue must be emptied before the next.
    stray: bool,
}

/// Where a picture goes.
struct Frame {
    geometry: Geometry,
    memory: Arc<Block>,
}

impl KernelSession {
    /// Starts a session whose first picture goes to `target`. Fails if the device cannot be opened or set up
    /// for it, lacks something that decoding needs, or does not write frames as this surface has them.
    pub fn open(
        node: &Node,
        codec: Codec,
        target: &Surface,
        memory: Arc<FrameMemory>,
        health: Arc<Health>,
    ) -> Result<KernelSession> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::OperationFailed(format!("{what}: {error}"))
        };
        let open = |path: &std::path::Path, error| failed(&path.display().to_string(), &error);
        let video = Video::open(&node.video).map_err(|error| open(&node.video, error))?;
        let media = Media::open(&node.media).map_err(|error| open(&node.media, error))?;
        if target.target().dma_buf().is_none() {
            return Err(Error::OperationFailed("the surface is in plain memory".into()));
        }
        let geometry = Geometry::of(target)?;
        let supported = Supported::query(&video, codec)?;
        let buffers = video
            .request_buffers(abi::OUTPUT, abi::MEMORY_MMAP, 0)
            .map_err(|error| failed("asking what buffers can do", &error))?;
        let can = |capability| buffers.capabilities & capability != 0;
        if !can(abi::BUF_CAP_SUPPORTS_REQUESTS) {
            return Err(Error::OperationFailed("the device takes no requests".into()));
        }
        let shared = Arc::new(Shared::new(video, media, health)?);
        let mut submitter = Submitter {
            codec,
            shared: shared.clone(),
            supported,
            holds: can(abi::BUF_CAP_SUPPORTS_M2M_HOLD_CAPTURE_BUF),
            memory,
            layout: target.layout,
            configured: None,
            scratch: VecDeque::new(),
            warned_of_grain: false,
        };
        // Now, while others can still take the stream: there may be no memory for it.
        let mut stream = example(codec, geometry.format, geometry.width, geometry.height);
        submitter.configure(&geometry, &mut stream, 0)?;
        let receiver = Receiver::start(&shared)?;
        Ok(KernelSession { submitter: Mutex::new(submitter), shared, receiver })
    }
}

impl DeviceSession for KernelSession {
    fn submit(&self, request: Request, done: Done) -> u64 {
        let timestamp = request.timestamp;
        if !self.receiver.is_here() {
            // A child of a fork: the device file is the parent's, and so is the thread.
            done.answer(Err(Error::Decoding("the session is another process'".into())));
            return timestamp;
        }
        if self.shared.state().closing {
            done.answer(Err(closed()));
            return timestamp;
        }
        let mut submitter = self.submitter.lock().unwrap_or_else(PoisonError::into_inner);
        let late = submitter.submit(request, done);
        drop(submitter);
        if let Some((done, error)) = late {
            done.answer(Err(error));
        }
        timestamp
    }

    fn lost(&self) -> Option<String> {
        self.receiver.lost(&self.shared)
    }

    fn close(&self) {
        // In a child of a fork nobody would release the lock that this takes, and stopping the queues would
        // stop the parent's.
        if self.receiver.is_here() {
            self.shared.close();
            self.receiver.join();
        }
    }
}

impl Drop for KernelSession {
    fn drop(&mut self) {
        self.close();
    }
}

impl Submitter {
    /// What comes back with an error is to be answered by the caller: nobody else will.
    fn submit(&mut self, mut request: Request, done: Done) -> Option<(Done, Error)> {
        let timestamp = request.timestamp;
        // One that fails has not got hold of `done`.
        let mut done = Some(done);
        if let Err(error) = self.try_submit(&mut request, &mut done) {
            log::debug!("picture {timestamp}: {error}");
            let mut state = self.shared.state();
            // The field that a first one waits for is this one, or will not come after it.
            self.release_held(&mut state);
            let mut late = done.map(|done| (done, error));
            if !state.over {
                if let Some((done, error)) = late.take() {
                    state.pictures.refused(timestamp, error, done);
                }
            }
            drop(state);
            self.shared.refused();
            return late;
        }
        None
    }

    fn try_submit(&mut self, request: &mut Request, done: &mut Option<Done>) -> Result<()> {
        if request.controls.codec() != self.codec {
            let got = request.controls.codec();
            return Err(Error::Decoding(format!("{got} on a session for {}", self.codec)));
        }
        self.warn_of_grain(&request.controls);
        let frame = self.frame(request.target.as_deref())?;
        // With film grain, `target` is what is shown, and what this writes. `ungrained`, the same picture
        // without it, cannot be asked for: a V4L2 request has one CAPTURE buffer. Later pictures do
        // not need it, since the device keeps references of its own; that surface stays as it is.
        if self.configured.as_ref().is_none_or(|now| now.geometry != frame.geometry) {
            let bytes = request.data.len();
            let configured = self.configure(&frame.geometry, &mut request.controls, bytes);
            self.shared.state().unusable = configured.as_ref().err().cloned();
            configured?;
        }
        let slot = self.slot(request.data.len())?;
        let hold = request.hold_capture && self.holds;
        let slot = self.fill(slot, request, hold)?;
        self.queue(slot, &frame, request.timestamp, hold, done)
    }

    /// The frame of a picture: its surface's, or one that nobody sees.
    fn frame(&mut self, target: Option<&Surface>) -> Result<Frame> {
        if let Some(surface) = target {
            self.layout = surface.layout;
            // Not every picture before it was decoded here.
            surface.overwritten();
            return Ok(Frame {
                geometry: Geometry::of(surface)?,
                memory: surface.target().clone(),
            });
        }
        let (width, height) = coded_size(&self.layout);
        let geometry = Geometry::of_layout(&self.layout, width, height)?;
        let memory = match self.scratch.pop_front() {
            Some(oldest) if self.scratch.len() + 1 >= SCRATCH => oldest,
            other => {
                self.scratch.extend(other);
                let (layout, block) = self.memory.frame(self.layout)?;
                if layout != self.layout {
                    return Err(Error::OperationFailed("no frame like the last one".into()));
                }
                Arc::new(block)
            }
        };
        self.scratch.push_back(memory.clone());
        Ok(Frame { geometry, memory })
    }

    /// Sets the queues up for frames like this. As the kernel's "stateless decoder" document has it for a
    /// new resolution: wait until the device has nothing, stop both queues, free the CAPTURE buffers, start
    /// over. The session goes on, and with it the references that the device keeps.
    fn configure(
        &mut self,
        geometry: &Geometry,
        stream: &mut Controls,
        coded_bytes: usize,
    ) -> Result<()> {
        let shared = self.shared.clone();
        let video = &shared.video;
        self.release_held(&mut shared.state());
        let mut state = shared.drained()?;
        let failed = |what: &str, error: Errno| {
            Error::OperationFailed(format!("setting up the device: {what}: {error}"))
        };
        self.configured = None;
        self.scratch.clear();
        video.stream_off(abi::OUTPUT).map_err(|error| failed("stopping", error))?;
        video.stream_off(abi::CAPTURE).map_err(|error| failed("stopping", error))?;
        video
            .request_buffers(abi::CAPTURE, abi::MEMORY_DMABUF, 0)
            .map_err(|error| failed("freeing frames", error))?;

        let room = state.free.iter().map(Slot::room).min().unwrap_or(0);
        let bytes = room.max(coded_bytes).max(geometry.coded_bytes() as usize) as u32;
        let mut negotiated = negotiate(video, self.codec, geometry, bytes, stream);
        let wanted = negotiated.as_ref().map_or(u32::MAX, |n| n.output.plane_fmt[0].sizeimage);
        if room < wanted.max(bytes) as usize {
            // The buffers for coded data are too small now, or in the way of a new format.
            state.free.clear();
            video
                .request_buffers(abi::OUTPUT, abi::MEMORY_MMAP, 0)
                .map_err(|error| failed("freeing coded data", error))?;
            negotiated = negotiate(video, self.codec, geometry, bytes, stream);
        }
        let negotiated = negotiated?;
        if negotiated.geometry != *geometry {
            return Err(other_layout(geometry, &negotiated.geometry));
        }
        if state.free.is_empty() {
            state.free = request::make(video, &shared.media, &negotiated.output, bytes)
                .map_err(|error| failed("making room for coded data", error))?;
        }
        let captures = video
            .request_buffers(abi::CAPTURE, abi::MEMORY_DMABUF, CAPTURES)
            .map_err(|error| failed("asking for frames in dma-bufs", error))?;
        video.stream_on(abi::OUTPUT).map_err(|error| failed("starting", error))?;
        video.stream_on(abi::CAPTURE).map_err(|error| failed("starting", error))?;
        log::debug!(
            "{}: {}x{} {:?}, {} slots of {bytes} bytes, {} frames",
            self.codec,
            geometry.width,
            geometry.height,
            geometry.format,
            state.free.len(),
            captures.count
        );
        self.configured = Some(Configured {
            geometry: *geometry,
            output: negotiated.output,
            indices: Indices::new(captures.count),
            stray: false,
        });
        Ok(())
    }

    /// A first field whose second has not come by now has none.
    fn release_held(&self, state: &mut State) {
        if state.pictures.held() {
            match self.shared.video.flush() {
                Ok(()) => state.pictures.let_go(),
                Err(error) => log::debug!("letting go of a field: {error}"),
            }
        }
    }

    /// An empty slot with room for the coded data, as soon as there is one.
    fn slot(&mut self, bytes: usize) -> Result<Slot> {
        let shared = self.shared.clone();
        let (mut state, slot) = shared.wait(shared.state(), |state| state.free.pop())?;
        if slot.room() >= bytes {
            return Ok(slot);
        }
        // Larger buffers for all: the sizes of pictures do not shrink again. The CAPTURE queue is not
        // touched.
        state.free.push(slot);
        drop(state);
        self.release_held(&mut shared.state());
        let mut state = shared.drained()?;
        let failed = |error: Errno| {
            Error::Decoding(format!("making room for {bytes} bytes of coded data: {error}"))
        };
        let configured = self.configured.as_ref().ok_or_else(|| failed(Errno::EINVAL))?;
        let larger = u32::try_from(bytes + bytes / 2).map_err(|_| failed(Errno::E2BIG))?;
        log::debug!("{}: buffers of {larger} bytes for coded data", self.codec);
        shared.video.stream_off(abi::OUTPUT).map_err(failed)?;
        state.free.clear();
        let made = shared
            .video
            .request_buffers(abi::OUTPUT, abi::MEMORY_MMAP, 0)
            .and_then(|_| request::make(&shared.video, &shared.media, &configured.output, larger))
            .and_then(|slots| shared.video.stream_on(abi::OUTPUT).map(|()| slots));
        match made {
            Ok(slots) => state.free = slots,
            Err(error) => {
                // From scratch, with the next picture.
                self.configured = None;
                return Err(failed(error));
            }
        }
        state.free.pop().ok_or_else(|| failed(Errno::ENOMEM))
    }

    /// Fills a slot; gives it back to the free ones if that fails.
    fn fill(&self, mut slot: Slot, request: &mut Request, hold: bool) -> Result<Slot> {
        let Request { timestamp, controls, data, .. } = request;
        let shared = &self.shared;
        match slot.fill(&shared.video, &self.supported, controls, data, *timestamp, hold) {
            Ok(()) => Ok(slot),
            Err(error) => {
                self.give_back(slot);
                Err(Error::Decoding(format!("the device refuses the picture: {error}")))
            }
        }
    }

    fn give_back(&self, mut slot: Slot) {
        match slot.clear(&self.shared.media) {
            Ok(()) => self.shared.state().free.push(slot),
            // One less.
            Err(error) => log::debug!("a request is lost: {error}"),
        }
    }

    /// Hands a filled request to the device, with a frame unless that is there already for the first
    /// field.
    fn queue(
        &mut self,
        slot: Slot,
        frame: &Frame,
        timestamp: u64,
        hold: bool,
        done: &mut Option<Done>,
    ) -> Result<()> {
        let shared = self.shared.clone();
        frame.memory.wait_for_readers();
        let queued = self.queue_locked(&shared, &slot, frame, timestamp);
        let (mut state, capture) = match queued {
            Ok(queued) => queued,
            Err(error) => {
                self.give_back(slot);
                return Err(error);
            }
        };
        state.queued.push(slot);
        if state.over {
            return Err(closed());
        }
        if let Some(done) = done.take() {
            match capture {
                None => state.pictures.second_field(hold, done),
                Some(index) => {
                    let memory = frame.memory.clone();
                    state.pictures.submitted(timestamp, index, memory, hold, done);
                }
            }
        }
        drop(state);
        shared.submitted();
        Ok(())
    }

    /// The device's part of [`Submitter::queue`]: with what it left locked, the index of the CAPTURE buffer
    /// that it queued.
    fn queue_locked<'a>(
        &mut self,
        shared: &'a Shared,
        slot: &Slot,
        frame: &Frame,
        timestamp: u64,
    ) -> Result<(MutexGuard<'a, State>, Option<u32>)> {
        let refused = |error| Error::Decoding(format!("the device refuses the request: {error}"));
        let mut state = shared.state();
        if state.pictures.completes(timestamp) {
            slot.queue().map_err(refused)?;
            return Ok((state, None));
        }
        // The device would let go by itself when it comes to this picture, but not while this waits for
        // the frame that it holds.
        self.release_held(&mut state);
        let configured = self
            .configured
            .as_mut()
            .ok_or_else(|| Error::Decoding("the device is not set up".into()))?;
        if configured.stray {
            drop(state);
            state = shared.drained()?;
            shared
                .video
                .stream_off(abi::CAPTURE)
                .and_then(|()| shared.video.stream_on(abi::CAPTURE))
                .map_err(|error| Error::Decoding(format!("emptying a queue: {error}")))?;
            configured.stray = false;
        }
        let dma_buf = frame
            .memory
            .dma_buf()
            .ok_or_else(|| Error::Decoding("the surface is in plain memory".into()))?;
        let (state, index) = shared.wait(state, |state| {
            let busy = |index| state.pictures.busy(index);
            configured.indices.assign(&frame.memory, busy)
        })?;
        let buffer =
            Queued { kind: abi::CAPTURE, index, flags: 0, bytes: 0, timestamp: timeval(0) };
        let length = frame.memory.length() as u32;
        shared.video.queue_capture(&buffer, dma_buf, length).map_err(|error| {
            Error::Decoding(format!("the device refuses the surface's memory: {error}"))
        })?;
        if let Err(error) = slot.queue() {
            // CAPTURE buffers are used in the order that they were queued in: the next picture would go
            // to this one's surface.
            configured.stray = true;
            return Err(refused(error));
        }
        Ok((state, Some(index)))
    }

    fn warn_of_grain(&mut self, controls: &Controls) {
        let Controls::Av1(controls) = controls else { return };
        let grain = controls.film_grain.flags & av1::film_grain_flag::APPLY_GRAIN != 0;
        if grain && !self.warned_of_grain && !self.supported.has(av1::CID_FILM_GRAIN) {
            self.warned_of_grain = true;
            log::warn!("the kernel device does not apply film grain: pictures go without");
        }
    }
}

fn other_layout(ours: &Geometry, device: &Geometry) -> Error {
    Error::OperationFailed(format!(
        "the device's frames of {}x{} have pitch {} and chroma at {}, the surface's {} and {}",
        ours.width, ours.height, device.pitch, device.chroma, ours.pitch, ours.chroma
    ))
}
