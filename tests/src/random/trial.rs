//! A recipe put to the test.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::encode;
use super::encoders::Installed;
use super::reference::Decoder;
use super::{Recipe, Witnesses};
use crate::clients::{Client, Setting};
use crate::frames::{self, Difference, Frame};
use crate::pinpoint;
use crate::stream::{Codec, Stream};

/// What all trials of a run share.
pub struct Bench {
    /// The encoders.
    pub installed: Installed,
    /// The clients.
    pub witnesses: Witnesses,
    /// The driver and the display.
    pub setting: Setting,
    /// Where each trial has a folder.
    pub folder: PathBuf,
}

/// What became of a seed.
pub struct Trial {
    /// What was drawn.
    pub recipe: Recipe,
    /// How it ended.
    pub outcome: Outcome,
    /// What must come out; empty where there is no stream or no reference.
    pub frames: Vec<Frame>,
    /// The clients that decoded.
    pub clients: Vec<Client>,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
    /// The trial's folder.
    pub folder: PathBuf,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a trial can end.
#[derive(Debug)]
pub enum Outcome {
    /// All frames are right.
    Exact {
        /// How many.
        frames: usize,
    },
    /// A client gave other frames.
    Differs {
        /// Who.
        client: Client,
        /// The first frame, plane and sample.
        what: String,
    },
    /// A client failed, and not by a refusal of its own.
    Failed {
        /// Who.
        client: Client,
        /// How, with the end of its log.
        why: String,
    },
    /// A client did not end.
    Hung {
        /// Who.
        client: Client,
        /// The end of its log.
        log: String,
    },
    /// Every client refused by itself: the recipe should not be drawn.
    NoClient,
    /// The encoder did not take its options, or made what no decoder takes: neither good nor bad.
    EncoderRefused(String),
    /// There is nothing to compare with.
    NoReference(String),
}

impl Outcome {
    /// Whether something is wrong that must not be.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Outcome::Exact { .. } | Outcome::EncoderRefused(_))
    }

    /// One or two words.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Exact { .. } => "exact",
            Outcome::Differs { .. } => "DIFFERS",
            Outcome::Failed { .. } => "ERROR",
            Outcome::Hung { .. } => "TIMEOUT",
            Outcome::NoClient => "NO CLIENT",
            Outcome::EncoderRefused(_) => "encoder refused",
            Outcome::NoReference(_) => "NO REFERENCE",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Outcome::Exact { .. } | Outcome::NoClient => Ok(()),
            Outcome::Differs { client, what } => write!(f, " ({client}): {what}"),
            Outcome::Failed { client, why } => write!(f, " ({client}): {why}"),
            Outcome::Hung { client, log } => write!(f, " ({client}):\n{log}"),
            Outcome::EncoderRefused(why) | Outcome::NoReference(why) => write!(f, ": {why}"),
        }
    }
}

impl Bench {
    /// Encodes, decodes and compares. With `only`, each of these clients decodes that has no known fault;
    /// else the first that can, in the order that the seed has drawn.
    pub fn run(&self, recipe: Recipe, only: Option<&[Client]>) -> Trial {
        let started = Instant::now();
        let folder = self.folder.join(format!("{}-{}", recipe.seed, recipe.encoder));
        let mut trial = Trial {
            recipe,
            outcome: Outcome::NoClient,
            frames: Vec::new(),
            clients: Vec::new(),
            notes: Vec::new(),
            folder,
            elapsed: Duration::ZERO,
        };
        trial.outcome = match self.make(&trial.recipe, &trial.folder) {
            Ok((stream, pixels)) => {
                trial.frames.clone_from(&stream.frames);
                self.judge(&stream, &pixels, only, &mut trial)
            }
            Err(outcome) => outcome,
        };
        trial.elapsed = started.elapsed();
        trial
    }

