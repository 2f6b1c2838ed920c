//! Programs that decode through VA-API or the V4L2 device, and how each gives its frames.
//!
//! Every client is run so that it cannot decode in software, and its log must show our driver.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::driver::{self, Environment};
use crate::process::{self, Finished};
use crate::stream::Stream;

pub mod ffmpeg;
pub mod gstreamer;
pub mod mpv;

/// How long one stream may take on an ordinary machine.
const LIMIT: Duration = Duration::from_secs(180);

/// How much longer everything may take, where machines are slow: a whole number.
pub const FACTOR_VARIABLE: &str = "DAEDALUS_TIME_FACTOR";

/// How long one stream may take here before the client counts as hung, unless a [`Setting`] says otherwise.
pub fn limit() -> Duration {
    let factor = std::env::var(FACTOR_VARIABLE).ok().and_then(|factor| factor.parse().ok());
    LIMIT * factor.unwrap_or(1)
}

/// A way to decode a stream through VA-API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// ffmpeg, frames fetched with the hwdownload filter (vaGetImage or vaDeriveImage).
    FfmpegDownload,
    /// ffmpeg, frames mapped with the hwmap filter (vaDeriveImage).
    FfmpegMap,
    /// `mpv --hwdec=vaapi-copy`.
    Mpv,
    /// The elements of gstreamer1.0-vaapi.
    Gstreamer,
    /// GStreamer's newer `va` plugin, which needs a DRM render node.
    GstreamerVa,
    /// GStreamer's `v4l2codecs` plugin, which uses the kernel's device directly and knows no VA.
    GstreamerV4l2,
}

/// Those for which an X display is enough.
pub const ALL: [Client; 4] =
    [Client::FfmpegDownload, Client::FfmpegMap, Client::Mpv, Client::Gstreamer];

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Client::FfmpegDownload => "ffmpeg-hwdownload",
            Client::FfmpegMap => "ffmpeg-hwmap",
            Client::Mpv => "mpv",
            Client::Gstreamer => "gstreamer-vaapi",
            Client::GstreamerVa => "gstreamer-va",
            Client::GstreamerV4l2 => "gstreamer-v4l2",
        })
    }
}

/// Why a client gave no frames.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be run to its end.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A signal ended it.
    #[error("{client} was ended by {signal}:\n{}", tail(.log))]
    Killed {
        /// Which client.
        client: Client,
        /// The signal.
        signal: String,
        /// All that it said.
        log: String,
    },
    /// The driver tells of a bug of its own.
    #[error("{client}: the driver panicked:\n{}", tail(.log))]
    Bug {
        /// Which client.
        client: Client,
        /// All that it said.
        log: String,
    },
    /// It ended with an error.
    #[error("{client} ended with {ending}:\n{}", tail(.log))]
    Ended {
        /// Which client.
        client: Client,
        /// Its exit status.
        ending: String,
        /// All that it said.
        log: String,
    },
    /// It gave frames, but nothing shows that they came through our driver.
    #[error("{client} did not decode through the driver ({sign} is not in its log):\n{}", tail(.log))]
    Fallback {
        /// Which client.
        client: Client,
        /// What its log lacks.
        sign: String,
        /// All that it said.
        log: String,
    },
    /// What it wrote cannot be read as frames.
    #[error("{client}: {what}:\n{}", tail(.log))]
    Output {
        /// Which client.
        client: Client,
        /// What is wrong.
        what: String,
        /// All that it said.
        log: String,
    },
}

impl Failure {
    /// Whether the client had to be stopped.
    pub fn hung(&self) -> bool {
        matches!(self, Failure::Process(process::Error::TimedOut { .. }))
    }

    /// What the client said.
    pub fn log(&self) -> &str {
        match self {
            Failure::Process(process::Error::TimedOut { log, .. })
            | Failure::Killed { log, .. }
            | Failure::Bug { log, .. }
            | Failure::Ended { log, .. }
            | Failure::Fallback { log, .. }
            | Failure::Output { log, .. } => log,
            Failure::Process(_) => "",
        }
    }
}

/// Enough of a log to see what happened.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// What every client needs to run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The driver and the display.
    pub environment: Environment,
    /// A folder for files of passing use; each run takes names of its own.
    pub scratch: PathBuf,
    /// How long one stream may take before the client counts as hung.
    pub limit: Duration,
}

