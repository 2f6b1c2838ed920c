//! The worker: requests to bitstream to decoder, in the order in which they came.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::{
    Reply, Request, Ticket,
    allowance::Allowance,
    handover::Handover,
    packer::{Destination, Packer},
};
use crate::{
    Error, Result,
    decode::{Decoded, Decoder, Output, Packet},
    frame::PlanarView,
    reconstruct::{Step, Writer},
};

/// How long a first field waits for its second field when nothing else is queued. Then its client may be
/// one that waits for the first before it sends the second. Long, since the other kind (GStreamer) sends both
/// and waits for the first alone before it looks at the frame: a busy machine must not come between.
const SECOND_FIELD_PATIENCE: Duration = Duration::from_millis(200);

/// How long pictures stay unfinished when nothing is queued and nobody is known to wait: finishing them
/// keeps threads from the next ones, which are likely to come soon.
const PATIENCE: Duration = Duration::from_millis(10);

/// How long the first picture waits for another, or for somebody who waits for it: the way in which it is
/// decoded should suit the client, and a key frame takes long to be decoded twice.
const FIRST_PATIENCE: Duration = Duration::from_millis(5);

/// Bytes of coded data for which memory stays from picture to picture.
const LASTING: usize = 8 << 20;

/// What a worker is told.
pub(super) enum Message {
    /// Decode this.
    Decode { ticket: Ticket, request: Request, reply: Reply },
    /// Somebody waits for the answer of the request with this ticket.
    Expect(Ticket),
    /// The session is closing: what wakes a worker that has nothing to do.
    Close,
}

/// A picture that the decoder has, or will have, or a request that it never got.
struct Waiting {
    id: u64,
    /// Of its last request.
    ticket: Ticket,
    destination: Destination,
    step: Step,
    /// Its request was queued when the picture before it was sent.
    queued: bool,
    /// What became of it, if its turn to be answered has not come.
    picture: Option<Result<Decoded>>,
}

/// The part of a session that one thread at a time runs, its own as a rule.
pub(super) struct Worker {
    queue: mpsc::Receiver<Message>,
    /// What was taken from the queue to see whether there is more.
    next: Option<Message>,
    writer: Box<dyn Writer>,
    decoder: Box<dyn Decoder>,
    packer: Packer,
    waiting: VecDeque<Waiting>,
    /// The bytes of the packet being assembled.
    packet: Vec<u8>,
    /// The bytes of the request that came last.
    written: Vec<u8>,
    allowance: Allowance,
    /// A first field whose second field is still to come (`hold_capture`).
    held: Option<Waiting>,
    /// The number of the picture that was taken last. Clients may give one timestamp to several.
    last_id: u64,
    last_timestamp: u64,
    /// The greatest ticket that somebody waits for.
    expected: Ticket,
    /// The client has shown that it sends nothing while it waits for a picture.
    waits: bool,
    /// A request was there before the answers for those before it were given.
    behind: bool,
    outputs: Vec<Output>,
}

impl Worker {
    pub(super) fn new(
        queue: mpsc::Receiver<Message>,
        writer: Box<dyn Writer>,
        decoder: Box<dyn Decoder>,
        packer: Packer,
    ) -> Worker {
        Worker {
            queue,
            next: None,
            writer,
            decoder,
            packer,
            waiting: VecDeque::new(),
            packet: Vec::new(),
            written: Vec::new(),
            allowance: Allowance::default(),
            held: None,
            last_id: 0,
            last_timestamp: 0,
            expected: 0,
            waits: false,
            behind: false,
            outputs: Vec::new(),
        }
    }

    pub(super) fn run(mut self: Box<Self>, closing: &AtomicBool, handover: &Handover) {
        loop {
            if !self.has_more() && self.is_free() && handover.is_wanted() {
                match handover.leave(self) {
                    Some(worker) => self = worker,
                    None => return,
                }
            }
            self.has_more();
            let message = match self.next.take().map_or_else(|| self.idle(), Ok) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if closing.load(Ordering::Relaxed) {
                self.abandon(message);
                break;
            }
            match message {
                Message::Expect(_) => self.note(message),
                Message::Close => break,
                Message::Decode { ticket, request, reply } => {
                    let mut queued = mem::take(&mut self.behind);
                    if self.last_id == 0 {
                        queued = self.has_company(ticket);
                    }
                    self.decode(ticket, request, reply, queued);
                }
            }
        }
        self.end();
    }

