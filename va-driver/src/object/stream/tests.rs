//! Surfaces and streams against a device that answers when the test says so.

use std::{thread, time::Duration};

use daedalus_uapi::{Controls, vp9};
use libva_sys as va;
use zerocopy::FromZeros;

use super::*;
use crate::{
    convert::{Format, Layout},
    device::Request,
    memory::Block,
    object::{Driver, table::Table},
    testing::holds_in_child,
};

/// Requests as the device got them, with what answers them.
type Queue = Arc<Mutex<Vec<(Request, Done)>>>;

/// What the device was told about requests.
type Told = Arc<Mutex<Vec<(&'static str, u64)>>>;

struct ManualSession(Queue, Told);

impl DeviceSession for ManualSession {
    fn submit(&self, request: Request, done: Done) -> u64 {
        let timestamp = request.timestamp;
        self.0.lock().unwrap().push((request, done));
        timestamp
    }

    fn expect(&self, request: u64) {
        self.1.lock().unwrap().push(("expect", request));
    }

    fn help(&self, request: u64) {
        self.1.lock().unwrap().push(("help", request));
    }

    fn close(&self) {
        for (_, done) in self.0.lock().unwrap().drain(..) {
            done.answer(Err(Error::Decoding("closed".into())));
        }
    }
}

/// Makes one request per picture, one picture late: each is kept back until the next or a commit.
#[derive(Default)]
struct OneLate {
    kept: Option<Draft>,
    timestamp: u64,
}

impl Translator for OneLate {
    fn picture(&mut self, picture: &Picture<'_>, ready: &mut Vec<Draft>) -> Result<()> {
        self.commit(ready);
        if picture.context_size.0 == 0 {
            return Err(Error::Decoding("a broken picture".into()));
        }
        self.timestamp += 1000;
        self.kept = Some(Draft {
            timestamp: self.timestamp,
            controls: Controls::Vp9(vp9::Controls::new_box_zeroed().unwrap()),
            data: Vec::new(),
            hold_capture: false,
            target: Some(picture.target),
            ungrained: None,
        });
        Ok(())
    }

    fn commit(&mut self, ready: &mut Vec<Draft>) {
        ready.extend(self.kept.take());
    }
}

struct Bench {
    surfaces: Arc<Surfaces>,
    stream: Arc<Stream>,
    queue: Queue,
    told: Told,
}

impl Bench {
    fn new() -> Bench {
        Bench::of(Arc::new(Table::new(3)))
    }

    fn of(surfaces: Arc<Surfaces>) -> Bench {
        let queue = Queue::default();
        let told = Told::default();
        let session = Box::new(ManualSession(queue.clone(), told.clone()));
        let translator = Box::<OneLate>::default();
        let presence = Presence::default();
        let stream = Stream::of(Codec::Vp9, translator, session, &surfaces, presence);
        Bench { surfaces, stream: Arc::new(stream), queue, told }
    }

    fn surface(&self) -> Arc<Surface> {
        let layout = Layout::new(Format::Nv12, 32, 32).unwrap();
        let surface = Surface::new(layout, Block::new(layout.data_size().unwrap()).unwrap());
        let id = self.surfaces.insert(|id| surface.with_id(id)).unwrap();
        self.surfaces.get(id).unwrap()
    }

    /// What vaBeginPicture to vaEndPicture do.
    fn decode(&self, target: &Arc<Surface>) {
        target.begin(1).unwrap();
        target.ended(&self.stream);
        let picture = Picture { target: target.id, context_size: (32, 32), buffers: &[] };
        self.stream.picture(&picture).unwrap();
    }

    fn submitted(&self) -> usize {
        self.queue.lock().unwrap().len()
    }

    fn answer(&self, answer: Result<()>) {
        let (_, done) = self.queue.lock().unwrap().remove(0);
        done.answer(answer);
    }
}

const SHORT: Option<Duration> = Some(Duration::from_millis(1));

#[test]
fn only_who_has_all_the_time_helps() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    let told = || std::mem::take(&mut *bench.told.lock().unwrap());
    assert!(!surface.is_ready());
    assert_eq!(told(), [("expect", 1000)]);
    assert_eq!(surface.wait(SHORT), Err(Error::TimedOut));
    assert_eq!(told(), [("expect", 1000)]);
    let waiting = thread::spawn({
        let surface = surface.clone();
        move || surface.wait(None)
    });
    while bench.told.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    assert_eq!(told(), [("help", 1000)]);
    bench.answer(Ok(()));
    assert_eq!(waiting.join().unwrap(), Ok(()));
}

#[test]
fn a_stream_that_is_closed_leaves_nobody_waiting() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    bench.stream.commit();
    bench.stream.close();
    assert_eq!(surface.wait(None), Err(Error::Decoding("closed".into())));
}

