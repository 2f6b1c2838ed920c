//! What one user may have of the device, while others get theirs.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::process;
use libtest_mimic::Failed;

use crate::parameter::Parameter;
use crate::{Bed, device};

/// What is limited, by which parameter, to what here, and the error beyond it.
const LIMITS: [(&str, &str, u32, &str); 3] = [
    ("sessions", "sessions_per_user", 3, "EMFILE"),
    ("memory", "memory_per_user", 4, "ENOMEM"),
    ("requests", "requests_per_user", 5, "EDQUOT"),
];

/// More than any limit.
const MANY: u32 = 10;

const USER: u32 = 1001;
const OTHER: u32 = 1002;
const ROOT: u32 = 0;

/// Who asks for too much is told so; others, root and whoever has given something back are not.
pub fn of_each_user(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("limits.log"), &[])?;
    let video = device::video()?;
    let before = fs::metadata(&video)?.permissions();
    fs::set_permissions(&video, Permissions::from_mode(0o666))?;
    let program = bed.file("hoarder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/hoarder.c");
    daedalus_tests::compile::c(&[source], &program, &[])?;
    let hoard =
        |user: u32, what: &str, count: u32| Hoard::make(&program, &video, user, what, count);
    for (what, parameter, limit, error) in LIMITS {
        let _limit = Parameter::set(parameter, limit)?;
        let full = format!("{limit} {error}");
        let first = hoard(USER, what, MANY)?;
        first.says(&full)?;
        hoard(OTHER, what, limit)?.says(&format!("{limit} none"))?;
        hoard(ROOT, what, MANY)?.says(&format!("{MANY} none"))?;
        hoard(USER, what, MANY)?.says(&format!("0 {error}"))?;
        drop(first);
        hoard(USER, what, MANY)?.says(&full)?;
    }
    fs::set_permissions(&video, before)?;
    let users = Statistics::wait_for_idle()?.users;
    if users != 0 {
        return Err(format!("{users} users are remembered").into());
    }
    Ok(daemon.stop()?)
}

/// A client of `hoarder.c`, which keeps what it has until this is dropped.
pub struct Hoard {
    child: Child,
    what: String,
    said: String,
}

impl Hoard {
    pub fn make(
        program: &Path,
        video: &Path,
        user: u32,
        what: &str,
        count: u32,
    ) -> Result<Hoard, String> {
        let mut command = process::command(program);
        command.arg(user.to_string()).arg(video).arg(what).arg(count.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("cannot start a client: {e}"))?;
        let mut said = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut said).map_err(|e| e.to_string())?;
        let what = format!("user {user}, {count} {what}");
        Ok(Hoard { child, what, said: said.trim().to_owned() })
    }

    pub fn says(&self, expected: &str) -> Result<(), String> {
        let Hoard { what, said, .. } = self;
        println!("{what}: {said}");
        if said == expected { Ok(()) } else { Err(format!("{what}: {said}, expected {expected}")) }
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends with its input.
        let _ = self.child.wait();
    }
}
