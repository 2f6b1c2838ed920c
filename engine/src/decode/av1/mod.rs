//! AV1 through dav1d.
//!
//! Every coded frame comes out, hidden ones included, with the number that went in as its timestamp, and
//! in decode order. Film grain is not part of a picture: it is applied to a copy.
//!
//! After each packet the library is asked for a picture exactly once: a second question starts a drain,
//! and a drain that is left half way before the next packet deadlocks the library's frame threads.

mod library;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use daedalus_uapi::Codec;

use self::library::{Layout, Library, Picture};
use super::{Decoded, Decoder, Output, Packet};
use crate::{
    Error, Result,
    frame::{Planar, PlanarView},
};

/// An AV1 decoder.
pub(crate) struct Av1Decoder {
    /// None if it could not be opened again.
    library: Option<Library>,
    threads: usize,
    /// The numbers of the packets that are not answered yet, in decode order.
    pending: VecDeque<u64>,
    /// Something has failed since the library was opened.
    spoilt: bool,
}

/// With so many threads dav1d has frame threads. A library that has them and in which something has failed is not used again
/// after a drain. dav1d (1.4.3) marks the failed frame's place in its ring until another frame takes it, and whenever a drain
/// passes such a place it counts its oldest frame on without having one: that runs away from the ring, a frame is put before
/// the one that it refers to, and both wait for ever.
const FRAME_THREADS: usize = 2;

impl Av1Decoder {
    /// A decoder with `threads` threads; more than one lets as many frames overlap.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let library = Library::open(threads).map_err(|code| Error::Setup {
            codec: Codec::Av1,
            what: format!("dav1d_open: {}", library::describe(code)),
        })?;
        let library = Some(library);
        Ok(Av1Decoder { library, threads, pending: VecDeque::new(), spoilt: false })
    }

    /// Asks for one picture and answers for it. False if the library has none ready.
    fn poll(&mut self, out: &mut Vec<Output>) -> bool {
        let Some(library) = &mut self.library else { return false };
        match library.get_picture() {
            Ok(picture) => {
                let id = picture.id();
                if !self.pending.contains(&id) {
                    log::debug!("AV1: a second picture for packet {id}");
                    return true;
                }
                // Decode order: what was sent before and did not come out never will.
                while let Some(earlier) = self.pending.pop_front() {
                    if earlier == id {
                        break;
                    }
                    self.spoilt = true;
                    out.push(failed(earlier, "no picture came out".into()));
                }
                out.push(Output { id, picture: self.decoded(picture) });
                true
            }
            Err(code) if code == library::EAGAIN => false,
            Err(code) => {
                let oldest = self.pending.front().copied();
                self.fail(code, oldest, out);
                true
            }
        }
    }

    /// Answers for the packet that the library says failed; for `otherwise` if it does not say.
    fn fail(&mut self, code: i32, otherwise: Option<u64>, out: &mut Vec<Output>) {
        self.spoilt = true;
        let said = self.library.as_mut().and_then(Library::failed_id);
        let said = said.filter(|id| self.pending.contains(id));
        let at = said.or(otherwise).and_then(|id| self.pending.iter().position(|p| *p == id));
        if let Some(id) = at.and_then(|at| self.pending.remove(at)) {
            out.push(failed(id, library::describe(code)));
        }
    }

    fn decoded(&mut self, picture: Picture) -> Result<Decoded> {
        if !matches!(picture.layout(), Layout::I400 | Layout::I420) {
            return Err(unsupported("chroma other than 4:2:0"));
        }
        if !matches!(picture.bit_depth(), 8 | 10) {
            return Err(unsupported("a bit depth other than 8 and 10"));
        }
        let grained = if picture.has_grain() {
            let error = |code| Error::Decode {
                codec: Codec::Av1,
                what: format!("film grain: {}", library::describe(code)),
            };
            let library = self.library.as_mut().ok_or_else(|| error(-libc::EINVAL))?;
            let grained = library.apply_grain(&picture).map_err(error)?;
            Some(Box::new(grained) as Box<dyn Planar>)
        } else {
            None
        };
        Ok(Decoded { planar: Box::new(picture), grained, damage: None })
    }
}

impl Decoder for Av1Decoder {
    fn send(&mut self, Packet { id, bytes, .. }: Packet<'_>, out: &mut Vec<Output>) {
        let mut sent = self.offer(id, bytes);
        if sent == Err(library::EAGAIN) {
            // Full: everything before this packet has to come out first.
            self.finish(id, out);
            sent = self.offer(id, bytes);
        }
        self.pending.push_back(id);
        match sent {
            Ok(()) => {
                self.poll(out);
            }
            Err(code) => {
                self.fail(code, Some(id), out);
                // Nothing may have been sent, so that a single question would be a drain left half way.
                self.finish(id, out);
            }
        }
    }

    /// Finishes everything: see above for what becomes of a drain left half way.
    fn finish(&mut self, _last: u64, out: &mut Vec<Output>) {
        let mut empty = 0;
        while empty < 2 {
            empty = if self.poll(out) { 0 } else { empty + 1 };
        }
        for id in self.pending.drain(..) {
            self.spoilt = true;
            out.push(failed(id, "no picture came out".into()));
        }
        if self.spoilt && self.threads >= FRAME_THREADS {
            self.open_again();
        }
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.finish(u64::MAX, out);
        if let Some(library) = &mut self.library {
            library.flush();
        }
    }
}

impl Av1Decoder {
    /// Gives the library a packet.
    fn offer(&mut self, id: u64, bytes: &[u8]) -> std::result::Result<(), i32> {
        if self.library.is_none() {
            self.open_again();
        }
        match &mut self.library {
            Some(library) => library.send(id, bytes),
            None => Err(-libc::ENOMEM),
        }
    }

    /// A new library, without references: what follows fails up to the next key frame.
    fn open_again(&mut self) {
        log::debug!("AV1: begins anew after an error");
        // The threads of the old one end first.
        self.library = None;
        match Library::open(self.threads) {
            Ok(library) => {
                self.library = Some(library);
                self.spoilt = false;
            }
            Err(code) => log::warn!("AV1: dav1d_open: {}", library::describe(code)),
        }
    }
}

fn failed(id: u64, what: String) -> Output {
    Output { id, picture: Err(Error::Decode { codec: Codec::Av1, what }) }
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported { codec: Codec::Av1, what: what.into() }
}

impl Planar for Picture {
    fn view(&self) -> PlanarView<'_> {
        let chroma = match self.layout() {
            Layout::I420 => Some([self.plane(1), self.plane(2)]),
            _ => None,
        };
        PlanarView {
            width: self.width(),
            height: self.height(),
            bit_depth: self.bit_depth(),
            luma: self.plane(0),
            chroma,
        }
    }
}
