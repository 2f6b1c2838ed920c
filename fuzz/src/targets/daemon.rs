//! A daemon that is told anything, with a module that is this page.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use daedalus_daemon::{
    device::{Device, Status},
    pump::Pump,
};
use daedalus_engine as engine;
use daedalus_uapi::{Codec, protocol::Message};
use nix::sys::{
    eventfd::EventFd,
    memfd::{MFdFlags, memfd_create},
};

use crate::{input::Input, messages};

const MOST_MESSAGES: u64 = 48;

/// Longer than any picture takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of every dma-buf; what needs more does not fit.
const BUFFER_SIZE: i64 = 1 << 20;

/// The module.
struct Module {
    state: Mutex<State>,
    answered: Condvar,
    /// Always readable.
    there: EventFd,
    stop: EventFd,
}

struct State {
    messages: VecDeque<Vec<u8>>,
    /// Before the daemon is stopped, every request must be answered.
    patient: bool,
    /// How many requests of a number were sent, and how many answers came.
    requests: HashMap<u64, (u32, u32)>,
    /// What sessions decode, and so requests.
    sessions: HashMap<u64, Codec>,
    codecs: HashMap<u64, Codec>,
    /// What there was a picture of, whole.
    decoded: HashSet<Codec>,
}

impl Module {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Module {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.there.as_fd()
    }

    fn read(&self, to: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let Some(message) = state.messages.pop_front() else {
            let waits = |state: &mut State| {
                state.patient && state.requests.values().any(|(sent, answered)| answered < sent)
            };
            let _state = self.answered.wait_while(state, waits);
            self.stop.write(1)?;
            return Err(io::ErrorKind::WouldBlock.into());
        };
        match Message::read(&message) {
            Ok(Message::Open { session, codec, .. }) => {
                state.sessions.insert(session, codec);
            }
            Ok(Message::Decode(request)) => {
                state.requests.entry(request.cookie).or_default().0 += 1;
                if let Some(codec) = state.sessions.get(&request.session).copied() {
                    state.codecs.insert(request.cookie, codec);
                }
            }
            _ => {}
        }
        to[..message.len()].copy_from_slice(&message);
        Ok(message.len())
    }

    fn get_buffer(&self, _session: u64, cookie: u64, index: u32) -> io::Result<OwnedFd> {
        assert!(self.state().requests.contains_key(&cookie), "a buffer of no request: {cookie}");
        if index > 1 {
            return Err(io::ErrorKind::NotFound.into());
        }
        let memory = memfd_create(c"dma-buf", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&memory, BUFFER_SIZE)?;
        Ok(memory)
    }

    fn complete(&self, _session: u64, cookie: u64, status: Status) -> io::Result<()> {
        let mut state = self.state();
        state.requests.entry(cookie).or_default().1 += 1;
        let codec = state.codecs.get(&cookie).copied().filter(|_| status == Status::Ok);
        state.decoded.extend(codec);
        self.answered.notify_all();
        Ok(())
    }
}

/// Whether to wait for the answers, then messages.
pub fn run(bytes: &[u8]) {
    decoded(bytes);
}

/// Runs an input; the codecs of which its clients got a picture, whole.
pub fn decoded(bytes: &[u8]) -> HashSet<Codec> {
    let mut input = Input::new(bytes);
    let patient = input.u8() & 1 != 0;
    let mut messages = VecDeque::new();
    for number in 1..=MOST_MESSAGES {
        if input.is_empty() {
            break;
        }
        let message = messages::read(&mut input, number);
        // A message of nothing would be the end of the device.
        if !message.is_empty() {
            messages.push_back(message);
        }
    }
    let longest = messages.iter().map(Vec::len).max().unwrap_or_default();
    let state = State {
        messages,
        patient,
        requests: HashMap::new(),
        sessions: HashMap::new(),
        codecs: HashMap::new(),
        decoded: HashSet::new(),
    };
    let module = Arc::new(Module {
        state: Mutex::new(state),
        answered: Condvar::new(),
        there: EventFd::from_value(1).expect("an eventfd"),
        stop: EventFd::new().expect("an eventfd"),
    });
    let options = engine::Options { threads: 2, ..engine::Options::default() };
    let pump = Pump::new(module.clone(), longest.max(1 << 10), options, None).expect("a daemon");
    pump.run(module.stop.as_fd()).expect("nothing that a client says ends the daemon");
    // A session that was at a large picture may outlive it.
    let _ = module.answered.wait_timeout_while(module.state(), PATIENCE, |state| {
        state.requests.values().any(|(sent, answered)| sent != answered)
    });
    let mut state = module.state();
    for (cookie, (sent, answered)) in &state.requests {
        assert_eq!(sent, answered, "answers to request {cookie}");
    }
    mem::take(&mut state.decoded)
}
