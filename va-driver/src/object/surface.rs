//! Surfaces: frames that pictures are decoded into, and what is known about their content.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use libva_sys as va;

use super::stream::{Place, Stream};
use crate::{
    convert::{Format, Layout},
    error::{Error, Result},
    memory::Block,
};

/// The format of surfaces for `VA_RT_FORMAT_*` bits, the deeper one if several are set.
pub(crate) fn format_of(rt_format: u32) -> Option<Format> {
    if rt_format & va::VA_RT_FORMAT_YUV420_10 != 0 {
        Some(Format::P010)
    } else if rt_format & va::VA_RT_FORMAT_YUV420 != 0 {
        Some(Format::Nv12)
    } else {
        None
    }
}

/// The size in samples that a surface's memory has room for: whole macroblocks.
pub(crate) fn coded_size(layout: &Layout) -> (u32, u32) {
    (layout.width.next_multiple_of(16), layout.height.next_multiple_of(16))
}

/// A surface: one linear frame for life.
pub(crate) struct Surface {
    pub id: va::VASurfaceID,
    /// NV12 or P010, the size that was asked for, and where the planes lie.
    pub layout: Layout,
    /// Size of the memory in samples: whole macroblocks, so that decoded pictures fit uncropped, unless
    /// somebody else's memory is smaller.
    pub coded_width: u32,
    pub coded_height: u32,
    memory: Arc<Block>,
    state: Mutex<State>,
    changed: Condvar,
    unpacked: Mutex<Unpacked>,
}

/// A picture that has been decoded but is not in its surface's memory yet. Those who only download pictures
/// need it nowhere but in their image.
pub(crate) trait Picture: Send {
    /// In luma samples.
    fn size(&self) -> (u32, u32);

    /// Writes its upper left part, as large as the layout, which is NV12 or P010.
    fn pack(&self, layout: &Layout, memory: &mut [u8]) -> Result<()>;
}

struct Unpacked {
    picture: Option<Kept>,
    /// Somebody has the memory and looks at it without asking: it must have each picture at once.
    watched: bool,
}

/// A picture, and its place among those that its stream may have unpacked.
struct Kept {
    picture: Box<dyn Picture>,
    _place: Place,
}

struct State {
    /// The process whose threads answer what is under way.
    owner: u32,
    /// Requests under way that write this surface.
    pending: u32,
    /// How many pictures for this surface have ended and not been submitted: those that their stream
    /// keeps back until something follows. Two when a client that needs no pixels of the first reuses the
    /// surface for the second.
    kept: u32,
    /// The context that is between Begin and End with this target.
    building: Option<va::VAContextID>,
    /// What became of the last picture.
    outcome: Result<()>,
    /// Counts the pictures that were submitted. Answers for earlier ones say nothing about the last.
    number: u64,
    /// The request that was submitted last is a field, and the next one belongs to the same frame.
    holds: bool,
    /// What the device session calls the last request that writes this surface.
    request: u64,
    /// The stream of the last picture: keeps its decoder alive for later pictures that refer to it.
    stream: Option<Arc<Stream>>,
}

impl State {
    /// In a child of a fork nobody answers what was under way at the fork, or kept back: the parent's threads are not
    /// there. It counts as answered, and lost.
    fn adopt(&mut self) {
        let here = std::process::id();
        if self.owner == here {
            return;
        }
        self.owner = here;
        if self.pending > 0 || self.kept > 0 {
            (self.pending, self.kept) = (0, 0);
            self.outcome = Err(Error::Decoding("the picture is another process'".into()));
        }
    }
}

