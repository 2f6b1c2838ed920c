//! Whether a client does nothing but wait for its pictures.

use std::time::{Duration, Instant};

use super::{Ticket, stack::Stack};

/// A client that waits does so at once. One that takes longer has something to do meanwhile, as a decoder would. Tests
/// run on machines that have something to do, too.
const AT_ONCE: Duration = Duration::from_micros(if cfg!(test) { 20_000 } else { 200 });

/// Pictures in a row that a client has waited for at once until that counts as its way.
const PROOFS: u32 = 4;

/// The same of a client that keeps changing its way: twice as many each time, and at most so many.
const MOST_PROOFS: u32 = 64;

/// What a client does with its requests.
pub(super) struct Manner {
    /// The last request, until somebody waits for it.
    last: Option<(Ticket, Instant)>,
    /// Requests in a row that were waited for at once.
    proofs: u32,
    /// How many it takes.
    needed: u32,
    /// Of the thread that waited when there were enough.
    stack: Option<Stack>,
}

impl Manner {
    pub(super) fn new() -> Manner {
        Manner { last: None, proofs: 0, needed: PROOFS, stack: None }
    }

    /// A request comes, which may be a field whose other one follows.
    pub(super) fn submits(&mut self, ticket: Ticket, field: bool) {
        if field || self.last.is_some() {
            self.changes();
        }
        self.last = Some((ticket, Instant::now()));
    }

    /// This thread waits for an answer.
    pub(super) fn waits(&mut self, ticket: Ticket) {
        let Some((last, since)) = self.last.take() else { return };
        if last != ticket || since.elapsed() >= AT_ONCE {
            return self.changes();
        }
        self.proofs = self.proofs.saturating_add(1);
        if self.proofs == self.needed + MOST_PROOFS {
            self.needed = PROOFS;
        }
        // Asking for a stack may mean reading a file.
        if self.waits_only() && !self.has_room() {
            let other = self.stack.take_if(|stack| !stack.is_own());
            if other.is_none() && self.stack.is_none() {
                self.stack = Some(Stack::here());
            }
            if !self.has_room() {
                self.changes();
            }
        }
    }

    /// It has another way now.
    pub(super) fn changes(&mut self) {
        if self.waits_only() {
            self.needed = MOST_PROOFS.min(2 * self.needed);
        }
        self.proofs = 0;
    }

    /// It waits for each picture, on one thread that has room for decoding, and does nothing else.
    pub(super) fn waits_only(&self) -> bool {
        self.proofs >= self.needed
    }

    /// This is the thread that is known to have room for decoding.
    pub(super) fn has_room(&self) -> bool {
        self.stack.as_ref().is_some_and(Stack::has_room)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Waits for each of so many requests. On a machine that is busy some of it may not be at once.
    fn wait_for_each(manner: &mut Manner, count: Ticket) {
        for ticket in 1..=count {
            manner.submits(ticket, false);
            manner.waits(ticket);
        }
    }

    /// As often as it takes.
    fn used_to_it() -> Manner {
        let mut manner = Manner::new();
        for _ in 0..1000 {
            wait_for_each(&mut manner, 1);
            if manner.waits_only() {
                return manner;
            }
        }
        panic!("never");
    }

    #[test]
    fn who_waits_for_a_few_waits_for_each() {
        let mut manner = Manner::new();
        wait_for_each(&mut manner, Ticket::from(PROOFS) - 1);
        assert!(!manner.waits_only());
        let manner = used_to_it();
        assert!(manner.has_room());
    }

    #[test]
    fn who_works_ahead_does_not() {
        let mut manner = used_to_it();
        manner.submits(8, false);
        manner.submits(9, false);
        assert!(!manner.waits_only());
        let mut manner = used_to_it();
        manner.submits(8, true);
        assert!(!manner.waits_only(), "another field follows");
        let mut manner = used_to_it();
        manner.submits(9, false);
        manner.waits(8);
        assert!(!manner.waits_only(), "the one before");
    }

    #[test]
    fn who_does_something_else_first_does_not() {
        let mut manner = used_to_it();
        manner.submits(9, false);
        thread::sleep(AT_ONCE);
        manner.waits(9);
        assert!(!manner.waits_only());
        assert!(manner.has_room());
    }

    #[test]
    fn who_changes_has_more_to_prove_until_it_has() {
        let mut manner = used_to_it();
        let before = manner.needed;
        manner.changes();
        assert_eq!(manner.needed, 2 * before);
        manner.changes();
        assert_eq!(manner.needed, 2 * before, "it had proved nothing");
        for _ in 0..10 {
            while !manner.waits_only() {
                wait_for_each(&mut manner, 1);
            }
            manner.changes();
        }
        assert_eq!(manner.needed, MOST_PROOFS);
        while manner.needed != PROOFS {
            wait_for_each(&mut manner, 1);
        }
        assert!(manner.waits_only());
    }

    #[test]
    fn another_thread_has_to_prove_it_anew() {
        let mut manner = used_to_it();
        let manner = thread::spawn(move || {
            assert!(!manner.has_room());
            while manner.waits_only() {
                wait_for_each(&mut manner, 1);
            }
            while !manner.waits_only() {
                wait_for_each(&mut manner, 1);
            }
            assert!(manner.has_room());
            manner
        });
        assert!(!manner.join().unwrap().has_room());
    }
}
