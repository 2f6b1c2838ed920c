//! Where lines go, and how they look there.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
};

use env_filter::Filter;
use log::{Level, Log, Metadata, Record};

use crate::journal::Journal;

/// How a program logs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Names the program.
    pub identifier: &'static str,
    /// How lines look on standard error.
    pub plain: Plain,
    /// Where standard error is the journal: records with fields, through a socket of the process' own. Else
    /// lines with a priority, which need no socket.
    pub fields: bool,
}

/// How lines look where they are read by people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// `daedalus: warn: text`, among the lines of a program that is somebody else's.
    Named,
    /// `[WARN  target] text`.
    Target,
}

/// Writes the records that a filter lets through.
pub(crate) struct Sink {
    filter: Filter,
    options: Options,
    to: To,
}

enum To {
    /// Somebody's terminal, or a file.
    Plain,
    /// The journal's end of standard error, which reads `<N>` at the beginning of a line as a priority.
    Prefixed,
    Journal(Journal),
}

impl Sink {
    pub fn new(filter: Filter, options: Options) -> Sink {
        let to = match is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref(), &io::stderr()) {
            false => To::Plain,
            true if options.fields => match Journal::connect(options.identifier) {
                Ok(journal) => To::Journal(journal),
                Err(_) => To::Prefixed,
            },
            true => To::Prefixed,
        };
        Sink { filter, options, to }
    }

    /// Writes a line at once, so that those of several processes do not mix. There is nobody to tell that
    /// it could not be written.
    fn line(&self, record: &Record<'_>, prefixed: bool) {
        let line = line(self.options, record, prefixed);
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        match &self.to {
            To::Plain => self.line(record, false),
            To::Prefixed => self.line(record, true),
            To::Journal(journal) => {
                if journal.write(record).is_err() {
                    self.line(record, true);
                }
            }
        }
    }

    fn flush(&self) {
        if let To::Journal(journal) = &self.to {
            journal.settle();
        }
    }
}

/// Whether `file` is what systemd says that it has connected to the journal: `DEVICE:INODE`.
fn is_journal(stream: Option<&str>, file: &impl AsFd) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let metadata = file.as_fd().try_clone_to_owned().and_then(|file| File::from(file).metadata());
    metadata.is_ok_and(|file| (device.parse(), inode.parse()) == (Ok(file.dev()), Ok(file.ino())))
}

/// The line, with its line feed. Each line of a text of several gets the priority.
fn line(options: Options, record: &Record<'_>, prefixed: bool) -> String {
    let prefix = if prefixed { format!("<{}>", priority(record.level())) } else { String::new() };
    let head = match options.plain {
        Plain::Named => {
            let level = record.level().as_str().to_lowercase();
            format!("{prefix}{}: {level}: ", options.identifier)
        }
        Plain::Target => format!("{prefix}[{:<5} {}] ", record.level(), record.target()),
    };
    let text = record.args().to_string();
    let text = if prefixed { text.replace('\n', &format!("\n{prefix}")) } else { text };
    format!("{head}{text}\n")
}

/// syslog's.
pub(crate) fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(plain: Plain, prefixed: bool, text: &str) -> String {
        let options = Options { identifier: "daedalus", plain, fields: false };
        let mut record = Record::builder();
        record.level(Level::Warn).target("some::place");
        line(options, &record.args(format_args!("{text}")).build(), prefixed)
    }

    #[test]
    fn lines_look_as_they_should_where_they_go() {
        assert_eq!(said(Plain::Named, false, "a\nb"), "daedalus: warn: a\nb\n");
        assert_eq!(said(Plain::Target, false, "a"), "[WARN  some::place] a\n");
        assert_eq!(said(Plain::Named, true, "a\nb"), "<4>daedalus: warn: a\n<4>b\n");
        assert_eq!(said(Plain::Target, true, "a"), "<4>[WARN  some::place] a\n");
    }

    #[test]
    fn the_journal_is_what_systemd_says_it_is() {
        let file = File::open("/dev/null").unwrap();
        let metadata = file.metadata().unwrap();
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_journal(Some(&stream), &file));
        for other in [None, Some(""), Some("1"), Some("x:y"), Some(&*format!("{stream}0"))] {
            assert!(!is_journal(other, &file), "{other:?}");
        }
    }
}
