//! What the daemon knows of its sessions. Counting a picture takes a few atomic additions and a look at the
//! clock; no lock is taken for it.

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
    /// Width, height (28 bits each), depth.
    frame: AtomicU64,
    taken: AtomicU64,
    outcomes: Outcomes,
    /// When the last answer was given.
    answered: AtomicU64,
    window: Window,
    all: Arc<CodecStatistics>,
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
            frame: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            outcomes: Outcomes::default(),
            answered: AtomicU64::new(began),
            window: Window::default(),
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
        if let Some(frame) = frame {
            let depth = match frame.format {
                FrameFormat::Nv12 => 8,
                FrameFormat::P010 => 10,
            };
            let size = u64::from(frame.width) << 36 | u64::from(frame.height) << 8;
            self.frame.store(size | depth, Relaxed);
        }
        self.taken.fetch_add(1, Relaxed);
        Taken(self.clock.now())
    }

    /// A request is answered. The answers of a session come one after the other.
    pub fn answer(&self, taken: Taken, outcome: Outcome) {
        let now = self.clock.now();
        self.outcomes.count(outcome);
        self.all.outcomes.count(outcome);
        let busy = now.saturating_sub(taken.0.max(self.answered.swap(now, Relaxed)));
        self.all.busy.fetch_add(busy, Relaxed);
        self.window.add(now, busy, now.saturating_sub(taken.0));
    }

    /// A request that cannot be read is answered.
    pub fn refuse(&self, taken: Taken) {
        let now = self.clock.now();
        self.outcomes.count(Outcome::Failed);
        self.all.outcomes.count(Outcome::Failed);
        self.window.add(now, 0, now.saturating_sub(taken.0));
    }

    /// All that is known, as the control socket tells it.
    pub fn read(&self) -> control::Session {
        let now = self.clock.now();
        let pictures = self.outcomes.read();
        let Pictures { done, damaged, failed, cancelled } = pictures;
        let lately = self.window.read(now, self.began);
        let frame = self.frame.load(Relaxed);
        let milliseconds = |microseconds: f64| microseconds / 1e3;
        let mean = |sum: u64| milliseconds(sum as f64 / lately.count.max(1) as f64);
        control::Session {
            id: self.number,
            pid: self.pid,
            uid: self.uid,
            codec: codec_name(self.codec).to_owned(),
            width: (frame >> 36) as u32,
            height: (frame >> 8) as u32 & 0xfff_ffff,
            depth: frame as u32 & 0xff,
            age_s: now.saturating_sub(self.began) as f64 / 1e6,
            pictures,
            queue: self.taken.load(Relaxed).saturating_sub(done + damaged + failed + cancelled),
            fps: lately.count as f64 / lately.seconds,
            decode_ms: mean(lately.busy),
            decode_max_ms: milliseconds(lately.longest_busy as f64),
            latency_ms: mean(lately.latency),
            latency_max_ms: milliseconds(lately.longest_latency as f64),
            busy: (lately.busy as f64 / 1e6 / lately.seconds).min(1.0),
        }
    }
}

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

/// The last seconds, a slot for each. One thread writes at a time, any may read; who reads a slot that is being
/// begun anew sees parts of two seconds.
#[derive(Debug, Default)]
struct Window([Slot; SLOTS]);

/// Seconds that are looked at, the one that has just begun included.
const SECONDS: u64 = 5;

/// More, so that what is read is not what is written next.
const SLOTS: usize = 8;

/// Times are in microseconds.
#[derive(Debug, Default)]
struct Slot {
    second: AtomicU64,
    count: AtomicU64,
    busy: AtomicU64,
    longest_busy: AtomicU64,
    latency: AtomicU64,
    longest_latency: AtomicU64,
}

#[derive(Debug, Default, PartialEq)]
struct Lately {
    seconds: f64,
    count: u64,
    busy: u64,
    longest_busy: u64,
    latency: u64,
    longest_latency: u64,
}

impl Window {
    fn add(&self, now: u64, busy: u64, latency: u64) {
        let second = now / 1_000_000;
        let slot = &self.0[second as usize % SLOTS];
        if slot.second.swap(second, Relaxed) != second {
            let Slot { second: _, count, busy, longest_busy, latency, longest_latency } = slot;
            for number in [count, busy, longest_busy, latency, longest_latency] {
                number.store(0, Relaxed);
            }
        }
        slot.count.fetch_add(1, Relaxed);
        slot.busy.fetch_add(busy, Relaxed);
        slot.longest_busy.fetch_max(busy, Relaxed);
        slot.latency.fetch_add(latency, Relaxed);
        slot.longest_latency.fetch_max(latency, Relaxed);
    }

    fn read(&self, now: u64, began: u64) -> Lately {
        let second = now / 1_000_000;
        let first = (second + 1).saturating_sub(SECONDS);
        let span = now.saturating_sub(began.max(first * 1_000_000));
        // What has only just begun has no rate that would mean something.
        let mut lately = Lately { seconds: (span as f64 / 1e6).max(0.1), ..Lately::default() };
        for slot in &self.0 {
            if !(first..=second).contains(&slot.second.load(Relaxed)) {
                continue;
            }
            lately.count += slot.count.load(Relaxed);
            lately.busy += slot.busy.load(Relaxed);
            lately.latency += slot.latency.load(Relaxed);
            lately.longest_busy = lately.longest_busy.max(slot.longest_busy.load(Relaxed));
            lately.longest_latency = lately.longest_latency.max(slot.longest_latency.load(Relaxed));
        }
        lately
    }
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::protocol::Plane;

    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_window_has_the_last_seconds_and_no_more() {
        let window = Window::default();
        // 20 ms in each of ten seconds, and once 40 ms.
        for second in 0..10 {
            window.add(second * SECOND + 1, 20_000, 30_000);
        }
        window.add(7 * SECOND, 40_000, 50_000);
        let lately = window.read(9 * SECOND + SECOND / 2, 0);
        let expected = Lately {
            seconds: 4.5,
            count: 6,
            busy: 5 * 20_000 + 40_000,
            longest_busy: 40_000,
            latency: 5 * 30_000 + 50_000,
            longest_latency: 50_000,
        };
        assert_eq!(lately, expected);
        // All of that is over.
        assert_eq!(window.read(20 * SECOND, 0).count, 0);
        // A session that is not as old as the window.
        assert_eq!(window.read(9 * SECOND + SECOND / 2, 8 * SECOND).seconds, 1.5);
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
