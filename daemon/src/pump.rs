//! The loop: a message in, a call on its session.

use std::{collections::HashMap, io, mem, os::fd::BorrowedFd, sync::Arc, time::Duration};

use daedalus_engine as engine;
use daedalus_uapi::{
    Codec,
    control::codec_name,
    protocol::{Decode, Head, Message},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    Error, Result,
    completion::Completer,
    control::{Watch, tap::Taps},
    device::Device,
    dump::Dump,
    reaper::Reaper,
    session::Session,
    statistics::Statistics,
};

/// How long sessions have to finish the picture that they are at when the daemon ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// After how many milliseconds without a message sessions that are ending are looked at.
const SWEEP: u8 = 100;

/// Decoders that one user's sessions may have, those of sessions that are still ending included. The module counts a
/// session until its file is closed (`sessions_per_user`, 64 unless changed), when its decoder may be at a picture that
/// takes long: who opens and closes sessions again and again would have ever more threads here. Twice as many, so that
/// nobody is refused who closes all of them and opens as many at once. As in the module, root is not limited.
const MOST_OF_USER: usize = 128;

/// The largest size of messages that is believed.
const MAX_MESSAGE: usize = 1 << 30;

/// Everything that the daemon has.
pub struct Pump {
    device: Arc<dyn Device>,
    completer: Completer,
    options: engine::Options,
    dump: Option<Dump>,
    sessions: HashMap<u64, Session>,
    reaper: Reaper,
    watch: Arc<Watch>,
    /// One message. Mostly untouched pages: few messages are nearly as large as they may be.
    message: Vec<u8>,
}

impl Pump {
    /// A pump of a device whose messages have at most `message_size` bytes.
    pub fn new(
        device: Arc<dyn Device>,
        message_size: usize,
        options: engine::Options,
        dump: Option<Dump>,
    ) -> Result<Pump> {
        if !(size_of::<Head>()..=MAX_MESSAGE).contains(&message_size) {
            let what = io::Error::other(format!("{message_size} bytes"));
            return Err(Error::System("the size of messages", what));
        }
        let completer = Completer::new(device.clone()).map_err(|e| Error::System("eventfd", e))?;
        let taps = Taps::new().map_err(|e| Error::System("eventfd", e))?;
        Ok(Pump {
            device,
            completer,
            options,
            dump,
            sessions: HashMap::new(),
            reaper: Reaper::default(),
            watch: Arc::new(Watch { statistics: Statistics::default(), taps }),
            message: vec![0; message_size],
        })
    }

    /// What there is to see of it.
    pub fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    /// Serves the device until `stop` is readable. Then all sessions end: their requests are given back, as failed but
    /// for those whose pictures are finished by then and written. An error if the device fails.
    pub fn run(mut self, stop: BorrowedFd<'_>) -> Result<()> {
        let served = self.serve(stop);
        for session in mem::take(&mut self.sessions).into_values() {
            self.end(session);
        }
        if !self.reaper.finish(PATIENCE) {
            log::warn!("some sessions have not ended after {} s", PATIENCE.as_secs());
        }
        served
    }

    fn serve(&mut self, stop: BorrowedFd<'_>) -> Result<()> {
        let device = self.device.clone();
        let completer = self.completer.clone();
        loop {
            let mut fds = [device.poll_fd(), stop, completer.alarm()]
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            self.reaper.sweep();
            let timeout = if self.reaper.is_empty() { PollTimeout::NONE } else { SWEEP.into() };
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::System("poll", errno.into())),
            }
            let [messages, stopped, failed] =
                fds.map(|fd| fd.revents().unwrap_or(PollFlags::all()));
            if let (false, Some(error)) = (failed.is_empty(), completer.failure()) {
                return Err(Error::System("completing a request", error));
            }
            if !stopped.is_empty() {
                return Ok(());
            }
            if messages.contains(PollFlags::POLLIN) {
                self.step(&*device)?;
            } else if !messages.is_empty() {
                return Err(Error::Gone);
            }
        }
    }

    /// Reads and handles one message, if there is one.
    fn step(&mut self, device: &dyn Device) -> Result<()> {
        let mut message = mem::take(&mut self.message);
        let length = match device.read(&mut message) {
            Ok(0) => Err(Error::Gone),
            Ok(length) => Ok(length),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
            {
                Ok(0)
            }
            Err(error) => Err(Error::System("reading a message", error)),
        };
        match length {
            Ok(0) => {}
            Ok(length) => match Message::read(message.get(..length).unwrap_or(&message)) {
                Ok(message) => self.handle(message),
                Err(flaw) => log::error!("a message that cannot be read: {flaw}"),
            },
            Err(error) => return Err(error),
        }
        self.message = message;
        Ok(())
    }

    fn handle(&mut self, message: Message<'_>) {
        log::trace!("{}", Summary(&message));
        match message {
            Message::Open { session, codec, uid, pid } => {
                log::info!(session, codec = codec_name(codec), user = uid, client = pid;
                    "session {session}: {codec} for process {pid} of user {uid}");
                if let Some(former) = self.sessions.remove(&session) {
                    log::error!(session; "session {session} was open already");
                    former.flush();
                    self.end(former);
                }
                let engine = self.engine(codec, uid);
                let opened = Session::open(session, codec, (uid, pid), engine, &self.watch);
                self.sessions.insert(session, opened);
            }
            Message::Close { session } => match self.sessions.remove(&session) {
                Some(ended) => {
                    ended.flush();
                    ended.say_end();
                    self.end(ended);
                }
                None => log::debug!("session {session} was not open"),
            },
            Message::Flush { session } => {
                if let Some(session) = self.sessions.get(&session) {
                    session.flush();
                }
            }
            Message::Forget { session, buffer } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.forget(buffer);
                }
            }
            Message::Decode(request) => self.decode(request),
        }
    }

    /// A decoder for a new session of a user, or why it has none.
    fn engine(&mut self, codec: Codec, uid: u32) -> Result<engine::Session, String> {
        self.reaper.sweep();
        let open = self.sessions.values().filter(|session| session.decodes_for(uid)).count();
        let ending = self.reaper.count(uid);
        if uid != 0 && open + ending >= MOST_OF_USER {
            return Err(format!(
                "no decoder: user {uid} has {open} open sessions, and {ending} that are still ending"
            ));
        }
        engine::Session::new(codec, &self.options).map_err(|error| error.to_string())
    }

    fn end(&mut self, session: Session) {
        let uid = session.uid();
        if let Some(engine) = session.close() {
            self.reaper.take(uid, engine);
        }
    }

    fn decode(&mut self, request: Decode<'_>) {
        match self.sessions.get_mut(&request.session) {
            Some(session) => session.decode(request, &self.completer, self.dump.as_mut()),
            None => {
                log::debug!("a request of session {}, which is not open", request.session);
                self.completer.failed(request.session, request.cookie);
            }
        }
    }
}

/// A message in a few words.
struct Summary<'a>(&'a Message<'a>);

impl std::fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Message::Open { session, .. } => write!(f, "session {session}: open"),
            Message::Close { session } => write!(f, "session {session}: close"),
            Message::Flush { session } => write!(f, "session {session}: flush"),
            Message::Forget { session, buffer } => {
                write!(f, "session {session}: forget buffer {buffer}")
            }
            Message::Decode(decode) => write!(
                f,
                "session {}: request {}, picture {}, buffer {}",
                decode.session, decode.cookie, decode.timestamp, decode.buffer
            ),
        }
    }
}
