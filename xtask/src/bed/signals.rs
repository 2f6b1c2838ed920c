//! Ctrl-C while something runs that does not get it from the terminal.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static ASKED: AtomicBool = AtomicBool::new(false);

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// While this lives, being asked to end is noted instead of done.
pub struct Watch {
    before: Vec<(Signal, SigAction)>,
}

extern "C" fn note(_: i32) {
    ASKED.store(true, Ordering::Relaxed);
}

impl Watch {
    /// Starts to listen.
    pub fn new() -> Self {
        let action =
            SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        let install = |signal: Signal| {
            // SAFETY: the handler stores to an atomic and does nothing else.
            let before = unsafe { sigaction(signal, &action) };
            before.ok().map(|before| (signal, before))
        };
        Self { before: SIGNALS.into_iter().filter_map(install).collect() }
    }

    /// Whether we have been asked to end, at any time: who is asked once should come to an end.
    pub fn asked(&self) -> bool {
        ASKED.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            // SAFETY: what was there before us.
            let _ = unsafe { sigaction(*signal, before) };
        }
    }
}
