//! The daemon has given up what it does not need, and decodes.

use std::fs;

use daedalus_tests::kernel::Daemon;
use daedalus_tests::stream::Codec;
use libtest_mimic::Failed;
use nix::errno::Errno;

use crate::{Bed, deaths};

/// All tests have such a daemon; this one looks.
pub fn of_the_daemon(bed: &Bed) -> Result<(), Failed> {
    let log = bed.file("sandbox.log");
    let daemon = decodes(bed, &[])?;
    expect(&daemon, &[("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapBnd", NONE), ("CapPrm", NONE)])?;
    // Of these two the kernels of the tests have everything.
    says(&log, "sandbox: no capabilities, Landlock, ")?;
    daemon.stop()?;

    // root's daemon may be another user's.
    let daemon = decodes(bed, &["--user", "nobody"])?;
    let nobody = "65534\t65534\t65534\t65534";
    expect(&daemon, &[("Uid", nobody), ("Groups", ""), ("CapPrm", NONE), ("Seccomp", "2")])?;
    says(&log, "sandbox: as nobody, no capabilities, Landlock, ")?;
    daemon.stop()?;

    let daemon = decodes(bed, &["--no-sandbox"])?;
    expect(&daemon, &[("NoNewPrivs", "0"), ("Seccomp", "0")])?;
    Ok(daemon.stop()?)
}

/// ENOENT, or ESRCH if it was open before.
const GONE: [i32; 2] = [Errno::ENOENT as i32, Errno::ESRCH as i32];

const NONE: &str = "0000000000000000";

/// A daemon that has decoded one film of each codec.
fn decodes(bed: &Bed, arguments: &[&str]) -> Result<Daemon, String> {
    let daemon = Daemon::start(&bed.file("sandbox.log"), arguments)?;
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        deaths::whole(codec, bed)?;
    }
    Ok(daemon)
}

/// What /proc says of all threads.
fn expect(daemon: &Daemon, expected: &[(&str, &str)]) -> Result<(), String> {
    let tasks = format!("/proc/{}/task", daemon.id());
    let mut read = 0;
    for task in fs::read_dir(&tasks).map_err(|e| format!("{tasks}: {e}"))?.flatten() {
        let path = task.path().join("status");
        let status = match fs::read_to_string(&path) {
            Ok(status) => status,
            // A thread of a session that is ending.
            Err(error) if GONE.contains(&error.raw_os_error().unwrap_or(0)) => continue,
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        read += 1;
        for (name, value) in expected {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            if line.map(str::trim) != Some(value) {
                return Err(format!("{name} is {line:?}, expected {value:?}"));
            }
        }
    }
    if read == 0 { Err(format!("{tasks}: no thread")) } else { Ok(()) }
}

fn says(log: &std::path::Path, what: &str) -> Result<(), String> {
    let said = fs::read_to_string(log).map_err(|e| format!("{}: {e}", log.display()))?;
    if said.contains(what) { Ok(()) } else { Err(format!("no {what:?} in: {said}")) }
}
