//! One client's stream: its engine session and its buffers.

use std::{collections::HashSet, fmt::Display, io, sync::Arc};

use daedalus_engine as engine;
use daedalus_uapi::{
    Codec,
    control::{self, Pictures, codec_name},
    protocol::Decode,
};
use log::Level;

use crate::{
    buffer::{Buffers, Epoch, Target},
    completion::Completer,
    control::Watch,
    dump::Dump,
    mapping::Mapping,
    statistics::{Outcome, SessionStatistics},
};

/// A session of the module.
pub struct Session {
    number: u64,
    /// None if no decoder could be set up, or the user has too many: all requests fail.
    engine: Option<engine::Session>,
    buffers: Buffers,
    epoch: Epoch,
    statistics: Arc<SessionStatistics>,
    watch: Arc<Watch>,
    /// Controls that a warning has named already.
    passed_over: HashSet<u32>,
}

impl Session {
    /// Starts a session for a client: its user, its process. One without a decoder counts, too, and refuses what it is
    /// asked for.
    pub fn open(
        number: u64,
        codec: Codec,
        (uid, pid): (u32, u32),
        engine: Result<engine::Session, impl Display>,
        watch: &Arc<Watch>,
    ) -> Session {
        if let Err(error) = &engine {
            log::error!(session = number, codec = codec_name(codec), user = uid;
                "session {number}: {error}");
        }
        Session {
            number,
            engine: engine.ok(),
            buffers: Buffers::default(),
            epoch: Epoch::default(),
            statistics: watch.statistics.open(number, codec, uid, pid),
            watch: watch.clone(),
            passed_over: HashSet::new(),
        }
    }

    /// The client's user.
    pub fn uid(&self) -> u32 {
        self.statistics.uid()
    }

    /// Whether it has a decoder, for this user.
    pub fn decodes_for(&self, uid: u32) -> bool {
        self.engine.is_some() && self.uid() == uid
    }

    /// Takes a request, which is answered exactly once through `completer`.
    pub fn decode(&mut self, request: Decode<'_>, completer: &Completer, dump: Option<&mut Dump>) {
        let (session, cookie) = (self.number, request.cookie);
        let (codec, user) = (codec_name(self.statistics.codec()), self.statistics.uid());
        let taken = self.statistics.take(request.frame.as_ref().ok());
        if self.engine.is_none() {
            self.statistics.refuse(taken);
            return completer.failed(session, cookie);
        }
        for id in &request.unknown_controls {
            if self.passed_over.insert(*id) {
                log::warn!(session, codec, user;
                    "session {session}: passing over the control {id:#x}, which is unknown");
            }
        }
        // Without a target the picture is decoded all the same: later ones may refer to it.
        let target = match self.target(&request, completer) {
            Ok(target) => Some(target),
            Err(why) => {
                log::warn!(session, codec, user;
                    "session {session}: no buffer for request {cookie}: {why}");
                None
            }
        };
        let (controls, data) = match request.coded {
            Ok((controls, data)) => (controls, data.to_vec()),
            Err(flaw) => {
                log::warn!(session, codec, user; "session {session}: request {cookie}: {flaw}");
                self.statistics.refuse(taken);
                return completer.failed(session, cookie);
            }
        };
        let shown = target.is_some();
        let request = engine::Request {
            timestamp: request.timestamp,
            controls,
            data,
            hold_capture: request.hold_capture,
            target: target.map(|target| Arc::new(target) as Arc<dyn engine::Target>),
            ungrained: None,
        };
        if let Some(dump) = dump {
            dump.write(session, &request);
        }
        self.watch.taps.request(session, &request);
        let completer = completer.clone();
        let (statistics, made) = (self.statistics.clone(), self.epoch.moment());
        let reply = engine::Reply::new(move |answer| {
            let outcome = match &answer {
                _ if made.is_void() => Outcome::Cancelled,
                Ok(()) if shown => Outcome::Done,
                Err(engine::Error::Damaged { .. }) if shown => Outcome::Damaged,
                _ => Outcome::Failed,
            };
            if let Err(error) = &answer {
                let level = if outcome == Outcome::Cancelled { Level::Debug } else { Level::Info };
                log::log!(level, session, codec, user; "session {session}: request {cookie}: {error}");
            }
            // Before the client can act on it.
            statistics.answer(taken, outcome);
            // What was taken back was written nowhere, or in part.
            match shown && outcome != Outcome::Cancelled {
                true => completer.answer(session, cookie, &answer),
                false => completer.failed(session, cookie),
            }
        });
        if let Some(engine) = &mut self.engine {
            engine.submit(request, reply);
        }
    }

