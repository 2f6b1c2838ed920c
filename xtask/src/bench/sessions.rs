//! Several sessions of one process at a time.

use super::cases::{self, Case};
use super::client::{self, Task};
use super::clips::Clip;
use super::outcome::{Run, Said};
use super::pairs;
use super::report::{Bound, Row, Target};
use super::setting::Setting;
use super::stats::Summary;
use super::throughput::detail;

/// How many at a time.
const COUNTS: [u32; 3] = [2, 4, 8];

const MIB: f64 = 1024.0 * 1024.0;

const FURTHER: &str = "MiB per further session beside surfaces";

/// What is compared: some sessions, and one.
type Pair = ((Run, Said), (Run, Said));

/// A row for each number of sessions.
pub fn sessions(setting: &Setting, case: &Case, clip: &Clip) -> Result<Vec<Row>, String> {
    COUNTS.into_iter().map(|count| row(setting, case, clip, count)).collect()
}

fn row(setting: &Setting, case: &Case, clip: &Clip, count: u32) -> Result<Row, String> {
    let run = |sessions| {
        let task = Task { va: true, sessions, ..Task::default() };
        client::run(setting, clip, task)
    };
    let runs: Vec<Pair> = pairs::run(
        &format!("{}, {count} at a time", case.told(setting.transport)),
        // Eight sessions take eight times as long as everything else.
        setting.pairs.min(3),
        || run(count),
        || run(1),
    )?;
    let mut row = case.row(setting.transport, clip.title());
    row.name = format!("{}/{count}", case.name);
    row.unit = "fps".into();
    row.ours = Summary::of(runs.iter().map(|((all, _), _)| all.fps()));
    row.reference = Summary::of(runs.iter().map(|(_, (one, _))| one.fps()));
    row.ratio = Summary::ratios(runs.iter().map(|((all, _), (one, _))| (all.fps(), one.fps())));
    detail(&mut row, "fairness", &runs, |((_, said), _)| said.fairness());
    detail(&mut row, FURTHER, &runs, |((_, many), (_, one))| per_further_session(many, one));
    detail(&mut row, "surfaces MiB per session", &runs, |((_, many), _)| {
        many.surface_bytes as f64 / MIB / f64::from(count)
    });
    detail(&mut row, "CPU ms/frame", &runs, |((all, _), _)| all.cost());
    if count == 8 && cases::has_targets(setting) {
        let details = |name: &str| row.details.get(name).copied();
        let wanted = [
            ("ratio", row.ratio.as_ref().map(|ratio| ratio.median), Bound::AtLeast, 0.95),
            ("fairness", details("fairness"), Bound::AtLeast, 0.8),
            (FURTHER, details(FURTHER), Bound::AtMost, 60.0),
        ];
        row.targets = wanted
            .into_iter()
            .filter_map(|(what, figure, bound, limit)| {
                Some(Target::new(what, figure?, bound, limit))
            })
            .collect();
    }
    Ok(row)
}

/// What each session after the first adds to the resident memory, without its surfaces.
fn per_further_session(many: &Said, one: &Said) -> f64 {
    let beside = |said: &Said| said.resident as f64 / 1024.0 - said.surface_bytes as f64 / MIB;
    let further = many.sessions.len().saturating_sub(one.sessions.len()).max(1);
    (beside(many) - beside(one)) / further as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surfaces_are_not_counted_twice() {
        let said = |sessions, resident_mib: u64, surfaces_mib: u64| Said {
            sessions: vec![(1, 1.0, 1); sessions],
            resident: resident_mib * 1024,
            surface_bytes: surfaces_mib << 20,
            ..Said::default()
        };
        let (one, five) = (said(1, 100, 20), said(5, 340, 100));
        assert_eq!(per_further_session(&five, &one), 40.0);
    }
}
