//! The daemon with a test in the kernel module's place and real streams.

mod support;

use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use daedalus_daemon::{
    Error,
    device::{Capabilities, KernelDevice, Status},
    dump::Dump,
};
use daedalus_uapi::{
    Codec,
    protocol::{CODEC_VP9, Head, MSG_DECODE, MSG_FLUSH},
    record::Record,
};
use nix::errno::Errno;
use zerocopy::IntoBytes;

use support::{
    Bench, PATIENCE,
    stream::{ALTREF, Layout, PROFILE2, Stream},
};

#[test]
fn pictures_reach_their_buffers_in_order() {
    for (ivf, layout) in [(ALTREF, Layout::Nv12), (ALTREF, Layout::Nv12m), (PROFILE2, Layout::P010)]
    {
        let stream = Stream::new(ivf, layout);
        let pictures = stream.pictures();
        let mut bench = Bench::new();
        bench.open(1, Codec::Vp9);
        let cookies: Vec<u64> = (0..stream.len())
            .map(|index| {
                bench.buffer(index as u64, &stream.sizes());
                stream.decode(&mut bench, 1, index, index as u64)
            })
            .collect();
        for cookie in cookies {
            assert_eq!(bench.answer(), (1, cookie, Status::Ok));
        }
        for (index, picture) in pictures.iter().enumerate() {
            assert!(stream.shows(&bench, index as u64, picture), "picture {index}");
        }
    }
}

#[test]
fn pictures_of_one_timestamp_are_told_apart() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut bench = Bench::new();
    bench.open(1, Codec::Vp9);
    for index in 0..stream.len() {
        bench.buffer(index as u64, &stream.sizes());
        stream.decode_edited(&mut bench, 1, index, index as u64, |message| message.timestamp = 0);
    }
    for (index, picture) in stream.pictures().iter().enumerate() {
        assert_eq!(bench.answer().2, Status::Ok);
        assert!(stream.shows(&bench, index as u64, picture), "picture {index}");
    }
}

#[test]
fn a_buffer_is_asked_for_once_until_it_goes_away() {
    let stream = Stream::new(ALTREF, Layout::Nv12m);
    let pictures = stream.pictures();
    let mut bench = Bench::new();
    bench.open(1, Codec::Vp9);
    bench.buffer(7, &stream.sizes());
    let first = stream.decode(&mut bench, 1, 0, 7);
    bench.answer();
    stream.decode(&mut bench, 1, 1, 7);
    bench.answer();
    assert!(stream.shows(&bench, 7, &pictures[1]));
    assert_eq!(bench.asked(), [(first, 0), (first, 1)]);
    bench.forget(7, 1);
    bench.forget(1, 7);
    bench.forget(1, 8);
    bench.buffer(7, &stream.sizes());
    let third = stream.decode(&mut bench, 1, 2, 7);
    bench.answer();
    assert!(stream.shows(&bench, 7, &pictures[2]));
    assert_eq!(bench.asked()[2..], [(third, 0), (third, 1)]);
}

#[test]
fn what_a_client_has_taken_back_is_decoded_but_written_nowhere() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let pictures = stream.pictures();
    let mut bench = Bench::new();
    bench.open(1, Codec::Vp9);
    (0..4).for_each(|buffer| bench.buffer(buffer, &stream.sizes()));
    // The worker stays at the first picture while the others are read.
    let gate = bench.gate(bench.next_cookie());
    let cookies: Vec<u64> =
        (0..3).map(|index| stream.decode(&mut bench, 1, index, index as u64)).collect();
    bench.until_at_gate(cookies[0]);
    bench.take_back(cookies[1]);
    bench.take_back(cookies[2]);
    bench.flush(1);
    let after = stream.decode(&mut bench, 1, 3, 3);
    bench.until_asked(after);
    gate.send(()).unwrap();
    // The first was written before it was taken back.
    for (cookie, status) in cookies.into_iter().zip([Status::Ok, Status::Failed, Status::Failed]) {
        assert_eq!(bench.answer(), (1, cookie, status), "answered all the same");
    }
    assert_eq!(bench.answer(), (1, after, Status::Ok));
    let untouched = vec![0xEE; stream.sizes()[0] as usize];
    assert_eq!([1, 2].map(|buffer| bench.content(buffer, 0) == untouched), [true; 2]);
    assert!(stream.shows(&bench, 3, &pictures[3]), "its references were decoded");
}