impl Client {
    /// The client called `name`.
    pub fn named(name: &str) -> Option<Self> {
        let others = [Client::GstreamerVa, Client::GstreamerV4l2];
        ALL.into_iter().chain(others).find(|client| client.to_string() == name)
    }

    /// The MD5s of the frames of `stream`, in output order, each over the visible area of the frame at
    /// its own size in [`Stream::layout`].
    pub fn decode(self, stream: &Stream, setting: &Setting) -> Result<Vec<String>, Failure> {
        match self {
            Client::FfmpegDownload | Client::FfmpegMap => ffmpeg::decode(self, stream, setting),
            Client::Mpv => mpv::decode(stream, setting),
            Client::Gstreamer | Client::GstreamerVa | Client::GstreamerV4l2 => {
                gstreamer::decode(self, stream, setting)
            }
        }
    }

    /// Whether this is the ffmpeg program.
    pub fn is_ffmpeg(self) -> bool {
        matches!(self, Client::FfmpegDownload | Client::FfmpegMap)
    }

    /// Whether [`Client::decode_or_fall_back`] is there for it.
    pub fn can_fall_back(self) -> bool {
        self.is_ffmpeg() || self == Client::Mpv
    }

    /// How many frames come out when the client may decode by itself what it cannot decode through
    /// VA-API, as it does for people.
    pub fn decode_or_fall_back(self, stream: &Stream, setting: &Setting) -> Result<usize, Failure> {
        match self {
            Client::Mpv => mpv::decode_or_fall_back(stream, setting),
            _ => ffmpeg::decode_or_fall_back(self, stream, setting),
        }
    }

    /// What is amiss where this client cannot run here, for a person.
    pub fn missing(self) -> Option<String> {
        match self {
            Client::GstreamerVa if render_node().is_none() => {
                Some("GStreamer's va plugin needs a DRM render node, and there is none here".into())
            }
            Client::GstreamerV4l2 if !Path::new("/dev/media0").exists() => Some(
                "GStreamer's v4l2codecs plugin needs the kernel's device, and there is none here: \
                 ./x uml has one"
                    .into(),
            ),
            _ => None,
        }
    }

    /// The version of the installed program, as it gives it: "5.1.9-0+deb12u1".
    pub fn version(self) -> Result<String, process::Error> {
        let (program, argument, before) = match self {
            Client::FfmpegDownload | Client::FfmpegMap => ("ffmpeg", "-version", "ffmpeg version "),
            Client::Mpv => ("mpv", "--version", "mpv "),
            Client::Gstreamer | Client::GstreamerVa | Client::GstreamerV4l2 => {
                ("gst-launch-1.0", "--version", "GStreamer ")
            }
        };
        let said = process::run(process::command(program).arg(argument), limit())?.text();
        let version = said.lines().find_map(|line| line.strip_prefix(before)).unwrap_or_default();
        // mpv 0.36 and later: "v0.40.0".
        let version = version.split_whitespace().next().unwrap_or_default();
        Ok(version.trim_start_matches('v').to_owned())
    }

    /// Requires a good exit and each of `signs` in the log.
    fn check(self, done: Finished, signs: &[&str]) -> Result<Finished, Failure> {
        if is_bug(&done.log) {
            return Err(Failure::Bug { client: self, log: done.log });
        }
        if let Some(signal) = done.killed_by() {
            return Err(Failure::Killed { client: self, signal, log: done.log });
        }
        if !done.status.success() {
            return Err(Failure::Ended { client: self, ending: done.ending(), log: done.log });
        }
        match signs.iter().find(|sign| !done.log.contains(**sign)) {
            None => Ok(done),
            Some(sign) => {
                let sign = format!("{sign:?}");
                Err(Failure::Fallback { client: self, sign, log: done.log })
            }
        }
    }
}

/// Whether the log tells of a panic, be it caught.
fn is_bug(log: &str) -> bool {
    ["a bug in the driver", "panicked at"].iter().any(|words| log.contains(words))
}

/// The first render node of this machine.
fn render_node() -> Option<PathBuf> {
    let nodes = std::fs::read_dir("/dev/dri").ok()?;
    let name = |path: &PathBuf| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("renderD"))
    };
    nodes.flatten().map(|node| node.path()).filter(name).min()
}

/// What libva says when it has loaded the driver from the folder of `environment`.
fn loaded(environment: &Environment) -> String {
    format!("Trying to open {}", environment.directory.join(driver::FILE).display())
}
