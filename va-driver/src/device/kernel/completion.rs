//! The receiving half of a session: a thread that waits for the device and answers.

use std::{
    mem,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{
        SigSet, SigmaskHow,
        Signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP},
    },
};

use super::{
    abi,
    health::Health,
    ioctl::{Media, Video, Wake},
    pictures::{Answered, Pictures},
    request::{Slot, nanoseconds},
};
use crate::{
    device::leaving,
    error::{Error, Result},
};

/// How long the device may take over a picture. One that takes longer is taken for dead: a client that
/// waits for a picture waits without a limit of its own.
const WATCHDOG: Duration = Duration::from_secs(20);

/// How long a submission waits for the device to give something back.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the submitter and the thread have in common.
pub(super) struct Shared {
    pub video: Video,
    pub media: Media,
    health: Arc<Health>,
    /// Interrupts the thread's waiting for the device.
    wake: Wake,
    state: Mutex<State>,
    /// Something was submitted or came back.
    changed: Condvar,
}

/// Where everything is.
#[derive(Default)]
pub(super) struct State {
    pub pictures: Pictures,
    /// Slots to be filled.
    pub free: Vec<Slot>,
    /// Slots whose requests the device has.
    pub queued: Vec<Slot>,
    /// Why the session is over, if it is.
    pub failed: Option<Error>,
    /// Why the device could not be set up for the last picture.
    pub unusable: Option<Error>,
    pub closing: bool,
    /// The thread has answered everything, and goes: nobody would answer what comes now.
    pub over: bool,
}

impl State {
    /// The device has buffers of ours.
    fn in_device(&self) -> bool {
        !self.queued.is_empty() || self.pictures.in_device()
    }
}

impl Shared {
    pub fn new(video: Video, media: Media, health: Arc<Health>) -> Result<Shared> {
        let wake =
            Wake::new().map_err(|error| Error::Allocation(format!("an event file: {error}")))?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        Ok(Shared { video, media, health, wake, state, changed })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread that there is something to wait for.
    pub fn submitted(&self) {
        self.changed.notify_all();
    }

    /// Tells the thread that there is something to answer, even while it waits for the device.
    pub fn refused(&self) {
        self.changed.notify_all();
        self.wake.raise();
    }

    /// Waits until `ready` finds what it looks for, but not for a device that gives nothing back.
    pub fn wait<'a, R>(
        &self,
        mut state: MutexGuard<'a, State>,
        mut ready: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<(MutexGuard<'a, State>, R)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if state.closing {
                return Err(closed());
            }
            if let Some(result) = ready(&mut state) {
                return Ok((state, result));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Decoding("the device gives nothing back".into()));
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the device has nothing of ours.
    pub fn drained(&self) -> Result<MutexGuard<'_, State>> {
        let (state, ()) = self.wait(self.state(), |state| (!state.in_device()).then_some(()))?;
        Ok(state)
    }

    /// Ends the session; the thread answers what is left, and goes.
    pub fn close(&self) {
        self.state().closing = true;
        self.refused();
    }

    /// What the thread does.
    fn run(&self) {
        // When the device has last given something, or got something to do.
        let mut heard = Instant::now();
        loop {
            let answers = {
                let mut state = self.state();
                loop {
                    let answers = state.pictures.finished();
                    if !answers.is_empty() || state.closing || state.in_device() {
                        break answers;
                    }
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    heard = Instant::now();
                }
            };
            // An answer may end the session, or wait for a lock: not with ours in hand.
            let answered = !answers.is_empty();
            deliver(answers);
            if self.state().closing {
                return self.finish();
            }
            if !answered {
                match self.receive(WATCHDOG.saturating_sub(heard.elapsed())) {
                    Ok(false) => {}
                    Ok(true) => heard = Instant::now(),
                    Err(error) => self.fail(error),
                }
            }
        }
    }

