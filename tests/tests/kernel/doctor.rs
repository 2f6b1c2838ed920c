//! Set-ups that are broken on purpose, and whether `daedalusctl status` finds out.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::{compile, ctl, process};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::limits::Hoard;
use crate::parameter::Parameter;
use crate::{Bed, device, module};

/// An ordinary user.
const USER: u32 = 1001;

/// What the doctor says of a set-up, to whom.
fn findings(bed: &Bed, user: u32, more: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    let mut doctor = ctl::command()?;
    bed.setting.environment.apply(&mut doctor);
    doctor.args(["status", "--json"]).envs(more.iter().copied());
    if user != 0 {
        doctor.uid(user).gid(user);
    }
    let done = process::run(&mut doctor, bed.setting.limit).map_err(|e| e.to_string())?;
    let report: Value = serde_json::from_slice(&done.stdout)
        .map_err(|error| format!("{error}: {}{}", done.text(), done.log))?;
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let problems = report["findings"].as_array().into_iter().flatten();
    let problems = problems.filter(|finding| finding["severity"] == "problem");
    let problems: Vec<_> = problems
        .map(|finding| {
            (text(finding, "cause"), text(finding, "what") + " " + &text(finding, "mend"))
        })
        .collect();
    if done.status.code() != Some(i32::from(!problems.is_empty())) {
        return Err(format!("{}: {report:#}", done.ending()));
    }
    Ok(problems)
}

/// One thing is wrong, and it is this.
fn expect(found: Vec<(String, String)>, cause: &str, words: &[&str]) -> Result<(), String> {
    println!("{found:?}");
    match &found[..] {
        [(other, text)] if other == cause && words.iter().all(|word| text.contains(word)) => Ok(()),
        _ => Err(format!("not {cause} with {words:?}: {found:#?}")),
    }
}

pub fn of_what_works(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("doctor.log"), &["--socket-mode", "666"])?;
    let _open = Open::to_all()?;
    for user in [0, USER] {
        let found = findings(bed, user, &[])?;
        if !found.is_empty() {
            return Err(format!("user {user}: {found:#?}").into());
        }
    }
    Ok(daemon.stop()?)
}

pub fn no_module(bed: &Bed) -> Result<(), Failed> {
    Statistics::wait_for_idle()?;
    if !module::rmmod()? {
        return Err("the module does not go".into());
    }
    let found = findings(bed, USER, &[("DAEDALUS_DEVICE", "auto")]);
    module::insmod()?;
    Ok(expect(found?, "no-module", &["not loaded", "sudo modprobe daedalus"])?)
}

pub fn no_daemon(bed: &Bed) -> Result<(), Failed> {
    // Where there has been none since the module came, and where there was one.
    Statistics::wait_for_idle()?;
    if !module::rmmod()? {
        return Err("the module does not go".into());
    }
    module::insmod()?;
    let auto = [("DAEDALUS_DEVICE", "auto")];
    let words = ["none has been", "systemctl start daedalusd", "journalctl -u daedalusd"];
    expect(findings(bed, USER, &auto)?, "no-daemon", &words)?;
    Daemon::start(&bed.file("doctor.log"), &[])?.kill()?;
    let _open = Open::to_all()?;
    Ok(expect(findings(bed, USER, &auto)?, "no-daemon", &["any more"])?)
}

pub fn no_permission(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("doctor.log"), &["--socket-mode", "666"])?;
    let _open = Open::to_all()?;
    let video = device::video()?;
    fs::set_permissions(&video, Permissions::from_mode(0o600))?;
    let what = format!("may not open {} (root:", video.display());
    let words = [what.as_str(), "udev rule"];
    expect(findings(bed, USER, &[("DAEDALUS_DEVICE", "auto")])?, "no-permission", &words)?;
    Ok(daemon.stop()?)
}

pub fn device_busy(bed: &Bed) -> Result<(), Failed> {
    let auto = [("DAEDALUS_DEVICE", "auto")];
    // This user has all that one user may have.
    let daemon = Daemon::start(&bed.file("doctor.log"), &["--socket-mode", "666"])?;
    let open = Open::to_all()?;
    let _limit = Parameter::set("sessions_per_user", 2)?;
    let program = bed.file("hoarder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/hoarder.c");
    compile::c(&[source], &program, &[])?;
    let hoard = Hoard::make(&program, &device::video()?, USER, "sessions", 5)?;
    hoard.says("2 EMFILE")?;
    let words = ["has 2 sessions, and that is the limit", "sessions_per_user"];
    expect(findings(bed, USER, &auto)?, "device-busy", &words)?;
    if let found @ [_, ..] = &findings(bed, 0, &[])?[..] {
        return Err(format!("root is not limited: {found:#?}").into());
    }
    drop((hoard, open));
    daemon.stop()?;

    // Another daemon has the device than the one that should answer.
    let elsewhere = bed.file("elsewhere.sock");
    let elsewhere = elsewhere.to_str().ok_or("no UTF-8")?;
    let daemon = Daemon::start(&bed.file("doctor.log"), &["--socket", elsewhere])?;
    let second = process::run(
        process::command(daedalus_tests::kernel::program()?).arg("--no-socket"),
        bed.setting.limit,
    );
    let said = second.map_err(|e| e.to_string())?;
    if said.status.success() || !said.log.contains("another daemon is attached") {
        return Err(format!("a second daemon: {}: {}", said.ending(), said.log).into());
    }
    let holder = format!("daedalusd (process {}) is attached", daemon.id());
    expect(findings(bed, 0, &[])?, "device-busy", &[&holder, "--socket"])?;
    Ok(daemon.stop()?)
}

pub fn a_daemon_that_hangs(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("doctor.log"), &[])?;
    daemon.suspend()?;
    let found = findings(bed, 0, &[("DAEDALUS_DEVICE", "auto")]);
    daemon.kill()?;
    Ok(expect(found?, "daemon-hangs", &["does not answer", "systemctl restart daedalusd"])?)
}

/// The module's device nodes, open to everybody for a while.
struct Open(Vec<(PathBuf, Permissions)>);

impl Open {
    fn to_all() -> Result<Open, String> {
        let names = fs::read_dir("/dev").map_err(|e| format!("/dev: {e}"))?.flatten();
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("media")
        };
        let media = names.map(|entry| entry.path()).filter(is_one);
        let mut open = Open(Vec::new());
        for path in media.chain([device::video()?]) {
            let failed = |e: std::io::Error| format!("{}: {e}", path.display());
            let before = fs::metadata(&path).map_err(failed)?.permissions();
            fs::set_permissions(&path, Permissions::from_mode(0o666)).map_err(failed)?;
            open.0.push((path, before));
        }
        Ok(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for (path, before) in self.0.drain(..) {
            // They go with the module.
            let _ = fs::set_permissions(path, before);
        }
    }
}
