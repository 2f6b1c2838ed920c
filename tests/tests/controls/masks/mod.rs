//! What VA cannot tell: the fields in which the driver's controls may differ from a parser's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use daedalus_tests::catalogue::Tier;
use libtest_mimic::{Failed, Trial};

pub use table::{MASKS, UNREAD, WITNESS_FAULTS};

mod table;

/// A field that is not compared.
pub struct Mask {
    /// `codec.control.field`.
    pub field: &'static str,
    /// What VA lacks, what the driver sends instead, and why no decoder minds.
    pub reason: &'static str,
    /// Why no stream of the core shows a difference; `None` if some do.
    pub unseen: Option<&'static str>,
}

/// The mask of a field, if it has one.
pub fn find(field: &str) -> Option<&'static Mask> {
    MASKS.iter().find(|mask| mask.field == field)
}

/// Whether the other parser is known to be wrong in a field of a stream.
pub fn is_witness_fault(stream: &str, field: &str) -> bool {
    let mut lines = WITNESS_FAULTS.iter();
    lines.any(|(streams, fields, _)| streams.contains(&stream) && fields.contains(&field))
}

/// Why the other parser cannot read a stream at all.
pub fn unread(stream: &str) -> Option<&'static str> {
    UNREAD.iter().find(|(part, _)| stream.contains(part)).map(|(_, why)| *why)
}

/// The test that the documentation names every mask with its reason, and no other field.
pub fn documentation() -> Vec<Trial> {
    vec![Trial::test("docs/controls.md has the table of masked fields", || {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/controls.md");
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = MASKS.iter().map(row).collect();
        if rows != expected {
            let table = expected.join("\n");
            return Err(Failed::from(format!("the table should be:\n{table}")));
        }
        Ok(())
    })]
}

fn row(mask: &Mask) -> String {
    format!("| `{}` | {} |", mask.field, mask.reason)
}

/// The tests that each masked field has differed somewhere, given where they did in a run over all
/// streams of the tier.
pub fn used(seen: &BTreeMap<&'static str, (String, usize)>, tier: Tier) -> Vec<Trial> {
    let trial = |mask: &'static Mask| {
        let name = format!("mask::{}", mask.field);
        let difference = seen.get(mask.field).cloned();
        let test = move || match (difference, mask.unseen) {
            // What is said of the core need not hold for all streams.
            (Some((stream, times)), Some(why)) if tier == Tier::Core => {
                Err(format!("differs {times} times, first in {stream}: not \"{why}\"").into())
            }
            (None, None) => Err("never differs: take it out".into()),
            _ => Ok(()),
        };
        Trial::test(name, test)
    };
    MASKS.iter().map(trial).collect()
}

/// The tests that the other parser is still wrong where it is said to be, in the streams that `is_there`
/// knows.
pub fn witness_faults_seen(
    seen: &BTreeSet<(String, String)>,
    is_there: impl Fn(&str) -> bool,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (streams, fields, _) in WITNESS_FAULTS {
        for stream in streams.iter().filter(|stream| is_there(stream)) {
            let is_seen = fields
                .iter()
                .any(|field| seen.contains(&((*stream).to_owned(), (*field).to_owned())));
            trials.push(Trial::test(format!("witness::{stream}"), move || {
                if is_seen { Ok(()) } else { Err(Failed::from("is right: take the line out")) }
            }));
        }
    }
    trials
}
