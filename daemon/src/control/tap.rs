//! Requests of sessions for those who want to see them: queues of lines that lose what does not fit, since
//! who reads them may be slow and decoding must not wait.

use std::{
    collections::VecDeque,
    fmt, io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use daedalus_uapi::{
    DecodeRequest,
    control::{End, Lost},
    record::Record,
};
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::Serialize;

/// Bytes that wait in one queue.
const MOST_BYTES: usize = 1 << 20;

/// All queues.
pub struct Taps {
    /// How many there are: mostly none, and that costs a load.
    count: AtomicUsize,
    taps: Mutex<Vec<Arc<Tap>>>,
    /// Readable when there is something in a queue that was empty.
    wake: EventFd,
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taps").field("count", &self.count).finish_non_exhaustive()
    }
}

/// One reader's queue.
#[derive(Debug)]
pub(super) struct Tap {
    session: u64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Each with its line feed.
    lines: VecDeque<String>,
    bytes: usize,
    lost: u64,
    ended: bool,
}

/// What a reader gets next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, with its line feed.
    Line(String),
    /// Nothing for now.
    Nothing,
    /// Nothing ever.
    End,
}

impl Taps {
    /// No queue yet.
    pub fn new() -> io::Result<Arc<Taps>> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Arc::new(Taps { count: AtomicUsize::new(0), taps: Mutex::default(), wake }))
    }

    /// A queue for the requests of a session from now on, until it is given to [`Self::remove`].
    pub(super) fn add(&self, session: u64) -> Arc<Tap> {
        let tap = Arc::new(Tap { session, queue: Mutex::default() });
        let mut taps = self.lock();
        taps.push(tap.clone());
        self.count.store(taps.len(), Ordering::Relaxed);
        tap
    }

    pub(super) fn remove(&self, tap: &Arc<Tap>) {
        let mut taps = self.lock();
        taps.retain(|other| !Arc::ptr_eq(other, tap));
        self.count.store(taps.len(), Ordering::Relaxed);
    }

    /// A request of a session is about to be decoded.
    pub fn request<T>(&self, session: u64, request: &DecodeRequest<T>) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut line = None;
        let mut woken = false;
        for tap in self.lock().iter().filter(|tap| tap.session == session) {
            let mut queue = tap.queue();
            if queue.bytes >= MOST_BYTES {
                queue.lost += 1;
                continue;
            }
            let line = line.get_or_insert_with(|| Record::of(session, request).to_json());
            woken |= queue.push(line);
        }
        if woken {
            self.wake();
        }
    }

    /// A session ends.
    pub fn end(&self, session: u64) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for tap in self.lock().iter().filter(|tap| tap.session == session) {
            tap.queue().ended = true;
        }
        self.wake();
    }

    /// Has whoever polls [`Self::wake_fd`] look.
    pub(super) fn wake(&self) {
        // It can only fail when it is readable already.
        let _ = self.wake.write(1);
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Makes [`Self::wake_fd`] unreadable again.
    pub(super) fn awake(&self) {
        let _ = self.wake.read();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Tap>>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// Takes the next line out.
    pub fn next(&self) -> Next {
        let mut queue = self.queue();
        if let Some(line) = queue.lines.pop_front() {
            queue.bytes -= line.len();
            return Next::Line(line);
        }
        match (std::mem::take(&mut queue.lost), queue.ended) {
            (0, false) => Next::Nothing,
            (0, true) => Next::End,
            (lost, _) => Next::Line(json(&Lost { lost })),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Adds a line. Whether the queue was empty.
    fn push(&mut self, line: &str) -> bool {
        let was_empty = self.lines.is_empty();
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.add(json(&Lost { lost }));
        }
        self.add(format!("{line}\n"));
        was_empty
    }

    fn add(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }
}

/// The last line of a dump.
pub(super) fn end(why: &str) -> String {
    json(&End { end: why.to_owned() })
}

/// A line. What is written here has nothing that JSON could not say.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::{Controls, FromZeros, vp9};

    use super::*;

    fn request(timestamp: u64) -> DecodeRequest<()> {
        DecodeRequest {
            timestamp,
            controls: Controls::Vp9(Box::new(vp9::Controls::new_zeroed())),
            data: vec![0; 5],
            hold_capture: false,
            target: Some(()),
            ungrained: None,
        }
    }

    fn line(tap: &Tap) -> String {
        match tap.next() {
            Next::Line(line) => line.strip_suffix('\n').unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reader_gets_the_requests_of_its_session_and_the_end() {
        let taps = Taps::new().unwrap();
        taps.request(1, &request(1000));
        let tap = taps.add(1);
        assert_eq!(tap.next(), Next::Nothing);
        taps.request(2, &request(2000));
        taps.request(1, &request(3000));
        let record = Record::from_json(&line(&tap)).unwrap();
        assert_eq!((record.session, record.timestamp, record.bytes), (1, 3000, 5));
        assert_eq!(tap.next(), Next::Nothing);
        taps.end(2);
        assert_eq!(tap.next(), Next::Nothing);
        taps.end(1);
        assert_eq!(tap.next(), Next::End);
        taps.remove(&tap);
        assert!(taps.lock().is_empty());
    }

    #[test]
    fn who_is_too_slow_loses_lines_and_is_told_how_many() {
        let taps = Taps::new().unwrap();
        let tap = taps.add(1);
        let length = Record::of(1, &request(1000)).to_json().len() + 1;
        let kept = MOST_BYTES.div_ceil(length);
        for _ in 0..kept + 7 {
            taps.request(1, &request(1000));
        }
        assert!(tap.queue().bytes < MOST_BYTES + length);
        // Some are read, then there is room again.
        assert!((0..2).all(|_| line(&tap).contains("timestamp")));
        taps.request(1, &request(2000));
        let rest: Vec<String> = (0..kept).map(|_| line(&tap)).collect();
        assert_eq!(rest[kept - 2], r#"{"lost":7}"#);
        assert_eq!(Record::from_json(&rest[kept - 1]).unwrap().timestamp, 2000);
        assert_eq!((tap.next(), tap.queue().bytes), (Next::Nothing, 0));
    }

    #[test]
    fn what_is_lost_at_the_end_is_told_too() {
        let taps = Taps::new().unwrap();
        let tap = taps.add(1);
        while tap.queue().lost < 3 {
            taps.request(1, &request(1000));
        }
        taps.end(1);
        let mut last = String::new();
        while let Next::Line(line) = tap.next() {
            last = line;
        }
        assert_eq!(last, "{\"lost\":3}\n");
        assert_eq!(tap.next(), Next::End);
    }
}
