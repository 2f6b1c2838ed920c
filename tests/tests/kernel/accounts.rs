//! What counts for whom, for how long, and whose turn it is (`accounts.c`).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::{compile, process};
use libtest_mimic::Failed;

use crate::parameter::Parameter;
use crate::{Bed, device};

/// Coded buffers that a user may have here.
const LIMIT: u32 = 5;

/// Nothing of it takes long; who waits for a page would wait for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plays a scenario.
fn play(bed: &Bed, scenario: &str, limit: u32) -> Result<(), Failed> {
    play_in(bed, scenario, limit, None)
}

/// With a control group's folder, if the scenario wants one.
fn play_in(bed: &Bed, scenario: &str, limit: u32, group: Option<&Path>) -> Result<(), Failed> {
    let program = bed.file("accounts");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/accounts.c");
    compile::c(&[source], &program, &[])?;
    // The module has no video device before the first daemon.
    Daemon::start(&bed.file("accounts.log"), &[])?.stop()?;
    let _limit = Parameter::set("requests_per_user", limit)?;
    // Ordinary users are among its clients.
    let nodes = [device::video()?, device::media()?];
    let mut before = Vec::new();
    for node in &nodes {
        before.push(fs::metadata(node)?.permissions());
        fs::set_permissions(node, Permissions::from_mode(0o666))?;
    }
    let mut command = process::command(&program);
    command.args(&nodes).arg(scenario).arg(limit.to_string());
    if let Some(group) = group {
        command.env("CGROUP", group);
    }
    let done = process::run(&mut command, PATIENCE).map_err(|e| e.to_string());
    for (node, permissions) in nodes.iter().zip(before) {
        fs::set_permissions(node, permissions)?;
    }
    let done = done?;
    println!("{}", done.text().trim());
    if !done.status.success() {
        return Err(format!("{scenario}: {}:\n{}", done.ending(), done.log_tail(5)).into());
    }
    let users = Statistics::wait_for_idle()?.users;
    if users == 0 { Ok(()) } else { Err(format!("{users} users are remembered").into()) }
}

pub fn of_large_data(bed: &Bed) -> Result<(), Failed> {
    play(bed, "large", LIMIT)
}

pub fn of_removed_buffers(bed: &Bed) -> Result<(), Failed> {
    play(bed, "removed", LIMIT)
}

pub fn of_what_is_taken_back(bed: &Bed) -> Result<(), Failed> {
    play(bed, "owed", LIMIT)
}

pub fn of_turns(bed: &Bed) -> Result<(), Failed> {
    play(bed, "turns", 512)
}

pub fn of_media_requests(bed: &Bed) -> Result<(), Failed> {
    play(bed, "media", LIMIT)
}

pub fn of_sessions_that_end(bed: &Bed) -> Result<(), Failed> {
    play(bed, "ends", 512)
}

pub fn of_values_in_untouched_pages(bed: &Bed) -> Result<(), Failed> {
    play(bed, "values", 512)
}

pub fn of_sessions_that_end_beside_completions(bed: &Bed) -> Result<(), Failed> {
    play(bed, "closing", LIMIT)
}

pub fn of_pages_that_do_not_come(bed: &Bed) -> Result<(), Failed> {
    play(bed, "stalls", 512)
}

/// A control group whose processes are made to wait once they have more than a MiB.
struct Group {
    root: PathBuf,
    folder: PathBuf,
}

impl Group {
    fn new(root: PathBuf) -> Result<Group, Failed> {
        fs::create_dir_all(&root)?;
        let mut mount = process::command("mount");
        let done = process::run(mount.args(["-t", "cgroup2", "none"]).arg(&root), PATIENCE)?;
        if !done.status.success() {
            return Err(format!("mounting control groups: {}", done.log_tail(5)).into());
        }
        let folder = root.join("throttled");
        let group = Group { root, folder };
        fs::write(group.root.join("cgroup.subtree_control"), "+memory")?;
        fs::create_dir(&group.folder)?;
        fs::write(group.folder.join("memory.high"), "1M")?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What cannot be taken away goes with the machine.
        let _ = fs::remove_dir(&self.folder);
        let _ = process::run(process::command("umount").arg(&self.root), PATIENCE);
    }
}

pub fn of_who_is_above_memory_high(bed: &Bed) -> Result<(), Failed> {
    let group = Group::new(bed.file("groups"))?;
    play_in(bed, "high", 512, Some(&group.folder))
}