    /// Waits for the device, and takes what it has. False: nothing, but there may be other things to do. An
    /// error is one of the device.
    fn receive(&self, patience: Duration) -> Result<bool> {
        let wanted = PollFlags::POLLIN | PollFlags::POLLOUT;
        let mut fds = [
            PollFd::new(self.video.as_fd(), wanted),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO)) {
            Ok(0) => return Err(Error::Decoding("the device does not answer".into())),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(Error::Decoding(format!("waiting for the device: {error}"))),
        }
        let [video, wake] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        if !wake.is_empty() {
            self.wake.clear();
        }
        let mut state = self.state();
        let mut received = false;
        // After an error both are asked, for the reason.
        let broken =
            video.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
        if video.contains(PollFlags::POLLIN) || broken {
            received |= self.capture(&mut state)?;
        }
        if video.contains(PollFlags::POLLOUT) || broken {
            received |= self.output(&mut state)?;
        }
        drop(state);
        if received {
            self.changed.notify_all();
        } else if broken {
            return Err(Error::Decoding("the device reports an error".into()));
        }
        Ok(received)
    }

    /// Takes a picture back.
    fn capture(&self, state: &mut State) -> Result<bool> {
        let dequeued = self.video.dequeue(abi::CAPTURE, abi::MEMORY_DMABUF);
        let Some(buffer) = dequeued.map_err(|error| lost("a picture", error))? else {
            return Ok(false);
        };
        let answer = if buffer.flags & abi::BUF_FLAG_ERROR == 0 {
            Ok(())
        } else {
            Err(Error::Decoding("the device could not decode the picture, or not wholly".into()))
        };
        if !state.pictures.returned(buffer.index, answer) {
            log::error!("the device gave back buffer {}, which it did not have", buffer.index);
        }
        Ok(true)
    }

    /// Takes coded data back, which empties its slot.
    fn output(&self, state: &mut State) -> Result<bool> {
        let dequeued = self.video.dequeue(abi::OUTPUT, abi::MEMORY_MMAP);
        let Some(buffer) = dequeued.map_err(|error| lost("coded data", error))? else {
            return Ok(false);
        };
        if buffer.flags & abi::BUF_FLAG_ERROR != 0 {
            state.pictures.damaged(nanoseconds(buffer.timestamp));
        }
        let Some(at) = state.queued.iter().position(|slot| slot.index() == buffer.index) else {
            log::error!("the device gave back coded data {}, which it did not have", buffer.index);
            return Ok(true);
        };
        let mut slot = state.queued.swap_remove(at);
        slot.clear(&self.media).map_err(|error| lost("a request", error))?;
        state.free.push(slot);
        Ok(true)
    }

    /// The device is dead: whatever it has is answered now, and whatever will be submitted at once.
    fn fail(&self, error: Error) {
        log::warn!("the kernel device failed: {error}");
        self.health.failed();
        let mut state = self.state();
        state.pictures.fail(&error);
        state.queued.clear();
        state.failed = Some(error);
        let answers = state.pictures.finished();
        drop(state);
        self.changed.notify_all();
        deliver(answers);
        // Last, since a driver may wait for its hardware here.
        self.stop();
    }

    /// The session's end.
    fn finish(&self) {
        self.stop();
        let mut state = self.state();
        state.pictures.fail(&Error::Decoding("the session ended before the picture".into()));
        state.over = true;
        let answers = state.pictures.finished();
        drop(state);
        deliver(answers);
    }

    /// Takes all buffers from the device.
    fn stop(&self) {
        for kind in [abi::OUTPUT, abi::CAPTURE] {
            if let Err(error) = self.video.stream_off(kind) {
                log::debug!("stopping a queue: {error}");
            }
        }
    }
}

/// For what comes too late.
pub(super) fn closed() -> Error {
    Error::Decoding("the session is closed".into())
}

fn lost(what: &str, error: Errno) -> Error {
    Error::Decoding(format!("taking {what} back from the device: {error}"))
}

fn deliver(answers: Vec<Answered>) {
    for (done, answer) in answers {
        done.answer(answer);
    }
}

/// The thread, until the session closes.
pub(super) struct Receiver {
    handle: Mutex<Option<thread::JoinHandle<()>>>,
    /// After a fork the child has no thread; it must not wait for one.
    owner: u32,
}