    /// The stream with its reference, and the samples of that.
    fn make(&self, recipe: &Recipe, folder: &Path) -> Result<(Stream, Vec<Vec<u8>>), Outcome> {
        prepare(folder).map_err(Outcome::NoReference)?;
        let path = recipe.encode(folder, &self.installed).map_err(|failure| match failure {
            encode::Failure::Source(why) => Outcome::NoReference(why),
            encode::Failure::Encoder(why) => Outcome::EncoderRefused(why),
        })?;
        let (codec, layout) = (recipe.encoder.codec(), recipe.layout());
        let decoded = Decoder::first(codec).decode(&path, layout).map_err(|why| {
            // That of AV1 is the encoder's own library or the codec's.
            let invalid = codec == Codec::Av1
                || Decoder::second(codec).is_some_and(|other| other.decode(&path, layout).is_err());
            if invalid {
                Outcome::EncoderRefused(format!("its stream is invalid: {why}"))
            } else {
                Outcome::NoReference(why)
            }
        })?;
        let name = recipe.seed.to_string();
        Ok((Stream { name, path, codec, layout, frames: decoded.frames }, decoded.pixels))
    }

    fn judge(
        &self,
        stream: &Stream,
        pixels: &[Vec<u8>],
        only: Option<&[Client]>,
        trial: &mut Trial,
    ) -> Outcome {
        let asked = only.map_or_else(|| trial.recipe.clients.clone(), <[Client]>::to_vec);
        for client in asked {
            if let Some(fault) = self.witnesses.fault(client, &trial.recipe) {
                trial.notes.push(format!("not {client}: {fault}"));
                continue;
            }
            match client.decode(stream, &self.setting) {
                Ok(got) => {
                    trial.clients.push(client);
                    if let Some(difference) = frames::compare(&stream.frames, &got) {
                        let what = self.explain(&difference, &got, stream, pixels);
                        return Outcome::Differs { client, what };
                    }
                    if only.is_none() {
                        break;
                    }
                }
                Err(failure) => match Witnesses::refusal(client, &failure) {
                    Some(message) => trial.notes.push(format!("{client} refuses: {message}")),
                    None if failure.hung() => {
                        return Outcome::Hung { client, log: tail(failure.log()) };
                    }
                    None => return Outcome::Failed { client, why: failure.to_string() },
                },
            }
        }
        if trial.clients.is_empty() {
            Outcome::NoClient
        } else {
            Outcome::Exact { frames: stream.frames.len() }
        }
    }

    /// All that can be said of a difference: where it is, and whom another decoder agrees with.
    fn explain(
        &self,
        difference: &Difference,
        got: &[String],
        stream: &Stream,
        pixels: &[Vec<u8>],
    ) -> String {
        let mut text = difference.to_string();
        if let Difference::At { frame, .. } = difference {
            let (codec, layout) = (stream.codec, stream.layout);
            let got = pinpoint::through_va(&stream.path, codec, layout, &self.setting.environment);
            let before: usize = pixels[..*frame].iter().map(Vec::len).sum();
            let size = stream.frames[*frame].size;
            let expected = &pixels[*frame];
            text.push_str(&match got {
                None => "; ffmpeg's hwdownload cannot be asked".to_owned(),
                Some(got) => match got.get(before..before + expected.len()) {
                    None => "; ffmpeg's hwdownload does not give it".to_owned(),
                    Some(got) => match pinpoint::compare(expected, got, layout, size) {
                        None => "; ffmpeg's hwdownload gives it right".to_owned(),
                        Some(spot) => format!("; {spot}"),
                    },
                },
            });
        }
        if let Some(second) = Decoder::second(stream.codec) {
            let verdict = match second.decode(&stream.path, stream.layout) {
                Ok(other) if other.frames == stream.frames => {
                    "agrees with the reference".to_owned()
                }
                Ok(other) if same(&other.frames, got) => "AGREES WITH THE CLIENT".to_owned(),
                Ok(_) => "agrees with neither".to_owned(),
                Err(why) => format!("fails: {why}"),
            };
            text.push_str(&format!("; {} {verdict}", second.0));
        }
        text
    }
}

fn same(frames: &[Frame], got: &[String]) -> bool {
    frames::compare(frames, got).is_none()
}

/// An empty folder.
fn prepare(folder: &Path) -> Result<(), String> {
    let told = |e: std::io::Error| format!("{}: {e}", folder.display());
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(told(e)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(told)
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
