//! Where sessions end. Dropping an `engine::Session` waits for the picture that its worker is at; the
//! others must not wait for that.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use daedalus_engine as engine;

/// Drops sessions, each in a thread of its own.
#[derive(Debug, Default)]
pub struct Reaper(Vec<JoinHandle<()>>);

impl Reaper {
    /// Ends a session that has a decoder; returns at once.
    pub fn take(&mut self, session: Option<engine::Session>) {
        let Some(session) = session else { return };
        self.0.retain(|thread| !thread.is_finished());
        let spawned =
            thread::Builder::new().name("daedalus end".into()).spawn(move || drop(session));
        match spawned {
            Ok(thread) => self.0.push(thread),
            // The session was dropped with the thread that could not be.
            Err(error) => log::warn!("starting a thread: {error}"),
        }
    }

    /// Waits until all sessions have ended, at most `patience`. False if some have not.
    pub fn finish(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            self.0.retain(|thread| !thread.is_finished());
            if self.0.is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
