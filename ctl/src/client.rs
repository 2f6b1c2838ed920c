//! Asking the daemon.

use std::{
    fmt,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use daedalus_uapi::control::{self, Request, Status};
use nix::sys::{
    socket::{
        AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket,
        sockopt::SendTimeout,
    },
    time::{TimeVal, TimeValLike},
};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of a line that are believed: a status with thousands of sessions.
const MOST: u64 = 16 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// There is no socket.
    Missing,
    /// There is one, and nobody behind it.
    Refused,
    /// This user may not connect.
    Denied,
    /// Nothing comes.
    Silent,
    /// The connection ended before the answer did.
    Cut,
    /// The daemon says no.
    Said(String),
    /// What comes is no answer.
    Garbled(String),
    /// Anything else.
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

/// A connection to the daemon.
#[derive(Debug)]
pub struct Connection {
    socket: BufReader<UnixStream>,
}

impl Connection {
    /// Connects; fails if that takes long, too.
    pub fn open(path: &Path) -> Result<Connection, Error> {
        let stream: OwnedFd =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
                .map_err(io::Error::from)?;
        // A daemon that hangs accepts nothing, and then the queue of connections is full some time.
        let patience = TimeVal::seconds(PATIENCE.as_secs() as i64);
        setsockopt(&stream, SendTimeout, &patience).map_err(io::Error::from)?;
        let address = UnixAddr::new(path).map_err(io::Error::from)?;
        connect(std::os::fd::AsRawFd::as_raw_fd(&stream), &address).map_err(io::Error::from)?;
        let stream = UnixStream::from(stream);
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { socket: BufReader::new(stream) })
    }

    /// Waits for lines for as long as it takes.
    pub fn be_patient(&self) -> Result<(), Error> {
        Ok(self.socket.get_ref().set_read_timeout(None)?)
    }

    /// Sends a request.
    pub fn ask(&mut self, request: Request) -> Result<(), Error> {
        match self.socket.get_ref().write_all(format!("{request}\n").as_bytes()) {
            // It may have said why before it hung up.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            asked => Ok(asked?),
        }
    }

    /// The next line of the answer, without its line feed; none at the end. An error if the daemon says one.
    pub fn line(&mut self) -> Result<Option<String>, Error> {
        let mut line = String::new();
        let read = (&mut self.socket).take(MOST).read_line(&mut line);
        if read? == 0 {
            return Ok(None);
        }
        if line.pop() != Some('\n') {
            return Err(Error::Cut);
        }
        match serde_json::from_str::<control::Error>(&line) {
            Ok(error) => Err(Error::Said(error.error)),
            Err(_) => Ok(Some(line)),
        }
    }

    /// The daemon as it is now.
    pub fn status(&mut self) -> Result<Status, Error> {
        self.ask(Request::Status)?;
        let line = self.line()?.ok_or(Error::Cut)?;
        serde_json::from_str(&line).map_err(|error| Error::Garbled(error.to_string()))
    }
}
