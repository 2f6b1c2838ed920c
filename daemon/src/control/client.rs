//! One client: a request, its answer, the next.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use daedalus_uapi::control::{DumpStart, MOST_REQUEST, Request, VERSION};
use nix::poll::PollFlags;

use super::{
    About, Watch, answer,
    tap::{self, Next, Tap, json},
};

/// How long a client may say nothing, or not read on in a dump.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a request or an answer may take on its way.
const SLOWNESS: Duration = Duration::from_secs(10);

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// The least time from one request to the next.
const PACE: Duration = Duration::from_millis(50);

/// What clients are answered with.
pub struct Source<'a> {
    pub about: &'a About,
    pub watch: &'a Watch,
    /// How many more may read requests of sessions.
    pub dumps_left: usize,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    /// A socket, which does not block.
    socket: File,
    uid: u32,
    /// What came of requests, at most [`MOST_REQUEST`] bytes.
    request: Vec<u8>,
    /// What is being written, and how much of it was.
    answer: Vec<u8>,
    written: usize,
    tap: Option<Arc<Tap>>,
    /// Nothing follows the answer.
    last: bool,
    /// No more requests come than were read.
    ended: bool,
    /// When the next request may be read.
    pace: Instant,
    /// When patience with this client ends.
    deadline: Instant,
}

/// The connection is over.
#[derive(Debug)]
pub struct Over;

impl Client {
    /// Of a user, on a socket that does not block.
    pub fn new(socket: OwnedFd, uid: u32, now: Instant) -> Client {
        Client {
            socket: socket.into(),
            uid,
            request: Vec::new(),
            answer: Vec::new(),
            written: 0,
            tap: None,
            last: false,
            ended: false,
            pace: now,
            deadline: now + SILENCE,
        }
    }

    /// The user.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The queue that it reads.
    pub fn tap(&self) -> Option<&Arc<Tap>> {
        self.tap.as_ref()
    }

    /// Has it go away with one sentence, if that can be written at once.
    pub fn dismiss(&mut self, why: &str) {
        let _ = self.socket.write(answer::error(why).as_bytes());
    }

    /// What to wait for. `POLLHUP` comes in any case.
    pub fn interest(&self, now: Instant) -> PollFlags {
        if self.written < self.answer.len() {
            PollFlags::POLLOUT
        } else if self.tap.is_some() || self.ended || now < self.pace || self.line().is_some() {
            PollFlags::empty()
        } else {
            PollFlags::POLLIN
        }
    }

    /// When to look at it although nothing has happened.
    pub fn wakes(&self, now: Instant) -> Instant {
        match self.tap.is_none() && now < self.pace {
            true => self.pace.min(self.deadline),
            false => self.deadline,
        }
    }