#[test]
fn a_child_of_a_fork_does_not_wait_for_its_parents_pictures() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    bench.stream.commit();
    let lost = Err(Error::Decoding("the picture is another process'".into()));
    assert!(holds_in_child(|| {
        surface.settle();
        surface.is_ready() && surface.wait(None) == lost && surface.outcome() == lost
    }));
    let kept = bench.surface();
    bench.decode(&kept);
    let translator = bench.stream.translator.lock();
    assert!(holds_in_child(|| {
        // Another thread of the parent's has it for ever.
        let picture = Picture { target: kept.id, context_size: (32, 32), buffers: &[] };
        let refused = bench.stream.picture(&picture).is_err();
        kept.is_ready() && kept.wait(None) == lost && refused
    }));
    drop(translator);
    assert!(holds_in_child(|| {
        // Its own pictures are none of that.
        let bench = Bench::of(bench.surfaces.clone());
        bench.decode(&surface);
        bench.stream.commit();
        let under_way = surface.wait(SHORT) == Err(Error::TimedOut);
        bench.answer(Ok(()));
        under_way && surface.wait(None) == Ok(())
    }));
    assert_eq!(surface.wait(SHORT), Err(Error::TimedOut), "the parent waits");
    bench.answer(Ok(()));
    assert_eq!(surface.wait(None), Ok(()));
}

#[test]
fn an_idle_surface_is_ready_at_once() {
    let bench = Bench::new();
    let surface = bench.surface();
    assert_eq!(surface.wait(None), Ok(()));
    assert!(surface.is_ready());
}

#[test]
fn waiting_releases_a_picture_that_is_kept_back_and_ends_with_its_answer() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    assert_eq!(bench.submitted(), 0, "kept back");
    assert_eq!(surface.wait(SHORT), Err(Error::TimedOut));
    assert_eq!(bench.submitted(), 1, "released by the wait");
    assert!(!surface.is_ready());
    let waiter = thread::spawn({
        let surface = surface.clone();
        move || surface.wait(None)
    });
    bench.answer(Ok(()));
    assert_eq!(waiter.join().unwrap(), Ok(()));
    assert!(surface.is_ready());
}

#[test]
fn waiting_is_for_the_last_of_several_pictures_in_one_surface() {
    let bench = Bench::new();
    let surface = bench.surface();
    // The client has no use for the first picture's pixels; its request goes out with the second.
    bench.decode(&surface);
    bench.decode(&surface);
    assert_eq!(bench.submitted(), 1);
    bench.answer(Ok(()));
    assert_eq!(surface.wait(SHORT), Err(Error::TimedOut), "the second is still to come");
    assert_eq!(bench.submitted(), 1, "released by the wait");
    bench.answer(Ok(()));
    assert_eq!(surface.wait(None), Ok(()));
}

#[test]
fn a_broken_picture_is_reported_until_the_next_one_replaces_it() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    bench.stream.commit();
    bench.answer(Err(Error::Decoding("cut short".into())));
    assert_eq!(surface.wait(None), Err(Error::Decoding("cut short".into())));
    assert_eq!(surface.wait(None), Err(Error::Decoding("cut short".into())), "still");
    bench.decode(&surface);
    bench.stream.commit();
    bench.answer(Ok(()));
    assert_eq!(surface.wait(None), Ok(()));
}

#[test]
fn a_picture_after_others_that_failed_is_judged_by_itself() {
    let bench = Bench::new();
    let surface = bench.surface();
    // One that is under way, one that is refused, and a good one.
    bench.decode(&surface);
    bench.stream.commit();
    surface.begin(1).unwrap();
    surface.ended(&bench.stream);
    surface.refused(Error::Decoding("makes no sense".into()));
    assert_eq!(surface.outcome(), Err(Error::Decoding("makes no sense".into())));
    bench.decode(&surface);
    bench.stream.commit();
    bench.answer(Err(Error::Decoding("cut short".into())));
    bench.answer(Ok(()));
    assert_eq!(surface.wait(None), Ok(()));
}

#[test]
fn a_picture_that_the_device_loses_does_not_leave_its_surface_waiting() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    bench.stream.commit();
    bench.queue.lock().unwrap().clear();
    assert!(matches!(surface.wait(None), Err(Error::Decoding(_))));
}

#[test]
fn an_error_in_one_picture_does_not_hold_up_the_one_kept_back_before_it() {
    let bench = Bench::new();
    let (first, second) = (bench.surface(), bench.surface());
    bench.decode(&first);
    let broken = Picture { target: second.id, context_size: (0, 0), buffers: &[] };
    assert!(bench.stream.picture(&broken).is_err());
    assert_eq!(bench.submitted(), 1);
    bench.answer(Ok(()));
    assert_eq!(first.wait(None), Ok(()));
}

#[test]
fn a_picture_whose_surface_is_destroyed_is_decoded_for_its_successors() {
    let bench = Bench::new();
    let surface = bench.surface();
    bench.decode(&surface);
    bench.surfaces.remove(surface.id).unwrap();
    bench.stream.commit();
    let queue = bench.queue.lock().unwrap();
    assert_eq!(queue.len(), 1);
    assert!(queue[0].0.target.is_none());
}