impl Surface {
    /// A surface in `memory`, which must have room for the layout.
    pub fn new(layout: Layout, memory: Block) -> Surface {
        // Somebody else's memory need not have room for whole macroblocks: the picture is cut off then.
        let (width, height) = coded_size(&layout);
        let whole = Layout { width, height, ..layout };
        let apart = layout.planes[0].pitch.checked_mul(height as usize);
        let apart = apart.and_then(|bytes| bytes.checked_add(layout.planes[0].offset));
        let fits = apart.is_some_and(|end| end <= layout.planes[1].offset)
            && whole.check_memory(memory.length()).is_ok();
        let watched = memory.is_given();
        let (coded_width, coded_height) =
            if fits { (width, height) } else { (layout.width, layout.height) };
        Surface {
            id: va::VA_INVALID_ID,
            layout,
            coded_width,
            coded_height,
            memory: Arc::new(memory),
            state: Mutex::new(State {
                owner: std::process::id(),
                pending: 0,
                kept: 0,
                building: None,
                outcome: Ok(()),
                number: 0,
                holds: false,
                request: 0,
                stream: None,
            }),
            changed: Condvar::new(),
            unpacked: Mutex::new(Unpacked { picture: None, watched }),
        }
    }

    /// The same surface under the id that its table gives it.
    pub fn with_id(self, id: va::VASurfaceID) -> Surface {
        Surface { id, ..self }
    }

    /// The memory with the surface's picture in it, as far as that is decoded.
    pub fn memory(&self) -> &Arc<Block> {
        let mut unpacked = self.unpacked();
        // Others wait until it is there.
        if let Some(Kept { picture, .. }) = unpacked.picture.take() {
            self.pack(&*picture);
        }
        drop(unpacked);
        &self.memory
    }

    /// The memory for somebody who will look at it without asking from now on.
    pub fn watched_memory(&self) -> &Arc<Block> {
        self.unpacked().watched = true;
        self.was_seen();
        self.memory()
    }

    /// The memory for whoever decodes.
    pub fn target(&self) -> &Arc<Block> {
        &self.memory
    }

    fn pack(&self, picture: &dyn Picture) {
        let layout = Layout { width: self.coded_width, height: self.coded_height, ..self.layout };
        match self.memory.write(|memory| picture.pack(&layout, memory)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => log::error!("surface {:#x}: {error}", self.id),
        }
    }

    fn unpacked(&self) -> MutexGuard<'_, Unpacked> {
        self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next picture may stay unpacked: its stream's are downloaded, and nobody looks.
    pub fn defers(&self) -> bool {
        let downloaded = self.state().stream.as_ref().is_some_and(|stream| stream.downloaded());
        downloaded && !self.unpacked().watched
    }

