//! H.264 and VP9 through libavcodec.
//!
//! How the pieces meet: a packet carries its picture's id as pts. libavcodec asks for a frame buffer
//! when it starts a picture, and by then has copied the packet's pts into the frame; `capture` keeps a
//! reference to that buffer under the id. So the picture is ours as soon as it is decoded, hidden frames
//! included, in coded size, whenever and in whatever order libavcodec would return it. What it does
//! return is dropped.
//!
//! Pictures are decoded beside each other by libavcodec's frame threads, which form a ring: each packet
//! goes to the next thread, and once all have one, sending waits for the oldest. So with T threads a
//! packet is decoded when the T-1 packets after it have been sent; `filler` makes up for those that do
//! not come.

mod adaptive;
mod capture;
mod context;
mod filler;
mod frame;

use std::{collections::VecDeque, ffi::c_int, time::Duration};

use daedalus_uapi::Codec;
use ffmpeg_sys_next as av;

pub(crate) use self::adaptive::AdaptiveDecoder;
use self::{
    capture::{Captures, Flaw, Taken},
    context::{Context, error_text},
    filler::Filler,
};
use super::{Decoded, Decoder, Output, Packet};
use crate::{Error, Result, frame::PlanarView, reconstruct::Parity};

/// How long the next row may take until a picture counts as one that has no more. If that is wrong, time is
/// lost, and nothing else.
const ROW_PATIENCE: Duration = Duration::from_millis(50);

/// The same where being wrong spoils references.
const FIELD_PATIENCE: Duration = Duration::from_secs(1);

/// How threads share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Division {
    /// Each has a picture.
    Pictures,
    /// Each has a slice or tile column of the same picture. What is sent is complete at once.
    Parts,
}

/// A libavcodec decoder.
struct FfmpegDecoder {
    codec: Codec,
    /// Packets until one is complete.
    length: usize,
    /// Refers to `captures`, and is therefore dropped before it.
    context: Context,
    captures: Box<Captures>,
    filler: Filler,
    /// What the threads have, the oldest first; fewer entries than `length`.
    ring: VecDeque<Slot>,
    /// The ring may be one step behind what `ring` says.
    unsure: bool,
    row_patience: Duration,
}

/// What a thread of the ring has to do.
#[derive(Clone, Copy)]
enum Slot {
    /// Nothing, or nothing that is still to be answered.
    Filler,
    Picture(Job),
}

/// A packet that is not answered.
#[derive(Clone, Copy)]
struct Job {
    pts: i64,
    first_field: Option<Parity>,
}

impl FfmpegDecoder {
    /// A decoder for H.264 or VP9 with `threads` threads. With one thread, each picture is complete when
    /// its packet has been sent.
    fn new(codec: Codec, threads: usize, division: Division) -> Result<Self> {
        let captures = Box::new(Captures::new(codec));
        let length = if division == Division::Pictures { threads } else { 1 };
        Ok(FfmpegDecoder {
            codec,
            length,
            // SAFETY: boxed, so its address lasts until it is dropped, which happens after the context is.
            context: unsafe { Context::open(codec, threads, division, &captures)? },
            captures,
            filler: Filler::new(codec),
            ring: VecDeque::with_capacity(length),
            unsure: false,
            row_patience: ROW_PATIENCE,
        })
    }

    /// Gives the next thread of the ring something to do, and answers for what the oldest has finished.
    fn turn(&mut self, slot: Slot, bytes: &[u8], out: &mut Vec<Output>) {
        let pts = match slot {
            Slot::Picture(job) => job.pts,
            Slot::Filler => av::AV_NOPTS_VALUE,
        };
        let status = self.context.decode(pts, bytes);
        self.ring.push_back(slot);
        let oldest = if self.ring.len() < self.length { None } else { self.ring.pop_front() };
        // The status is the oldest packet's; unless the newest failed before a thread had it, and the ring
        // has not turned. VP9's filler fails, as it may, where there is no picture to show.
        let harmless = self.codec == Codec::Vp9
            && status == av::AVERROR_INVALIDDATA
            && matches!(oldest, Some(Slot::Filler));
        self.unsure |= status < 0 && self.length > 1 && !harmless;
        if self.unsure {
            return self.realign(oldest, status, out);
        }
        if let Some(Slot::Picture(job)) = oldest {
            out.push(self.answer(job, status));
        }
    }

    /// Decodes a picture that was answered elsewhere.
    fn repeat(&mut self, bytes: &[u8]) {
        self.filler.observe(bytes);
        self.turn(Slot::Filler, bytes, &mut Vec::new());
    }

    fn turn_idle(&mut self, out: &mut Vec<Output>) {
        // At most a few bytes, copied since what is fed is `self`'s own.
        let bytes = self.filler.bytes().to_vec();
        self.turn(Slot::Filler, &bytes, out);
    }

