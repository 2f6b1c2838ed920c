//! Pictures by number: a request names them by timestamp, a parser by their place in decode order.

use std::collections::HashMap;

use daedalus_uapi::NO_REFERENCE;

/// The pictures seen so far, by the session that they belong to and the timestamp.
#[derive(Debug, Default)]
pub struct Timestamps {
    numbers: HashMap<(u64, u64), usize>,
}

/// What a timestamp that no request before had is taken for: a number that is never expected.
pub const UNKNOWN: usize = usize::MAX;

impl Timestamps {
    /// The number of the picture that a request decodes: a new one, unless an earlier request had the
    /// same timestamp (the other field of a frame).
    pub fn number(&mut self, session: u64, timestamp: u64) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry((session, timestamp)).or_insert(next)
    }

    /// The picture that a client's reference names, whose timestamps may be zero: `None` if no picture has
    /// it.
    pub fn number_of(&self, session: u64, timestamp: u64) -> Option<usize> {
        self.numbers.get(&(session, timestamp)).copied()
    }

    /// The picture that a reference names; `None` if it says that there is none.
    pub fn known(&self, session: u64, timestamp: u64) -> Option<usize> {
        if timestamp == NO_REFERENCE {
            return None;
        }
        Some(self.numbers.get(&(session, timestamp)).copied().unwrap_or(UNKNOWN))
    }

    /// The timestamp names picture `number`.
    pub fn name(&mut self, session: u64, timestamp: u64, number: usize) {
        self.numbers.insert((session, timestamp), number);
    }
}
