//! VA calls on a real driver, as libva makes them: a beginning, then several threads at a time.
//!
//! `driver` keeps a client's side of the bargain (pointers are valid, memory is not touched once its buffer
//! is gone), so that whatever goes wrong is the driver's fault; `operations` is the grammar, `import` what a
//! client says of memory that it brings, `ending` its end.

mod driver;
mod ending;
mod ids;
mod import;
mod operations;
mod script;

use std::{
    collections::HashSet,
    panic,
    thread::{self, ScopedJoinHandle},
};

use daedalus_uapi::Codec;

use self::{
    driver::{Driver, call, good},
    ids::Ids,
};
use crate::input::Input;

pub use self::script::{Manner, SURFACES, decoding};

/// Calls of one thread.
const MOST_CALLS: usize = 96;

/// Threads that call at the same time, at the most.
const THREADS: usize = 3;

/// A block of calls that come first, then one for each thread, then how it ends.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (driver, ids) = play(&mut input);
    ending::end(&mut input, &driver, &ids);
}

/// Runs an input; the codecs of which there is a picture at its end, whole.
pub fn decoded(bytes: &[u8]) -> HashSet<Codec> {
    let (driver, ids) = play(&mut Input::new(bytes));
    let mut pictures = ids.pictures();
    pictures.retain(|(surface, _)| good(call!(&driver, vaSyncSurface, *surface)));
    pictures.into_iter().map(|(_, codec)| codec).collect()
}

fn play(input: &mut Input<'_>) -> (Driver, Ids) {
    let driver = Driver::new();
    let ids = Ids::default();
    several(input.block(), &driver, &ids);
    let blocks = [(); THREADS].map(|()| input.block());
    thread::scope(|scope| {
        let blocks = blocks.into_iter().filter(|block| !block.is_empty());
        let threads: Vec<_> =
            blocks.map(|block| scope.spawn(|| several(block, &driver, &ids))).collect();
        join(threads);
    });
    (driver, ids)
}

/// Waits until threads have ended, what they have of their own gone as well: a scope waits for less.
fn join(threads: Vec<ScopedJoinHandle<'_, ()>>) {
    for thread in threads {
        if let Err(panic) = thread.join() {
            panic::resume_unwind(panic);
        }
    }
}

fn several(bytes: &[u8], driver: &Driver, ids: &Ids) {
    let mut input = Input::new(bytes);
    for _ in 0..MOST_CALLS {
        if input.is_empty() {
            break;
        }
        operations::call(&mut input, driver, ids);
    }
}
