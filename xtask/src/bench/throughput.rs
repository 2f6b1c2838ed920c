//! Frames per second, and processor time per frame.

use super::cases::{self, Case};
use super::client::{self, Pace, Task};
use super::clips::Clip;
use super::ffmpeg::{self, Way};
use super::outcome::Run;
use super::pairs;
use super::report::{Bound, Row, Target};
use super::setting::Setting;
use super::stats::Summary;

/// What is said of rows that ffmpeg cannot fill.
const NO_FFMPEG: &str = "this ffmpeg does not decode High 10 through VA-API: a small client of our own does, and \
     the reference is not the ffmpeg program either but a client of libavcodec that is as small";

/// Who decodes a clip: ffmpeg, or clients of our own where that cannot.
pub struct Sides<'s> {
    setting: &'s Setting,
    clip: &'s Clip,
    own: bool,
}

impl<'s> Sides<'s> {
    /// Finds out who can decode `clip`.
    pub fn new(setting: &'s Setting, clip: &'s Clip) -> Self {
        let high10 = clip.recipe.name == "h264-10bit";
        Self { setting, clip, own: high10 && !ffmpeg::can(setting, clip) }
    }

    /// Whether clients of our own do.
    pub fn are_own(&self) -> bool {
        self.own
    }

    /// For [`Row::note`].
    pub fn note(&self) -> String {
        if self.own { NO_FFMPEG.into() } else { String::new() }
    }

    /// A run in this way.
    pub fn run(&self, way: Way) -> Result<Run, String> {
        let Self { setting, clip, own } = *self;
        match way {
            _ if !own => ffmpeg::run(setting, clip, way),
            Way::Surfaces => Ok(client::run_small(setting, clip, Pace::Surfaces)?.0),
            Way::Download => Ok(client::run_small(setting, clip, Pace::Download)?.0),
            Way::Software(threads) => {
                let task = Task { convert: true, threads: threads as u32, ..Task::default() };
                Ok(client::run(setting, clip, task)?.0)
            }
        }
    }

    /// Pairs of runs in two ways.
    pub fn pairs(
        &self,
        case: &Case,
        count: usize,
        ours: Way,
        reference: Way,
    ) -> Result<Vec<(Run, Run)>, String> {
        let what = case.told(self.setting.transport);
        pairs::run(&what, count, || self.run(ours), || self.run(reference))
    }
}

/// Frames per second against software with as many threads.
pub fn throughput(setting: &Setting, case: &Case, clip: &Clip, way: Way) -> Result<Row, String> {
    let sides = Sides::new(setting, clip);
    let runs = sides.pairs(case, setting.pairs, way, Way::Software(setting.threads))?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "fps".into();
    row.note = sides.note();
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
    let sides = Sides::new(setting, clip);
    let runs = sides.pairs(case, setting.pairs, Way::Surfaces, Way::Software(1))?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "CPU ms/frame".into();
    row.note = sides.note();
    compare(&mut row, &runs, Run::cost);
    if let (Some(ratio), true) = (&row.ratio, cases::has_targets(setting)) {
        row.targets.push(Target::new("ratio", ratio.median, Bound::AtMost, 1.08));
    }
    // Threads that work at the same time slow each other down, which counts as processor time. What that
    // is, and what is ours:
    if setting.daemon.is_none() {
        let one = Setting { threads: 1, ..setting.clone() };
        let one = Sides::new(&one, clip);
        let runs = one.pairs(case, setting.pairs, Way::Surfaces, Way::Software(1))?;
        detail(&mut row, "ratio with one thread", &runs, |(ours, other)| {
            ours.cost() / other.cost()
        });
    }
    let software = Way::Software(setting.threads);
    let plain = sides.pairs(case, setting.pairs, software, Way::Software(1))?;
    detail(&mut row, "software's own ratio", &plain, |(many, one)| many.cost() / one.cost());
    Ok(row)
}

/// Processor time per pixel, and frames per second.
pub fn size(setting: &Setting, case: &Case, clip: &Clip) -> Result<Row, String> {
    let sides = Sides::new(setting, clip);
    let runs = sides.pairs(case, setting.pairs, Way::Surfaces, Way::Software(setting.threads))?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "CPU ns/pixel".into();
    row.note = sides.note();
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
