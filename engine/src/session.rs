//! A session: one coded stream, one worker thread, requests answered in decode order.

use std::{
    collections::VecDeque,
    os::unix::thread::JoinHandleExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use daedalus_uapi::{Codec, DecodeRequest};
use nix::sys::signal::SigSet;

use crate::{
    Error, Result, Target,
    decode::{Decoded, Decoder, Output, av1::Av1Decoder, ffmpeg::FfmpegDecoder},
    frame::Planar,
    pack::pack,
    reconstruct::{self, Writer},
};

/// A request as the engine takes it.
pub type Request = DecodeRequest<Arc<dyn Target>>;

/// What a request ends with: `Ok` when its targets hold the picture. [`Error::Damaged`] means that they
/// hold a picture with concealed parts; with any other error they are as they were before.
pub type Answer = Result<()>;

/// Delivers the answer of one request, exactly once: dropping it unanswered delivers
/// [`Error::Abandoned`].
pub struct Reply(Option<Box<dyn FnOnce(Answer) + Send>>);

impl Reply {
    /// A reply that calls `deliver` from the session's worker thread. It must not block on the session.
    pub fn new(deliver: impl FnOnce(Answer) + Send + 'static) -> Self {
        Reply(Some(Box::new(deliver)))
    }

    fn answer(mut self, answer: Answer) {
        if let Some(deliver) = self.0.take() {
            deliver(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(deliver) = self.0.take() {
            deliver(Err(Error::Abandoned));
        }
    }
}

/// How a session decodes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decoder threads, at least 1.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { threads: 1 }
    }
}

/// How long a first field waits for its second field when nothing else is queued. Then its client may be
/// one that waits for the first before it sends the second. Long, since the other kind (GStreamer) sends both
/// and waits for the first alone before it looks at the frame: a busy machine must not come between.
const SECOND_FIELD_PATIENCE: Duration = Duration::from_millis(200);

/// One stream being decoded. Dropping it answers what is still queued with [`Error::Abandoned`] and
/// waits for the worker, at most for the picture that it is working on.
pub struct Session {
    codec: Codec,
    jobs: Option<mpsc::Sender<(Request, Reply)>>,
    closing: Arc<AtomicBool>,
    worker: Option<thread::JoinHandle<()>>,
    /// After a fork the child has no worker; it must not wait for one.
    owner: u32,
}

impl Session {
    /// Starts a session: a decoder and its worker thread. Fails if the decoder cannot be set up.
    pub fn new(codec: Codec, options: &Options) -> Result<Session> {
        let (writer, decoder): (Box<dyn Writer>, Box<dyn Decoder>) = match codec {
            Codec::H264 => (
                Box::new(reconstruct::h264::H264Writer::new()),
                Box::new(FfmpegDecoder::new(codec, options.threads)?),
            ),
            Codec::Vp9 => (
                Box::new(reconstruct::vp9::Vp9Writer::new()),
                Box::new(FfmpegDecoder::new(codec, options.threads)?),
            ),
            Codec::Av1 => (
                Box::new(reconstruct::av1::Av1Writer::new()),
                Box::new(Av1Decoder::new(options.threads)?),
            ),
        };
        Session::of(codec, writer, decoder)
    }

    fn of(codec: Codec, writer: Box<dyn Writer>, decoder: Box<dyn Decoder>) -> Result<Session> {
        let closing = Arc::new(AtomicBool::new(false));
        let (jobs, queue) = mpsc::channel();
        let worker = Worker {
            codec,
            writer,
            decoder,
            waiting: VecDeque::new(),
            packet: Vec::new(),
            held: None,
            last_id: 0,
            last_timestamp: 0,
            outputs: Vec::new(),
        };
        let worker = spawn(codec, {
            let closing = closing.clone();
            move || worker.run(&queue, &closing)
        })?;
        Ok(Session {
            codec,
            jobs: Some(jobs),
            closing,
            worker: Some(worker),
            owner: std::process::id(),
        })
    }

    /// The codec that this session decodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Queues a request; returns at once. The answer comes through `reply`, in the order of submission.
    pub fn submit(&self, request: Request, reply: Reply) {
        if request.controls.codec() != self.codec {
            let got = request.controls.codec();
            return reply.answer(Err(Error::WrongCodec { session: self.codec, got }));
        }
        if let Some(jobs) = &self.jobs {
            // A worker that died drops its receiver: the reply comes back in the error and is
            // answered by being dropped.
            let _ = jobs.send((request, reply));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            // The last answer may drop whoever owns the session, on the worker itself.
            // SAFETY: the call has no conditions. (`thread::current` would allocate in the host's thread.)
            let here = unsafe { libc::pthread_self() };
            if self.owner == std::process::id() && worker.as_pthread_t() != here {
                let _ = worker.join();
            }
        }
    }
}

/// Starts the worker with all signals blocked, so that the host program's handlers never run on it.
fn spawn(codec: Codec, body: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>> {
    let setup = |what: String| Error::Setup { codec, what };
    let before = SigSet::all()
        .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
        .map_err(|e| setup(format!("blocking signals: {e}")))?;
    let handle = thread::Builder::new().name(format!("daedalus {codec}")).spawn(body);
    let restored = before.thread_set_mask();
    let handle = handle.map_err(|e| setup(format!("starting its thread: {e}")))?;
    restored.map_err(|e| setup(format!("restoring signals: {e}")))?;
    Ok(handle)
}

/// A request that the decoder has, waiting for its picture.
struct Waiting {
    id: u64,
    target: Option<Arc<dyn Target>>,
    ungrained: Option<Arc<dyn Target>>,
    /// One, or two for a field pair that was sent as one packet.
    replies: Vec<Reply>,
}

/// The part of a session that lives on its thread.
struct Worker {
    codec: Codec,
    writer: Box<dyn Writer>,
    decoder: Box<dyn Decoder>,
    waiting: VecDeque<Waiting>,
    /// The bytes of the packet being assembled.
    packet: Vec<u8>,
    /// A first field whose second field is still to come (`hold_capture`).
    held: Option<Waiting>,
    /// The number of the picture that was taken last. Clients may give one timestamp to several.
    last_id: u64,
    last_timestamp: u64,
    outputs: Vec<Output>,
}

impl Worker {
    fn run(mut self, queue: &mpsc::Receiver<(Request, Reply)>, closing: &AtomicBool) {
        loop {
            let job = match queue.try_recv() {
                Ok(job) => job,
                Err(mpsc::TryRecvError::Disconnected) => return,
                Err(mpsc::TryRecvError::Empty) => {
                    // Nobody sends: whoever waits, waits for what is already here.
                    self.decoder.drain(&mut self.outputs);
                    self.deliver();
                    let next = match self.held {
                        Some(_) => queue.recv_timeout(SECOND_FIELD_PATIENCE),
                        None => queue.recv().map_err(mpsc::RecvTimeoutError::from),
                    };
                    match next {
                        Ok(job) => job,
                        Err(mpsc::RecvTimeoutError::Timeout) => {
                            self.send_packet();
                            continue;
                        }
                        Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            if closing.load(Ordering::Relaxed) {
                return;
            }
            self.decode(job.0, job.1);
        }
    }

    fn decode(&mut self, request: Request, reply: Reply) {
        let Request { timestamp, controls, data, hold_capture, target, ungrained } = request;
        let mut written = Vec::new();
        let step = match self.writer.write(timestamp, &controls, &data, &mut written) {
            Ok(step) => step,
            Err(error) => {
                self.send_packet();
                return reply.answer(Err(error));
            }
        };
        let same_frame = step.second_field && timestamp == self.last_timestamp;
        // A held first field goes out with its second field, or alone if something else follows.
        if !same_frame {
            self.send_packet();
            self.last_id += 1;
        }
        self.last_timestamp = timestamp;
        if step.reset {
            self.decoder.reset(&mut self.outputs);
            self.deliver();
        }
        self.packet.append(&mut written);
        match &mut self.held {
            Some(held) => {
                // The same frame; but the first field may have come without it.
                held.target = target.or(held.target.take());
                held.ungrained = ungrained.or(held.ungrained.take());
                held.replies.push(reply);
            }
            // A second field whose first field went out alone completes the same picture.
            None => {
                self.held =
                    Some(Waiting { id: self.last_id, target, ungrained, replies: vec![reply] });
            }
        }
        if !hold_capture {
            self.send_packet();
        }
    }

    fn send_packet(&mut self) {
        if let Some(waiting) = self.held.take() {
            let id = waiting.id;
            self.waiting.push_back(waiting);
            self.decoder.send(id, &self.packet, &mut self.outputs);
            self.packet.clear();
            self.deliver();
        }
    }

    /// Packs and answers what the decoder has finished.
    fn deliver(&mut self) {
        for output in self.outputs.drain(..) {
            let Some(at) = self.waiting.iter().position(|w| w.id == output.id) else {
                log::error!("{}: a picture that nobody asked for: {}", self.codec, output.id);
                continue;
            };
            let Some(waiting) = self.waiting.remove(at) else { continue };
            let answer = output.picture.and_then(|decoded| finish(self.codec, &decoded, &waiting));
            if let Err(error) = &answer {
                log::debug!("picture {}: {error}", waiting.id);
            }
            for reply in waiting.replies {
                reply.answer(answer.clone());
            }
        }
    }
}

/// Writes a picture into the targets that asked for it.
fn finish(codec: Codec, decoded: &Decoded, waiting: &Waiting) -> Answer {
    if let Some(target) = &waiting.target {
        fill(&**decoded.grained.as_ref().unwrap_or(&decoded.planar), target)?;
    }
    if let Some(target) = &waiting.ungrained {
        fill(&*decoded.planar, target)?;
    }
    match &decoded.damage {
        None => Ok(()),
        Some(what) => Err(Error::Damaged { codec, what: what.clone() }),
    }
}

fn fill(picture: &dyn Planar, target: &Arc<dyn Target>) -> Result<()> {
    let mut packed = Ok(());
    target.fill(&mut |memory| packed = pack(&picture.view(), &target.layout(), memory));
    packed
}

#[cfg(test)]
mod tests;
