//! Conformance: what becomes of a stream when a client decodes it through the driver.
//!
//! [`cases`] says what is to become of which stream, [`judge()`] has a client try, [`pins`] compares with
//! what is known, and [`junit`] writes the outcome down for other programs.

pub mod cases;
mod judge;
pub mod junit;
pub mod pins;

use std::fmt;

pub use self::cases::{Case, Expectation};
pub use self::judge::judge;

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every frame is right.
    Exact,
    /// Every published frame comes, among others of which something is missing.
    AmongOthers,
    /// A damaged stream ended in an orderly way.
    Survives,
    /// The client decoded by itself what the driver does not decode.
    FallsBack,
    /// The client does not get to the driver with it, or asks it for something else than the stream says.
    Refused(String),
    /// A frame is wrong, or their number is.
    Differs(String),
    /// The client gave up.
    Error(String),
    /// The client or the driver crashed, or memory was misused or lost.
    Crash(String),
    /// The client did not end.
    Timeout,
}

impl Verdict {
    /// The outcome in one word, as pin files have it.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Exact => "exact",
            Verdict::AmongOthers => "among-others",
            Verdict::Survives => "survives",
            Verdict::FallsBack => "falls-back",
            Verdict::Refused(_) => "refused",
            Verdict::Differs(_) => "differs",
            Verdict::Error(_) => "error",
            Verdict::Crash(_) => "crash",
            Verdict::Timeout => "timeout",
        }
    }

    /// Whether this is what ought to become of the stream.
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Verdict::Exact | Verdict::AmongOthers | Verdict::Survives | Verdict::FallsBack
        )
    }

    /// Whether the driver may be to blame.
    pub fn is_bad(&self) -> bool {
        !self.is_good() && !matches!(self, Verdict::Refused(_))
    }

    /// What there is to say beyond the word.
    pub fn detail(&self) -> &str {
        match self {
            Verdict::Exact
            | Verdict::AmongOthers
            | Verdict::Survives
            | Verdict::FallsBack
            | Verdict::Timeout => "",
            Verdict::Refused(why)
            | Verdict::Differs(why)
            | Verdict::Error(why)
            | Verdict::Crash(why) => why,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            "" => f.write_str(self.word()),
            detail => write!(f, "{}: {detail}", self.word()),
        }
    }
}
