//! Sessions with a writer and a decoder that the tests see through.

mod early;
mod handover;
mod sizes;

use std::{
    sync::{Mutex, mpsc::Receiver},
    time::Duration,
};

use daedalus_uapi::{Controls, vp9};
use zerocopy::FromZeros;

use super::*;
use crate::{
    FrameLayout, PixelFormat,
    decode::{Decoded, Output, Packet},
    frame::{Planar, PlanarView},
    reconstruct::{Parity, Step},
};

/// Copies the data; refuses data that starts with `!`; asks for a reset before data that starts with `r`;
/// takes `bottom` for a second field.
struct CopyWriter;

impl Writer for CopyWriter {
    fn write(&mut self, _: u64, _: &Controls, data: &[u8], packet: &mut Vec<u8>) -> Result<Step> {
        packet.extend_from_slice(data);
        match data.first() {
            Some(b'!') => Err(Error::Invalid { codec: Codec::Vp9, what: "data".into() }),
            first => Ok(Step {
                reset: first == Some(&b'r'),
                second_field: data == b"bottom",
                first_field: data.starts_with(b"top").then_some(Parity::Top),
                ..Step::default()
            }),
        }
    }
}

/// A picture of one colour.
struct Flat(u8);

impl Planar for Flat {
    fn view(&self) -> PlanarView<'_> {
        let sample = std::slice::from_ref(&self.0);
        PlanarView { width: 1, height: 1, bit_depth: 8, luma: (sample, 1), chroma: None }
    }
}

/// Tells what it is fed; each packet's picture has the colour of its first byte, and finishes one
/// packet late.
struct LateDecoder {
    seen: mpsc::Sender<String>,
    late: Option<(u64, u8)>,
}

impl Decoder for LateDecoder {
    fn send(&mut self, Packet { id, bytes, .. }: Packet<'_>, out: &mut Vec<Output>) {
        self.finish(id, out);
        self.seen.send(format!("{id}:{}", String::from_utf8_lossy(bytes))).unwrap();
        self.late = Some((id, bytes[0]));
    }

    fn finish(&mut self, _: u64, out: &mut Vec<Output>) {
        out.extend(self.late.take().map(|(id, colour)| Output {
            id,
            picture: Ok(Decoded { planar: Box::new(Flat(colour)), grained: None, damage: None }),
        }));
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.finish(u64::MAX, out);
        self.seen.send("reset".into()).unwrap();
    }
}

/// A one-sample frame.
#[derive(Default)]
struct Pixel(Mutex<[u8; 3]>);

impl Target for Pixel {
    fn layout(&self) -> FrameLayout {
        let (pitch, offset) = ([2, 2], [0, 1]);
        FrameLayout { format: PixelFormat::Nv12, width: 1, height: 1, pitch, offset }
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        write(&mut *self.0.lock().unwrap());
    }
}

/// A frame that is filled when the test says so.
struct Gate {
    entered: mpsc::Sender<()>,
    opened: Mutex<Receiver<()>>,
}

impl Target for Gate {
    fn layout(&self) -> FrameLayout {
        Pixel::default().layout()
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        self.entered.send(()).unwrap();
        self.opened.lock().unwrap().recv().unwrap();
        write(&mut [0; 3]);
    }
}

fn submit(
    session: &Session,
    answers: &mpsc::Sender<(u64, Answer)>,
    target: Arc<dyn Target>,
    timestamp: u64,
    data: &str,
    hold_capture: bool,
) -> Ticket {
    let request = Request {
        timestamp,
        controls: Controls::Vp9(vp9::Controls::new_box_zeroed().unwrap()),
        data: data.into(),
        hold_capture,
        target: Some(target),
        ungrained: None,
    };
    let answers = answers.clone();
    let reply = Reply::new(move |answer| answers.send((timestamp, answer)).unwrap());
    session.submit(request, reply)
}

