//! The pictures that a session has taken on, in decode order, until each is answered.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    device::Done,
    error::{Error, Result},
    memory::Block,
};

/// What was submitted and is not answered.
#[derive(Default)]
pub(super) struct Pictures(VecDeque<Picture>);

struct Picture {
    timestamp: u64,
    /// The CAPTURE buffer that the device has for it, until that comes back.
    capture: Option<u32>,
    /// The memory of that buffer, which must not go while the device writes.
    _memory: Option<Arc<Block>>,
    /// The device keeps the CAPTURE buffer for a second field.
    held: bool,
    /// The device said so about a field's coded data.
    damaged: bool,
    /// One, or two for a field pair.
    dones: Vec<Done>,
    answer: Option<Result<()>>,
}

/// A done with its answer.
pub(super) type Answered = (Done, Result<()>);

impl Pictures {
    /// The device has the picture, to be written into the CAPTURE buffer.
    pub fn submitted(
        &mut self,
        timestamp: u64,
        capture: u32,
        memory: Arc<Block>,
        held: bool,
        done: Done,
    ) {
        self.0.push_back(Picture {
            timestamp,
            capture: Some(capture),
            _memory: Some(memory),
            held,
            damaged: false,
            dones: vec![done],
            answer: None,
        });
    }

    /// The device did not get the picture. It is answered after those before it.
    pub fn refused(&mut self, timestamp: u64, error: Error, done: Done) {
        self.0.push_back(Picture {
            timestamp,
            capture: None,
            _memory: None,
            held: false,
            damaged: false,
            dones: vec![done],
            answer: Some(Err(error)),
        });
    }

    /// The last picture waits for a second field.
    pub fn held(&self) -> bool {
        self.0.back().is_some_and(|last| last.held && last.capture.is_some())
    }

    /// A picture of this timestamp is the second field of the last one.
    pub fn completes(&self, timestamp: u64) -> bool {
        self.held() && self.0.back().is_some_and(|last| last.timestamp == timestamp)
    }

    /// The device has the second field of the last picture. `held`: there is still more to come.
    pub fn second_field(&mut self, held: bool, done: Done) {
        if let Some(last) = self.0.back_mut() {
            last.held = held;
            last.dones.push(done);
        }
    }

    /// The device was told not to wait for a second field any more.
    pub fn let_go(&mut self) {
        if let Some(last) = self.0.back_mut() {
            last.held = false;
        }
    }

    /// The coded data of a picture, or of one field of it, came back as faulty.
    pub fn damaged(&mut self, timestamp: u64) {
        for picture in self.0.iter_mut().filter(|picture| picture.timestamp == timestamp) {
            picture.damaged = true;
        }
    }

    /// A CAPTURE buffer came back. False if no picture is in it.
    pub fn returned(&mut self, capture: u32, answer: Result<()>) -> bool {
        let Some(picture) = self.0.iter_mut().find(|picture| picture.capture == Some(capture))
        else {
            return false;
        };
        picture.capture = None;
        picture._memory = None;
        picture.answer = Some(match answer {
            Ok(()) if picture.damaged => Err(Error::Decoding("a field is damaged".into())),
            other => other,
        });
        true
    }

    /// Answers everything with an error: the device will not.
    pub fn fail(&mut self, error: &Error) {
        for picture in &mut self.0 {
            picture.capture = None;
            picture._memory = None;
            picture.answer.get_or_insert_with(|| Err(error.clone()));
        }
    }

    /// Takes out the pictures that can be answered: in decode order, so none behind one that cannot.
    pub fn finished(&mut self) -> Vec<Answered> {
        let mut finished = Vec::new();
        while self.0.front().is_some_and(|picture| picture.answer.is_some()) {
            let Some(picture) = self.0.pop_front() else { break };
            let answer = picture.answer.unwrap_or(Ok(()));
            finished.extend(picture.dones.into_iter().map(|done| (done, answer.clone())));
        }
        finished
    }

    /// The device has a picture in this CAPTURE buffer.
    pub fn busy(&self, capture: u32) -> bool {
        self.0.iter().any(|picture| picture.capture == Some(capture))
    }

