//! Asking the daemon, which is not trusted: it decodes what others made. An answer has a time and a length, and
//! no control characters.

use std::{
    fmt,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use daedalus_uapi::control::{self, METRICS_END, Request, Status};
use nix::sys::{
    socket::{
        AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket,
        sockopt::SendTimeout,
    },
    time::{TimeVal, TimeValLike},
};

use crate::program;

/// How long a daemon may take to answer, from connecting on.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer that are believed: a status with thousands of sessions.
const MOST: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// There is no socket.
    Missing,
    /// There is one, and nobody behind it.
    Refused,
    /// This user may not connect.
    Denied,
    /// Nothing comes, or not all of it in time.
    Silent,
    /// The connection ended before the answer did.
    Cut,
    /// The daemon says no.
    Said(String),
    /// What comes is no answer.
    Garbled(String),
    /// What comes is longer than any answer.
    Long,
    /// Asking failed on this side.
    Io(io::Error),
}

impl Error {
    /// In words, for who asked at `socket`.
    pub fn say(&self, socket: &Path) -> String {
        format!("{}: {self}", socket.display())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Missing => "no such socket; is daedalusd running? (systemctl status daedalusd)",
            Error::Refused => {
                "nobody listens; daedalusd is not running (systemctl status daedalusd)"
            }
            Error::Denied => "permission denied; root and the socket's group may ask",
            Error::Silent => "the daemon does not answer",
            Error::Cut => "the daemon ended the connection",
            Error::Said(why) => why,
            Error::Garbled(line) => return write!(f, "no answer that can be understood: {line}"),
            Error::Long => return write!(f, "an answer of more than {} MiB", MOST >> 20),
            Error::Io(error) => return write!(f, "{error}"),
        })
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => Error::Missing,
            ErrorKind::ConnectionRefused => Error::Refused,
            ErrorKind::PermissionDenied => Error::Denied,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Silent,
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Error::Cut,
            _ => Error::Io(error),
        }
    }
}

/// A socket from which nothing comes after a time.
#[derive(Debug)]
struct Timed {
    stream: UnixStream,
    /// None: it may take for ever.
    deadline: Option<Instant>,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)?;
        self.stream.read(buffer)
    }
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Connection {
    socket: BufReader<Timed>,
}

impl Connection {
    /// Connects; fails if that takes long, too.
    pub fn open(path: &Path) -> Result<Connection, Error> {
        let deadline = Some(Instant::now() + PATIENCE);
        let stream: OwnedFd =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
                .map_err(io::Error::from)?;
        // A daemon that hangs accepts nothing, and then the queue of connections is full some time.
        let patience = TimeVal::seconds(PATIENCE.as_secs() as i64);
        setsockopt(&stream, SendTimeout, &patience).map_err(io::Error::from)?;
        let address = UnixAddr::new(path).map_err(io::Error::from)?;
        connect(stream.as_raw_fd(), &address).map_err(io::Error::from)?;
        Ok(Connection::on(stream.into(), deadline))
    }

    fn on(stream: UnixStream, deadline: Option<Instant>) -> Connection {
        Connection { socket: BufReader::new(Timed { stream, deadline }) }
    }

    /// Waits for lines for as long as it takes.
    pub fn be_patient(&mut self) {
        self.socket.get_mut().deadline = None;
    }

    /// Sends a request.
    pub fn ask(&mut self, request: Request) -> Result<(), Error> {
        match self.socket.get_mut().stream.write_all(format!("{request}\n").as_bytes()) {
            // It may have said why before it hung up.
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            asked => Ok(asked?),
        }
    }

    /// The next line of the answer, without its line feed; none at the end. An error if the daemon says one.
    pub fn line(&mut self) -> Result<Option<String>, Error> {
        let mut line = Vec::new();
        let read = (&mut self.socket).take(MOST as u64).read_until(b'\n', &mut line);
        if read? == 0 {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(if line.len() + 1 >= MOST { Error::Long } else { Error::Cut });
        }
        let text = String::from_utf8_lossy(&line);
        let harmless = program::harmless(&text);
        if harmless.as_bytes() != line {
            return Err(Error::Garbled(harmless));
        }
        match serde_json::from_str::<control::Error>(&harmless) {
            Ok(error) => Err(Error::Said(error.error)),
            Err(_) => Ok(Some(harmless)),
        }
    }

    /// The daemon as it is now.
    pub fn status(&mut self) -> Result<Status, Error> {
        self.ask(Request::Status)?;
        let line = self.line()?.ok_or(Error::Cut)?;
        serde_json::from_str(&line).map_err(|error| Error::Garbled(error.to_string()))
    }

    /// Its numbers, in Prometheus' text format.
    pub fn metrics(&mut self) -> Result<String, Error> {
        self.ask(Request::Metrics)?;
        let mut text = String::new();
        loop {
            let line = self.line()?.ok_or(Error::Cut)?;
            if line == METRICS_END {
                return Ok(text);
            }
            text = text + &line + "\n";
            if text.len() > MOST {
                return Err(Error::Long);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A connection to somebody who writes `answer` and hangs up.
    fn answered(answer: Vec<u8>) -> Connection {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // Who has heard enough hangs up first.
        thread::spawn(move || theirs.write_all(&answer));
        Connection::on(ours, None)
    }

    #[test]
    fn a_line_that_is_no_answer_is_told_from_one_that_is_cut_off() {
        let line = |answer: &[u8]| answered(answer.to_vec()).line();
        assert_eq!(line(b"text\nmore").unwrap().unwrap(), "text");
        assert!(line(b"").unwrap().is_none());
        assert!(matches!(line(b"text"), Err(Error::Cut)));
        assert!(matches!(line(&vec![b'x'; MOST + 1]), Err(Error::Long)));
        let said = line(b"{\"protocol\":1,\"error\":\"no\"}\n");
        assert!(matches!(said, Err(Error::Said(why)) if why == "no"));
        for garbled in [&b"\x1b]0;x\x07\n"[..], b"a\xffb\n", "a\u{202e}b\n".as_bytes()] {
            match line(garbled) {
                Err(Error::Garbled(text)) => assert_eq!(program::harmless(&text), text),
                other => panic!("{garbled:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn metrics_that_do_not_end_are_too_long() {
        let line = [&[b'x'; (1 << 20) - 1][..], b"\n"].concat();
        assert!(matches!(answered(line.repeat(17)).metrics(), Err(Error::Long)));
        assert!(matches!(answered(line.repeat(2)).metrics(), Err(Error::Cut)));
    }

    #[test]
    fn an_answer_that_comes_byte_by_byte_is_given_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // Each of them in time, and never an end of them.
        thread::spawn(move || {
            while theirs.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        });
        let deadline = Some(Instant::now() + Duration::from_millis(100));
        assert!(matches!(Connection::on(ours, deadline).line(), Err(Error::Silent)));
    }
}