struct Bench {
    session: Session,
    seen: Receiver<String>,
    answers: mpsc::Sender<(u64, Answer)>,
    answered: Receiver<(u64, Answer)>,
}

impl Bench {
    fn new() -> Bench {
        Bench::deep(usize::MAX)
    }

    fn deep(depth: usize) -> Bench {
        let (tell, seen) = mpsc::channel();
        let decoder = Box::new(LateDecoder { seen: tell, late: None });
        let session = Session::of(Codec::Vp9, Box::new(CopyWriter), decoder, depth).unwrap();
        let (answers, answered) = mpsc::channel();
        Bench { session, seen, answers, answered }
    }

    fn submit(&self, timestamp: u64, data: &str, hold_capture: bool) -> Arc<Pixel> {
        let target = Arc::new(Pixel::default());
        self.submit_to(target.clone(), timestamp, data, hold_capture);
        target
    }

    fn submit_to(&self, target: Arc<dyn Target>, timestamp: u64, data: &str, hold_capture: bool) {
        submit(&self.session, &self.answers, target, timestamp, data, hold_capture);
    }

    /// Ends the session and returns all further answers.
    fn finish(self) -> (Vec<String>, Vec<(u64, Answer)>) {
        drop(self.session);
        drop(self.answers);
        (self.seen.iter().collect(), self.answered.iter().collect())
    }
}

#[test]
fn requests_are_answered_in_order_with_pixels() {
    let bench = Bench::new();
    let first = bench.submit(1000, "a", false);
    let second = bench.submit(2000, "b", false);
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(bench.answered.recv(), Ok((2000, Ok(()))), "drained when nothing else is queued");
    assert_eq!(*first.0.lock().unwrap(), [b'a', 128, 128]);
    assert_eq!(*second.0.lock().unwrap(), [b'b', 128, 128]);
    assert_eq!(bench.finish().0, ["1:a", "2:b"]);
}

#[test]
fn two_fields_of_a_frame_are_one_packet_and_two_answers() {
    let bench = Bench::new();
    bench.submit(1000, "top ", true);
    bench.submit(1000, "bottom", false);
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(bench.finish().0, ["1:top bottom"]);
}

#[test]
fn a_held_field_goes_alone_when_another_picture_follows() {
    let bench = Bench::new();
    bench.submit(1000, "top", true);
    bench.submit(2000, "next", false);
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(bench.answered.recv(), Ok((2000, Ok(()))));
    assert_eq!(bench.finish().0, ["1:top", "2:next"]);
}

#[test]
fn a_first_field_does_not_wait_for_a_client_that_waits_for_it() {
    let bench = Bench::new();
    bench.submit(1000, "top", true);
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    let frame = bench.submit(1000, "bottom", false);
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(
        frame.0.lock().unwrap()[0],
        b'b',
        "the whole frame goes to the second field's target"
    );
    assert_eq!(bench.finish().0, ["1:top", "1:bottom"], "one picture to the decoder");
}

#[test]
fn pictures_with_one_timestamp_are_told_apart() {
    let bench = Bench::new();
    let targets = ["a", "b", "c"].map(|data| bench.submit(0, data, false));
    let held = bench.submit(0, "d", true);
    let last = bench.submit(0, "e", false);
    for _ in 0..5 {
        assert_eq!(bench.answered.recv(), Ok((0, Ok(()))));
    }
    let first = |target: &Arc<Pixel>| target.0.lock().unwrap()[0];
    assert_eq!(targets.each_ref().map(first), *b"abc");
    assert_eq!([first(&held), first(&last)], *b"de", "what is held may be no field");
    assert_eq!(bench.finish().0, ["1:a", "2:b", "3:c", "4:d", "5:e"]);
}

#[test]
fn a_request_that_cannot_be_written_is_answered_and_leaves_the_others_alone() {
    let bench = Bench::new();
    bench.submit(1000, "!", false);
    assert!(matches!(bench.answered.recv(), Ok((1000, Err(Error::Invalid { .. })))));
    bench.submit(2000, "a", false);
    assert_eq!(bench.answered.recv(), Ok((2000, Ok(()))));
    assert_eq!(bench.finish().0, ["1:a"]);
}