    /// The device has a CAPTURE buffer.
    pub fn in_device(&self) -> bool {
        self.0.iter().any(|picture| picture.capture.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Pictures whose answers can be looked at.
    struct Bench {
        pictures: Pictures,
        sender: mpsc::Sender<(u32, Result<()>)>,
        answers: mpsc::Receiver<(u32, Result<()>)>,
    }

    impl Bench {
        fn new() -> Bench {
            let (sender, answers) = mpsc::channel();
            Bench { pictures: Pictures::default(), sender, answers }
        }

        fn done(&self, number: u32) -> Done {
            let sender = self.sender.clone();
            Done::new(move |answer| sender.send((number, answer)).unwrap())
        }

        fn submit(&mut self, number: u32, capture: u32, held: bool) {
            let (done, memory) = (self.done(number), Arc::new(Block::new(1).unwrap()));
            self.pictures.submitted(u64::from(number) * 1000, capture, memory, held, done);
        }

        fn deliver(&mut self) -> Vec<(u32, Result<()>)> {
            for (done, answer) in self.pictures.finished() {
                done.answer(answer);
            }
            self.answers.try_iter().collect()
        }
    }

    fn broken() -> Result<()> {
        Err(Error::Decoding("broken".into()))
    }

    #[test]
    fn answers_come_in_decode_order() {
        let mut bench = Bench::new();
        bench.submit(1, 10, false);
        bench.submit(2, 11, false);
        let done = bench.done(3);
        bench.pictures.refused(3000, Error::TimedOut, done);
        assert!(bench.pictures.returned(11, broken()));
        assert_eq!(bench.deliver(), [], "the first is not there");
        assert!(bench.pictures.busy(10) && !bench.pictures.busy(11));
        assert!(bench.pictures.returned(10, Ok(())));
        assert_eq!(bench.deliver(), [(1, Ok(())), (2, broken()), (3, Err(Error::TimedOut))]);
        assert!(!bench.pictures.in_device());
        assert!(!bench.pictures.returned(10, Ok(())), "nothing is in it");
    }

    #[test]
    fn both_fields_of_a_frame_are_answered_when_it_comes_back() {
        let mut bench = Bench::new();
        bench.submit(1, 0, true);
        assert!(bench.pictures.completes(1000));
        assert!(!bench.pictures.completes(2000));
        let done = bench.done(2);
        bench.pictures.second_field(false, done);
        assert!(!bench.pictures.held());
        bench.pictures.returned(0, Ok(()));
        assert_eq!(bench.deliver(), [(1, Ok(())), (2, Ok(()))]);
    }

    #[test]
    fn a_first_field_without_a_second_is_answered_when_the_device_lets_go() {
        let mut bench = Bench::new();
        bench.submit(1, 0, true);
        let done = bench.done(2);
        bench.pictures.let_go();
        bench.pictures.refused(1000, Error::TimedOut, done);
        assert!(!bench.pictures.completes(1000));
        bench.pictures.returned(0, Ok(()));
        assert_eq!(bench.deliver(), [(1, Ok(())), (2, Err(Error::TimedOut))]);
    }

    #[test]
    fn damage_in_one_field_is_damage_to_the_frame() {
        let mut bench = Bench::new();
        bench.submit(1, 0, true);
        bench.pictures.damaged(1000);
        let done = bench.done(2);
        bench.pictures.second_field(false, done);
        bench.pictures.returned(0, Ok(()));
        let answers = bench.deliver();
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(|(_, answer)| matches!(answer, Err(Error::Decoding(_)))));
    }

    #[test]
    fn a_device_that_is_gone_leaves_nothing_unanswered() {
        let mut bench = Bench::new();
        bench.submit(1, 0, false);
        bench.submit(2, 1, true);
        bench.pictures.returned(0, Ok(()));
        bench.pictures.fail(&Error::TimedOut);
        assert_eq!(bench.deliver(), [(1, Ok(())), (2, Err(Error::TimedOut))]);
        assert!(!bench.pictures.in_device());
    }
}
