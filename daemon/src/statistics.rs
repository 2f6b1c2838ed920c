//! What the daemon knows of its sessions. Counting a picture takes a look at the clock and a few additions, under a
//! lock of its session's that nobody holds for longer than it takes to add these up.

mod window;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use daedalus_uapi::{
    Codec,
    control::{self, Pictures, Total, codec_name},
    protocol::{Frame, FrameFormat},
};

use window::Window;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The picture is there.
    Done,
    /// It is there, with wrong parts.
    Damaged,
    /// There is none.
    Failed,
    /// The client had taken the request back.
    Cancelled,
}

/// Of all sessions there are and have been.
#[derive(Debug)]
pub struct Statistics {
    clock: Clock,
    /// Those there are.
    sessions: Mutex<BTreeMap<u64, Arc<SessionStatistics>>>,
    codecs: [Arc<CodecStatistics>; CODECS.len()],
}

/// All codecs, in the order of [`Statistics::codec`].
pub const CODECS: [Codec; 3] = [Codec::H264, Codec::Vp9, Codec::Av1];

/// Of all sessions of a codec.
#[derive(Debug, Default)]
pub struct CodecStatistics {
    /// How many there have been.
    sessions: AtomicU64,
    outcomes: Outcomes,
    /// Microseconds in which there was something to decode.
    busy: AtomicU64,
}

impl CodecStatistics {
    /// How many sessions there have been.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Relaxed)
    }

    /// What became of requests.
    pub fn pictures(&self) -> Pictures {
        self.outcomes.read()
    }

    /// In how much time there was something to decode, added up over all sessions.
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy.load(Relaxed))
    }
}

/// Of one session.
#[derive(Debug)]
pub struct SessionStatistics {
    number: u64,
    codec: Codec,
    uid: u32,
    pid: u32,
    clock: Clock,
    /// When it began, in microseconds.
    began: u64,
    progress: Mutex<Progress>,
    all: Arc<CodecStatistics>,
}

/// How far a session is. Times are in microseconds.
#[derive(Debug, Default)]
struct Progress {
    /// Of the frames: width, height, depth.
    frame: (u32, u32, u32),
    pictures: Pictures,
    /// Requests that are not answered.
    queue: u64,
    /// Since when there have been some.
    since: u64,
    /// When the last answer of a decoder was given.
    answered: u64,
    window: Window,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub struct Taken(u64);

#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    /// Microseconds since the daemon started.
    fn now(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Statistics {
            clock: Clock(Instant::now()),
            sessions: Mutex::default(),
            codecs: Default::default(),
        }
    }
}

impl Statistics {
    /// How long there has been something to count.
    pub fn uptime(&self) -> Duration {
        self.clock.0.elapsed()
    }

    /// A session begins.
    pub fn open(&self, number: u64, codec: Codec, uid: u32, pid: u32) -> Arc<SessionStatistics> {
        let all = self.codec(codec).clone();
        all.sessions.fetch_add(1, Relaxed);
        let began = self.clock.now();
        let session = Arc::new(SessionStatistics {
            number,
            codec,
            uid,
            pid,
            clock: self.clock,
            began,
            progress: Mutex::new(Progress { answered: began, ..Progress::default() }),
            all,
        });
        self.lock().insert(number, session.clone());
        session
    }

