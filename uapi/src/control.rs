//! What is said on the daemon's control socket: a request is one line, an answer lines of JSON
//! (docs/operations.md).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Codec;

/// The version of requests and answers. Members may be added to answers without a new one.
pub const VERSION: u32 = 1;

/// Where the daemon of a machine listens.
pub const SOCKET: &str = "/run/daedalusd/control.sock";

/// The longest request in bytes, its line feed included.
pub const MOST_REQUEST: usize = 256;

/// The last line of the answer to [`Request::Metrics`].
pub const METRICS_END: &str = "# EOF";

/// The [`Error`] of a daemon that has as many connections as it takes, of this user or at all.
pub const TOO_MANY: &str = "too many connections";

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// One line: a [`Status`].
    Status,
    /// Prometheus' text format, up to [`METRICS_END`].
    Metrics,
    /// A [`DumpStart`], then the requests of a session from now on as lines of [`crate::record`], with
    /// [`Lost`] where some are missing and [`End`] when the session ends.
    Dump(u64),
}

impl fmt::Display for Request {
    /// The line, without its line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Status => write!(f, "{VERSION} status"),
            Request::Metrics => write!(f, "{VERSION} metrics"),
            Request::Dump(session) => write!(f, "{VERSION} dump {session}"),
        }
    }
}

/// Why a line is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not begin with a number.
    #[error("a request is a version, a word and what the word asks for: {VERSION} status")]
    Malformed,
    /// Another version of the protocol.
    #[error("this daemon speaks version {VERSION}, not {0}")]
    Version(u32),
    /// Unknown, or with too much or too little behind the word.
    #[error("no such request; there are: status, metrics, dump SESSION")]
    Unknown,
}

impl FromStr for Request {
    type Err = Refusal;

    fn from_str(line: &str) -> Result<Request, Refusal> {
        let mut words = line.split_ascii_whitespace();
        let version = words.next().and_then(|word| word.parse().ok()).ok_or(Refusal::Malformed)?;
        if version != VERSION {
            return Err(Refusal::Version(version));
        }
        match (words.next(), words.next(), words.next()) {
            (Some("status"), None, None) => Ok(Request::Status),
            (Some("metrics"), None, None) => Ok(Request::Metrics),
            (Some("dump"), Some(session), None) => {
                session.parse().map(Request::Dump).map_err(|_| Refusal::Unknown)
            }
            _ => Err(Refusal::Unknown),
        }
    }
}

/// The daemon as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`].
    pub protocol: u32,
    /// The daemon's.
    pub version: String,
    /// The git revision that it was built from; empty if that is not known.
    pub revision: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: f64,
    /// Processor time of all its threads since then, in seconds.
    pub cpu_s: f64,
    /// The module's node.
    pub device: String,
    /// What it decodes.
    pub codecs: Vec<String>,
    /// What it has given up.
    pub sandbox: Sandbox,
    /// Since it started, sessions that have ended included.
    pub total: Total,
    /// Those there are, by number.
    pub sessions: Vec<Session>,
}

/// What holds of the daemon's sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Whether it was entered.
    pub active: bool,
    /// `full`, `partial` (an older kernel's) or `none`.
    pub landlock: String,
    /// How many system calls are left; none if they are not limited.
    pub system_calls: Option<usize>,
}

/// What has become of requests. (Of a picture of two fields each is one.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    /// With a picture, as it should be.
    pub done: u64,
    /// With a picture of which parts are wrong.
    pub damaged: u64,
    /// Without a picture.
    pub failed: u64,
    /// Taken back by the client before they were finished.
    pub cancelled: u64,
}

/// All sessions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// How many there have been.
    pub sessions: u64,
    /// Their requests.
    #[serde(flatten)]
    pub pictures: Pictures,
}

/// One client's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The module's number for it.
    pub id: u64,
    /// The client's process; 0 if it is not in the daemon's pid namespace.
    pub pid: u32,
    /// The client's user.
    pub uid: u32,
    /// `h264`, `vp9` or `av1`.
    pub codec: String,
    /// Of the frames, in luma samples; 0 before the first request.
    pub width: u32,
    /// As `width`.
    pub height: u32,
    /// Bits per sample; 0 before the first request.
    pub depth: u32,
    /// Seconds since it was opened.
    pub age_s: f64,
    /// Since it was opened.
    pub pictures: Pictures,
    /// Requests that wait or are being decoded.
    pub queue: u64,
    /// Requests answered per second.
    pub fps: f64,
    /// From when a picture's turn came to its answer, in milliseconds: mean.
    pub decode_ms: f64,
    /// The longest of them.
    pub decode_max_ms: f64,
    /// From when a request was read to its answer, in milliseconds: mean.
    pub latency_ms: f64,
    /// The longest of them.
    pub latency_max_ms: f64,
    /// The part of the time in which it had something to decode: 0 to 1.
    pub busy: f64,
}

/// An answer that says why there is no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// [`VERSION`].
    pub protocol: u32,
    /// One sentence.
    pub error: String,
}

/// The first line of a dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpStart {
    /// [`VERSION`].
    pub protocol: u32,
    /// The session.
    pub dump: u64,
}

/// In a dump: so many requests were left out here, since the reader was too slow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub lost: u64,
}

/// The last line of a dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why there will be no more.
    pub end: String,
}

/// A codec as answers name it.
pub fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::Vp9 => "vp9",
        Codec::Av1 => "av1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_being_written_and_read() {
        for request in [Request::Status, Request::Metrics, Request::Dump(u64::MAX)] {
            assert_eq!(request.to_string().parse(), Ok(request));
        }
        assert_eq!(" 1  dump\t7 \r".parse(), Ok(Request::Dump(7)));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = |line: &str| line.parse::<Request>().unwrap_err();
        for line in ["", "status", "one status", "-1 status", "\0"] {
            assert_eq!(refused(line), Refusal::Malformed, "{line}");
        }
        assert_eq!(refused("2 status"), Refusal::Version(2));
        for line in ["1", "1 Status", "1 status now", "1 dump", "1 dump x", "1 dump 1 2"] {
            assert_eq!(refused(line), Refusal::Unknown, "{line}");
        }
    }

    #[test]
    fn a_status_may_have_members_that_are_not_known() {
        let line = r#"{"done":1,"damaged":2,"failed":3,"cancelled":4,"later":5,"sessions":6}"#;
        let total: Total = serde_json::from_str(line).unwrap();
        assert_eq!((total.sessions, total.pictures.cancelled), (6, 4));
    }
}
