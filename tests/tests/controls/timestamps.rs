//! Pictures by number: a request names them by timestamp, a parser by their place in decode order.

use std::collections::HashMap;

use daedalus_uapi::NO_REFERENCE;

/// The pictures seen so far.
#[derive(Debug, Default)]
pub struct Timestamps {
    numbers: HashMap<u64, usize>,
    count: usize,
}

/// What a timestamp that no request before had is taken for: a number that is never expected.
pub const UNKNOWN: usize = usize::MAX;

impl Timestamps {
    /// The number of the picture that a request with this timestamp decodes: a new one, unless an
    /// earlier request had it (the other field of a frame).
    pub fn number(&mut self, timestamp: u64) -> usize {
        let next = self.count;
        let number = *self.numbers.entry(timestamp).or_insert(next);
        self.count = self.numbers.values().max().map_or(0, |last| last + 1);
        number
    }

    /// The picture that a reference names; `None` if it says that there is none.
    pub fn known(&self, timestamp: u64) -> Option<usize> {
        if timestamp == NO_REFERENCE {
            return None;
        }
        Some(self.numbers.get(&timestamp).copied().unwrap_or(UNKNOWN))
    }

    /// `timestamp` names the same picture as `number`, decoded again.
    pub fn again(&mut self, timestamp: u64, number: usize) {
        self.numbers.insert(timestamp, number);
    }
}
