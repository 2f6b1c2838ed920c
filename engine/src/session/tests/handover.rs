//! Workers that a client's thread runs.

use std::thread::ThreadId;

use super::*;

/// Answers at once, and tells which thread it was on.
struct PromptDecoder {
    seen: mpsc::Sender<(u64, ThreadId)>,
    /// Panics at this packet.
    breaks_at: u8,
}

impl Decoder for PromptDecoder {
    fn send(&mut self, Packet { id, bytes, .. }: Packet<'_>, out: &mut Vec<Output>) {
        assert_ne!(bytes[0], self.breaks_at, "as the test wants it");
        // Nobody looks any more when the session ends.
        let _ = self.seen.send((id, thread::current().id()));
        let picture = Decoded { planar: Box::new(Flat(bytes[0])), grained: None, damage: None };
        out.push(Output { id, picture: Ok(picture) });
    }

    fn finish(&mut self, _: u64, _: &mut Vec<Output>) {}

    fn is_prompt(&self) -> bool {
        true
    }

    fn reset(&mut self, _: &mut Vec<Output>) {}
}

type Answers = Receiver<(u64, Answer)>;

struct Prompt {
    session: Arc<Session>,
    seen: Receiver<(u64, ThreadId)>,
    answers: mpsc::Sender<(u64, Answer)>,
    answered: Answers,
}

impl Prompt {
    fn new() -> Prompt {
        let (tell, seen) = mpsc::channel();
        let decoder = Box::new(PromptDecoder { seen: tell, breaks_at: b'#' });
        let session = Session::of(Codec::Vp9, Box::new(CopyWriter), decoder, usize::MAX).unwrap();
        let (answers, answered) = mpsc::channel();
        Prompt { session: Arc::new(session), seen, answers, answered }
    }

    fn submit(&self, data: &str) -> Ticket {
        self.submit_to(Arc::new(Pixel::default()), data)
    }

    fn submit_to(&self, target: Arc<dyn Target>, data: &str) -> Ticket {
        let timestamp = self.session.tickets.load(Ordering::Relaxed) + 1;
        submit(&self.session, &self.answers, target, timestamp, data, false)
    }

    /// Sends a picture and waits for it: the thread that decoded it.
    fn round(&self, data: &str) -> ThreadId {
        let ticket = self.submit(data);
        self.session.help(ticket);
        assert_eq!(self.answered.recv(), Ok((ticket, Ok(()))));
        self.seen.recv().unwrap().1
    }

    /// Waits for each picture until pictures are decoded on this thread.
    fn get_used_to_it(&self) {
        let here = thread::current().id();
        assert!((0..10_000).any(|_| self.round("a") == here), "never");
    }

    fn used_to_it() -> Prompt {
        let bench = Prompt::new();
        bench.get_used_to_it();
        bench
    }

    /// Sends what is for this thread to decode.
    fn leave(&self, data: &str) -> Ticket {
        let ticket = self.submit(data);
        assert!(self.session.handover.has_request());
        ticket
    }
}

#[test]
fn who_waits_for_each_picture_decodes_it() {
    let bench = Prompt::used_to_it();
    let target = Arc::new(Pixel::default());
    let ticket = bench.submit_to(target.clone(), "b");
    bench.session.help(ticket);
    assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
    assert_eq!(*target.0.lock().unwrap(), [b'b', 128, 128]);
}

#[test]
fn a_request_that_nobody_waits_for_is_decoded_all_the_same() {
    let bench = Prompt::used_to_it();
    let ticket = bench.leave("b");
    assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
    let (id, thread) = bench.seen.recv().unwrap();
    assert_eq!(id, ticket);
    assert_ne!(thread, thread::current().id());
}

#[test]
fn requests_that_follow_each_other_keep_their_order() {
    let bench = Prompt::used_to_it();
    let tickets: Vec<_> = ["b", "c", "d", "e"].iter().map(|data| bench.submit(data)).collect();
    bench.session.help(tickets[3]);
    for ticket in tickets {
        assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
        assert_eq!(bench.seen.recv().unwrap().0, ticket);
    }
    // And from the beginning.
    bench.get_used_to_it();
}

#[test]
fn who_only_says_that_they_wait_does_not_decode() {
    let bench = Prompt::used_to_it();
    let ticket = bench.leave("b");
    bench.session.expect(ticket);
    assert!(!bench.session.handover.has_request(), "nobody has to look for it");
    assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
    assert_ne!(bench.seen.recv().unwrap().1, thread::current().id());
}

#[test]
fn who_waits_for_an_older_one_leaves_the_younger_to_the_worker() {
    let bench = Prompt::used_to_it();
    let ticket = bench.leave("b");
    bench.session.help(ticket - 1);
    assert!(!bench.session.handover.has_request());
    assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
    assert_ne!(bench.seen.recv().unwrap().1, thread::current().id());
}

#[test]
fn who_waits_decodes_and_not_who_sent_it() {
    let bench = Prompt::used_to_it();
    let ticket = bench.leave("b");
    let session = bench.session.clone();
    let other = thread::spawn(move || session.help(ticket));
    assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
    // That thread, or the worker's if it was slow to come.
    assert_ne!(bench.seen.recv().unwrap().1, thread::current().id());
    other.join().unwrap();
    bench.get_used_to_it();
}

