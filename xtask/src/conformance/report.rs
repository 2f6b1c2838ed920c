//! What a run comes to: a table, and how it compares with the pins.

use std::collections::BTreeMap;

use daedalus_tests::conformance::Case;
use daedalus_tests::conformance::pins::Change;

use super::options::Options;
use super::{Known, Outcome};
use crate::table;

/// A table: client, codec and kind against verdicts.
pub fn summary(cases: &[Case], clients: &[Known], outcomes: &[Outcome]) -> String {
    const WORDS: [&str; 9] = [
        "exact",
        "among-others",
        "survives",
        "falls-back",
        "refused",
        "differs",
        "error",
        "crash",
        "timeout",
    ];
    let mut counts: BTreeMap<(usize, String, String), BTreeMap<&str, usize>> = BTreeMap::new();
    for outcome in outcomes {
        let case = &cases[outcome.case];
        let codec = format!("{:?}", case.stream.codec);
        let kind = format!("{:?}", case.expectation.kind()).to_lowercase();
        let row = counts.entry((outcome.client, codec, kind)).or_default();
        *row.entry(outcome.verdict.word()).or_default() += 1;
    }
    let used: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| counts.values().any(|row| row.contains_key(word)))
        .collect();
    let header = ["client", "codec", "kind", "streams"].into_iter().chain(used.iter().copied());
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    for ((client, codec, kind), row) in &counts {
        let client = format!("{} {}", clients[*client].name, clients[*client].version);
        let mut cells =
            vec![client, codec.clone(), kind.clone(), row.values().sum::<usize>().to_string()];
        cells.extend(used.iter().map(|word| match row.get(word) {
            Some(count) => count.to_string(),
            None => "-".into(),
        }));
        rows.push(cells);
    }
    table::render(&rows, 3)
}

/// Compares with the pins, or writes them. How many outcomes count as failed.
pub fn report(
    cases: &[Case],
    clients: &[Known],
    outcomes: &[Outcome],
    options: &Options,
) -> Result<usize, String> {
    let mut failed = 0;
    for (number, known) in clients.iter().enumerate() {
        let own = || outcomes.iter().filter(|outcome| outcome.client == number);
        if options.pin && !options.valgrind {
            let mut pins = known.pins.clone().unwrap_or_default();
            own().for_each(|o| pins.set(&cases[o.case].stream.name, &o.verdict));
            println!("pinned: {}", pins.write(known.client, &known.version)?.display());
        }
        // Memory is right or wrong; no pin makes it acceptable.
        let pins = known.pins.as_ref().filter(|_| !options.valgrind);
        for outcome in own() {
            let stream = &cases[outcome.case].stream.name;
            let change = pins.map_or(Change::New, |pins| pins.change(stream, &outcome.verdict));
            let bad = match &change {
                Change::Worse(_) => true,
                Change::New => outcome.verdict.is_bad(),
                Change::Same | Change::Better(_) => false,
            };
            failed += usize::from(bad);
            match change {
                Change::Worse(was) => {
                    println!("WORSE: {} {stream}: was {was}, now {}", known.name, outcome.verdict)
                }
                Change::Better(was) => {
                    println!("better: {} {stream}: was {was}, now {}", known.name, outcome.verdict)
                }
                Change::New if bad => {
                    println!("FAILED: {} {stream}: {}", known.name, outcome.verdict)
                }
                Change::New | Change::Same => {}
            }
        }
    }
    Ok(failed)
}