    /// Nothing is under way, and a picture that is sent is complete at once: any thread can run it.
    pub(super) fn is_free(&self) -> bool {
        self.next.is_none()
            && self.waiting.is_empty()
            && self.held.is_none()
            && self.decoder.is_prompt()
    }

    /// What comes before all that is in the queue.
    pub(super) fn put(&mut self, message: Message) {
        self.next = Some(message);
    }

    /// Decodes the request that was put here, for a caller who waits for it.
    pub(super) fn serve(&mut self, expected: Ticket) {
        self.expected = self.expected.max(expected);
        if let Some(Message::Decode { ticket, request, reply }) = self.next.take() {
            let queued = mem::take(&mut self.behind);
            self.decode(ticket, request, reply, queued);
        }
        if self.waiting.iter().any(|waiting| waiting.ticket <= self.expected) {
            // What somebody waits for it finishes, and waits for nothing.
            let _ = self.idle();
        }
    }

    /// A request is kept until its turn comes; who waits is told at once.
    fn note(&mut self, message: Message) {
        match message {
            Message::Expect(ticket) => self.expected = self.expected.max(ticket),
            request => self.next = Some(request),
        }
    }

    /// Whether a request is there already.
    pub(super) fn has_more(&mut self) -> bool {
        while self.next.is_none() {
            match self.queue.try_recv() {
                Ok(message) => self.note(message),
                Err(_) => return false,
            }
        }
        true
    }

