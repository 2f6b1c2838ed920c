//! A session: one coded stream, requests answered in decode order.
//!
//! Three kinds of threads work for it: the `worker` writes the bitstream and feeds the decoder, the decoder
//! has threads of its own, and the `packer` brings finished pictures into their targets. A client's thread that
//! would wait for the worker may run it instead (`handover`).

mod allowance;
mod handover;
mod leaving;
mod manner;
mod packer;
mod room;
mod stack;
mod worker;

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use daedalus_uapi::{Codec, DecodeRequest};

pub use self::leaving::{is_session_thread, settle};
use self::{
    handover::Handover,
    packer::Packer,
    room::Room,
    worker::{Message, Worker},
};
use crate::{
    Error, Result, Target,
    decode::{Decoder, av1::Av1Decoder, ffmpeg::AdaptiveDecoder},
    host_thread,
    reconstruct::{self, Writer},
};

/// A request as the engine takes it.
pub type Request = DecodeRequest<Arc<dyn Target>>;

/// What a request ends with: `Ok` when its targets hold the picture. [`Error::Damaged`] means that they
/// hold a picture with concealed parts; with any other error they are as they were before.
pub type Answer = Result<()>;

/// Delivers the answer of one request, exactly once: dropping it unanswered delivers
/// [`Error::Abandoned`].
pub struct Reply {
    deliver: Option<Box<dyn FnOnce(Answer) + Send>>,
    /// The request's place in its session.
    place: Option<room::Place>,
}

impl Reply {
    /// A reply that calls `deliver` from a thread of the session, or one in [`Session::help`]. It must not block on the
    /// session.
    pub fn new(deliver: impl FnOnce(Answer) + Send + 'static) -> Self {
        Reply { deliver: Some(Box::new(deliver)), place: None }
    }

    fn answer(mut self, answer: Answer) {
        self.deliver(answer);
    }

    fn deliver(&mut self, answer: Answer) {
        if let Some(deliver) = self.deliver.take() {
            // The place is free before anybody can act on the answer.
            self.place = None;
            deliver(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.deliver(Err(Error::Abandoned));
    }
}

/// How a session decodes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decoder threads, at least 1.
    pub threads: usize,
    /// Requests that may be under way at once, at least 2: [`Session::submit`] waits while there are as
    /// many.
    pub depth: usize,
}

impl Options {
    /// More threads than this seldom make one stream faster, but take memory: each has a frame in work.
    pub const MOST_THREADS: usize = 16;
}

impl Default for Options {
    /// A thread for each processor that this process may use, and no limit to requests.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Options { threads: cores.min(Options::MOST_THREADS), depth: usize::MAX }
    }
}

/// Names a request of a session. Later requests have greater ones.
pub type Ticket = u64;

/// One stream being decoded. Dropping it answers what is still queued with [`Error::Abandoned`] and
/// waits for its threads, at most for the pictures that they are working on.
pub struct Session {
    codec: Codec,
    messages: Option<mpsc::Sender<Message>>,
    room: Arc<Room>,
    /// The worker's thread has it, too: in a child of a fork it is never dropped, with a decoder that would wait there for
    /// its threads.
    handover: Arc<Handover>,
    /// The ticket that was given out last.
    tickets: AtomicU64,
    /// The greatest ticket that somebody waits for.
    expected: AtomicU64,
    closing: Arc<AtomicBool>,
    /// Worker and packer, until the session is closed.
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// After a fork the child has no threads; it must not wait for them.
    owner: u32,
}

impl Session {
    /// Starts a session: a decoder and its threads. Fails if the decoder cannot be set up.
    pub fn new(codec: Codec, options: &Options) -> Result<Session> {
        let threads = options.threads.max(1);
        let decoder: Box<dyn Decoder> = match codec {
            Codec::H264 | Codec::Vp9 => Box::new(AdaptiveDecoder::new(codec, threads)?),
            Codec::Av1 => Box::new(Av1Decoder::new(threads)?),
        };
        Session::of(codec, reconstruct::writer(codec), decoder, options.depth)
    }

    fn of(
        codec: Codec,
        writer: Box<dyn Writer>,
        decoder: Box<dyn Decoder>,
        depth: usize,
    ) -> Result<Session> {
        let closing = Arc::new(AtomicBool::new(false));
        let (messages, queue) = mpsc::channel();
        let (packer, packing) = Packer::new(codec);
        let worker = Box::new(Worker::new(queue, writer, decoder, packer));
        let handover = Arc::new(Handover::new());
        let session = Session {
            codec,
            messages: Some(messages),
            room: Room::new(depth.max(2)),
            handover: handover.clone(),
            tickets: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            closing: closing.clone(),
            threads: Mutex::default(),
            owner: std::process::id(),
        };
        let thread = spawn(codec, "packing", move || packing.run())?;
        session.threads().push(thread);
        let thread = spawn(codec, "decoding", move || worker.run(&closing, &handover))?;
        session.threads().push(thread);
        Ok(session)
    }

