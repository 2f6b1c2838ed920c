//! Who runs the worker: its own thread, or the client's, where that would only wait for it.
//!
//! A client that waits for each picture pays for two wake-ups, the worker's when it submits and its own when the
//! picture is there, each of them a tenth of a millisecond or more in a virtual machine, and for a processor whose
//! caches know nothing of it. Once it has shown that this is its way, the worker lies ready for it to run. The worker's
//! own thread looks after it from time to time, and takes it back when anything else happens.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use super::{
    Ticket,
    manner::Manner,
    worker::{Message, Worker},
};
use crate::host_thread;

/// How long a request lies there if nobody waits for it after all: at most twice this. Tests have more time to see it.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10 });

/// Looks without a new request until the client counts as idle. Pictures that come at longer intervals than that would
/// cost more looks than they save wake-ups.
const IDLE_LOOKS: u32 = 2;

/// The C library's number for a thread.
type ThreadNumber = usize;

fn here() -> ThreadNumber {
    // SAFETY: the call has no conditions. (`thread::current` would allocate in the host's thread.)
    unsafe { libc::pthread_self() as ThreadNumber }
}

/// The worker's place, and what is known of the client.
pub(super) struct Handover {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Lies here for whoever comes first, a client that waits or its own thread.
    worker: Option<Box<Worker>>,
    /// The request that has come since then.
    request: Option<(Ticket, Message)>,
    /// How many have come so.
    requests: u64,
    /// Its own thread has to take it, as soon as it is here.
    recalled: bool,
    /// The thread that runs it instead of its own.
    runner: Option<ThreadNumber>,
    /// It was lost on the way: there was a panic.
    lost: bool,
    /// The session ends.
    closed: bool,
    manner: Manner,
}

impl State {
    /// The client may run the worker for the next request, too.
    fn may_stay(&mut self) -> bool {
        let free =
            self.worker.as_mut().is_some_and(|worker| !worker.has_more() && worker.is_free());
        free && !self.closed && self.manner.waits_only()
    }

    /// The worker with what is there for it.
    fn take(&mut self) -> Option<Box<Worker>> {
        let mut worker = self.worker.take()?;
        if let Some((_, message)) = self.request.take() {
            worker.put(message);
        }
        Some(worker)
    }
}

impl Handover {
    pub(super) fn new() -> Handover {
        let state = State {
            worker: None,
            request: None,
            requests: 0,
            recalled: false,
            runner: None,
            lost: false,
            closed: false,
            manner: Manner::new(),
        };
        Handover { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request: for the client to decode if that is its way, else for the worker's queue.
    pub(super) fn submit(&self, ticket: Ticket, message: Message, queue: &mpsc::Sender<Message>) {
        let field = matches!(&message, Message::Decode { request, .. } if request.hold_capture);
        let mut state = self.state();
        state.manner.submits(ticket, field);
        let lies_here = state.worker.is_some() && !state.recalled;
        if lies_here && state.request.is_none() && state.manner.waits_only() {
            state.request = Some((ticket, message));
            state.requests += 1;
            return;
        }
        if lies_here {
            self.recall(&mut state);
        }
        // With the lock, so that nothing overtakes it.
        let refused = queue.send(message);
        drop(state);
        // A worker that died has dropped its receiver: dropping the reply answers it.
        drop(refused);
    }

    /// Somebody waits for the answer of this request, and has other things to do than to decode.
    pub(super) fn expect(&self, ticket: Ticket) {
        let mut state = self.state();
        if !state.recalled && state.request.as_ref().is_some_and(|(at, _)| *at <= ticket) {
            state.manner.changes();
            self.recall(&mut state);
        }
    }

    /// Somebody has nothing to do until this request is answered. If it lies here, it is decoded on this thread. False if
    /// that is left to the worker's own.
    pub(super) fn help(&self, ticket: Ticket) -> bool {
        let mut state = self.state();
        state.manner.waits(ticket);
        let Some((at, _)) = state.request.as_ref().filter(|_| !state.recalled) else {
            return false;
        };
        if *at > ticket || !state.manner.has_room() {
            self.recall(&mut state);
            return false;
        }
        let Some(worker) = state.take() else { return false };
        state.runner = Some(here());
        drop(state);
        host_thread::to_the_end(|| self.run(worker, ticket));
        true
    }

    fn run(&self, mut worker: Box<Worker>, ticket: Ticket) {
        let served = catch_unwind(AssertUnwindSafe(|| worker.serve(ticket)));
        let worker = match served {
            Ok(()) => Some(worker),
            Err(_) => {
                // Without the lock: that answers its requests.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(worker)));
                None
            }
        };
        let mut state = self.state();
        state.runner = None;
        state.lost = worker.is_none();
        state.worker = worker;
        if !state.may_stay() {
            self.recall(&mut state);
        }
    }

    fn recall(&self, state: &mut State) {
        state.recalled = true;
        self.changed.notify_all();
    }

    /// Gives the worker back to its own thread for good.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.recall(&mut state);
    }

    /// Whether this thread runs the worker instead of its own.
    pub(super) fn is_run_here(&self) -> bool {
        self.state().runner == Some(here())
    }

    /// Whether the client would run a worker that has nothing to do.
    pub(super) fn is_wanted(&self) -> bool {
        self.state().manner.waits_only()
    }

    /// A request lies here, and its own thread does not know it.
    #[cfg(test)]
    pub(super) fn has_request(&self) -> bool {
        let state = self.state();
        !state.recalled && state.request.is_some()
    }

    /// Leaves the worker, which has nothing to do, to the client; waits until it is needed here. `None` if it does not
    /// come back.
    pub(super) fn leave(&self, mut worker: Box<Worker>) -> Option<Box<Worker>> {
        let mut state = self.state();
        // Requests come with the lock.
        if state.closed || worker.has_more() {
            return Some(worker);
        }
        state.recalled = false;
        state.worker = Some(worker);
        let (mut requests, mut looks) = (state.requests, 0);
        loop {
            let woken = self.changed.wait_timeout(state, LOOK);
            let (now, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if state.lost {
                return None;
            }
            if !state.recalled && timeout.timed_out() {
                let same = state.requests == requests && state.runner.is_none();
                looks = if same { looks + 1 } else { 0 };
                requests = state.requests;
                if looks == IDLE_LOOKS || looks > 0 && state.request.is_some() {
                    state.manner.changes();
                    state.recalled = true;
                }
            }
            if state.recalled {
                if let Some(worker) = state.take() {
                    return Some(worker);
                }
            }
        }
    }
}
