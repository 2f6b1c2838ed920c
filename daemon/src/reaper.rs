//! Where sessions end. One that is told to end is first through with the picture that it is at, which may take long:
//! nobody waits for that, but it counts as its user's until then.

use std::{
    mem, thread,
    time::{Duration, Instant},
};

use daedalus_engine as engine;

/// Sessions that are told to end, until they have.
#[derive(Default)]
pub struct Reaper(Vec<Ending>);

struct Ending {
    uid: u32,
    session: engine::Session,
}

impl Reaper {
    /// Ends a session of a user; returns at once.
    pub fn take(&mut self, uid: u32, session: engine::Session) {
        session.stop();
        self.0.push(Ending { uid, session });
    }

    /// Forgets those that have ended.
    pub fn sweep(&mut self) {
        self.0.retain(|ending| !ending.session.has_ended());
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of a user are left.
    pub fn count(&self, uid: u32) -> usize {
        self.0.iter().filter(|ending| ending.uid == uid).count()
    }

    /// Waits until all sessions have ended, at most `patience`. False if some have not, which the end of the process
    /// takes along.
    pub fn finish(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            self.sweep();
            if self.is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                // Dropping one would wait for it.
                self.0.drain(..).for_each(|ending| mem::forget(ending.session));
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
