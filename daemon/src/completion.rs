//! Giving requests back, from whichever thread has the answer.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError},
};

use daedalus_engine as engine;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::device::{Device, Status};

/// Completes requests. One that the module no longer knows is fine; any other failure ends the pump.
#[derive(Clone)]
pub struct Completer(Arc<Inner>);

struct Inner {
    device: Arc<dyn Device>,
    failure: Mutex<Option<io::Error>>,
    /// Readable once there is a failure.
    alarm: EventFd,
}

impl Completer {
    /// A completer of the device's requests.
    pub fn new(device: Arc<dyn Device>) -> io::Result<Completer> {
        let alarm = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Completer(Arc::new(Inner { device, failure: Mutex::new(None), alarm })))
    }

    /// The device.
    pub fn device(&self) -> &dyn Device {
        &*self.0.device
    }

    /// Gives a request back with what the engine made of it.
    pub fn answer(&self, session: u64, cookie: u64, answer: &engine::Answer) {
        self.complete(
            session,
            cookie,
            match answer {
                Ok(()) => Status::Ok,
                Err(engine::Error::Damaged { .. }) => Status::Damaged,
                Err(_) => Status::Failed,
            },
        );
    }

    /// Gives a request back without a picture.
    pub fn failed(&self, session: u64, cookie: u64) {
        self.complete(session, cookie, Status::Failed);
    }

    fn complete(&self, session: u64, cookie: u64, status: Status) {
        match self.0.device.complete(session, cookie, status) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                log::trace!("session {session}: request {cookie} was taken back");
            }
            Err(error) => {
                log::error!("session {session}: completing request {cookie}: {error}");
                let mut failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
                if failure.replace(error).is_none() {
                    // It can only fail when it is raised already.
                    let _ = self.0.alarm.write(1);
                }
            }
        }
    }

    /// What becomes readable when there is a [`Self::failure`].
    pub fn alarm(&self) -> BorrowedFd<'_> {
        self.0.alarm.as_fd()
    }

    /// Why a request could not be given back.
    pub fn failure(&self) -> Option<io::Error> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
