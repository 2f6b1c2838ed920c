//! How much memory is in use, at most and in the long run.

use super::cases::{self, Case};
use super::client::{self, Task};
use super::clips::Clip;
use super::ffmpeg::{self, Way};
use super::outcome::Run;
use super::pairs;
use super::report::{Bound, Row, Target};
use super::setting::Setting;
use super::stats::Summary;
use super::throughput::{ThroughVa, compare, detail};

/// Frames of a long run.
const FRAMES: u32 = 10_000;

/// KiB that count as nothing: pages of heaps that fill up late.
const NOTHING: f64 = 1024.0;

/// The client's peak against that of software, and the daemon's.
pub fn peak(setting: &Setting, case: &Case, clip: &Clip) -> Result<Row, String> {
    let va = ThroughVa::new(setting, clip);
    let runs = pairs::run(
        &format!("{} ({})", case.id(), setting.transport.name()),
        // It hardly changes from run to run.
        setting.pairs.min(3),
        || va.run(setting, clip, Way::Surfaces),
        || ffmpeg::run(setting, clip, Way::Software(setting.threads)),
    )?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "MiB".into();
    row.note = va.note();
    compare(&mut row, &runs, |run: &Run| run.peak as f64 / 1024.0);
    if setting.daemon.is_some() {
        detail(&mut row, "daemon MiB", &runs, |(ours, _)| {
            ours.daemon_peak.unwrap_or(0) as f64 / 1024.0
        });
    }
    Ok(row)
}

/// How much more is in use after [`FRAMES`] frames of one stream than after a tenth of them.
pub fn growth(setting: &Setting, case: &Case, clip: &Clip, quick: bool) -> Result<Row, String> {
    let frames = if quick { FRAMES / 10 } else { FRAMES };
    let what = format!("{} ({})", case.id(), setting.transport.name());
    pairs::progress(&what, 1, 1);
    let (loops, sample) = (frames.div_ceil(clip.extent.frames), frames / 10);
    let (run, said) =
        client::run(setting, clip, Task { va: true, loops, sample, ..Task::default() })?;
    let grown = growth_of(&said.memory).ok_or("there are no samples of the memory")?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "KiB".into();
    row.note = format!("over {} frames, after the first {sample}", run.frames);
    row.ours = Summary::of([grown]);
    if let Some(peak) = run.daemon_peak {
        row.details.insert("daemon peak MiB".into(), peak as f64 / 1024.0);
    }
    row.details.insert("resident MiB".into(), said.resident as f64 / 1024.0);
    if cases::has_targets(setting) {
        row.targets.push(Target::new("growth", grown, Bound::AtMost, NOTHING));
    }
    Ok(row)
}

/// KiB from the first sample to the last.
fn growth_of(samples: &[(u64, u64)]) -> Option<f64> {
    match samples {
        [(_, first), .., (_, last)] => Some(*last as f64 - *first as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::growth_of;

    #[test]
    fn growth_is_from_first_to_last() {
        assert_eq!(growth_of(&[(1000, 500), (2000, 900), (3000, 450)]), Some(-50.0));
        assert_eq!(growth_of(&[(1000, 500)]), None);
    }
}
