//! The tests of clients, in the guest.

use std::process::ExitCode;

use daedalus_tests::{clients, driver, kernel};

use super::parts::{PROJECT, TARGET, TESTS};
use crate::bed::{Outcome, quoted};
use crate::kernel_tests;
use crate::summary::Summary;

/// How much longer an emulated machine takes.
const FACTOR: u32 = 20;

/// What the guest's shell does: the tests whose names contain one of `filters`, or all of them.
///
/// The programs were built in a root where the project had another place; it has that one here as well.
pub fn script(filters: &[&str]) -> String {
    let vectors = format!("/{PROJECT}/../shared/vectors");
    let filters = if filters.is_empty() { &[""] } else { filters };
    // One at a time: GStreamer waits a second for a picture, however slow the machine is.
    let options = "--test-threads 1 --color never";
    let mut lines = vec!["status=0".to_owned()];
    for filter in filters.iter().filter(|filter| filter.is_empty() || filter.contains("players")) {
        // They load their display driver themselves, and without our module decode in the player.
        lines.push(format!(
            "DAEDALUS_SCREENSHOTS=/daedalus/results /daedalus/tests/players {options} {} || status=$?",
            quoted(filter)
        ));
    }
    if filters.iter().all(|filter| filter.contains("players")) {
        lines.push("exit $status".to_owned());
        return lines.join("\n");
    }
    lines.extend([
        "load-daedalus && modprobe vgem || exit".to_owned(),
        format!("mkdir -p /{PROJECT} {vectors} /{TARGET}/tmp"),
        format!("mount --bind /daedalus/project /{PROJECT}"),
        format!("mount --bind /daedalus/vectors {vectors}"),
        "udevadm settle".to_owned(),
        format!("export DAEDALUS_DEVICE={}", kernel::TRANSPORT),
        format!("export {}=/daedalus/bin/daedalusd", kernel::DAEMON_VARIABLE),
        format!("export {}=/daedalus/va", driver::DIRECTORY_VARIABLE),
        format!("export {}={FACTOR}", clients::FACTOR_VARIABLE),
    ]);
    for test in TESTS.into_iter().filter(|test| *test != "players") {
        for filter in filters {
            let filter = quoted(filter);
            lines.push(format!("/daedalus/tests/{test} {options} {filter} || status=$?"));
        }
    }
    lines.push("exit $status".to_owned());
    lines.join("\n")
}

/// Says what became of them.
pub fn summary(outcome: &Outcome) -> ExitCode {
    let (mut sum, mut notes) = (Summary::default(), Vec::new());
    kernel_tests::count(outcome, &mut sum, &mut notes);
    println!();
    for note in &notes {
        println!("{note}");
    }
    println!("{sum}");
    let good = sum.failed == 0 && sum.passed > 0;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
