//! Hostile input for everything that takes any.
//!
//! How the pieces meet: a target is a function of bytes (`targets/`). libFuzzer calls it with inputs that
//! it makes up (`bin/libfuzzer.rs`, behind `./x fuzz`), the tests with those that earlier runs found worth
//! keeping (`tests/replay.rs`, `corpus/`). What is wrong shows itself: a panic, be it one that the driver
//! catches, a sanitizer's report, a hang. Inputs are read so that any bytes mean something ([`input`]).
//!
//! Where real streams come in: `recorder/` is a driver that writes down what clients render,
//! `bin/seeds.rs` makes first inputs of that.

pub mod controls;
pub mod input;
pub mod messages;
pub mod pictures;
pub mod recording;
pub mod targets;

pub use targets::{DECODING, Decoding, TABLE, Target, find};

/// Sets what the targets ask of the environment: decoding in this process, on few threads, silently.
///
/// # Safety
/// No other thread may use the environment meanwhile.
pub unsafe fn prepare() {
    for (name, value) in
        [("DAEDALUS_DEVICE", "embedded"), ("DAEDALUS_THREADS", "2"), ("DAEDALUS_LOG", "off")]
    {
        if std::env::var_os(name).is_none() || name != "DAEDALUS_LOG" {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var(name, value) };
        }
    }
}