    /// A session ends.
    pub fn close(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// One of those there are.
    pub fn session(&self, number: u64) -> Option<Arc<SessionStatistics>> {
        self.lock().get(&number).cloned()
    }

    /// Those there are, by number.
    pub fn sessions(&self) -> Vec<Arc<SessionStatistics>> {
        self.lock().values().cloned().collect()
    }

    /// All sessions of a codec.
    pub fn codec(&self, codec: Codec) -> &Arc<CodecStatistics> {
        &self.codecs[match codec {
            Codec::H264 => 0,
            Codec::Vp9 => 1,
            Codec::Av1 => 2,
        }]
    }

    /// All sessions.
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        for codec in &self.codecs {
            total.sessions += codec.sessions();
            let Pictures { done, damaged, failed, cancelled } = codec.pictures();
            total.pictures.done += done;
            total.pictures.damaged += damaged;
            total.pictures.failed += failed;
            total.pictures.cancelled += cancelled;
        }
        total
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<SessionStatistics>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStatistics {
    /// The module's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it decodes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The client's user.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// A request was read.
    pub fn take(&self, frame: Option<&Frame>) -> Taken {
        let now = self.clock.now();
        self.progress().take(frame, now);
        Taken(now)
    }

    /// A request is answered by the decoder, whose answers come one after the other.
    pub fn answer(&self, taken: Taken, outcome: Outcome) {
        let now = self.clock.now();
        self.all.outcomes.count(outcome);
        let busy = self.progress().answer(taken, outcome, now);
        self.all.busy.fetch_add(busy, Relaxed);
    }

    /// A request that no decoder has seen is answered.
    pub fn refuse(&self, taken: Taken) {
        let now = self.clock.now();
        self.all.outcomes.count(Outcome::Failed);
        self.progress().refuse(taken, now);
    }

    /// All that is known, as the control socket tells it.
    pub fn read(&self) -> control::Session {
        self.read_at(self.clock.now())
    }

    fn read_at(&self, now: u64) -> control::Session {
        let Progress { frame, pictures, queue, since, answered, ref window } = *self.progress();
        let lately = window.read(now, self.began);
        // What is being decoded counts before it is answered: it may never be.
        let under_way = if queue > 0 { now.saturating_sub(since.max(answered)) } else { 0 };
        let milliseconds = |microseconds: f64| microseconds / 1e3;
        let mean = |sum: u64| milliseconds(sum as f64 / lately.count.max(1) as f64);
        control::Session {
            id: self.number,
            pid: self.pid,
            uid: self.uid,
            codec: codec_name(self.codec).to_owned(),
            width: frame.0,
            height: frame.1,
            depth: frame.2,
            age_s: now.saturating_sub(self.began) as f64 / 1e6,
            pictures,
            queue,
            fps: lately.count as f64 / lately.seconds,
            decode_ms: mean(lately.busy),
            decode_max_ms: milliseconds(lately.longest_busy as f64),
            latency_ms: mean(lately.latency),
            latency_max_ms: milliseconds(lately.longest_latency as f64),
            busy: ((lately.busy + under_way) as f64 / 1e6 / lately.seconds).min(1.0),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn take(&mut self, frame: Option<&Frame>, now: u64) {
        if let Some(frame) = frame {
            let depth = match frame.format {
                FrameFormat::Nv12 => 8,
                FrameFormat::P010 => 10,
            };
            self.frame = (frame.width, frame.height, depth);
        }
        if self.queue == 0 {
            self.since = now;
        }
        self.queue += 1;
    }

    /// Returns how long there was something to decode for it.
    fn answer(&mut self, taken: Taken, outcome: Outcome, now: u64) -> u64 {
        let busy = now.saturating_sub(taken.0.max(self.answered));
        self.answered = self.answered.max(now);
        self.end(taken, outcome, now, busy);
        busy
    }

    fn refuse(&mut self, taken: Taken, now: u64) {
        self.end(taken, Outcome::Failed, now, 0);
    }

    fn end(&mut self, taken: Taken, outcome: Outcome, now: u64, busy: u64) {
        let Pictures { done, damaged, failed, cancelled } = &mut self.pictures;
        *match outcome {
            Outcome::Done => done,
            Outcome::Damaged => damaged,
            Outcome::Failed => failed,
            Outcome::Cancelled => cancelled,
        } += 1;
        self.queue = self.queue.saturating_sub(1);
        self.window.add(now, busy, now.saturating_sub(taken.0));
    }
}

/// Counted by several sessions' threads.
#[derive(Debug, Default)]
struct Outcomes([AtomicU64; 4]);

impl Outcomes {
    fn count(&self, outcome: Outcome) {
        self.0[outcome as usize].fetch_add(1, Relaxed);
    }

    fn read(&self) -> Pictures {
        let count = |outcome: Outcome| self.0[outcome as usize].load(Relaxed);
        Pictures {
            done: count(Outcome::Done),
            damaged: count(Outcome::Damaged),
            failed: count(Outcome::Failed),
            cancelled: count(Outcome::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::protocol::Plane;

    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_session_that_is_stuck_is_busy() {
        let statistics = Statistics::default();
        let session = statistics.open(1, Codec::Vp9, 0, 0);
        let began = session.began;
        let busy = |seconds: u64| session.read_at(began + seconds * SECOND).busy;
        assert_eq!(busy(10), 0.0);
        session.progress().take(None, began + 10 * SECOND);
        // It was there half of the time, all of it, and all of it long since.
        let first = Taken(began + 10 * SECOND);
        assert!((0.3..0.7).contains(&busy(12)), "{}", busy(12));
        assert_eq!((busy(16), busy(1000)), (1.0, 1.0));
        // Another does not begin it anew, and one that is refused does not end it.
        session.progress().take(None, began + 1000 * SECOND);
        session.progress().refuse(Taken(began + 1000 * SECOND), began + 1000 * SECOND);
        assert_eq!(busy(1001), 1.0);
        let all = session.progress().answer(first, Outcome::Done, began + 1001 * SECOND);
        assert_eq!((all, session.read().queue), (991 * SECOND, 0));
        assert_eq!(busy(1010), 0.0);
    }

    #[test]
    fn a_session_tells_what_it_is_and_what_became_of_its_requests() {
        let statistics = Statistics::default();
        let session = statistics.open(7, Codec::Av1, 1000, 42);
        assert_eq!((session.read().width, session.read().fps), (0, 0.0));
        let plane = Plane { buffer: 0, offset: 0, pitch: 16384 };
        let frame = Frame {
            format: FrameFormat::P010,
            width: 16384,
            height: 8192,
            buffers: vec![1],
            planes: [plane; 2],
        };
        let taken = [(); 5].map(|()| session.take(Some(&frame)));
        for (taken, outcome) in taken.into_iter().zip([
            Outcome::Done,
            Outcome::Done,
            Outcome::Damaged,
            Outcome::Cancelled,
        ]) {
            session.answer(taken, outcome);
        }
        session.refuse(session.take(None));
        let read = session.read();
        assert_eq!((read.id, read.uid, read.pid, &*read.codec), (7, 1000, 42, "av1"));
        assert_eq!((read.width, read.height, read.depth), (16384, 8192, 10));
        assert_eq!(read.pictures, Pictures { done: 2, damaged: 1, failed: 1, cancelled: 1 });
        assert_eq!(read.queue, 1);
        assert!(read.fps > 0.0 && read.latency_max_ms >= read.latency_ms, "{read:?}");
        assert_eq!(statistics.sessions().len(), 1);
        statistics.close(7);
        assert!(statistics.sessions().is_empty() && statistics.session(7).is_none());
        // What it has done counts on.
        assert_eq!(statistics.total(), Total { sessions: 1, pictures: read.pictures });
    }

    #[test]
    fn waiting_for_its_turn_is_not_decoding() {
        let statistics = Statistics::default();
        let session = statistics.open(1, Codec::Vp9, 0, 0);
        let taken = [session.take(None), session.take(None)];
        std::thread::sleep(Duration::from_millis(20));
        session.answer(taken[0], Outcome::Done);
        session.answer(taken[1], Outcome::Done);
        let read = session.read();
        // The second one was there all the time, and was answered right after the first.
        assert!(read.latency_ms > 19.0, "{read:?}");
        assert!(read.decode_ms < read.latency_ms && read.decode_max_ms > 19.0, "{read:?}");
    }
}
