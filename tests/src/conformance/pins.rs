//! What is known to become of each stream: `tests/pins/CLIENT-VERSION.tsv`, a stream and one word a line.
//!
//! A run that differs for the worse has met a regression. Why a stream is not exact through a client is
//! in refusals.tsv.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Verdict;
use crate::clients::Client;

/// The pins of one client in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, String>);

/// How a verdict compares with its pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// As pinned.
    Same,
    /// It was this and has become worse.
    Worse(String),
    /// It was this and has become good.
    Better(String),
    /// There is no pin for it.
    New,
}

impl Pins {
    /// Reads the pins for `client` as this machine has it; `None` if there are none for its version.
    pub fn read(client: Client, version: &str) -> Result<Option<Pins>, String> {
        let path = file(client, version);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        parse(&text).map(Some).map_err(|line| format!("{}: cannot read: {line}", path.display()))
    }

    /// Puts the outcome of a run in place of what was pinned for its streams.
    pub fn set(&mut self, stream: &str, verdict: &Verdict) {
        self.0.insert(stream.to_owned(), verdict.word().to_owned());
    }

    /// Writes them where [`Pins::read`] looks, and says where.
    pub fn write(&self, client: Client, version: &str) -> Result<PathBuf, String> {
        let path = file(client, version);
        let lines: String =
            self.0.iter().map(|(stream, word)| format!("{stream}\t{word}\n")).collect();
        let text =
            format!("# Written by `./x conformance --pin`: stream, what becomes of it.\n{lines}");
        let named = |e| format!("{}: {e}", path.display());
        fs::create_dir_all(folder()).map_err(named)?;
        fs::write(&path, text).map_err(named)?;
        Ok(path)
    }

    /// How `verdict` on `stream` compares.
    pub fn change(&self, stream: &str, verdict: &Verdict) -> Change {
        match self.0.get(stream) {
            None => Change::New,
            Some(word) if word == verdict.word() => Change::Same,
            Some(word) if verdict.is_good() => Change::Better(word.clone()),
            Some(word) => Change::Worse(word.clone()),
        }
    }

    /// The pinned streams and their words.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(stream, word)| (stream.as_str(), word.as_str()))
    }
}

/// "5.1" of "5.1.9-0+deb12u1": what a client takes changes with its minor version at most.
pub fn minor(version: &str) -> String {
    let number = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    version.split('.').take(2).map(number).collect::<Vec<_>>().join(".")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pins")
}

fn file(client: Client, version: &str) -> PathBuf {
    folder().join(format!("{client}-{}.tsv", minor(version)))
}

fn parse(text: &str) -> Result<Pins, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pin = |line: &str| {
        let (stream, word) = line.split_once('\t').ok_or(line.to_owned())?;
        Ok((stream.to_owned(), word.to_owned()))
    };
    lines.map(pin).collect::<Result<_, _>>().map(Pins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_file_is_read_and_compared() {
        let pins = parse("# comment\na.264\texact\nb.264\trefused\n").unwrap();
        let differs = Verdict::Differs("frame 3".into());
        assert_eq!(pins.change("a.264", &Verdict::Exact), Change::Same);
        assert_eq!(pins.change("a.264", &differs), Change::Worse("exact".into()));
        assert_eq!(pins.change("b.264", &Verdict::Exact), Change::Better("refused".into()));
        assert_eq!(pins.change("b.264", &Verdict::Refused("no".into())), Change::Same);
        assert_eq!(pins.change("b.264", &differs), Change::Worse("refused".into()));
        assert_eq!(pins.change("c.264", &Verdict::Exact), Change::New);
        assert!(parse("no word").is_err());
    }

    #[test]
    fn versions_are_cut_to_their_minor_number() {
        assert_eq!(minor("5.1.9-0+deb12u1"), "5.1");
        assert_eq!(minor("0.40.0"), "0.40");
        assert_eq!(minor("1.26.2"), "1.26");
        assert_eq!(minor("7.1-3"), "7.1");
    }
}