#[test]
fn two_contexts_cannot_build_a_picture_in_one_surface_at_once() {
    let bench = Bench::new();
    let surface = bench.surface();
    surface.begin(1).unwrap();
    assert_eq!(surface.begin(2), Err(Error::SurfaceBusy));
    surface.ended(&bench.stream);
    assert_eq!(surface.begin(2), Ok(()));
}

#[test]
fn a_driver_starts_and_ends_without_a_client() {
    let driver = Driver::new(None).unwrap();
    assert_eq!(
        driver.surface(va::VA_INVALID_ID).err(),
        Some(Error::InvalidSurface(va::VA_INVALID_ID))
    );
}

/// A picture of one value.
struct Plain {
    value: u8,
    size: (u32, u32),
}

impl crate::object::surface::Picture for Plain {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn pack(&self, layout: &Layout, memory: &mut [u8]) -> Result<()> {
        for row in 0..self.size.1.min(layout.height) as usize {
            let start = layout.planes[0].offset + row * layout.planes[0].pitch;
            memory[start..][..self.size.0.min(layout.width) as usize].fill(self.value);
        }
        Ok(())
    }
}

fn plain(value: u8) -> Plain {
    Plain { value, size: (32, 32) }
}

/// A surface whose stream's pictures are downloaded.
fn downloaded(bench: &Bench) -> Arc<Surface> {
    let surface = bench.surface();
    bench.decode(&surface);
    bench.stream.commit();
    bench.answer(Ok(()));
    surface.was_downloaded();
    surface
}

fn first(block: &Block) -> u8 {
    block.read(|memory| memory[0]).unwrap()
}

#[test]
fn a_picture_that_is_kept_reaches_memory_when_that_is_looked_at() {
    let surface = downloaded(&Bench::new());
    assert!(surface.keep(plain(7)).is_ok());
    assert_eq!(first(surface.target()), 0, "not yet");
    let image = Layout::new(Format::Nv12, 20, 20).unwrap();
    let memory = Block::new(image.data_size().unwrap()).unwrap();
    assert_eq!(surface.download(&image, &memory), Ok(true));
    assert_eq!(memory.read(|memory| (memory[19], memory[20])), Ok((7, 0)));
    assert_eq!(first(surface.target()), 0, "it was needed elsewhere");
    assert_eq!(first(surface.memory()), 7);
    assert_eq!(surface.download(&image, &memory), Ok(false), "it is in the memory now");

    // The later of two counts; what others write counts more than either.
    assert!(surface.keep(plain(8)).is_ok());
    assert!(surface.keep(plain(9)).is_ok());
    assert_eq!(first(surface.memory()), 9);
    assert!(surface.keep(plain(10)).is_ok());
    surface.overwritten();
    assert_eq!(first(surface.memory()), 9);
}

#[test]
fn what_a_kept_picture_does_not_cover_comes_from_memory() {
    let surface = downloaded(&Bench::new());
    let memory = Block::new(4096).unwrap();
    assert!(surface.keep(Plain { value: 7, size: (32, 16) }).is_ok());
    let wanted = Layout::new(Format::Nv12, 32, 32).unwrap();
    assert_eq!(surface.download(&wanted, &memory), Ok(false));
    let other = Layout::new(Format::I420, 16, 16).unwrap();
    assert_eq!(surface.download(&other, &memory), Ok(false));
    assert_eq!(memory.read(|memory| memory.iter().all(|byte| *byte == 0)), Ok(true));
}

#[test]
fn who_has_the_memory_gets_each_picture_at_once() {
    let bench = Bench::new();
    let surface = downloaded(&bench);
    surface.was_seen();
    assert!(!surface.defers());
    surface.was_downloaded();
    assert!(surface.defers());
    assert!(surface.keep(plain(7)).is_ok());
    assert_eq!(first(surface.watched_memory()), 7);
    surface.was_downloaded();
    assert!(!surface.defers());
    assert!(surface.keep(plain(8)).is_err());
    // That is so for this surface; others follow what the client did last.
    let other = downloaded(&bench);
    other.was_seen();
    assert!(!other.defers());
    other.was_downloaded();
    assert!(other.defers());
}

#[test]
fn few_pictures_of_a_stream_stay_unpacked() {
    let bench = Bench::new();
    let mut surfaces: Vec<_> = (0..UNPACKED).map(|_| downloaded(&bench)).collect();
    for surface in &surfaces {
        assert!(surface.keep(plain(1)).is_ok());
    }
    let another = downloaded(&bench);
    assert!(another.keep(plain(2)).is_err());
    bench.surfaces.remove(surfaces.remove(0).id);
    assert!(another.keep(plain(2)).is_ok(), "a surface that goes leaves its place");
}
