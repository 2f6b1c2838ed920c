//! Streams: a translator and the device session that its requests go to.
//!
//! A stream outlives contexts: a client may make a new context when the frame size changes between key
//! frames (ffmpeg does so for VP9), while its pictures still refer to surfaces of the old one. Surfaces
//! keep the stream of their last picture, and a new context whose first picture refers to such a surface
//! carries that stream on.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use daedalus_uapi::Codec;

use super::{Surfaces, streams::Presence, surface::Surface};
use crate::{
    codec::{self, Draft, Picture, Translator},
    device::{Device, DeviceSession, Done, trace},
    error::{Error, Result},
};

/// One coded stream.
pub(crate) struct Stream {
    /// Names the stream in traces.
    number: u64,
    codec: Codec,
    /// The driver's table. Weak, since surfaces keep their stream: after vaTerminate neither would go.
    surfaces: Weak<Surfaces>,
    session: Box<dyn DeviceSession>,
    /// Locked while requests are submitted, so that they keep their order.
    translator: Mutex<Box<dyn Translator>>,
    /// The client downloads pictures: the one it looked at last, it got by vaGetImage.
    downloaded: AtomicBool,
    /// One for each picture that is decoded and not packed, beside the stream's own.
    places: Arc<()>,
    /// The session is this process' alone, and a child of its may have a translator that is locked for ever.
    owner: u32,
    /// The last field: it goes when the session has gone.
    _presence: Presence,
}

/// The most pictures of a stream that stay unpacked. Each keeps a frame of the decoder's from being used
/// again; clients that download have few surfaces that they have not come to.
const UNPACKED: usize = 8;

/// The place of an unpacked picture.
pub(crate) struct Place {
    _held: Arc<()>,
}

impl Stream {
    /// A new stream of the codec that `profile` belongs to, whose first picture is for `target`.
    pub(super) fn new(
        profile: libva_sys::VAProfile,
        device: &dyn Device,
        target: &Surface,
        surfaces: &Arc<Surfaces>,
        presence: Presence,
    ) -> Result<Arc<Stream>> {
        let unsupported = || Error::UnsupportedProfile(profile);
        let codec = codec::codec_of(profile).ok_or_else(unsupported)?;
        let translator = codec::translator(profile).ok_or_else(unsupported)?;
        let session = device.open(codec, target)?;
        Ok(Arc::new(Stream::of(codec, translator, session, surfaces, presence)))
    }

    /// A stream of these parts.
    pub(super) fn of(
        codec: Codec,
        translator: Box<dyn Translator>,
        session: Box<dyn DeviceSession>,
        surfaces: &Arc<Surfaces>,
        presence: Presence,
    ) -> Stream {
        let surfaces = Arc::downgrade(surfaces);
        Stream {
            number: trace::session(),
            codec,
            surfaces,
            session,
            translator: Mutex::new(translator),
            downloaded: AtomicBool::new(false),
            places: Arc::default(),
            owner: std::process::id(),
            _presence: presence,
        }
    }

    /// Whether pictures are likely to be downloaded.
    pub fn downloaded(&self) -> bool {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// How the client has looked at a picture.
    pub fn set_downloaded(&self, downloaded: bool) {
        self.downloaded.store(downloaded, Ordering::Relaxed);
    }

    /// A place for an unpacked picture, if there is one left.
    pub fn place(&self) -> Option<Place> {
        (Arc::strong_count(&self.places) <= UNPACKED).then(|| Place { _held: self.places.clone() })
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Translates a complete picture and submits what is ready.
    pub fn picture(self: &Arc<Self>, picture: &Picture<'_>) -> Result<()> {
        if self.owner != std::process::id() {
            return Err(Error::Decoding("the stream is another process'".into()));
        }
        let mut translator = self.translator.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ready = Vec::new();
        let translated = translator.picture(picture, &mut ready);
        self.submit(ready);
        translated
    }

    /// Submits a picture that is kept back.
    pub fn commit(self: &Arc<Self>) {
        if self.owner != std::process::id() {
            return;
        }
        let mut translator = self.translator.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ready = Vec::new();
        translator.commit(&mut ready);
        self.submit(ready);
    }

    /// Somebody waits for the answer of a request.
    pub fn expect(&self, request: u64) {
        self.session.expect(request);
    }

    /// The same, of a caller whose thread may decode it.
    pub fn help(&self, request: u64) {
        self.session.help(request);
    }

    /// Ends it, whoever still has it: surfaces that are gone are kept by the pictures that are under way for them, and
    /// keep it in turn.
    pub fn close(&self) {
        self.session.close();
    }

    /// Submits requests in decode order; the translator is locked so that nothing comes between them.
    fn submit(self: &Arc<Self>, drafts: Vec<Draft>) {
        let surfaces = self.surfaces.upgrade();
        let find = |id| surfaces.as_ref()?.get(id);
        for draft in drafts {
            // A surface that is gone by now gets no pixels, but later pictures may refer to its picture.
            let target = draft.target.and_then(find);
            let ungrained = draft.ungrained.and_then(find);
            let written: Vec<(Arc<Surface>, u64)> = target
                .iter()
                .chain(&ungrained)
                .map(|surface| (surface.clone(), surface.submitted(self, draft.hold_capture)))
                .collect();
            let done = Done::new({
                let written = written.clone();
                move |answer| {
                    for (surface, number) in &written {
                        surface.completed(*number, answer.clone());
                    }
                }
            });
            let request = crate::device::Request {
                timestamp: draft.timestamp,
                controls: draft.controls,
                data: draft.data,
                hold_capture: draft.hold_capture,
                target,
                ungrained,
            };
            trace::request(self.number, &request);
            let name = self.session.submit(request, done);
            for (surface, _) in &written {
                surface.named(name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