    /// Goes as far as it can without waiting; `events` are what poll() saw.
    pub fn step(
        &mut self,
        events: PollFlags,
        source: &mut Source<'_>,
        now: Instant,
    ) -> Result<(), Over> {
        if events.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL) {
            return Err(Over);
        }
        if events.contains(PollFlags::POLLHUP) && !events.contains(PollFlags::POLLIN) {
            return Err(Over);
        }
        let reads = events.contains(PollFlags::POLLIN) && self.interest(now) == PollFlags::POLLIN;
        if reads {
            self.read(now)?;
        }
        self.progress(source, now)?;
        if now >= self.deadline { Err(Over) } else { Ok(()) }
    }

    /// Reads what there is room for.
    fn read(&mut self, now: Instant) -> Result<(), Over> {
        let mut bytes = [0; MOST_REQUEST];
        let room = MOST_REQUEST - self.request.len();
        match self.socket.read(&mut bytes[..room]) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                if self.request.is_empty() {
                    self.deadline = now + SLOWNESS;
                }
                self.request.extend_from_slice(&bytes[..count]);
            }
            Err(error) if waits(&error) => {}
            Err(_) => return Err(Over),
        }
        Ok(())
    }

    fn progress(&mut self, source: &mut Source<'_>, now: Instant) -> Result<(), Over> {
        loop {
            if !self.write(now)? {
                return Ok(());
            }
            if self.last {
                return Err(Over);
            }
            match &self.tap {
                Some(tap) => match tap.next() {
                    Next::Line(line) => self.answer_with(line, now),
                    Next::Nothing => {
                        // A film may be paused.
                        self.deadline = now + NEVER;
                        return Ok(());
                    }
                    Next::End => self.finish_with(tap::end("the session has ended"), now),
                },
                None if now < self.pace => return Ok(()),
                None => match self.line() {
                    Some(end) => {
                        let line: Vec<u8> = self.request.drain(..=end).collect();
                        self.pace = now + PACE;
                        self.handle(&String::from_utf8_lossy(&line), source, now);
                    }
                    None if self.request.len() >= MOST_REQUEST => {
                        let why = format!("a request has at most {MOST_REQUEST} bytes");
                        self.finish_with(answer::error(&why), now);
                    }
                    None if self.ended => return Err(Over),
                    None => return Ok(()),
                },
            }
        }
    }

    /// Where the line feed of a request is.
    fn line(&self) -> Option<usize> {
        self.request.iter().position(|byte| *byte == b'\n')
    }

    fn handle(&mut self, line: &str, source: &mut Source<'_>, now: Instant) {
        let answer = match line.parse() {
            Ok(Request::Status) => answer::status(source.about, source.watch),
            Ok(Request::Metrics) => answer::metrics(source.watch),
            Ok(Request::Dump(session)) => match self.dump(session, source) {
                Ok(start) => start,
                Err(why) => answer::error(&why),
            },
            Err(refusal) => answer::error(&refusal.to_string()),
        };
        self.answer_with(answer, now);
    }

    /// Opens a queue, if that may be.
    fn dump(&mut self, number: u64, source: &mut Source<'_>) -> Result<String, String> {
        let session = source.watch.statistics.session(number);
        let session = session.ok_or_else(|| format!("there is no session {number}"))?;
        // It shows what somebody watches.
        if ![0, session.uid(), source.about.uid].contains(&self.uid) {
            return Err(format!("session {number} is another user's"));
        }
        if self.uid != 0 {
            source.dumps_left = source.dumps_left.checked_sub(1).ok_or("too many dumps at once")?;
        }
        self.tap = Some(source.watch.taps.add(number));
        // It may have ended meanwhile, and then nobody would say so.
        if source.watch.statistics.session(number).is_none() {
            source.watch.taps.end(number);
        }
        Ok(json(&DumpStart { protocol: VERSION, dump: number }))
    }

    fn answer_with(&mut self, answer: String, now: Instant) {
        self.answer = answer.into_bytes();
        self.written = 0;
        self.deadline = now + self.patience();
    }

    /// With who has to read.
    fn patience(&self) -> Duration {
        if self.tap.is_some() { SILENCE } else { SLOWNESS }
    }

    fn finish_with(&mut self, answer: String, now: Instant) {
        self.answer_with(answer, now);
        self.last = true;
    }

    /// Writes what can be written. Whether that was all.
    fn write(&mut self, now: Instant) -> Result<bool, Over> {
        while let Some(rest) = self.answer.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Err(Over),
                Ok(count) => {
                    self.written += count;
                    if self.tap.is_some() {
                        self.deadline = now + self.patience();
                    }
                }
                Err(error) if waits(&error) => return Ok(false),
                Err(_) => return Err(Over),
            }
        }
        if self.written > 0 {
            self.answer = Vec::new();
            self.written = 0;
            // Half a request may have come behind the one that is answered.
            let patience = if self.request.is_empty() { SILENCE } else { SLOWNESS };
            self.deadline = now + patience;
        }
        Ok(true)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead, io::BufReader, os::unix::net::UnixStream};

    use daedalus_uapi::Codec;

    use super::*;
    use crate::{control::tap::Taps, statistics::Statistics};

    /// A client of a user, and what is at its other end.
    fn client(uid: u32, now: Instant) -> (Client, BufReader<UnixStream>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Client::new(ours.into(), uid, now), BufReader::new(theirs))
    }

    fn watch() -> Watch {
        Watch { statistics: Statistics::default(), taps: Taps::new().unwrap() }
    }

    fn line(from: &mut BufReader<UnixStream>) -> String {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn only_root_the_daemon_and_the_sessions_own_user_see_its_requests() {
        let watch = watch();
        watch.statistics.open(5, Codec::H264, 1000, 1);
        let now = Instant::now();
        let daemon = 990;
        for (uid, allowed) in [(0, true), (daemon, true), (1000, true), (1001, false)] {
            let (mut client, mut theirs) = client(uid, now);
            let about = About { uid: daemon, ..About::default() };
            let mut source = Source { about: &about, watch: &watch, dumps_left: 1 };
            theirs.get_mut().write_all(b"1 dump 5\n").unwrap();
            client.step(PollFlags::POLLIN, &mut source, now).unwrap();
            let said = line(&mut theirs);
            assert_eq!(said.contains("\"dump\":5"), allowed, "user {uid}: {said}");
            assert_eq!(said.contains("another user's"), !allowed, "user {uid}: {said}");
            assert_eq!(client.tap().is_some(), allowed);
        }
        // There is a limit for all but root.
        for (uid, allowed) in [(1000, false), (0, true)] {
            let (mut client, mut theirs) = client(uid, now);
            let about = About::default();
            let mut source = Source { about: &about, watch: &watch, dumps_left: 0 };
            theirs.get_mut().write_all(b"1 dump 5\n").unwrap();
            client.step(PollFlags::POLLIN, &mut source, now).unwrap();
            assert_eq!(line(&mut theirs).contains("too many dumps"), !allowed);
        }
    }

    #[test]
    fn patience_ends() {
        let watch = watch();
        let about = About::default();
        let mut source = Source { about: &about, watch: &watch, dumps_left: 1 };
        let now = Instant::now();
        let none = PollFlags::empty();
        let (mut silent, _theirs) = client(1000, now);
        assert!(silent.step(none, &mut source, now + SILENCE / 2).is_ok());
        assert!(silent.step(none, &mut source, now + SILENCE).is_err());
        // A request that takes too long, byte by byte.
        let (mut slow, mut theirs) = client(1000, now);
        for seconds in 0..SLOWNESS.as_secs() {
            theirs.get_mut().write_all(b"1").unwrap();
            let now = now + Duration::from_secs(seconds);
            assert!(slow.step(PollFlags::POLLIN, &mut source, now).is_ok());
        }
        assert!(slow.step(none, &mut source, now + SLOWNESS).is_err());
        // One that begins right behind another has no more time.
        let (mut slow, mut theirs) = client(1000, now);
        theirs.get_mut().write_all(b"1 status\n1 sta").unwrap();
        assert!(slow.step(PollFlags::POLLIN, &mut source, now).is_ok());
        assert!(line(&mut theirs).contains("sessions"));
        assert!(slow.step(none, &mut source, now + SLOWNESS - PACE).is_ok());
        assert!(slow.step(none, &mut source, now + SLOWNESS).is_err());
    }

    #[test]
    fn requests_are_answered_at_a_pace() {
        let watch = watch();
        let about = About::default();
        let mut source = Source { about: &about, watch: &watch, dumps_left: 1 };
        let now = Instant::now();
        let (mut client, mut theirs) = client(1000, now);
        theirs.get_mut().write_all(b"1 status\n1 metrics\n").unwrap();
        client.step(PollFlags::POLLIN, &mut source, now).unwrap();
        assert!(line(&mut theirs).contains("\"sessions\":[]"));
        assert_eq!((client.interest(now), client.wakes(now)), (PollFlags::empty(), now + PACE));
        theirs.get_ref().set_nonblocking(true).unwrap();
        let mut byte = [0];
        assert!(std::io::Read::read(&mut theirs, &mut byte).is_err(), "nothing more yet");
        client.step(PollFlags::empty(), &mut source, now + PACE).unwrap();
        theirs.get_ref().set_nonblocking(false).unwrap();
        assert!(line(&mut theirs).starts_with("# HELP"));
    }
}
