//! From sending a packet until its picture is there, with nothing else under way.

use super::cases::{self, Case};
use super::client::{self, Pace, Task};
use super::clips::Clip;
use super::pairs;
use super::report::{Bound, Row, Target};
use super::setting::Setting;
use super::stats::{Summary, quantile};
use super::throughput::{Sides, detail};

/// What is said of rows that libavcodec cannot fill.
const SMALL_CLIENT: &str = "this libavcodec does not decode High 10 through VA-API: a small client of our own does, \
     whose clock starts when it has read a picture's first slice header";

/// Milliseconds of a run.
struct Latency {
    median: f64,
    p99: f64,
}

impl Latency {
    /// Without the first packet: that makes surfaces and decoders.
    fn of(microseconds: &[f64]) -> Result<Self, String> {
        let samples = microseconds.get(1..).unwrap_or_default();
        let at = |q| quantile(samples, q).map(|us| us / 1e3).ok_or("there are no latencies");
        Ok(Self { median: at(0.5)?, p99: at(0.99)? })
    }
}

/// The software side: without and with the conversion to NV12 or P010.
struct Software {
    planar: Latency,
    packed: Latency,
}

/// One row.
pub fn latency(setting: &Setting, case: &Case, clip: &Clip) -> Result<Row, String> {
    // Our client's libavcodec is that of ffmpeg.
    let small = Sides::new(setting, clip).are_own();
    let va = || {
        let (_, said) = if small {
            client::run_small(setting, clip, Pace::WaitEach)?
        } else {
            client::run(setting, clip, Task { va: true, wait_each: true, ..Task::default() })?
        };
        Latency::of(&said.latencies)
    };
    let one = |convert| {
        let task = Task { wait_each: true, convert, ..Task::default() };
        client::run(setting, clip, task).and_then(|(_, said)| Latency::of(&said.latencies))
    };
    let runs = pairs::run(&case.told(setting.transport), setting.pairs, va, || {
        Ok(Software { planar: one(false)?, packed: one(true)? })
    })?;
    let mut row = case.row(setting.transport, clip.title());
    row.unit = "ms".into();
    if small {
        row.note = SMALL_CLIENT.into();
    }
    row.ours = Summary::of(runs.iter().map(|(ours, _)| ours.median));
    row.reference = Summary::of(runs.iter().map(|(_, software)| software.packed.median));
    let ratios = runs.iter().map(|(ours, software)| (ours.median, software.packed.median));
    row.ratio = Summary::ratios(ratios);
    if let (Some(ratio), true) = (&row.ratio, cases::has_targets(setting)) {
        let parts = clip.recipe.parts || clip.recipe.codec == daedalus_tests::stream::Codec::Av1;
        let (bound, limit) = if parts { (Bound::Below, 1.0) } else { (Bound::AtMost, 1.05) };
        row.targets.push(Target::new("ratio", ratio.median, bound, limit));
    }
    detail(&mut row, "p99 ms", &runs, |(ours, _)| ours.p99);
    detail(&mut row, "software p99 ms", &runs, |(_, software)| software.packed.p99);
    detail(&mut row, "planar software ms", &runs, |(_, software)| software.planar.median);
    detail(&mut row, "ratio to planar", &runs, |(ours, software)| {
        ours.median / software.planar.median
    });
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::Latency;

    #[test]
    fn the_first_packet_does_not_count() {
        let latency = Latency::of(&[90000.0, 1000.0, 2000.0, 3000.0]).unwrap();
        assert_eq!(latency.median, 2.0);
        assert!(latency.p99 > 2.9 && latency.p99 <= 3.0);
        assert!(Latency::of(&[1.0]).is_err());
    }
}