#[test]
fn what_is_refused_is_answered_on_the_way() {
    let bench = Prompt::used_to_it();
    let ticket = bench.leave("!");
    bench.session.help(ticket);
    assert!(matches!(bench.answered.recv(), Ok((at, Err(Error::Invalid { .. }))) if at == ticket));
    bench.round("b");
}

#[test]
fn a_field_that_waits_for_its_other_one_is_left_to_the_worker() {
    let bench = Prompt::used_to_it();
    let target = || Arc::new(Pixel::default());
    let ticket = submit(&bench.session, &bench.answers, target(), 5000, "top ", true);
    bench.session.help(ticket);
    submit(&bench.session, &bench.answers, target(), 5000, "bottom", false);
    assert_eq!(bench.answered.recv(), Ok((5000, Ok(()))));
    assert_eq!(bench.answered.recv(), Ok((5000, Ok(()))));
    assert_ne!(bench.seen.recv().unwrap().1, thread::current().id());
}

#[test]
fn what_lies_there_when_a_session_ends_is_answered() {
    for close in [true, false] {
        let bench = Prompt::used_to_it();
        let ticket = bench.leave("b");
        let Prompt { session, answered, .. } = bench;
        if close {
            session.close();
            assert!(session.has_ended());
        }
        drop(session);
        let (at, answer) = answered.recv().unwrap();
        assert_eq!(at, ticket);
        assert_eq!(answer, Err(Error::Abandoned));
    }
}

#[test]
fn a_session_that_ends_waits_for_who_decodes() {
    let bench = Prompt::used_to_it();
    let (entered, enters) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    let session = bench.session.clone();
    let closing = thread::spawn(move || {
        enters.recv().unwrap();
        session.stop();
        let early = session.has_ended();
        open.send(()).unwrap();
        session.close();
        (early, session.has_ended())
    });
    let ticket = bench.submit_to(Arc::new(Gate { entered, opened: Mutex::new(opened) }), "b");
    assert!(bench.session.handover.has_request());
    bench.session.help(ticket);
    assert_eq!(bench.answered.recv(), Ok((ticket, Ok(()))));
    assert_eq!(closing.join().unwrap(), (false, true));
    let late = bench.submit("c");
    assert_eq!(bench.answered.recv(), Ok((late, Err(Error::Abandoned))));
}

#[test]
fn an_answer_may_close_the_session_on_the_thread_that_decodes() {
    let bench = Prompt::used_to_it();
    let session = bench.session.clone();
    let (tell, told) = mpsc::channel();
    let request = Request {
        timestamp: 0,
        controls: Controls::Vp9(vp9::Controls::new_box_zeroed().unwrap()),
        data: b"b".into(),
        hold_capture: false,
        target: None,
        ungrained: None,
    };
    let reply = Reply::new(move |answer| {
        session.close();
        tell.send(answer).unwrap();
    });
    let ticket = bench.session.submit(request, reply);
    assert!(bench.session.handover.has_request());
    bench.session.help(ticket);
    assert_eq!(told.recv(), Ok(Ok(())));
    assert!(bench.seen.iter().last().is_some(), "its decoder is gone");
}

#[test]
fn a_panic_on_the_clients_thread_loses_the_session_and_no_answer() {
    let bench = Prompt::used_to_it();
    let ticket = bench.leave("#");
    let session = bench.session.clone();
    session.help(ticket);
    assert_eq!(bench.answered.recv(), Ok((ticket, Err(Error::Abandoned))));
    let late = bench.submit("b");
    bench.session.help(late);
    assert_eq!(bench.answered.recv(), Ok((late, Err(Error::Abandoned))));
    drop(session);
    bench.session.close();
    assert!(bench.session.has_ended());
}

#[test]
fn a_fork_leaves_a_worker_that_lies_there_alone() {
    let bench = Prompt::used_to_it();
    // SAFETY: the child only asks the session for nothing and drops it, and leaves without running any destructor.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no conditions; a child that hangs is killed.
        unsafe { libc::alarm(60) };
        bench.session.help(1);
        drop(bench.session);
        // SAFETY: no conditions.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: a child of this process that nobody else waits for, and a status to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    bench.round("b");
}

#[test]
fn whoever_waits_in_whatever_way_answers_keep_their_order() {
    let bench = Prompt::new();
    // A linear congruential generator: the way changes, the same in each run.
    let mut state = 1u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let (mut sent, mut answered, mut here) = (0, 0, 0);
    for _ in 0..300 {
        let (ahead, at_once, rounds) = (u64::from(random(4)), random(8) > 0, 1 + random(40));
        for _ in 0..rounds {
            while sent <= answered + ahead {
                sent = bench.submit("a");
            }
            let wanted = answered + 1;
            if at_once {
                bench.session.help(wanted)
            } else {
                bench.session.expect(wanted)
            }
            assert_eq!(bench.answered.recv(), Ok((wanted, Ok(()))));
            let (id, thread) = bench.seen.recv().unwrap();
            assert_eq!(id, wanted);
            here += u32::from(thread == thread::current().id());
            answered = wanted;
        }
    }
    drop(bench.session);
    let left: Vec<_> = bench.answered.try_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(left, (answered + 1..=sent).collect::<Vec<_>>());
    assert!(here > 0, "some of it is decoded here");
}