#[test]
fn a_refusal_does_not_overtake_pictures_under_way() {
    let bench = Bench::new();
    for (timestamp, data) in [(1000, "a"), (2000, "b"), (3000, "!"), (4000, "c")] {
        bench.submit(timestamp, data, false);
    }
    let order = [1000, 2000, 3000, 4000].map(|_| bench.answered.recv().unwrap());
    assert_eq!(order.each_ref().map(|(timestamp, _)| *timestamp), [1000, 2000, 3000, 4000]);
    assert_eq!(order.each_ref().map(|(_, answer)| answer.is_ok()), [true, true, false, true]);
}

#[test]
fn who_sends_too_much_waits() {
    let bench = Bench::deep(2);
    let (entered, enters) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    bench.submit_to(Arc::new(Gate { entered, opened: Mutex::new(opened) }), 1000, "a", false);
    enters.recv().unwrap();
    bench.submit(2000, "b", false);
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let (session, answers) = (&bench.session, &bench.answers);
        scope.spawn(move || {
            submit(session, answers, Arc::new(Pixel::default()), 3000, "c", false);
            tell.send(()).unwrap();
        });
        let early = told.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout), "two are under way");
        open.send(()).unwrap();
        told.recv().unwrap();
    });
    let answered: Vec<u64> =
        bench.answered.iter().take(3).map(|(timestamp, _)| timestamp).collect();
    assert_eq!(answered, [1000, 2000, 3000]);
}

#[test]
fn a_second_field_that_cannot_be_written_does_not_take_the_first_along() {
    let bench = Bench::new();
    bench.submit(1000, "top", true);
    bench.submit(1000, "!", false);
    let mut answers = [bench.answered.recv().unwrap().1, bench.answered.recv().unwrap().1];
    answers.sort_by_key(|answer| answer.is_err());
    assert_eq!(answers[0], Ok(()));
    assert!(matches!(answers[1], Err(Error::Invalid { .. })));
    assert_eq!(bench.finish().0, ["1:top"]);
}

#[test]
fn pictures_before_a_reset_are_finished_first() {
    let bench = Bench::new();
    bench.submit(1000, "a", false);
    bench.submit(2000, "r", false);
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(bench.answered.recv(), Ok((2000, Ok(()))));
    assert_eq!(bench.finish().0, ["1:a", "reset", "2:r"]);
}

#[test]
fn a_session_that_ends_answers_everything() {
    let bench = Bench::new();
    for n in 1..=50 {
        bench.submit(n * 1000, "a", false);
    }
    bench.submit(51_000, "held", true);
    let (_, answers) = bench.finish();
    assert_eq!(answers.len(), 51, "each request exactly once");
    assert!(answers.iter().all(|(_, answer)| matches!(answer, Ok(()) | Err(Error::Abandoned))));
    assert_eq!(answers.last().map(|(timestamp, _)| *timestamp), Some(51_000));
}

/// What a channel says whose other end went with the worker.
const GONE: std::result::Result<String, mpsc::TryRecvError> = Err(mpsc::TryRecvError::Disconnected);

#[test]
fn a_session_that_is_closed_answers_everything_and_has_no_threads() {
    let bench = Bench::new();
    bench.submit(1000, "a", false);
    bench.submit(2000, "held", true);
    bench.session.close();
    let before: Vec<_> = bench.answered.try_iter().map(|(timestamp, _)| timestamp).collect();
    assert_eq!(before, [1000, 2000]);
    while bench.seen.try_recv().is_ok() {}
    assert_eq!(bench.seen.try_recv(), GONE);
    bench.submit(3000, "b", false);
    assert_eq!(bench.answered.try_recv(), Ok((3000, Err(Error::Abandoned))));
    bench.session.close();
}

