//! Which way of sharing the work suits a client.
//!
//! A client that works ahead gets the most pictures per second when threads work on different ones. One that
//! waits for each picture would then see one thread at work, and pay for what frame threads have to tell
//! each other. It gets its picture sooner when threads share it, where it has slices or tile columns, and when
//! a single thread decodes it where not.
//!
//! The references are in the decoder, so that the way can change at key frames only. The first
//! packets after one are kept for a while: if it turns out soon that the client works ahead, another decoder
//! decodes them once more. So it does after damage, which a libavcodec decoder may not get over.

use std::time::{Duration, Instant};

use daedalus_uapi::Codec;

use super::{Decoder, Division, FfmpegDecoder, Output, Packet};
use crate::{Result, frame::PlanarView};

/// Pictures after a key frame until the division is final.
const TRIAL: usize = 4;

/// Bytes of packets that are kept at most, a quarter of a second of 1 Gbit/s: nobody counts them for the client.
const MOST_BYTES: usize = 32 << 20;

/// Pictures without one queued behind them that show a client that waits.
const LONE: usize = 32;

/// A libavcodec decoder that follows the client's ways.
pub(crate) struct AdaptiveDecoder {
    codec: Codec,
    threads: usize,
    pub(super) division: Division,
    decoder: FfmpegDecoder,
    /// The packets since the key frame, as long as another decoder may have to begin with it; at most
    /// [`Self::most_kept`], and [`MOST_BYTES`] in all.
    pub(super) kept: Option<Vec<Vec<u8>>>,
    /// The picture of that key frame.
    key: u64,
    /// The last packet was a first field: its second field needs the decoder that has it.
    half: bool,
    /// Pictures in a row that came when the one before was decoded.
    lone: usize,
    /// The client has worked ahead since it last was one that waits.
    ahead: bool,
    pace: Pace,
    /// A picture was damaged. libavcodec's slice contexts decode some pictures wrongly after that, key frames
    /// included, and for good (as `ffmpeg` itself does): another decoder has to take the next key frame.
    spoiled: bool,
    /// That was before the last key frame, and came to light after it.
    late: bool,
    /// Luma samples of the largest picture that may be decoded.
    largest: u64,
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
            kept: None,
            key: 0,
            half: false,
            lone: 0,
            ahead: false,
            pace: Pace::default(),
            spoiled: false,
            late: false,
            largest: 0,
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
        if division == self.division && !self.spoiled {
            return;
        }
        match FfmpegDecoder::new(self.codec, self.threads, division) {
            Ok(decoder) => {
                self.decoder.finish(u64::MAX, out);
                // It may be given earlier packets first.
                decoder.captures.allow(self.largest);
                self.decoder = decoder;
                self.division = division;
                (self.spoiled, self.late) = (false, false);
            }
            Err(error) => log::warn!("{error}: decoding goes on as before"),
        }
    }

    /// Decodes the pictures since the key frame once more, each on a thread.
    fn start_again(&mut self, out: &mut Vec<Output>) {
        let packets = self.kept.take().unwrap_or_default();
        let before = out.len();
        self.change(Division::Pictures, out);
        if self.division == Division::Pictures {
            packets.iter().for_each(|packet| self.decoder.repeat(packet));
        }
        // What the decoder before had still to say, and what is repeated, is damaged for this one as well.
        self.inspect(before, out);
        self.late = false;
    }

    /// Takes note of damage in what has been answered from number `from` on.
    fn inspect(&mut self, from: usize, out: &[Output]) {
        for answer in &out[from..] {
            if !answer.picture.as_ref().is_ok_and(|decoded| decoded.damage.is_none()) {
                self.spoiled = true;
                self.late |= answer.id < self.key;
            }
        }
    }

    /// Whether, and how, the pictures from the last key frame on need another decoder, as far as `packet` tells.
    fn reconsider(&mut self, packet: &Packet<'_>, out: &mut Vec<Output>) {
        let Some(packets) = &self.kept else { return };
        if self.half {
            // The next packet decides.
            return;
        }
        if self.division == Division::Parts {
            let full = packets.len() >= TRIAL;
            let ahead = packet.queued || self.ahead;
            if ahead || full && self.choose(packet.parts) == Division::Pictures {
                self.start_again(out);
            } else if full {
                self.kept = None;
            }
        } else if self.late {
            self.start_again(out);
        } else if packets.len() >= self.threads {
            // All from before the key frame are answered.
            self.kept = None;
        }
    }

    /// Packets that are kept at most. [`Self::reconsider`] has decided by then, unless the client sends first
    /// fields alone, each of which leaves it to the next packet.
    pub(super) fn most_kept(&self) -> usize {
        self.threads.max(TRIAL) + 2
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
        self.largest = self.largest.max(packet.largest);
        if self.threads > 1 {
            self.watch(&packet);
            self.pace.sends();
        }
        if packet.key {
            let alone = self.threads == 1;
            let division = if alone { Division::Pictures } else { self.choose(packet.parts) };
            self.change(division, out);
            self.late = false;
            self.kept = (!alone).then(Vec::new);
            self.key = packet.id;
            self.pace = Pace { sent: self.pace.sent, ..Pace::default() };
        } else {
            self.reconsider(&packet, out);
        }
        self.half = packet.first_field.is_some();
        let most = self.most_kept();
        self.kept.take_if(|packets| {
            let bytes = packets.iter().map(Vec::len).sum::<usize>() + packet.bytes.len();
            packets.len() >= most || bytes > MOST_BYTES
        });
        if let Some(packets) = &mut self.kept {
            packets.push(packet.bytes.to_vec());
        }
        let before = out.len();
        self.decoder.send(packet, out);
        self.inspect(before, out);
        if self.division == Division::Parts {
            self.pace.completes();
        }
    }

    fn finish(&mut self, last: u64, out: &mut Vec<Output>) {
        let before = out.len();
        self.decoder.finish(last, out);
        self.inspect(before, out);
        self.pace.completes();
    }

    fn finish_in_view(
        &mut self,
        last: u64,
        show: &mut dyn FnMut(usize, &PlanarView<'_>),
        out: &mut Vec<Output>,
    ) {
        let before = out.len();
        self.decoder.finish_in_view(last, show, out);
        self.inspect(before, out);
        self.pace.completes();
    }

    fn is_prompt(&self) -> bool {
        self.threads == 1 || self.division == Division::Parts
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.kept = None;
        self.decoder.reset(out);
    }
}