#[test]
fn a_session_that_ends_does_not_stall_the_others() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let pictures = stream.pictures();
    let mut bench = Bench::new();
    bench.open(1, Codec::Vp9);
    bench.open(2, Codec::Vp9);
    (0..3).for_each(|buffer| bench.buffer(buffer, &stream.sizes()));
    let gate = bench.gate(bench.next_cookie());
    let stuck = stream.decode(&mut bench, 1, 0, 0);
    bench.until_at_gate(stuck);
    let queued = stream.decode(&mut bench, 1, 1, 1);
    bench.close(1);
    bench.close(3);
    let other = stream.decode(&mut bench, 2, 0, 2);
    assert_eq!(bench.answer(), (2, other, Status::Ok));
    assert!(stream.shows(&bench, 2, &pictures[0]));
    assert!(bench.is_silent());
    gate.send(()).unwrap();
    assert_eq!(bench.answer(), (1, stuck, Status::Ok));
    assert_eq!(bench.answer(), (1, queued, Status::Failed));
    let late = stream.decode(&mut bench, 1, 1, 1);
    assert_eq!(bench.answer(), (1, late, Status::Failed), "there is no such session any more");
}

#[test]
fn sessions_that_are_ending_count_for_their_user() {
    const MOST: u64 = 128;
    const OTHERS: u64 = 1 << 40;
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut bench = Bench::with_threads(1);
    (0..2).for_each(|buffer| bench.buffer(buffer, &stream.sizes()));
    (1..=MOST).for_each(|session| bench.open(session, Codec::Vp9));
    let gate = bench.gate(bench.next_cookie());
    let stuck = stream.decode(&mut bench, 1, 0, 0);
    bench.until_at_gate(stuck);
    bench.close(1);
    // What a picture of a new session ends with.
    let mut last = MOST;
    let mut try_one = |bench: &mut Bench, user: u32| {
        last += 1;
        bench.open_for(user, last, Codec::Vp9);
        bench.buffer(1, &stream.sizes());
        stream.decode(bench, last, 0, 1);
        let (session, _, status) = bench.answer();
        bench.close(last);
        assert_eq!(session, last);
        status
    };
    assert_eq!(try_one(&mut bench, 1000), Status::Failed, "one of its sessions is at a picture");
    assert_eq!(try_one(&mut bench, 1001), Status::Ok, "another user");
    assert_eq!(try_one(&mut bench, 0), Status::Ok, "root");
    gate.send(()).unwrap();
    assert_eq!(bench.answer(), (1, stuck, Status::Ok));
    // It answers before it has ended.
    let deadline = Instant::now() + PATIENCE;
    while try_one(&mut bench, 1000) != Status::Ok {
        assert!(Instant::now() < deadline, "the session that has ended still counts");
    }
    (1..=MOST).for_each(|session| bench.open_for(0, OTHERS + session, Codec::Vp9));
    let picture = &stream.pictures()[0];
    bench.buffer(0, &stream.sizes());
    stream.decode(&mut bench, OTHERS + MOST, 0, 0);
    assert_eq!(bench.answer().2, Status::Ok);
    assert!(stream.shows(&bench, 0, picture), "root has as many as it wants");
}

#[test]
fn sessions_begin_anew() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let picture = &stream.pictures()[0];
    let mut bench = Bench::new();
    bench.buffer(0, &stream.sizes());
    // Twice without an end between, then with one.
    for _ in 0..2 {
        bench.open(1, Codec::Vp9);
        stream.decode(&mut bench, 1, 0, 0);
        assert_eq!(bench.answer().2, Status::Ok);
    }
    bench.close(1);
    bench.open(1, Codec::Vp9);
    stream.decode(&mut bench, 1, 0, 0);
    assert_eq!(bench.answer().2, Status::Ok);
    assert!(stream.shows(&bench, 0, picture));
    assert_eq!(bench.asked().len(), 3, "each session has buffers of its own");
}

#[test]
fn a_picture_without_a_buffer_fails_and_is_a_reference_all_the_same() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let pictures = stream.pictures();
    let size = stream.sizes()[0];
    let mut bench = Bench::new();
    bench.open(1, Codec::Vp9);
    (1..7).for_each(|buffer| bench.buffer(buffer, &stream.sizes()));
    bench.buffer(2, &[size - 1]);
    let cookies = [
        // No dma-buf; one that is too short; planes that lie outside; formats that do not exist.
        stream.decode(&mut bench, 1, 0, 0),
        stream.decode(&mut bench, 1, 1, 2),
        stream.decode_edited(&mut bench, 1, 2, 3, |message| message.offset[1] += 1000),
        stream.decode_edited(&mut bench, 1, 3, 4, |message| message.pixelformat = 0),
        stream.decode_edited(&mut bench, 1, 4, 5, |message| message.num_buffers = 3),
        stream.decode_edited(&mut bench, 1, 5, 5, |message| message.buffer_size[0] = u32::MAX),
    ];
    for cookie in cookies {
        assert_eq!(bench.answer(), (1, cookie, Status::Failed));
    }
    stream.decode(&mut bench, 1, 6, 6);
    assert_eq!(bench.answer().2, Status::Ok);
    assert!(stream.shows(&bench, 6, &pictures[6]));
    let untouched = vec![0xEE; size as usize];
    assert!([3, 4, 5].iter().all(|buffer| bench.content(*buffer, 0) == untouched));
}

