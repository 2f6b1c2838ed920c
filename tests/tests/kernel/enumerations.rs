//! What clients do to each other through the media device (`enumerator.c`).

use std::path::Path;
use std::time::Duration;

use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::{compile, process};
use libtest_mimic::Failed;

use crate::{Bed, device};

/// Who waits for a page would wait for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plays a scenario.
fn play(bed: &Bed, scenario: &str) -> Result<(), Failed> {
    let program = bed.file("enumerator");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/enumerator.c");
    compile::c(&[source], &program, &[])?;
    // The module has no video device before the first daemon.
    Daemon::start(&bed.file("enumerator.log"), &[])?.stop()?;
    let mut command = process::command(&program);
    command.args([device::video()?, device::media()?]).arg(scenario);
    let done = process::run(&mut command, PATIENCE).map_err(|e| e.to_string())?;
    println!("{}", done.text().trim());
    if !done.status.success() {
        return Err(format!("{scenario}: {}:\n{}", done.ending(), done.log_tail(5)).into());
    }
    let idle = Statistics::wait_for_idle()?;
    if idle.users == 0 {
        Ok(())
    } else {
        Err(format!("{} users are remembered", idle.users).into())
    }
}

pub fn of_pages_that_do_not_come(bed: &Bed) -> Result<(), Failed> {
    play(bed, "stalls")
}

pub fn of_requests_that_end_with_their_session(bed: &Bed) -> Result<(), Failed> {
    play(bed, "ends")
}
