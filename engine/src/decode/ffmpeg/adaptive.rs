//! Which way of sharing the work suits a client.
//!
//! A client that works ahead gets the most pictures per second when threads work on different ones. One that
//! waits for each picture would then see one thread at work, and pay for what frame threads have to tell
//! each other. It gets its picture sooner when threads share it, where it has slices or tile columns, and when
//! a single thread decodes it where not.
//!
//! The references are in the decoder, so that the way can change at key frames only. The first
//! pictures after one are kept for a while: if it turns out soon that the client works ahead, another decoder
//! decodes them once more.

use std::time::{Duration, Instant};

use daedalus_uapi::Codec;

use super::{Decoder, Division, FfmpegDecoder, Output, Packet};
use crate::{Result, frame::PlanarView};

/// Pictures after a key frame until the division is final.
const TRIAL: usize = 4;

/// Pictures without one queued behind them that show a client that waits.
const LONE: usize = 32;

/// A libavcodec decoder that follows the client's ways.
pub(crate) struct AdaptiveDecoder {
    codec: Codec,
    threads: usize,
    pub(super) division: Division,
    decoder: FfmpegDecoder,
    /// The packets since the key frame, if the division is not final yet.
    trial: Option<Vec<Vec<u8>>>,
    /// The last packet was a first field: its second field needs the decoder that has it.
    half: bool,
    /// Pictures in a row that came when the one before was decoded.
    lone: usize,
    /// The client has worked ahead since it last was one that waits.
    ahead: bool,
    pace: Pace,
}

/// What the time since the last key frame went into.
#[derive(Default)]
struct Pace {
    /// Decoding.
    busy: Duration,
    /// Waiting for the client, with everything decoded.
    idle: Duration,
    /// When the picture under way was sent.
    sent: Option<Instant>,
    /// When the last picture was complete.
    complete: Option<Instant>,
}

impl Pace {
    fn sends(&mut self) {
        let now = Instant::now();
        if let Some(complete) = self.complete.take() {
            self.idle += now - complete;
        }
        self.sent = Some(now);
    }

    fn completes(&mut self) {
        if let Some(sent) = self.sent.take() {
            let now = Instant::now();
            self.busy += now - sent;
            self.complete = Some(now);
        }
    }

    /// The client sends the next picture as soon as it has one, as far as is known: it does not wait for a
    /// clock, in whose time threads could catch up with a picture that takes long.
    fn is_pressing(&self) -> bool {
        self.idle <= self.busy
    }
}

impl AdaptiveDecoder {
    /// A decoder for H.264 or VP9 with `threads` threads.
    pub(crate) fn new(codec: Codec, threads: usize) -> Result<Self> {
        let division = Division::Pictures;
        Ok(AdaptiveDecoder {
            codec,
            threads,
            division,
            decoder: FfmpegDecoder::new(codec, threads, division)?,
            trial: None,
            half: false,
            lone: 0,
            ahead: false,
            pace: Pace::default(),
        })
    }

    /// The division for the pictures from a key frame on.
    fn choose(&self, parts: usize) -> Division {
        // libavcodec's VP9 decoder filters a picture on one thread while others decode its tile columns,
        // which makes two parts of any picture.
        let shared = parts > 1 || self.codec == Codec::Vp9;
        let waits = !self.ahead && (shared || self.pace.is_pressing());
        if waits { Division::Parts } else { Division::Pictures }
    }

    fn change(&mut self, division: Division, out: &mut Vec<Output>) {
        if division == self.division {
            return;
        }
        match FfmpegDecoder::new(self.codec, self.threads, division) {
            Ok(decoder) => {
                self.decoder.finish(u64::MAX, out);
                self.decoder = decoder;
                self.division = division;
            }
            Err(error) => log::warn!("{error}: decoding goes on as before"),
        }
    }

    /// Decodes the pictures since the key frame once more, each on a thread.
    fn start_again(&mut self, out: &mut Vec<Output>) {
        let packets = self.trial.take().unwrap_or_default();
        self.change(Division::Pictures, out);
        if self.division == Division::Pictures {
            packets.iter().for_each(|packet| self.decoder.repeat(packet));
        }
    }

    fn watch(&mut self, packet: &Packet<'_>) {
        if packet.queued {
            (self.lone, self.ahead) = (0, true);
        } else {
            self.lone += 1;
            self.ahead &= self.lone < LONE;
        }
    }
}

impl Decoder for AdaptiveDecoder {
    fn send(&mut self, packet: Packet<'_>, out: &mut Vec<Output>) {
        if self.threads > 1 {
            self.watch(&packet);
            self.pace.sends();
            if packet.key {
                self.change(self.choose(packet.parts), out);
                self.trial = (self.division == Division::Parts).then(Vec::new);
                self.pace = Pace { sent: self.pace.sent, ..Pace::default() };
            } else if let Some(packets) = &self.trial {
                let full = packets.len() >= TRIAL;
                let ahead = packet.queued || self.ahead;
                if self.half {
                    // The next packet decides.
                } else if ahead || full && self.choose(packet.parts) == Division::Pictures {
                    self.start_again(out);
                } else if full {
                    self.trial = None;
                }
            }
            self.half = packet.first_field.is_some();
            if let Some(packets) = &mut self.trial {
                packets.push(packet.bytes.to_vec());
            }
        }
        self.decoder.send(packet, out);
        if self.division == Division::Parts {
            self.pace.completes();
        }
    }

    fn finish(&mut self, last: u64, out: &mut Vec<Output>) {
        self.decoder.finish(last, out);
        self.pace.completes();
    }

    fn finish_in_view(
        &mut self,
        last: u64,
        show: &mut dyn FnMut(usize, &PlanarView<'_>),
        out: &mut Vec<Output>,
    ) {
        self.decoder.finish_in_view(last, show, out);
        self.pace.completes();
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.trial = None;
        self.decoder.reset(out);
    }
}