    /// Finds the ring's position again after an error: whatever it is, the ring has turned once when as
    /// many packets as there are threads went in.
    fn realign(&mut self, oldest: Option<Slot>, status: c_int, out: &mut Vec<Output>) {
        let mut finished: Vec<(Slot, c_int)> =
            oldest.map(|slot| (slot, status)).into_iter().collect();
        if self.ends_in_a_first_field() {
            // Nothing may come between the fields of a frame. What can be known is known by its rows.
            for (slot, status) in finished {
                if let Slot::Picture(job) = slot {
                    self.captures.wait(job.pts, job.first_field, FIELD_PATIENCE);
                    out.push(self.answer(job, status));
                }
            }
            return;
        }
        let filler = self.filler.bytes().to_vec();
        let mut in_a_row = 0;
        for _ in 0..3 * self.length {
            let status = self.context.decode(av::AV_NOPTS_VALUE, &filler);
            self.ring.push_back(Slot::Filler);
            if self.ring.len() >= self.length {
                finished.extend(self.ring.pop_front().map(|slot| (slot, status)));
            }
            in_a_row = if status < 0 { 0 } else { in_a_row + 1 };
            if in_a_row == self.length {
                break;
            }
        }
        if in_a_row < self.length {
            // References are lost, but not the hold on what is finished.
            self.context.flush();
            finished.extend(self.ring.drain(..).map(|slot| (slot, 0)));
        }
        self.unsure = false;
        for (slot, status) in finished {
            if let Slot::Picture(job) = slot {
                out.push(self.answer(job, status));
            }
        }
    }

    fn ends_in_a_first_field(&self) -> bool {
        matches!(self.ring.back(), Some(Slot::Picture(Job { first_field: Some(_), .. })))
    }

    fn has_unanswered(&self, last: i64) -> bool {
        self.ring.iter().any(|slot| matches!(slot, Slot::Picture(job) if job.pts <= last))
    }

    /// Answers for what is complete up to `last` without turning the ring, in order.
    fn finish_by_rows(&mut self, last: i64, patience: Duration, out: &mut Vec<Output>) {
        for at in 0..self.ring.len() {
            let Slot::Picture(job) = self.ring[at] else { continue };
            if job.pts > last || !self.captures.wait(job.pts, job.first_field, patience) {
                return;
            }
            self.ring[at] = Slot::Filler;
            let answer = self.answer(job, 0);
            out.push(answer);
        }
    }

    /// The answer for a packet that has been decoded.
    fn answer(&self, job: Job, status: c_int) -> Output {
        let codec = self.codec;
        let picture = match self.captures.take(job.pts, job.first_field) {
            Taken::Picture { frame, damage } => Ok(Decoded {
                planar: Box::new(frame),
                grained: None,
                damage: damage.or_else(|| (status < 0).then(|| error_text(status))),
            }),
            Taken::Flawed(Flaw::Format(format)) => {
                Err(Error::Unsupported { codec, what: format!("AVPixelFormat {format}") })
            }
            Taken::Flawed(Flaw::Size { width, height, largest }) => {
                Err(Error::TooLarge { codec, width, height, largest })
            }
            Taken::Nothing if status < 0 => Err(Error::Decode { codec, what: error_text(status) }),
            Taken::Nothing => Err(Error::Decode { codec, what: "no picture in the packet".into() }),
        };
        Output { id: job.pts as u64, picture }
    }
}

impl Decoder for FfmpegDecoder {
    fn send(&mut self, packet: Packet<'_>, out: &mut Vec<Output>) {
        let Packet { id, bytes, first_field, largest, .. } = packet;
        self.captures.allow(largest);
        let Ok(pts) = i64::try_from(id) else {
            let what = format!("timestamp {id}");
            let picture = Err(Error::Invalid { codec: self.codec, what });
            return out.push(Output { id, picture });
        };
        if self.ring.iter().any(|slot| matches!(slot, Slot::Picture(job) if job.pts == pts)) {
            // A second field goes into the buffer that its first field's answer is read from.
            self.finish(id, out);
        }
        self.filler.observe(bytes);
        self.turn(Slot::Picture(Job { pts, first_field }), bytes, out);
    }

    fn finish(&mut self, last: u64, out: &mut Vec<Output>) {
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        if self.has_unanswered(last) && self.captures.tracks_rows {
            // A packet between the fields of a frame would end the frame.
            let half = self.ends_in_a_first_field();
            self.finish_by_rows(last, if half { FIELD_PATIENCE } else { self.row_patience }, out);
        }
        // Each turn takes one out of the ring.
        while self.has_unanswered(last) {
            self.turn_idle(out);
        }
    }

    fn finish_in_view(
        &mut self,
        last: u64,
        show: &mut dyn FnMut(usize, &PlanarView<'_>),
        out: &mut Vec<Output>,
    ) {
        let mut jobs = self.ring.iter().filter_map(|slot| match slot {
            Slot::Picture(job) => Some(*job),
            Slot::Filler => None,
        });
        let only = jobs.next().filter(|job| job.first_field.is_none() && jobs.next().is_none());
        if let Some(job) = only.filter(|job| self.captures.tracks_rows && job.pts as u64 == last) {
            let mut top = 0;
            while let Some((picture, bottom)) =
                self.captures.more_rows(job.pts, top, self.row_patience)
            {
                show(top, &picture.rows(top..bottom));
                top = bottom;
            }
        }
        self.finish(last, out);
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.finish(u64::MAX, out);
        self.context.flush();
        self.ring.clear();
        self.unsure = false;
        self.captures.clear();
    }
}

#[cfg(test)]
mod tests;
