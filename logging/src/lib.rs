//! How the driver and the daemon log.
//!
//! What is logged is said by [`VARIABLE`], in env_logger's syntax. Lines go to standard error; where that is the
//! journal they carry their priority, and a daemon's go there as records with fields ([`journal`]). What
//! happens in every picture is limited ([`limit`]).

#![forbid(unsafe_code)]

mod journal;
mod limit;
mod sink;

pub use limit::Limited;
pub use sink::{Options, Plain};

/// The environment variable that says what is logged.
pub const VARIABLE: &str = "DAEDALUS_LOG";

/// What [`VARIABLE`] asks for, if it is set.
pub fn asked_for() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// Starts logging in this process, and says on standard error what of `filter` cannot be understood. If somebody
/// else logs here already, that goes on.
pub fn start(filter: &str, options: Options) {
    let mut builder = env_filter::Builder::new();
    if let Err(error) = builder.try_parse(filter).map(|_| ()) {
        eprintln!("{}: {VARIABLE}={filter}: {error}; logging warnings", options.identifier);
        builder = env_filter::Builder::new();
        builder.filter_level(log::LevelFilter::Warn);
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
