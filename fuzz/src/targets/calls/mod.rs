//! VA calls on a real driver, as libva makes them: a beginning, then several threads at a time.
//!
//! `driver` keeps a client's side of the bargain (pointers are valid, memory is not touched once its buffer
//! is gone), so that whatever goes wrong is the driver's fault; `operations` is the grammar, `import` what a
//! client says of memory that it brings.

mod driver;
mod ids;
mod import;
mod operations;
mod script;

use std::thread;

use self::{driver::Driver, ids::Ids};
use crate::input::Input;

pub use self::script::{Manner, SURFACES, decoding};

/// Calls of one thread.
const MOST_CALLS: usize = 96;

/// Threads that call at the same time, at the most.
const THREADS: usize = 3;

/// A block of calls that come first, then one for each thread.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let driver = Driver::new();
    let ids = Ids::default();
    call(input.block(), &driver, &ids);
    let blocks = [(); THREADS].map(|()| input.block());
    thread::scope(|scope| {
        for block in blocks.into_iter().filter(|block| !block.is_empty()) {
            scope.spawn(|| call(block, &driver, &ids));
        }
    });
}

fn call(bytes: &[u8], driver: &Driver, ids: &Ids) {
    let mut input = Input::new(bytes);
    for _ in 0..MOST_CALLS {
        if input.is_empty() {
            break;
        }
        operations::call(&mut input, driver, ids);
    }
}
