//! Making the stream of a recipe.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::encoders::Installed;
use super::{Recipe, source};
use crate::process::{self, Finished};

/// Some encoders are slow with some options; then the seed counts as refused by them.
const LIMIT: Duration = Duration::from_secs(300);

/// The file that is encoded, in a trial's folder.
const SOURCE: &str = "source.y4m";

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Failure {
    /// The pictures could not be made: nobody's fault but ours.
    Source(String),
    /// The encoder did not take what it was told.
    Encoder(String),
}

impl Recipe {
    /// The name of the stream's file.
    pub(super) fn file(&self) -> String {
        format!("stream.{}", self.extension)
    }

    /// The command that encodes, to be run in the trial's folder.
    pub fn command(&self, installed: &Installed) -> Vec<String> {
        self.encoder.command(&self.options, SOURCE, &self.file(), installed)
    }

    /// Makes the pictures and encodes them in `folder`.
    pub(super) fn encode(&self, folder: &Path, installed: &Installed) -> Result<PathBuf, Failure> {
        source::make(&self.graph, &self.shape, &folder.join(SOURCE)).map_err(Failure::Source)?;
        let words = self.command(installed);
        let file = folder.join(self.file());
        let mut command = process::command(&words[0]);
        let done = process::run(command.args(&words[1..]).current_dir(folder), LIMIT)
            .map_err(|e| Failure::Encoder(e.to_string()))?;
        // Not all of them say by their exit status that they have failed.
        let size = fs::metadata(&file).map_or(0, |file| file.len());
        if !done.status.success() || size == 0 {
            return Err(Failure::Encoder(format!("{}: {}", done.ending(), complaint(&done))));
        }
        Ok(file)
    }

    /// Shell lines that make the stream again, in any folder.
    pub fn script(&self, installed: &Installed) -> String {
        let line =
            |words: &[String]| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let source = line(&source::command(&self.graph, &self.shape));
        format!(
            "# {SOURCE} is what this writes, with YUV4MPEG2 headers:\n# {source}\n{}\n",
            line(&self.command(installed))
        )
    }
}

/// What a program says of its failure: its last line that speaks of an error, else its last.
fn complaint(done: &Finished) -> String {
    let said = done.text() + &done.log;
    let mut lines = said.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.clone().next().unwrap_or("no word");
    lines.find(|line| line.to_lowercase().contains("error")).unwrap_or(last).to_owned()
}

/// One word for a POSIX shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
