//! v4l2-compliance finds nothing, whether or not somebody decodes. It has to be a version that knows the
//! kernel: 1.30, which `./x uml` and Debian 13 have.

use std::time::Duration;

use daedalus_tests::kernel::Daemon;
use daedalus_tests::process;
use libtest_mimic::Failed;

use crate::{Bed, device};

pub fn with_a_daemon(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("compliance.log"), &[])?;
    complies()?;
    Ok(daemon.stop()?)
}

/// The devices are there once a daemon has been.
pub fn without_a_daemon(bed: &Bed) -> Result<(), Failed> {
    Daemon::start(&bed.file("compliance.log"), &[])?.stop()?;
    complies()
}

/// All tests, the streaming ones included.
fn complies() -> Result<(), Failed> {
    let mut command = process::command("v4l2-compliance");
    command.arg("-d").arg(device::video()?).arg("-s");
    // 49 without the streaming tests, 58 with them, 60 with those that take buffers of another device.
    // It asks that one for buffers of the single-planar API, so that it cannot be ours.
    let expected = match device::exporter()? {
        Some(exporter) => {
            command.arg("--expbuf-device").arg(exporter);
            60
        }
        None => {
            println!("no vim2m here: the tests of DMABUF are not run");
            58
        }
    };
    let done = process::run(&mut command, Duration::from_secs(300)).map_err(|e| e.to_string())?;
    let text = done.text();
    let total = text.lines().find(|line| line.starts_with("Total for ")).unwrap_or_default();
    println!("{total}");
    let tested =
        total.split_whitespace().filter_map(|word| word.trim_end_matches(',').parse().ok());
    let [tested, succeeded, failed, warnings] =
        tested.collect::<Vec<u32>>().try_into().map_err(|_| format!("no totals:\n{text}"))?;
    if !done.status.success()
        || failed != 0
        || warnings != 0
        || tested != succeeded
        || tested < expected
    {
        let lines = text.lines().filter(|line| line.contains("fail") || line.contains("FAIL"));
        return Err(format!("{total}\n{}", lines.collect::<Vec<_>>().join("\n")).into());
    }
    Ok(())
}
