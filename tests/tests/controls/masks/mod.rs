//! What VA cannot tell: the fields in which the driver's controls may differ from a parser's.

use std::collections::BTreeMap;
use std::path::Path;

use daedalus_tests::catalogue::Tier;
use libtest_mimic::{Failed, Trial};

pub use table::MASKS;

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

/// The tests that each masked field has differed somewhere, given where they did. `whole`: all streams of
/// the tier were compared.
pub fn used(seen: &BTreeMap<&'static str, (String, usize)>, tier: Tier, whole: bool) -> Vec<Trial> {
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
        Trial::test(name, test).with_ignored_flag(!whole)
    };
    MASKS.iter().map(trial).collect()
}
