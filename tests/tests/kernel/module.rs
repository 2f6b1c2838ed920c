//! The module stays while somebody uses it, and goes and comes when nobody does.

use std::fs::File;
use std::time::Duration;

use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::process;
use libtest_mimic::Failed;

use crate::limits::{self, Hoard};
use crate::{Bed, device};

pub fn stays_while_it_is_used(bed: &Bed) -> Result<(), Failed> {
    let log = bed.file("module.log");
    let daemon = Daemon::start(&log, &[])?;
    let removed = rmmod()?;
    if removed {
        return Err("the module went while a daemon was attached".into());
    }
    let video = device::video()?;
    daemon.stop()?;
    let client = File::open(&video).map_err(|e| format!("{}: {e}", video.display()))?;
    if rmmod()? {
        return Err("the module went while a client had its device open".into());
    }
    drop(client);
    let exported = Hoard::make(&limits::compile(bed)?, &video, limits::ROOT, "exports", 1)?;
    exported.says("1 none")?;
    Statistics::wait_for_idle()?;
    if rmmod()? {
        return Err("the module went while a client had memory of it".into());
    }
    drop(exported);
    Statistics::wait_for_idle()?;
    if !rmmod()? {
        return Err("the module does not go although nobody uses it".into());
    }
    insmod()?;
    Ok(Daemon::start(&log, &[])?.stop()?)
}

/// Whether the module could be removed.
pub fn rmmod() -> Result<bool, String> {
    run("rmmod", "daedalus")
}

/// Loads the module again.
pub fn insmod() -> Result<(), String> {
    let file = std::env::var("DAEDALUS_MODULE")
        .map_err(|_| "DAEDALUS_MODULE does not say where daedalus.ko is")?;
    if run("insmod", &file)? { Ok(()) } else { Err("the module does not come back".into()) }
}

fn run(program: &str, argument: &str) -> Result<bool, String> {
    let done = process::run(process::command(program).arg(argument), Duration::from_secs(30));
    Ok(done.map_err(|e| e.to_string())?.status.success())
}
