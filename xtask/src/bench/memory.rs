//! How much memory is in use, at most and in the long run.

use daedalus_tests::proc;

use super::cases::{self, Case};
use super::client::{self, Task};
use super::clips::Clip;
use super::ffmpeg::Way;
use super::outcome::Run;
use super::pairs;
use super::report::{Bound, Row, Target};
use super::setting::Setting;
use super::stats::Summary;
use super::throughput::{Sides, compare, detail};

/// Frames of a long run.
const FRAMES: u32 = 10_000;

/// KiB that count as nothing: pages of heaps that fill up late.
const NOTHING: f64 = 1024.0;

/// The client's peak against that of software, and the daemon's.
pub fn peak(setting: &Setting, case: &Case, clip: &Clip) -> Result<Row, String> {
    let sides = Sides::new(setting, clip);
    // It hardly changes from run to run.
    let count = setting.pairs.min(3);
    let runs = sides.pairs(case, count, Way::Surfaces, Way::Software(setting.threads))?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "MiB".into();
    row.note = sides.note();
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
    pairs::progress(&case.told(setting.transport), 1, 1);
    let (loops, sample) = (frames.div_ceil(clip.extent.frames), frames / 10);
    let daemon = || setting.daemon.as_deref().map(|daemon| proc::resident(daemon.id())).transpose();
    if setting.daemon.is_some() {
        let loops = sample.div_ceil(clip.extent.frames);
        client::run(setting, clip, Task { va: true, loops, ..Task::default() })?;
    }
    let daemon_before = daemon()?;
    let (run, said) =
        client::run(setting, clip, Task { va: true, loops, sample, ..Task::default() })?;
    let daemon_after = daemon()?;
    let grown = growth_of(&said.memory).ok_or("there are no samples of the memory")?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "KiB".into();
    row.note = format!("over {} frames, after the first {sample}", run.frames);
    row.ours = Summary::of([grown]);
    if let Some(peak) = run.daemon_peak {
        row.details.insert("daemon peak MiB".into(), peak as f64 / 1024.0);
    }
    if let (Some(before), Some(after)) = (daemon_before, daemon_after) {
        // After a session of a tenth as many frames, and after this one.
        row.details.insert("daemon growth KiB".into(), after - before);
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
