//! Decoding with every number of decoder threads while the scheduler plays tricks: pixels depend on neither.

use std::fmt;

use crate::clients::{Client, Failure, Setting, ffmpeg};
use crate::conformance::Expectation;
use crate::frames;
use crate::jitter::Jitter;
use crate::stream::Stream;

/// As whom everything is decoded.
pub const CLIENT: Client = Client::FfmpegDownload;

/// The most surfaces that a client has beyond those that it needs. Programs that look ahead have a dozen or two.
const SURFACES: usize = 128;

/// The most memory that these may take.
const MEMORY: usize = 256 << 20;

/// When pixels are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Of each frame as soon as the client has it: the driver is never far ahead.
    EachInTurn,
    /// After the last picture was sent: everything is in flight at once.
    AllAtLast,
}

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fetch::EachInTurn => "each",
            Fetch::AllAtLast => "last",
        })
    }
}

/// One decode of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Decoder threads.
    pub threads: usize,
    /// For [`Jitter`].
    pub seed: u64,
    /// When pixels are asked for.
    pub fetch: Fetch,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt { threads, seed, fetch } = self;
        write!(f, "threads {threads}, seed {seed}, fetch {fetch}")
    }
}

impl Attempt {
    /// What stream number `stream` meets in round number `round` of a run that begins with `seed`. In as
    /// many rounds as there are `counts` of threads every stream meets each of them, in twice as many each
    /// of them in both ways of `fetch`, unless that is fixed; and a round has all counts at the same time.
    pub fn of_round(
        round: usize,
        stream: usize,
        counts: &[usize],
        fetch: Option<Fetch>,
        seed: u64,
    ) -> Attempt {
        let (cycle, place) = (round / counts.len(), (stream + round) % counts.len());
        let drawn = if (cycle + place) % 2 == 0 { Fetch::AllAtLast } else { Fetch::EachInTurn };
        Attempt {
            threads: counts[place],
            seed: seed.wrapping_add(round as u64),
            fetch: fetch.unwrap_or(drawn),
        }
    }

    /// Decodes `stream` and says what is wrong, if anything is.
    pub fn judge(
        &self,
        stream: &Stream,
        expectation: Expectation,
        jitter: &Jitter,
        setting: &Setting,
    ) -> Result<(), String> {
        match (expectation, self.decode(stream, jitter, setting)) {
            (Expectation::Exact, Ok(got)) => match frames::compare(&stream.frames, &got) {
                None => Ok(()),
                Some(difference) => Err(difference.to_string()),
            },
            // Damaged: ffmpeg may give up as it likes.
            (Expectation::Survive, Ok(_)) => Ok(()),
            (
                Expectation::Survive,
                Err(Failure::Ended { .. } | Failure::Fallback { .. } | Failure::Output { .. }),
            ) => Ok(()),
            (Expectation::FallBack { .. }, _) => Err("not for the driver at all".into()),
            (_, Err(failure)) => Err(failure.to_string()),
        }
    }

    fn decode(
        &self,
        stream: &Stream,
        jitter: &Jitter,
        setting: &Setting,
    ) -> Result<Vec<String>, Failure> {
        let held = (self.fetch == Fetch::AllAtLast).then(|| surfaces(stream)).flatten();
        let mut command = match held {
            Some(surfaces) => ffmpeg::all_at_last(stream, surfaces, &setting.environment),
            None => ffmpeg::command_for(CLIENT, stream, setting).expect("the client is ffmpeg"),
        };
        command.env("DAEDALUS_DEVICE", "embedded");
        command.env("DAEDALUS_THREADS", self.threads.to_string());
        ffmpeg::frames_of(CLIENT, jitter.apply(&mut command, self.seed), setting.limit)
    }
}

/// How many surfaces hold all frames of `stream`, if ffmpeg can hold them back: it drops what its filters hold
/// when the size changes, and of damaged streams nobody knows how many there are.
fn surfaces(stream: &Stream) -> Option<usize> {
    let (width, height) = stream.frames.first()?.size;
    let bytes = width as usize * height as usize * 3 / 2 * stream.layout.sample_bytes();
    let count = stream.frames.len();
    (stream.is_one_size() && count <= SURFACES && count * bytes <= MEMORY).then_some(count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn met(counts: &[usize], stream: usize, rounds: usize) -> BTreeSet<(usize, String)> {
        let of_round = |round| Attempt::of_round(round, stream, counts, None, 7);
        (0..rounds).map(of_round).map(|a| (a.threads, a.fetch.to_string())).collect()
    }

    #[test]
    fn every_stream_meets_every_count_in_every_way() {
        for counts in [&[1, 2, 3, 4, 5, 6, 7, 8][..], &[1, 2, 3], &[4]] {
            for stream in 0..20 {
                let all = met(counts, stream, counts.len());
                assert_eq!(all.len(), counts.len(), "{counts:?} {stream}");
                assert_eq!(met(counts, stream, 2 * counts.len()).len(), 2 * counts.len());
            }
        }
    }

    #[test]
    fn seeds_follow_each_other_and_a_fixed_fetch_stays() {
        let attempt = Attempt::of_round(5, 1, &[2, 3], Some(Fetch::EachInTurn), 100);
        assert_eq!(attempt, Attempt { threads: 2, seed: 105, fetch: Fetch::EachInTurn });
        assert_eq!(attempt.to_string(), "threads 2, seed 105, fetch each");
    }
}
