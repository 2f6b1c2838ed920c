//! Streams that outlive what decodes them: a session that is lost is replaced at the next key frame, from
//! which on nothing before matters. The client misses the pictures in between, and notices nothing else.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use daedalus_uapi::{Codec, Controls, NO_REFERENCE, av1, h264, vp9};

use super::{Device, DeviceSession, Done, Request};
use crate::{
    convert::{Format, Layout},
    error::Result,
    memory::Block,
    object::surface::Surface,
};

/// A device whose sessions are replaced by what it opens then.
pub(super) struct Enduring<D>(Arc<D>);

impl<D> Enduring<D> {
    pub fn new(device: D) -> Enduring<D> {
        Enduring(Arc::new(device))
    }
}

impl<D: Device + 'static> Device for Enduring<D> {
    fn decodes(&self, codec: Codec, format: Format) -> bool {
        self.0.decodes(codec, format)
    }

    fn open(&self, codec: Codec, target: &Surface) -> Result<Box<dyn DeviceSession>> {
        let session = self.0.open(codec, target)?.into();
        Ok(Box::new(EnduringSession {
            device: self.0.clone(),
            codec,
            current: Mutex::new(Current { session, number: 0, closed: false }),
            first_field: AtomicU64::new(NO_REFERENCE),
        }))
    }

    fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
        self.0.frame(wanted)
    }

    fn shares(&self) -> bool {
        self.0.shares()
    }
}

struct EnduringSession<D> {
    device: Arc<D>,
    codec: Codec,
    /// Locked for moments only: a submission may take seconds, and others want to say that they wait.
    current: Mutex<Current>,
    /// The timestamp of the last request if another field is to follow it, else [`NO_REFERENCE`].
    first_field: AtomicU64,
}

#[derive(Clone)]
struct Current {
    session: Arc<dyn DeviceSession>,
    /// How many were before it.
    number: u64,
    /// There will be no other.
    closed: bool,
}

/// Bits of a request's name that are its session's own name for it: ten thousand years of pictures. Those
/// above are the session's number.
const NAME_BITS: u32 = 56;

impl Current {
    fn name(&self, request: u64) -> u64 {
        self.number << NAME_BITS | request
    }

    /// What the session calls a request, if it is this one's.
    fn request(&self, name: u64) -> Option<u64> {
        let request = name & ((1 << NAME_BITS) - 1);
        (self.name(request) == name).then_some(request)
    }
}

impl<D: Device> DeviceSession for EnduringSession<D> {
    fn submit(&self, request: Request, done: Done) -> u64 {
        let field = if request.hold_capture { request.timestamp } else { NO_REFERENCE };
        let is_second = self.first_field.swap(field, Ordering::Relaxed) == request.timestamp;
        if let (false, true, Some(target)) = (is_second, is_key(&request.controls), &request.target)
        {
            self.renew(target);
        }
        let current = self.current().clone();
        current.name(current.session.submit(request, done))
    }

    fn expect(&self, name: u64) {
        let current = self.current().clone();
        if let Some(request) = current.request(name) {
            current.session.expect(request);
        }
    }

    fn help(&self, name: u64) {
        let current = self.current().clone();
        if let Some(request) = current.request(name) {
            current.session.help(request);
        }
    }

    fn close(&self) {
        self.current().closed = true;
        let current = self.current().clone();
        current.session.close();
    }
}

impl<D: Device> EnduringSession<D> {
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that is lost gives way to a new one, if there is one, whose first picture is for `target`.
    fn renew(&self, target: &Surface) {
        let before = self.current().clone();
        let Some(why) = before.session.lost().filter(|_| !before.closed) else { return };
        match self.device.open(self.codec, target) {
            Ok(session) => {
                let mut current = self.current();
                if current.closed {
                    // It goes without the lock.
                    drop(current);
                    return;
                }
                log::warn!("{}: a new session from this key frame on: {why}", self.codec);
                let number = before.number + 1;
                *current = Current { session: session.into(), number, closed: false };
                // What the former one still has it answers with errors when it goes, which is here.
                drop(current);
            }
            Err(error) => log::debug!("{}: no new session: {error}", self.codec),
        }
    }
}