#[test]
fn a_session_that_is_told_to_stop_ends_by_itself() {
    let bench = Bench::new();
    let (entered, enters) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    bench.submit_to(Arc::new(Gate { entered, opened: Mutex::new(opened) }), 1000, "a", false);
    enters.recv().unwrap();
    bench.submit(2000, "b", false);
    bench.session.stop();
    assert!(!bench.session.has_ended(), "it is at a picture");
    assert!(bench.answered.try_recv().is_err());
    open.send(()).unwrap();
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(bench.answered.recv(), Ok((2000, Err(Error::Abandoned))));
    // Its decoder is the first to go.
    assert_eq!(bench.seen.iter().collect::<Vec<_>>(), ["1:a"]);
    while !bench.session.has_ended() {
        thread::yield_now();
    }
    bench.submit(3000, "c", false);
    assert_eq!(bench.answered.try_recv(), Ok((3000, Err(Error::Abandoned))));
}

#[test]
fn threads_of_a_session_that_ended_on_one_of_them_can_be_waited_for() {
    let Bench { session, seen, .. } = Bench::new();
    let session = Arc::new(session);
    let (ready, go) = mpsc::channel::<()>();
    let request = Request {
        timestamp: 1000,
        controls: Controls::Vp9(vp9::Controls::new_box_zeroed().unwrap()),
        data: b"a".into(),
        hold_capture: false,
        target: None,
        ungrained: None,
    };
    let (tell, told) = mpsc::channel();
    let last = session.clone();
    let reply = Reply::new(move |_| {
        go.recv().unwrap();
        drop(last);
        tell.send(()).unwrap();
    });
    session.submit(request, reply);
    drop(session);
    ready.send(()).unwrap();
    told.recv().unwrap();
    settle();
    assert_eq!(seen.try_recv(), Ok("1:a".into()));
    assert_eq!(seen.try_recv(), GONE);
}

#[test]
fn sessions_that_end_on_each_others_threads_do_not_wait_for_each_other() {
    let (first, second) = (Bench::new(), Bench::new());
    let (tell, told) = mpsc::channel();
    let (one, other) = (Arc::new(first.session), Arc::new(second.session));
    let mut gates = Vec::new();
    // The last of each is what a request of the other has.
    for (session, last) in [(&one, other.clone()), (&other, one.clone())] {
        let (ready, go) = mpsc::channel::<()>();
        let tell = tell.clone();
        let reply = Reply::new(move |_| {
            go.recv().unwrap();
            drop(last);
            tell.send(()).unwrap();
        });
        let request = Request {
            timestamp: 1000,
            controls: Controls::Vp9(vp9::Controls::new_box_zeroed().unwrap()),
            data: b"a".into(),
            hold_capture: false,
            target: None,
            ungrained: None,
        };
        session.submit(request, reply);
        gates.push(ready);
    }
    drop((one, other));
    for ready in gates {
        ready.send(()).unwrap();
    }
    for _ in 0..2 {
        told.recv_timeout(Duration::from_secs(60)).expect("they wait for each other");
    }
    settle();
    for seen in [first.seen, second.seen] {
        assert_eq!(seen.try_recv(), Ok("1:a".into()));
        assert_eq!(seen.try_recv(), GONE);
    }
}

#[test]
fn a_request_of_another_codec_is_refused() {
    let session = Session::new(Codec::H264, &Options::default()).unwrap();
    let request = Request {
        timestamp: 1000,
        controls: Controls::Vp9(vp9::Controls::new_box_zeroed().unwrap()),
        data: Vec::new(),
        hold_capture: false,
        target: None,
        ungrained: None,
    };
    let (tell, answer) = mpsc::channel();
    session.submit(request, Reply::new(move |answer| tell.send(answer).unwrap()));
    let refused = Error::WrongCodec { session: Codec::H264, got: Codec::Vp9 };
    assert_eq!(answer.recv(), Ok(Err(refused)));
}