    fn target(&mut self, request: &Decode<'_>, completer: &Completer) -> io::Result<Target> {
        let invalid = |flaw| io::Error::new(io::ErrorKind::InvalidData, flaw);
        let frame = request.frame.as_ref().map_err(|flaw| invalid(flaw.clone()))?;
        let mapping: Arc<Mapping> = self.buffers.mapping(completer.device(), request, frame)?;
        Ok(Target::new(frame, mapping, &self.epoch))
    }

    /// The client has taken back its requests: those that are not decoded yet still are, for later ones
    /// may refer to them, but are written nowhere.
    pub fn flush(&self) {
        self.epoch.advance();
    }

    /// A capture buffer goes away.
    pub fn forget(&mut self, buffer: u64) {
        self.buffers.forget(buffer);
    }

    /// Says in the log that the client has gone, and what it got.
    pub fn say_end(&self) {
        let control::Session { id, codec, uid, pictures, age_s, .. } = self.statistics.read();
        let Pictures { done, damaged, failed, cancelled } = pictures;
        log::info!(session = id, codec = codec.as_str(), user = uid;
            "session {id}: end after {age_s:.1} s: {done} pictures, {damaged} damaged, {failed} failed, \
             {cancelled} taken back");
    }

    /// Ends the session but for its decoder, whose end may take time. What that still finishes is written, unless it
    /// was taken back before.
    pub fn close(self) -> Option<engine::Session> {
        self.watch.statistics.close(self.number);
        self.watch.taps.end(self.number);
        self.engine
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::{AsFd, BorrowedFd, OwnedFd},
        sync::Mutex,
    };

    use nix::sys::eventfd::EventFd;

    use super::*;
    use crate::{
        control::tap::Taps,
        device::{Device, Status},
        statistics::Statistics,
    };

    /// Keeps answers.
    struct Answers(EventFd, Mutex<Vec<(u64, u64, Status)>>);

    impl Device for Answers {
        fn poll_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn get_buffer(&self, _: u64, _: u64, _: u32) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn complete(&self, session: u64, cookie: u64, status: Status) -> io::Result<()> {
            self.1.lock().unwrap().push((session, cookie, status));
            Ok(())
        }
    }

    #[test]
    fn a_session_without_a_decoder_is_seen_and_its_requests_fail() {
        let device = Arc::new(Answers(EventFd::new().unwrap(), Mutex::default()));
        let completer = Completer::new(device.clone()).unwrap();
        let watch =
            Arc::new(Watch { statistics: Statistics::default(), taps: Taps::new().unwrap() });
        let failed = Err(engine::Error::Setup { codec: Codec::Av1, what: "no memory".into() });
        let mut session = Session::open(3, Codec::Av1, (1000, 1), failed, &watch);
        let flaw = daedalus_uapi::protocol::Flaw::Short(0);
        session.decode(
            Decode {
                session: 3,
                cookie: 9,
                timestamp: 0,
                hold_capture: false,
                buffer: 0,
                frame: Err(flaw.clone()),
                coded: Err(flaw),
                unknown_controls: Vec::new(),
            },
            &completer,
            None,
        );
        assert_eq!(*device.1.lock().unwrap(), [(3, 9, Status::Failed)]);
        let read = watch.statistics.session(3).unwrap().read();
        assert_eq!((read.id, read.queue, read.pictures.failed), (3, 0, 1));
        assert!(session.close().is_none());
        let total = watch.statistics.total();
        assert_eq!((total.sessions, total.pictures.failed), (1, 1));
        assert!(watch.statistics.session(3).is_none());
    }
}
