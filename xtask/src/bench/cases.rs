//! What there is to measure, and which of it was asked for.

use daedalus_tests::clips::Extent;

use super::clips::{Clip, Recipe, named_recipe};
use super::ffmpeg::Way;
use super::report::Row;
use super::setting::{Setting, Transport};

/// Something to measure; most give one row.
#[derive(Clone, Debug)]
pub struct Case {
    /// The table it belongs to.
    pub measure: Measure,
    /// Its place there, unique.
    pub name: String,
    /// What is decoded.
    pub recipe: &'static Recipe,
    /// How much of it.
    pub extent: Extent,
}

/// The tables, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Frames per second, in this way.
    Throughput(Way),
    /// Processor time per frame.
    Cost,
    /// From sending a packet until its picture is there.
    Latency,
    /// Several sessions at a time.
    Sessions,
    /// From small pictures to large ones.
    Size,
    /// The most memory that is in use at a time.
    Peak,
    /// Memory in use in a long run.
    Growth,
}

impl Measure {
    /// The table's name.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Throughput(_) => "throughput",
            Measure::Cost => "cost",
            Measure::Latency => "latency",
            Measure::Sessions => "sessions",
            Measure::Size => "size",
            Measure::Peak | Measure::Growth => "memory",
        }
    }
}

/// The clips of each codec and depth.
const PLAIN: [&str; 6] = ["h264", "h264-10bit", "vp9", "vp9-10bit", "av1", "av1-10bit"];
/// Of each codec one.
const CODECS: [&str; 3] = ["h264", "vp9", "av1"];

const SMALL: Extent = Extent { width: 320, height: 180, frames: 250 };

/// Everything, in the order in which it is measured.
pub fn all(quick: bool) -> Vec<Case> {
    let extent = if quick {
        Extent { width: 640, height: 360, frames: 48 }
    } else {
        Extent { width: 1920, height: 1080, frames: 240 }
    };
    let mut cases = Vec::new();
    let mut add = |measure: Measure, clip: &str, part: &str, extent: Extent| {
        let name = if part.is_empty() { clip.to_owned() } else { format!("{clip}/{part}") };
        cases.push(Case { measure, name, recipe: named_recipe(clip), extent });
    };
    for clip in PLAIN {
        add(Measure::Throughput(Way::Surfaces), clip, "surfaces", extent);
        add(Measure::Throughput(Way::Download), clip, "hwdownload", extent);
    }
    for clip in PLAIN {
        add(Measure::Cost, clip, "", extent);
    }
    for clip in PLAIN.into_iter().chain(["h264-slices", "vp9-tiles", "av1-tiles"]) {
        add(Measure::Latency, clip, "", extent);
    }
    for clip in CODECS {
        add(Measure::Sessions, clip, "", extent);
    }
    for clip in CODECS {
        for (part, extent) in sizes(quick) {
            add(Measure::Size, clip, part, extent);
        }
    }
    for clip in PLAIN {
        add(Measure::Peak, clip, "peak", extent);
    }
    for clip in CODECS {
        add(Measure::Growth, clip, "growth", SMALL);
    }
    cases
}

/// Frames get fewer as they get larger, so that runs take as long.
fn sizes(quick: bool) -> Vec<(&'static str, Extent)> {
    let sizes = [
        ("480p", 854, 480, 480),
        ("720p", 1280, 720, 360),
        ("1080p", 1920, 1080, 240),
        ("2160p", 3840, 2160, 60),
    ];
    let all = sizes.map(|(name, width, height, frames)| {
        let frames = if quick { 24 } else { frames };
        (name, Extent { width, height, frames })
    });
    all[..if quick { 2 } else { 4 }].to_vec()
}

impl Case {
    /// What filters are compared with: "throughput/h264/surfaces".
    pub fn id(&self) -> String {
        format!("{}/{}", self.measure.name(), self.name)
    }

    /// Whether one of `filters` is part of its id; all are wanted without any.
    pub fn is_wanted(&self, filters: &[String]) -> bool {
        filters.is_empty() || filters.iter().any(|filter| self.id().contains(filter.as_str()))
    }

    /// For people.
    pub fn told(&self, transport: Transport) -> String {
        format!("{} ({})", self.id(), transport.name())
    }

    /// A row without figures yet.
    pub fn row(&self, transport: Transport, title: String) -> Row {
        Row {
            measure: self.measure.name().into(),
            name: self.name.clone(),
            title,
            transport: transport.name().into(),
            ..Row::default()
        }
    }
}

/// Whether what the project wants is asked of this transport: in user-mode Linux, where the other one is
/// measured, a system call costs a hundred times what it does elsewhere.
pub fn has_targets(setting: &Setting) -> bool {
    setting.transport == Transport::Embedded
}

/// Pixels of all frames.
pub fn pixels(clip: &Clip) -> f64 {
    let Extent { width, height, frames } = clip.extent;
    f64::from(width) * f64::from(height) * f64::from(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        for quick in [false, true] {
            let mut ids: Vec<String> = all(quick).iter().map(Case::id).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count);
        }
    }

    #[test]
    fn filters_are_parts_of_ids() {
        let wanted = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|&f| f.into()).collect();
            let ids = all(false).iter().filter(|c| c.is_wanted(&filters)).map(Case::id).collect();
            let ids: Vec<String> = ids;
            ids
        };
        assert_eq!(wanted(&[]).len(), all(false).len());
        assert_eq!(wanted(&["cost/vp9"]), ["cost/vp9", "cost/vp9-10bit"]);
        assert_eq!(wanted(&["h264/surfaces", "av1-tiles"]).len(), 2);
        assert!(wanted(&["no such"]).is_empty());
    }
}
