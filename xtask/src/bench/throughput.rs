//! Frames per second, and processor time per frame.

use super::cases::{self, Case};
use super::client::{self, Pace};
use super::clips::Clip;
use super::ffmpeg::{self, Way};
use super::outcome::Run;
use super::pairs;
use super::report::{Bound, Row, Target};
use super::setting::Setting;
use super::stats::Summary;

/// What is said of rows that ffmpeg cannot fill.
const SMALL_CLIENT: &str =
    "VA side: a small client of our own; this ffmpeg does not decode High 10 through VA-API";

/// Decodes through VA-API, with the small client where ffmpeg cannot. Also what a reader must know of it.
pub struct ThroughVa {
    small: bool,
}

impl ThroughVa {
    /// Finds out who can decode `clip`.
    pub fn new(setting: &Setting, clip: &Clip) -> Self {
        let high10 = clip.recipe.name == "h264-10bit";
        Self { small: high10 && !ffmpeg::can(setting, clip) }
    }

    /// For [`Row::note`].
    pub fn note(&self) -> String {
        if self.small { SMALL_CLIENT.into() } else { String::new() }
    }

    /// One run.
    pub fn run(&self, setting: &Setting, clip: &Clip, way: Way) -> Result<Run, String> {
        if self.small {
            let pace = if way == Way::Download { Pace::Download } else { Pace::Surfaces };
            client::run_small(setting, clip, pace).map(|(run, _)| run)
        } else {
            ffmpeg::run(setting, clip, way)
        }
    }
}

/// Frames per second against software with as many threads.
pub fn throughput(setting: &Setting, case: &Case, clip: &Clip, way: Way) -> Result<Row, String> {
    let va = ThroughVa::new(setting, clip);
    let runs = pairs::run(
        &format!("{} ({})", case.id(), setting.transport.name()),
        setting.pairs,
        || va.run(setting, clip, way),
        || ffmpeg::run(setting, clip, Way::Software(setting.threads)),
    )?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "fps".into();
    row.note = va.note();
    compare(&mut row, &runs, Run::fps);
    let limit = if way == Way::Surfaces { 0.97 } else { 0.90 };
    if let (Some(ratio), true) = (&row.ratio, cases::has_targets(setting)) {
        row.targets.push(Target::new("ratio", ratio.median, Bound::AtLeast, limit));
    }
    detail(&mut row, "CPU ms/frame", &runs, |(ours, _)| ours.cost());
    detail(&mut row, "software CPU ms/frame", &runs, |(_, software)| software.cost());
    Ok(row)
}

/// Processor time per frame against software with one thread.
pub fn cost(setting: &Setting, case: &Case, clip: &Clip) -> Result<Row, String> {
    let va = ThroughVa::new(setting, clip);
    let runs = pairs::run(
        &format!("{} ({})", case.id(), setting.transport.name()),
        setting.pairs,
        || va.run(setting, clip, Way::Surfaces),
        || ffmpeg::run(setting, clip, Way::Software(1)),
    )?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "CPU ms/frame".into();
    row.note = va.note();
    compare(&mut row, &runs, Run::cost);
    if let (Some(ratio), true) = (&row.ratio, cases::has_targets(setting)) {
        row.targets.push(Target::new("ratio", ratio.median, Bound::AtMost, 1.08));
    }
    Ok(row)
}

/// Processor time per pixel, and frames per second.
pub fn size(setting: &Setting, case: &Case, clip: &Clip) -> Result<Row, String> {
    let va = ThroughVa::new(setting, clip);
    let runs = pairs::run(
        &format!("{} ({})", case.id(), setting.transport.name()),
        setting.pairs,
        || va.run(setting, clip, Way::Surfaces),
        || ffmpeg::run(setting, clip, Way::Software(setting.threads)),
    )?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "CPU ns/pixel".into();
    row.note = va.note();
    let pixels = cases::pixels(clip);
    compare(&mut row, &runs, |run| run.processor * 1e9 / pixels);
    detail(&mut row, "fps", &runs, |(ours, _)| ours.fps());
    detail(&mut row, "software fps", &runs, |(_, software)| software.fps());
    detail(&mut row, "fps ratio", &runs, |(ours, software)| ours.fps() / software.fps());
    Ok(row)
}

/// Fills in both sides' figures and their ratio.
pub fn compare(row: &mut Row, runs: &[(Run, Run)], figure: impl Fn(&Run) -> f64) {
    row.ours = Summary::of(runs.iter().map(|(ours, _)| figure(ours)));
    row.reference = Summary::of(runs.iter().map(|(_, software)| figure(software)));
    row.ratio = Summary::ratios(runs.iter().map(|(ours, other)| (figure(ours), figure(other))));
}

/// Adds the median of a further figure.
pub fn detail<T>(row: &mut Row, name: &str, runs: &[T], figure: impl Fn(&T) -> f64) {
    if let Some(summary) = Summary::of(runs.iter().map(figure)) {
        row.details.insert(name.into(), summary.median);
    }
}
