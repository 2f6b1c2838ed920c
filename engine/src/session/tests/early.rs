//! Rows that are in a target before their picture is complete.

use super::*;

/// Finishes each packet's picture with the next, like `LateDecoder`; one that somebody waits for it shows as well.
struct ShowingDecoder {
    late: LateDecoder,
    /// Until something comes here, the first packet is not decoded.
    go: Receiver<()>,
}

impl Decoder for ShowingDecoder {
    fn send(&mut self, packet: Packet<'_>, out: &mut Vec<Output>) {
        if packet.id == 1 {
            self.go.recv().unwrap();
        }
        self.late.send(packet, out);
    }

    fn finish(&mut self, last: u64, out: &mut Vec<Output>) {
        if self.late.late.is_some() {
            self.late.seen.send("finish".into()).unwrap();
        }
        self.late.finish(last, out);
    }

    fn finish_in_view(
        &mut self,
        last: u64,
        show: &mut dyn FnMut(usize, &PlanarView<'_>),
        out: &mut Vec<Output>,
    ) {
        if let Some((_, colour)) = self.late.late {
            show(0, &Flat(colour).view());
        }
        self.finish(last, out);
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.late.reset(out);
    }
}

fn bench() -> (Bench, mpsc::Sender<()>) {
    let (tell, seen) = mpsc::channel();
    let (start, go) = mpsc::channel();
    let decoder = Box::new(ShowingDecoder { late: LateDecoder { seen: tell, late: None }, go });
    let session = Session::of(Codec::Vp9, Box::new(CopyWriter), decoder, usize::MAX).unwrap();
    let (answers, answered) = mpsc::channel();
    (Bench { session, seen, answers, answered }, start)
}

/// A frame that counts how often it is written to.
#[derive(Default)]
struct Counted(Pixel, AtomicU64);

impl Target for Counted {
    fn layout(&self) -> FrameLayout {
        self.0.layout()
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.fill(write);
    }
}

#[test]
fn what_was_shown_is_not_packed_again() {
    let (bench, start) = bench();
    let target = Arc::new(Counted::default());
    bench.submit_to(target.clone(), 1000, "a", false);
    start.send(()).unwrap();
    assert_eq!(bench.answered.recv(), Ok((1000, Ok(()))));
    assert_eq!(*target.0.0.lock().unwrap(), [b'a', 128, 128]);
    assert_eq!(target.1.load(Ordering::Relaxed), 1);
    bench.finish();
}

#[test]
fn a_picture_before_it_does_not_overwrite_what_was_shown() {
    let (bench, start) = bench();
    let ((entered, enters), (open, opened)) = (mpsc::channel(), mpsc::channel());
    let gate = Gate { entered, opened: Mutex::new(opened) };
    bench.submit_to(Arc::new(gate), 1000, "a", false);
    // Nobody looks at the first of the two.
    let target = Arc::new(Counted::default());
    bench.submit_to(target.clone(), 2000, "b", false);
    bench.submit_to(target.clone(), 3000, "c", false);
    start.send(()).unwrap();
    enters.recv().unwrap();
    // The last is complete, while the packer is at the first.
    assert!(bench.seen.iter().any(|seen| seen == "finish"));
    open.send(()).unwrap();
    for timestamp in [1000, 2000, 3000] {
        assert_eq!(bench.answered.recv(), Ok((timestamp, Ok(()))));
    }
    assert_eq!(*target.0.0.lock().unwrap(), [b'c', 128, 128]);
    bench.finish();
}