    /// Takes the surface's picture to pack it when it is asked for; gives it back if it has to be packed
    /// now.
    pub fn keep<P: Picture + 'static>(&self, picture: P) -> std::result::Result<(), P> {
        let Some(place) = self.stream().and_then(|stream| stream.place()) else {
            return Err(picture);
        };
        let mut unpacked = self.unpacked();
        if unpacked.watched {
            return Err(picture);
        }
        // What was there before is nobody's any more.
        let before = unpacked.picture.replace(Kept { picture: Box::new(picture), _place: place });
        drop(unpacked);
        drop(before);
        Ok(())
    }

    /// Something else is about to be written to the memory, all of it.
    pub fn overwritten(&self) {
        let before = self.unpacked().picture.take();
        drop(before);
    }

    /// Writes the upper left part of the picture elsewhere, if it is not packed yet and covers the layout.
    /// False if that has to come from the memory. The picture is locked before memory, as everywhere.
    pub fn download(&self, layout: &Layout, to: &Block) -> Result<bool> {
        let unpacked = self.unpacked();
        let Some(Kept { picture, .. }) = &unpacked.picture else { return Ok(false) };
        let (width, height) = picture.size();
        if width < layout.width || height < layout.height || layout.format != self.layout.format {
            return Ok(false);
        }
        to.write(|memory| picture.pack(layout, memory))?.map(|()| true)
    }

    /// The client has downloaded the picture, whole.
    pub fn was_downloaded(&self) {
        if let Some(stream) = self.stream() {
            stream.set_downloaded(true);
        }
    }

    /// The client has looked at the surface in another way.
    pub fn was_seen(&self) {
        if let Some(stream) = self.stream() {
            stream.set_downloaded(false);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.adopt();
        state
    }

    /// vaBeginPicture: `context` starts a picture for this surface. Fails while another context is
    /// between Begin and End with it.
    pub fn begin(&self, context: va::VAContextID) -> Result<()> {
        let mut state = self.state();
        if state.building.is_some_and(|other| other != context) {
            return Err(Error::SurfaceBusy);
        }
        state.building = Some(context);
        Ok(())
    }

    /// The picture of `context` is complete, and belongs to `stream` from now on.
    pub fn ended(&self, stream: &Arc<Stream>) {
        let mut state = self.state();
        state.building = None;
        if state.pending == 0 && state.kept == 0 {
            state.outcome = Ok(());
        }
        state.kept += 1;
        // The stream that was there may end with this, and wait for answers that need the lock.
        let before = state.stream.replace(stream.clone());
        drop(state);
        drop(before);
    }

    /// The picture that ended cannot be submitted after all.
    pub fn refused(&self, error: Error) {
        let mut state = self.state();
        state.kept = state.kept.saturating_sub(1);
        drop(state);
        self.abandoned(error);
    }

    /// The picture that was begun will never be: the surface's content is undefined.
    pub fn abandoned(&self, error: Error) {
        let mut state = self.state();
        state.building = None;
        state.outcome = Err(error);
        state.holds = false;
        self.changed.notify_all();
    }

    /// A request that writes this surface is on its way, a field of a frame whose other one follows if it
    /// `holds`. Returns the number of its picture, for [`Surface::completed`].
    pub fn submitted(&self, stream: &Arc<Stream>, holds: bool) -> u64 {
        let mut state = self.state();
        if !state.holds {
            state.number += 1;
            state.outcome = Ok(());
        }
        state.holds = holds;
        let number = state.number;
        // Zero if this is the other surface of a picture with film grain.
        state.kept = state.kept.saturating_sub(1);
        state.pending += 1;
        let before = state.stream.replace(stream.clone());
        drop(state);
        drop(before);
        number
    }

    /// What the device session calls the request that was submitted last.
    pub fn named(&self, request: u64) {
        self.state().request = request;
    }

    /// A request that writes this surface was answered, for the picture of this number.
    pub fn completed(&self, number: u64, answer: Result<()>) {
        let mut state = self.state();
        state.pending = state.pending.saturating_sub(1);
        if answer.is_err() && number == state.number {
            state.outcome = answer;
        }
        self.changed.notify_all();
    }

    /// The client put other content in place of the picture.
    pub fn replaced(&self) {
        self.state().outcome = Ok(());
    }

    /// The stream of the surface's last picture.
    pub fn stream(&self) -> Option<Arc<Stream>> {
        self.state().stream.clone()
    }

    /// Whether a wait would be short: `SurfaceBusy` while requests are under way. Releases a picture
    /// that is kept back, since whoever asks wants it.
    pub fn is_ready(&self) -> bool {
        self.release();
        let state = self.state();
        let ready = state.pending == 0;
        if !ready {
            Self::last(state, Stream::expect);
        }
        ready
    }

    /// What became of the last picture.
    pub fn outcome(&self) -> Result<()> {
        self.state().outcome.clone()
    }

    /// Waits until the surface holds its picture, `None` for as long as it takes. `Decoding` if the
    /// picture is damaged or missing, `TimedOut` when the time is over. An idle surface is ready at once.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        self.release();
        // A timeout beyond what an Instant can express is no timeout.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        if state.pending > 0 {
            // How long decoding takes nobody knows: who has a deadline leaves it to others.
            Self::last(state, if deadline.is_none() { Stream::help } else { Stream::expect });
            state = self.state();
        }
        while state.pending > 0 {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Error::TimedOut);
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.outcome.clone()
    }

    /// Waits, no matter whether the picture is damaged.
    pub fn settle(&self) {
        // The outcome is the business of whoever asks for it with vaSyncSurface.
        let _ = self.wait(None);
    }

    /// Tells the stream something about the request that is under way.
    fn last(state: MutexGuard<'_, State>, tell: fn(&Stream, u64)) {
        let (stream, request) = (state.stream.clone(), state.request);
        drop(state);
        if let Some(stream) = stream {
            tell(&stream, request);
        }
    }

    /// Somebody needs the pixels: a picture that is kept back goes to the decoder now.
    fn release(&self) {
        let stream = {
            let state = self.state();
            if state.kept > 0 { state.stream.clone() } else { None }
        };
        if let Some(stream) = stream {
            stream.commit();
        }
    }
}