#[test]
fn messages_that_lie_fail_alone() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let pictures = stream.pictures();
    let mut bench = Bench::new();
    bench.send(&[0xEE; 40]);
    bench.send(&[1]);
    bench.send(Head { kind: MSG_DECODE, size: 16, session: 1 }.as_bytes());
    bench.send(Head { kind: MSG_FLUSH, size: 16, session: 1 }.as_bytes());
    bench.buffer(0, &stream.sizes());
    stream.decode(&mut bench, 1, 0, 0);
    assert_eq!(bench.answer().2, Status::Failed, "of a session that was never opened");
    bench.open(1, Codec::Vp9);
    stream.decode_edited(&mut bench, 1, 0, 0, |message| message.num_controls = 3);
    assert_eq!(bench.answer().2, Status::Failed);
    stream.decode_edited(&mut bench, 1, 0, 0, |message| message.data_size += 1);
    assert_eq!(bench.answer().2, Status::Failed);
    stream.decode_edited(&mut bench, 1, 0, 0, |message| message.flags = 0x80);
    assert_eq!(bench.answer().2, Status::Failed);
    stream.decode(&mut bench, 1, 0, 0);
    assert_eq!(bench.answer().2, Status::Ok);
    assert!(stream.shows(&bench, 0, &pictures[0]));
    bench.open(2, Codec::H264);
    stream.decode(&mut bench, 2, 0, 0);
    assert_eq!(bench.answer().2, Status::Failed, "controls of another codec");
}

#[test]
fn a_daemon_that_is_told_to_end_answers_what_it_has() {
    const COUNT: usize = 5;
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let pictures = stream.pictures();
    let mut bench = Bench::with_threads(2);
    bench.open(1, Codec::Vp9);
    (0..COUNT as u64).for_each(|buffer| bench.buffer(buffer, &stream.sizes()));
    let [first, second] = [bench.next_cookie(), bench.next_cookie() + 1];
    let gates = [first, second].map(|cookie| bench.gate(cookie));
    let cookies: Vec<u64> =
        (0..COUNT).map(|index| stream.decode(&mut bench, 1, index, index as u64)).collect();
    bench.until_at_gate(first);
    bench.until_asked(cookies[COUNT - 1]);
    gates[0].send(()).unwrap();
    bench.until_at_gate(second);
    // Those after it may be decoded by now, and wait to be packed: what is said of them must be true as well.
    thread::sleep(Duration::from_millis(50));
    bench.stop();
    bench.until_ended(1);
    gates[1].send(()).unwrap();
    bench.end().unwrap();
    let answers = bench.rest();
    assert_eq!(answers.len(), COUNT, "each is answered once: {answers:?}");
    for (session, cookie, status) in answers {
        let index = cookies.iter().position(|sent| *sent == cookie).unwrap();
        assert_eq!(session, 1);
        match status {
            Status::Ok => {
                assert!(stream.shows(&bench, index as u64, &pictures[index]), "picture {index}");
            }
            status => assert_eq!((status, index > 1), (Status::Failed, true), "picture {index}"),
        }
    }
}

#[test]
fn a_device_that_fails_ends_the_daemon() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let mut bench = Bench::new();
    bench.open(1, Codec::Vp9);
    bench.buffer(0, &stream.sizes());
    bench.break_device(Errno::ENODEV);
    stream.decode(&mut bench, 1, 0, 0);
    match bench.end() {
        Err(Error::System(_, error)) => assert_eq!(error.raw_os_error(), Some(libc::ENODEV)),
        other => panic!("{other:?}"),
    }

    let mut bench = Bench::new();
    bench.hang_up();
    assert!(matches!(bench.end(), Err(Error::Gone)));
}

/// What was written, for whoever asks.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn requests_are_dumped_as_lines() {
    let stream = Stream::new(ALTREF, Layout::Nv12);
    let dump = Shared::default();
    let mut bench = Bench::with_dump(Some(Dump::to(dump.clone())));
    bench.open(5, Codec::Vp9);
    bench.buffer(0, &stream.sizes());
    stream.decode(&mut bench, 5, 0, 0);
    stream.decode(&mut bench, 5, 1, 99);
    bench.answer();
    bench.answer();
    let lines = String::from_utf8(dump.0.lock().unwrap().clone()).unwrap();
    let records: Vec<Record> = lines.lines().map(|line| Record::from_json(line).unwrap()).collect();
    assert_eq!(
        records.iter().map(|r| (r.session, r.timestamp)).collect::<Vec<_>>(),
        [(5, 0), (5, 1000)]
    );
    assert_eq!([records[0].shown, records[1].shown], [true, false], "the second has no buffer");
}

#[test]
fn a_device_that_is_none_is_named() {
    let capabilities = Capabilities { codecs: CODEC_VP9, codecs_10bit: 0, max_size: 64 };
    let attach = |path: &str| KernelDevice::attach(Path::new(path), capabilities).unwrap_err();
    assert!(matches!(attach("/dev/there-is-no-daedalus"), Error::NoDevice(_)));
    assert!(matches!(attach("/dev/null"), Error::Open(..)));
}
