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

/// What [`VARIABLE`] asks for, if it is set to anything.
pub fn asked_for() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|filter| !filter.trim().is_empty())
}

/// A filter that can be understood; an error in words: for command lines.
pub fn check(filter: &str) -> Result<String, String> {
    parse(filter).map(|_| filter.to_owned())
}

/// Beginnings of targets: modules of this project, and requests as lines of JSON.
const TARGETS: [&str; 2] = ["daedalus", "requests"];

fn parse(filter: &str) -> Result<env_filter::Builder, String> {
    let mut builder = env_filter::Builder::new();
    builder.try_parse(filter).map_err(|error| error.to_string())?;
    // It takes a word that is no level for a target, and then everything else is off: `warning`.
    let words = filter.split('/').next().unwrap_or_default().split(',').map(str::trim);
    let is_known = |word: &str| {
        let is_target = || TARGETS.iter().any(|target| word.starts_with(target));
        word.is_empty() || word.contains('=') || word.parse::<LevelFilter>().is_ok() || is_target()
    };
    match words.into_iter().find(|word| !is_known(word)) {
        None => Ok(builder),
        Some(word) => Err(format!("{word} is none of off, error, warn, info, debug and trace")),
    }
}

/// Starts logging in this process: what `filter` asks for, else `default`. A filter that cannot be understood is
/// said on standard error; it is [`VARIABLE`]'s, for others are checked ([`check`]). If somebody else logs here
/// already, that goes on.
pub fn start(filter: Option<&str>, default: LevelFilter, options: Options) {
    let standard = || {
        let mut builder = env_filter::Builder::new();
        builder.filter_level(default);
        builder
    };
    let mut builder = match filter.map(|filter| parse(filter).map_err(|why| (filter, why))) {
        Some(Ok(builder)) => builder,
        None => standard(),
        Some(Err((filter, why))) => {
            let name = options.identifier;
            let level = default.as_str().to_lowercase();
            // The process may be somebody else's: nothing panics if its standard error is gone.
            let _ = writeln!(io::stderr(), "{name}: {VARIABLE}={filter}: {why}; logging {level}");
            standard()
        }
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for filter in ["warning", "inof", "info,verbose", "Level", "warn,x/y"] {
            let why = check(filter).unwrap_err();
            assert!(why.contains("is none of off, error, warn"), "{filter}: {why}");
        }
        for filter in [
            "warn",
            "INFO",
            "off",
            "info,daedalus_engine=debug",
            "warn, requests=trace",
            "requests",
            "daedalus_drv_video::entry",
            "other=info",
            "info/words,and more",
            "",
        ] {
            assert_eq!(check(filter), Ok(filter.to_owned()));
        }
        assert!(check("info=x=y").is_err());
    }
}