    /// Whether another request follows the first one before somebody waits for that.
    fn has_company(&mut self, first: Ticket) -> bool {
        let deadline = Instant::now() + FIRST_PATIENCE;
        while !self.has_more() && self.expected < first {
            match self.queue.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(message) => self.note(message),
                Err(_) => return false,
            }
        }
        self.next.is_some()
    }

    /// Nothing is queued: finishes what somebody waits for, and waits for the next message.
    fn idle(&mut self) -> Result<Message, RecvTimeoutError> {
        let Some(last) = self.waiting.back().map(|waiting| waiting.id) else {
            if self.held.is_none() {
                return Ok(self.queue.recv()?);
            }
            let next = self.queue.recv_timeout(SECOND_FIELD_PATIENCE);
            if matches!(next, Err(RecvTimeoutError::Timeout)) {
                self.send_packet();
            }
            return next;
        };
        let wanted = self.waiting.iter().rev().find(|waiting| waiting.ticket <= self.expected);
        let up_to = match wanted {
            Some(waiting) => waiting.id,
            None if self.waits => last,
            None => match self.queue.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Timeout) => last,
                message => return message,
            },
        };
        match self.waiting.iter_mut().find(|waiting| waiting.id == up_to) {
            // Its target may be that of a picture before it, too.
            Some(waiting) if waiting.destination.rows == 0 && self.packer.is_idle() => {
                let destination = &mut waiting.destination;
                let mut show = |top: usize, view: &PlanarView<'_>| destination.show(top, view);
                self.decoder.finish_in_view(up_to, &mut show, &mut self.outputs);
            }
            _ => self.decoder.finish(up_to, &mut self.outputs),
        }
        self.deliver();
        // Who says for what they wait need not be watched.
        self.waits = self.expected == 0 && !self.behind;
        Err(RecvTimeoutError::Timeout)
    }

    fn decode(&mut self, ticket: Ticket, request: Request, reply: Reply, queued: bool) {
        let Request { timestamp, controls, data, hold_capture, target, ungrained } = request;
        for target in target.iter().chain(&ungrained) {
            self.allowance.grow(&target.layout());
        }
        self.written.clear();
        // The writer learns nothing of a picture that the decoder does not get.
        let written = self
            .allowance
            .check(&controls, data.len())
            .and_then(|()| self.writer.write(timestamp, &controls, &data, &mut self.written));
        let step = match written {
            Ok(step) => step,
            Err(error) => {
                self.send_packet();
                return self.refuse(ticket, reply, error);
            }
        };
        let same_frame = step.second_field && timestamp == self.last_timestamp;
        // A held first field goes out with its second field, or alone if something else follows.
        if !same_frame {
            self.send_packet();
            self.last_id += 1;
        }
        self.last_timestamp = timestamp;
        if step.reset {
            self.decoder.reset(&mut self.outputs);
            self.deliver();
        }
        self.packet.append(&mut self.written);
        match &mut self.held {
            Some(held) => {
                // The same frame; but the first field may have come without it.
                let Destination { target: to, ungrained: other, replies, .. } =
                    &mut held.destination;
                *to = target.or(to.take());
                *other = ungrained.or(other.take());
                replies.push(reply);
                held.ticket = ticket;
                held.step.first_field = step.first_field;
                held.destination.field = step.first_field.is_some();
                held.step.parts += step.parts;
            }
            // A second field whose first field went out alone completes the same picture.
            None => {
                self.held = Some(Waiting {
                    id: self.last_id,
                    ticket,
                    destination: Destination {
                        target,
                        ungrained,
                        replies: vec![reply],
                        rows: 0,
                        field: step.first_field.is_some(),
                    },
                    step,
                    queued,
                    picture: None,
                });
            }
        }
        if !hold_capture {
            self.send_packet();
        }
    }

    fn send_packet(&mut self) {
        if let Some(waiting) = self.held.take() {
            let Waiting { id, step: Step { first_field, key, parts, .. }, queued, .. } = waiting;
            self.waiting.push_back(waiting);
            let largest = self.allowance.largest();
            let bytes = &self.packet;
            let packet = Packet { id, bytes, first_field, key, parts, queued, largest };
            self.decoder.send(packet, &mut self.outputs);
            self.packet.clear();
            // One large picture should not cost its size for ever.
            self.packet.shrink_to(LASTING);
            self.written.shrink_to(LASTING);
            self.deliver();
        }
    }

    /// Answers a request that the decoder does not get, after those before it.
    fn refuse(&mut self, ticket: Ticket, reply: Reply, error: Error) {
        let destination = Destination {
            target: None,
            ungrained: None,
            replies: vec![reply],
            rows: 0,
            field: false,
        };
        self.waiting.push_back(Waiting {
            id: self.last_id,
            ticket,
            destination,
            step: Step::default(),
            queued: false,
            picture: Some(Err(error)),
        });
        self.deliver();
    }

    /// Passes on what the decoder has finished, in decode order.
    fn deliver(&mut self) {
        // Looked at before anybody gets an answer that they may wait for.
        self.has_more();
        self.behind = self.next.is_some();
        for Output { id, picture } in self.outputs.drain(..) {
            // Two fields that went to the decoder by themselves have one number.
            let unfinished = |waiting: &&mut Waiting| waiting.id == id && waiting.picture.is_none();
            match self.waiting.iter_mut().find(unfinished) {
                Some(waiting) => waiting.picture = Some(picture),
                None => log::error!("a picture that nobody asked for: {id}"),
            }
        }
        while let Some(Waiting { picture: Some(_), .. }) = self.waiting.front() {
            // With nothing else to do.
            let here = !self.has_more();
            if let Some(Waiting { id, destination, picture: Some(picture), .. }) =
                self.waiting.pop_front()
            {
                self.packer.pack(Output { id, picture }, destination, here);
            }
        }
    }

    /// Answers everything that is left.
    fn end(mut self) {
        self.waiting.extend(self.held.take());
        for Waiting { id, destination, .. } in self.waiting.drain(..) {
            self.packer.pack(Output { id, picture: Err(Error::Abandoned) }, destination, false);
        }
        while self.has_more() {
            if let Some(message) = self.next.take() {
                self.abandon(message);
            }
        }
    }

    fn abandon(&mut self, message: Message) {
        if let Message::Decode { ticket, reply, .. } = message {
            self.waiting.extend(self.held.take());
            self.refuse(ticket, reply, Error::Abandoned);
        }
    }
}
