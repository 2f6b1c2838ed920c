//! Packing: from the decoder's pictures into the targets, while the next ones are being decoded.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use daedalus_uapi::Codec;

use super::{Answer, Reply};
use crate::{
    Error, Result, Target,
    decode::{Decoded, Output},
    frame::{Picture, Planar, PlanarView},
    pack::{check, pack},
};

/// Finished pictures that may wait to be packed. Each keeps a frame of the decoder's from being used again.
const BACKLOG: usize = 2;

/// Where a picture goes, and who is told.
pub(super) struct Destination {
    pub target: Option<Arc<dyn Target>>,
    pub ungrained: Option<Arc<dyn Target>>,
    /// One, or two for a field pair that was sent as one packet.
    pub replies: Vec<Reply>,
    /// Rows that are in `target` already, an even number or all.
    pub rows: usize,
    /// The other field may follow, in the same frame of the decoder's.
    pub field: bool,
}

impl Destination {
    /// Packs rows of the picture, from `top` on, while it is being decoded.
    pub(super) fn show(&mut self, top: usize, view: &PlanarView<'_>) {
        let Some(target) = self.target.as_ref().filter(|_| top == self.rows) else { return };
        if target.defers() && !self.field {
            return;
        }
        // If this fails, so does packing the rest.
        if fill(view, top, target).is_ok() {
            self.rows += view.height;
        }
    }
}

type Finished = (Output, Destination);

/// The worker's end.
pub(super) struct Packer {
    codec: Codec,
    queue: mpsc::SyncSender<Finished>,
    waiting: Arc<AtomicUsize>,
}

/// The packing thread's end.
pub(super) struct Packing {
    codec: Codec,
    queue: mpsc::Receiver<Finished>,
    waiting: Arc<AtomicUsize>,
}

impl Packer {
    pub(super) fn new(codec: Codec) -> (Packer, Packing) {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = mpsc::sync_channel(BACKLOG);
        let packing = Packing { codec, queue: receiver, waiting: waiting.clone() };
        (Packer { codec, queue: sender, waiting }, packing)
    }

    /// Nothing that was to be packed is still to be, so that nobody else writes into a target.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Packs and answers after all that came before. With `here`, by the caller if that is possible: for
    /// one who has nothing else to do, waking another thread is a detour.
    pub(super) fn pack(&self, output: Output, destination: Destination, here: bool) {
        if here && self.is_idle() {
            return finish(self.codec, output, destination);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // A packing thread that died drops its receiver, and so do we with what it should have packed.
        let _ = self.queue.send((output, destination));
    }
}

impl Packing {
    /// Packs until the worker is gone and everything is answered.
    pub(super) fn run(self) {
        for (output, destination) in &self.queue {
            finish(self.codec, output, destination);
            self.waiting.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Writes a picture into the targets that asked for it, and answers.
fn finish(codec: Codec, output: Output, destination: Destination) {
    let answer = output.picture.and_then(|decoded| fill_all(codec, decoded, &destination));
    if let Err(error) = &answer {
        log::debug!("picture {}: {error}", output.id);
    }
    for reply in destination.replies {
        reply.answer(answer.clone());
    }
}

fn fill_all(codec: Codec, decoded: Decoded, destination: &Destination) -> Answer {
    let Decoded { planar, grained, damage } = decoded;
    // Of two targets each gets its picture.
    let (shown, ungrained) = match grained {
        Some(grained) => (grained, Some(planar)),
        None => (planar, None),
    };
    if let Some(target) = &destination.ungrained {
        fill(&ungrained.as_ref().unwrap_or(&shown).view(), 0, target)?;
    }
    if let Some(target) = &destination.target {
        // Where damage was concealed, rows have changed since.
        let rows = if damage.is_none() { destination.rows } else { 0 };
        let left = if rows == 0 && !destination.field { keep(shown, target)? } else { Some(shown) };
        if let Some(picture) = left {
            let view = picture.view();
            if rows < view.height {
                fill(&view.below(rows), rows, target)?;
            }
        }
    }
    match damage {
        None => Ok(()),
        Some(what) => Err(Error::Damaged { codec, what }),
    }
}

/// Gives a picture to a target that packs it by itself; gives it back if the target does not.
fn keep(planar: Box<dyn Planar>, target: &Arc<dyn Target>) -> Result<Option<Box<dyn Planar>>> {
    if !target.defers() {
        return Ok(Some(planar));
    }
    check(&planar.view(), &target.layout())?;
    Ok(target.keep(Picture::new(planar)).err().map(Picture::into_planar))
}

fn fill(view: &PlanarView<'_>, top: usize, target: &Arc<dyn Target>) -> Result<()> {
    let mut packed = Ok(());
    target.fill(&mut |memory| packed = pack(view, top, &target.layout(), memory));
    packed
}