    /// The codec that this session decodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Queues a request. Returns at once, or when there is room again if there are as many requests as
    /// [`Options::depth`] allows. The answer comes through `reply`, in the order of submission.
    pub fn submit(&self, request: Request, mut reply: Reply) -> Ticket {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        if request.controls.codec() != self.codec {
            let got = request.controls.codec();
            reply.answer(Err(Error::WrongCodec { session: self.codec, got }));
            return ticket;
        }
        if self.owner != std::process::id() {
            // Nobody decodes here: the threads stayed with the parent.
            return ticket;
        }
        reply.place = Some(self.room.take());
        if let Some(messages) = &self.messages {
            self.handover.submit(ticket, Message::Decode { ticket, request, reply }, messages);
        }
        ticket
    }

    /// Somebody waits for the answer of a request, so that it must come even if no other follows. Without
    /// this it comes a little later.
    pub fn expect(&self, ticket: Ticket) {
        if self.owner != std::process::id() {
            // Nobody may be there who has a lock.
            return;
        }
        // A client that asks again and again whether a picture is there fills no queue.
        if self.expected.fetch_max(ticket, Ordering::Relaxed) < ticket {
            if let Some(messages) = &self.messages {
                // A worker that died has answered everything.
                let _ = messages.send(Message::Expect(ticket));
            }
        }
        self.handover.expect(ticket);
    }

    /// The same, of a caller who has nothing to do until then: if nothing else is under way, and this is the client's
    /// way, the request is decoded on the caller's thread, which saves waking others. There need not be an answer yet when
    /// this returns. Signals are not blocked meanwhile; a cancellation of the thread waits.
    pub fn help(&self, ticket: Ticket) {
        if self.owner == std::process::id() && !self.handover.help(ticket) {
            self.expect(ticket);
        }
    }
}

impl Session {
    /// Ends the session although others still have it: answers what is queued, and whatever is submitted later,
    /// with [`Error::Abandoned`], and waits for the threads as dropping it does, and for one that is in
    /// [`Session::help`].
    pub fn close(&self) {
        if self.owner == std::process::id() {
            self.stop();
            self.join();
        }
    }

    /// Does the same without waiting: the threads answer and end when they are through with the pictures that
    /// they are working on.
    pub fn stop(&self) {
        if self.owner != std::process::id() {
            return;
        }
        self.closing.store(true, Ordering::Relaxed);
        if let Some(messages) = &self.messages {
            // A worker that died has gone already.
            let _ = messages.send(Message::Close);
        }
        self.handover.close();
    }

    /// Whether the threads have ended: everything is answered, the decoder is gone, and dropping the session waits
    /// for nobody.
    pub fn has_ended(&self) -> bool {
        self.threads().iter().all(thread::JoinHandle::is_finished)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<thread::JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self) {
        let threads = mem::take(&mut *self.threads());
        // The last answer may drop whoever owns the session, on one of its own threads or another session's: those end
        // by themselves.
        if is_session_thread() {
            leaving::add(threads);
            return;
        }
        if self.handover.is_run_here() {
            // They wait for this one, which may be about to wait for all that are leaving.
            return;
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if self.owner == std::process::id() {
            self.messages = None;
            self.handover.close();
            self.join();
        } else {
            // Its end would take a lock that the parent's worker may have had at the fork.
            mem::forget(self.messages.take());
            // Dropping them would detach whichever threads have their numbers in this process.
            let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
            mem::forget(mem::take(threads));
        }
    }
}

/// Starts a thread with signals blocked, so that the host program's handlers never run on it.
fn spawn(
    codec: Codec,
    what: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>> {
    let setup = |what: String| Error::Setup { codec, what };
    let body = move || {
        leaving::begin();
        body();
    };
    // At most 15 bytes of it are shown.
    let named = thread::Builder::new().name(format!("{codec} {what}"));
    host_thread::without_signals(|| named.spawn(body))
        .map_err(|e| setup(format!("blocking signals: {e}")))?
        .map_err(|e| setup(format!("starting its thread: {e}")))
}

#[cfg(test)]
mod tests;
