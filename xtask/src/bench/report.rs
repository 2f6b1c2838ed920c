//! What was measured, as it is written to `bench.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::stats::Summary;
use super::system::Machine;
use crate::root::named;

/// The form of the file: raised when a reader of an older one would misread it.
pub const FORMAT: u32 = 1;

/// All of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Where.
    pub machine: Machine,
    /// Threads that both sides had.
    pub threads: usize,
    /// Pairs of runs per row.
    pub pairs: usize,
    /// Whether clips were short and small: good for a smoke test only.
    pub quick: bool,
    /// Load averages before the first run and after the last.
    pub load: [String; 2],
    /// What was measured.
    pub rows: Vec<Row>,
}

/// One line of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which table: "throughput".
    pub measure: String,
    /// Which line in there, unique per transport: "h264/surfaces".
    pub name: String,
    /// What was decoded: "H.264, 1920x1080, 240 frames".
    pub title: String,
    /// "embedded" or "kernel".
    pub transport: String,
    /// Of both sides.
    pub unit: String,
    /// Daedalus.
    pub ours: Option<Summary>,
    /// What it is compared with.
    pub reference: Option<Summary>,
    /// Daedalus / reference, pair by pair.
    pub ratio: Option<Summary>,
    /// What the project wants of these figures.
    pub targets: Vec<Target>,
    /// Further figures, by name with unit.
    pub details: BTreeMap<String, f64>,
    /// What a reader must know.
    pub note: String,
    /// Why there are no figures.
    pub failure: Option<String>,
}

/// A figure that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Of what: "ratio", "fairness".
    pub what: String,
    /// On which side of `limit` it is to be.
    pub bound: Bound,
    /// How far.
    pub limit: f64,
    /// What was measured.
    pub figure: f64,
    /// Whether it is so.
    pub met: bool,
}

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// `figure >= limit`
    AtLeast,
    /// `figure <= limit`
    AtMost,
    /// `figure < limit`
    Below,
}

impl Bound {
    /// As people write it.
    pub fn sign(self) -> &'static str {
        match self {
            Bound::AtLeast => "≥",
            Bound::AtMost => "≤",
            Bound::Below => "<",
        }
    }
}

impl Target {
    /// `figure` against what is wanted.
    pub fn new(what: &str, figure: f64, bound: Bound, limit: f64) -> Self {
        let met = match bound {
            Bound::AtLeast => figure >= limit,
            Bound::AtMost => figure <= limit,
            Bound::Below => figure < limit,
        };
        Self { what: what.to_owned(), bound, limit, figure, met }
    }
}

impl Report {
    /// Writes the file whole or not at all: what is there may be from an earlier, longer run.
    pub fn save(&self, file: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| e.to_string())?;
        let unfinished = file.with_extension("json.part");
        fs::write(&unfinished, text + "\n").map_err(named(&unfinished))?;
        fs::rename(&unfinished, file).map_err(named(file))
    }

    /// Reads one.
    pub fn load(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(named(file))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))
    }

    /// Targets that were met, and all.
    pub fn targets(&self) -> (usize, usize) {
        let all = || self.rows.iter().flat_map(|row| &row.targets);
        (all().filter(|target| target.met).count(), all().count())
    }

    /// Rows without figures.
    pub fn failures(&self) -> usize {
        self.rows.iter().filter(|row| row.failure.is_some()).count()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report with a row of each kind.
    pub fn sample() -> Report {
        let ours = Summary::of([90.0, 96.0]);
        let reference = Summary::of([100.0, 100.0]);
        let ratio = Summary::ratios([(90.0, 100.0), (96.0, 100.0)]);
        let good = Row {
            measure: "throughput".into(),
            name: "h264/surfaces".into(),
            title: "H.264, 1920x1080, 240 frames".into(),
            transport: "embedded".into(),
            unit: "fps".into(),
            ours,
            reference,
            ratio,
            targets: vec![Target::new("ratio", 0.93, Bound::AtLeast, 0.97)],
            details: [("peak MiB".to_owned(), 12.5)].into(),
            ..Row::default()
        };
        let bad = Row {
            measure: "latency".into(),
            name: "av1".into(),
            transport: "kernel".into(),
            failure: Some("ffmpeg ended with exit status: 1".into()),
            ..Row::default()
        };
        Report {
            format: FORMAT,
            machine: Machine::default(),
            threads: 2,
            pairs: 2,
            quick: true,
            load: ["0.1 0.2 0.3".into(), "2.0 1.0 0.5".into()],
            rows: vec![good, bad],
        }
    }

    #[test]
    fn targets_have_two_sides() {
        assert!(Target::new("x", 0.97, Bound::AtLeast, 0.97).met);
        assert!(!Target::new("x", 0.96, Bound::AtLeast, 0.97).met);
        assert!(Target::new("x", 1.05, Bound::AtMost, 1.05).met);
        assert!(!Target::new("x", 1.0, Bound::Below, 1.0).met);
        assert!(!Target::new("x", f64::NAN, Bound::AtMost, 1.0).met);
    }

    #[test]
    fn the_file_says_what_was_measured() {
        let report = sample();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["format"], 1);
        assert_eq!(json["load"][1], "2.0 1.0 0.5");
        let row = &json["rows"][0];
        assert_eq!(row["name"], "h264/surfaces");
        assert_eq!(row["ours"]["median"], 93.0);
        assert_eq!(row["ours"]["samples"], serde_json::json!([90.0, 96.0]));
        assert_eq!(row["targets"][0]["bound"], "at-least");
        assert_eq!(row["targets"][0]["met"], false);
        assert_eq!(row["details"]["peak MiB"], 12.5);
        assert!(json["rows"][1]["ours"].is_null());
        let again: Report = serde_json::from_value(json).unwrap();
        assert_eq!(again, report);
    }

    #[test]
    fn results_are_counted() {
        assert_eq!(sample().targets(), (0, 1));
        assert_eq!(sample().failures(), 1);
    }
}
