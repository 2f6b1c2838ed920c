//! How the driver and the daemon log.
//!
//! What is logged is said by [`VARIABLE`], in env_logger's syntax. Lines go to standard error; where that is the
//! journal they carry their priority, and a daemon's go there as records with fields (`journal`). What
//! happens in every picture is limited (`limit`).

#![forbid(unsafe_code)]

mod journal;
mod limit;
mod sink;

use std::io::{self, Write};

use log::LevelFilter;

pub use limit::Limited;
pub use sink::{Options, Plain};

/// The environment variable that says what is logged.
pub const VARIABLE: &str = "DAEDALUS_LOG";

/// What [`VARIABLE`] asks for, if it is set.
pub fn asked_for() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// A filter that can be understood; an error in words: for command lines.
pub fn check(filter: &str) -> Result<String, String> {
    match env_filter::Builder::new().try_parse(filter) {
        Ok(_) => Ok(filter.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Starts logging in this process: what `filter` asks for, else `default`. A filter that cannot be understood is
/// said on standard error; it is [`VARIABLE`]'s, for others are checked ([`check`]). If somebody else logs here
/// already, that goes on.
pub fn start(filter: Option<&str>, default: LevelFilter, options: Options) {
    let mut builder = env_filter::Builder::new();
    match filter.map(|filter| builder.try_parse(filter).map(drop).map_err(|why| (filter, why))) {
        Some(Ok(())) => {}
        None => drop(builder.filter_level(default)),
        Some(Err((filter, why))) => {
            let name = options.identifier;
            let level = default.as_str().to_lowercase();
            // The process may be somebody else's: nothing panics if its standard error is gone.
            let _ = writeln!(io::stderr(), "{name}: {VARIABLE}={filter}: {why}; logging {level}");
            builder = env_filter::Builder::new();
            builder.filter_level(default);
        }
    }
    let filter = builder.build();
    let level = filter.filter();
    let logger = Limited::new(sink::Sink::new(filter, options));
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// Says how many lines were left out so far. For ends: of a session, of the process.
pub fn settle() {
    log::logger().flush();
}