impl Receiver {
    /// Starts it with signals blocked, so that the host program's handlers never run on it.
    pub fn start(shared: &Arc<Shared>) -> Result<Receiver> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::Allocation(format!("{what}: {error}"))
        };
        // But for those that the kernel sends it for what it does itself: a sandbox lives on SIGSYS.
        let mut blocked = SigSet::all();
        for own in [SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP] {
            blocked.remove(own);
        }
        let before = blocked
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(|error| failed("blocking signals", &error))?;
        let handle = thread::Builder::new().name("daedalus kernel".into()).spawn({
            let shared = shared.clone();
            move || {
                leaving::begin();
                shared.run();
            }
        });
        let restored = before.thread_set_mask();
        let handle = handle.map_err(|error| failed("starting a thread", &error))?;
        let receiver = Receiver { handle: Mutex::new(Some(handle)), owner: std::process::id() };
        if let Err(error) = restored {
            shared.close();
            return Err(failed("restoring signals", &error));
        }
        Ok(receiver)
    }

    /// This process has the thread.
    pub fn is_here(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Why there will be no more pictures, once that is so. A child of a fork is not told: the thread may have been
    /// at the state when it forked, and nobody would release the lock there.
    pub fn lost(&self, shared: &Shared) -> Option<String> {
        if !self.is_here() {
            return None;
        }
        let state = shared.state();
        let failed =
            state.failed.as_ref().map(|error| format!("the kernel device failed: {error}"));
        failed.or_else(|| state.unusable.as_ref().map(Error::to_string))
    }

    /// Waits for the thread to end, unless this is one that answers: the last answer may drop whoever owns a
    /// session.
    pub fn join(&self) {
        if !self.is_here() {
            return;
        }
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(handle) = handle else { return };
        if leaving::is_answering() {
            leaving::add(handle);
        } else {
            let _ = handle.join();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.is_here() {
            // Dropping it would detach whichever thread has its number in this process.
            let handle = self.handle.get_mut().unwrap_or_else(PoisonError::into_inner);
            mem::forget(handle.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::mpsc};

    use super::*;
    use crate::{device::kernel::discover::Node, testing::holds_in_child};

    #[test]
    fn a_child_of_a_fork_does_not_wait_for_the_thread_that_it_has_not() {
        let nowhere = Path::new("/dev/null");
        let (video, media) = (Video::open(nowhere).unwrap(), Media::open(nowhere).unwrap());
        let health = Arc::new(Health::of(Node::nowhere()));
        let shared = Arc::new(Shared::new(video, media, health).unwrap());
        let receiver = Receiver::start(&shared).unwrap();
        assert_eq!(receiver.lost(&shared), None);
        let mut state = shared.state();
        state.unusable = Some(Error::Decoding("no such frames".into()));
        // As if the thread were at it.
        assert!(holds_in_child(|| receiver.lost(&shared).is_none()));
        drop(state);
        assert_eq!(receiver.lost(&shared).unwrap(), "decoding error: no such frames");
        shared.close();
        receiver.join();
        // What is submitted after that has nobody who would answer it.
        assert!(shared.state().over);
        assert!(shared.wait(shared.state(), |_| Some(())).is_err());
    }

    #[test]
    fn a_thread_that_answers_leaves_waiting_for_others_to_who_ends() {
        let nowhere = Path::new("/dev/null");
        let (video, media) = (Video::open(nowhere).unwrap(), Media::open(nowhere).unwrap());
        let health = Arc::new(Health::of(Node::nowhere()));
        let shared = Arc::new(Shared::new(video, media, health).unwrap());
        let receiver = Receiver::start(&shared).unwrap();
        thread::spawn(move || {
            leaving::begin();
            // The thread has no reason to end, yet.
            receiver.join();
        })
        .join()
        .unwrap();
        assert!(!shared.state().over);
        shared.close();
        leaving::settle();
        assert!(shared.state().over);
    }

    #[test]
    fn a_child_of_a_fork_keeps_its_own_threads() {
        let nowhere = Path::new("/dev/null");
        let (video, media) = (Video::open(nowhere).unwrap(), Media::open(nowhere).unwrap());
        let health = Arc::new(Health::of(Node::nowhere()));
        let shared = Arc::new(Shared::new(video, media, health).unwrap());
        let receiver = Receiver::start(&shared).unwrap();
        let mut inherited = Some(Receiver {
            handle: Mutex::new(receiver.handle.lock().unwrap().take()),
            owner: receiver.owner,
        });
        let held = holds_in_child(|| {
            // glibc gives it the memory, and so the number, of a thread that stayed with the parent.
            let (end, ended) = mpsc::channel::<()>();
            let own = thread::spawn(move || {
                let _ = ended.recv();
            });
            inherited.take();
            drop(end);
            own.join().is_ok()
        });
        assert!(held);
        shared.close();
        inherited.unwrap().join();
    }
}