/// Whether a decoder can begin with this picture. Of H.264 that is any intra picture: streams may have
/// others than IDR pictures for that, and nobody says which those are.
fn is_key(controls: &Controls) -> bool {
    match controls {
        Controls::H264(controls) => {
            let inter = h264::DECODE_PARAM_PFRAME | h264::DECODE_PARAM_BFRAME;
            controls.decode_params.flags & inter == 0
        }
        Controls::Vp9(controls) => controls.frame.flags & vp9::FRAME_KEY_FRAME != 0,
        Controls::Av1(controls) => controls.frame.frame_type == av1::frame_type::KEY,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use zerocopy::FromZeros;

    use super::*;
    use crate::error::Error;

    /// A device that may refuse, and whose sessions may be lost.
    #[derive(Default)]
    struct Fragile {
        refuses: AtomicBool,
        lost: Arc<AtomicBool>,
        log: Log,
        opened: AtomicU64,
    }

    /// What sessions were asked: their number, and the request.
    type Log = Arc<Mutex<Vec<(u64, String)>>>;

    struct FragileSession {
        number: u64,
        lost: Arc<AtomicBool>,
        log: Log,
    }

    impl Device for Fragile {
        fn decodes(&self, _: Codec, _: Format) -> bool {
            true
        }

        fn open(&self, _: Codec, _: &Surface) -> Result<Box<dyn DeviceSession>> {
            if self.refuses.load(Ordering::Relaxed) {
                return Err(Error::OperationFailed("away".into()));
            }
            let number = self.opened.fetch_add(1, Ordering::Relaxed);
            self.lost.store(false, Ordering::Relaxed);
            let (lost, log) = (self.lost.clone(), self.log.clone());
            Ok(Box::new(FragileSession { number, lost, log }))
        }

        fn frame(&self, wanted: Layout) -> Result<(Layout, Block)> {
            Ok((wanted, Block::new(1)?))
        }

        fn shares(&self) -> bool {
            false
        }
    }

    impl FragileSession {
        fn note(&self, what: String) {
            self.log.lock().unwrap().push((self.number, what));
        }
    }

    impl DeviceSession for FragileSession {
        fn submit(&self, request: Request, done: Done) -> u64 {
            self.note(format!("{}", request.timestamp));
            done.answer(Ok(()));
            request.timestamp
        }

        fn expect(&self, request: u64) {
            self.note(format!("expect {request}"));
        }

        fn help(&self, request: u64) {
            self.note(format!("help {request}"));
        }

        fn lost(&self) -> Option<String> {
            self.lost.load(Ordering::Relaxed).then(|| "lost".into())
        }

        fn close(&self) {
            self.note("close".into());
        }
    }

    struct Bench {
        device: Enduring<Fragile>,
        session: Box<dyn DeviceSession>,
        surface: Arc<Surface>,
    }

    impl Bench {
        fn new() -> Bench {
            let layout = Layout::new(Format::Nv12, 16, 16).unwrap();
            let block = Block::new(layout.data_size().unwrap()).unwrap();
            let surface = Arc::new(Surface::new(layout, block));
            let device = Enduring::new(Fragile::default());
            let session = device.open(Codec::H264, &surface).unwrap();
            Bench { device, session, surface }
        }

        fn submit(&self, timestamp: u64, flags: u32, hold_capture: bool) -> u64 {
            let mut controls = h264::Controls::new_box_zeroed().unwrap();
            controls.decode_params.flags = flags;
            let request = Request {
                timestamp,
                controls: Controls::H264(controls),
                data: Vec::new(),
                hold_capture,
                target: Some(self.surface.clone()),
                ungrained: None,
            };
            self.session.submit(request, Done::new(|_| ()))
        }

        fn lose(&self) {
            self.device.0.lost.store(true, Ordering::Relaxed);
        }

        /// What has happened since the last time.
        fn log(&self) -> Vec<(u64, String)> {
            std::mem::take(&mut *self.device.0.log.lock().unwrap())
        }
    }

    const KEY: u32 = h264::DECODE_PARAM_IDR_PIC;
    const P: u32 = h264::DECODE_PARAM_PFRAME;

    #[test]
    fn a_lost_session_is_replaced_at_a_key_frame() {
        let bench = Bench::new();
        bench.submit(1, KEY, false);
        bench.submit(2, KEY, false);
        bench.lose();
        bench.submit(3, P, false);
        bench.submit(4, KEY, false);
        bench.submit(5, P, false);
        let expected = [(0, "1"), (0, "2"), (0, "3"), (1, "4"), (1, "5")];
        assert_eq!(bench.log(), expected.map(|(number, what)| (number, what.to_owned())));
    }

    #[test]
    fn one_that_is_closed_does_not_begin_anew() {
        let bench = Bench::new();
        bench.session.close();
        bench.lose();
        bench.submit(1, KEY, false);
        assert_eq!(bench.log(), [(0, "close".to_owned()), (0, "1".to_owned())]);
    }

    #[test]
    fn it_stays_where_there_is_no_other() {
        let bench = Bench::new();
        bench.lose();
        bench.device.0.refuses.store(true, Ordering::Relaxed);
        bench.submit(1, KEY, false);
        bench.device.0.refuses.store(false, Ordering::Relaxed);
        bench.submit(2, P, false);
        bench.submit(3, KEY, false);
        let expected = [(0, "1"), (0, "2"), (1, "3")];
        assert_eq!(bench.log(), expected.map(|(number, what)| (number, what.to_owned())));
    }

    #[test]
    fn the_fields_of_a_frame_stay_together() {
        let bench = Bench::new();
        bench.submit(1, KEY, true);
        bench.lose();
        bench.submit(1, 0, false);
        bench.submit(2, 0, false);
        let expected = [(0, "1"), (0, "1"), (1, "2")];
        assert_eq!(bench.log(), expected.map(|(number, what)| (number, what.to_owned())));
    }

    #[test]
    fn requests_of_a_former_session_are_not_the_new_ones() {
        let bench = Bench::new();
        let old = bench.submit(1, KEY, false);
        bench.lose();
        let new = bench.submit(2, KEY, false);
        bench.log();
        bench.session.expect(old);
        bench.session.expect(new);
        bench.session.help(old);
        bench.session.help(new);
        assert_eq!(bench.log(), [(1, "expect 2".to_owned()), (1, "help 2".to_owned())]);
    }
}
