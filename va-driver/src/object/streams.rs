//! The streams of a driver instance, for when it ends.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
};

use super::stream::Stream;
use crate::error::Result;

/// What a stream has until it, and all that was its, has gone. (One whose last reference has been dropped may still be
/// ending on the thread that dropped it, which is one of its own if a late answer had that reference.)
#[derive(Default)]
pub(super) struct Presence(Arc<End>);

/// (A channel would allocate in the thread that waits, the host's, and until that ends.)
#[derive(Default)]
struct End {
    has_come: Mutex<bool>,
    changed: Condvar,
}

impl Drop for Presence {
    fn drop(&mut self) {
        *self.0.has_come.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// Contexts and surfaces keep the streams; this knows them.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<Known>>);

struct Known {
    stream: Weak<Stream>,
    end: Arc<End>,
    /// After a fork the child does not have the thread that may be ending a stream.
    owner: u32,
}

impl Known {
    /// No lock: a child of a fork asks, too.
    fn has_gone(&self) -> bool {
        Arc::strong_count(&self.end) == 1
    }

    fn close(self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.close();
        } else if self.owner == std::process::id() {
            let mut has_come = self.end.has_come.lock().unwrap_or_else(PoisonError::into_inner);
            while !*has_come {
                has_come = self.end.changed.wait(has_come).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Streams {
    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the stream that `new` makes.
    pub(super) fn open(
        &self,
        new: impl FnOnce(Presence) -> Result<Arc<Stream>>,
    ) -> Result<Arc<Stream>> {
        let presence = Presence::default();
        let end = presence.0.clone();
        let stream = new(presence)?;
        let mut known = self.known();
        known.retain(|known| !known.has_gone());
        let owner = std::process::id();
        known.push(Known { stream: Arc::downgrade(&stream), end, owner });
        Ok(stream)
    }

    /// Ends all streams, and waits for those that are ending.
    pub(super) fn close(&self) {
        let known = mem::take(&mut *self.known());
        known.into_iter().for_each(Known::close);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        thread,
        time::Duration,
    };

    use daedalus_uapi::Codec;
    use libva_sys as va;

    use super::*;
    use crate::{
        codec,
        device::{DeviceSession, Done, Request},
        object::table::Table,
        testing::holds_in_child,
    };

    /// A session that takes as long to end as the test wants.
    struct Slow {
        ending: Sender<()>,
        end: Mutex<Receiver<()>>,
        events: Sender<&'static str>,
    }

    impl DeviceSession for Slow {
        fn submit(&self, request: Request, done: Done) -> u64 {
            done.answer(Ok(()));
            request.timestamp
        }

        fn close(&self) {}
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.ending.send(());
            let _ = self.end.lock().unwrap().recv();
            let _ = self.events.send("ended");
        }
    }

    #[test]
    fn who_closes_waits_for_a_stream_that_another_thread_is_ending() {
        let streams = Streams::default();
        let ((ending, ends), (go, end), (events, saw)) = (channel(), channel(), channel());
        let end = Mutex::new(end);
        let stream = streams.open(|presence| {
            let session = Box::new(Slow { ending, end, events: events.clone() });
            let translator = codec::translator(va::VAProfileVP9Profile0).unwrap();
            let surfaces = Arc::new(Table::new(3));
            Ok(Arc::new(Stream::of(Codec::Vp9, translator, session, &surfaces, presence)))
        });
        let last = thread::spawn(move || drop(stream));
        ends.recv().unwrap();
        assert!(holds_in_child(|| {
            streams.close();
            true
        }));
        let closer = thread::spawn(move || {
            streams.close();
            events.send("closed").unwrap();
        });
        // It may have come to that by then; if not, the order is right all the same.
        thread::sleep(Duration::from_millis(50));
        go.send(()).unwrap();
        closer.join().unwrap();
        last.join().unwrap();
        assert_eq!(saw.iter().collect::<Vec<_>>(), ["ended", "closed"]);
    }
}
