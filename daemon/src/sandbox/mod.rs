//! What the daemon gives up once it has all that it needs: what it reads was made by anybody, and is parsed
//! by code in C and assembly.
//!
//! The pieces stand alone, so that one that a kernel lacks, or somebody gets around, leaves the others. All
//! of it holds for the calling thread and those that it starts.

mod calls;

use std::{
    fs,
    os::fd::RawFd,
    thread,
    time::{Duration, Instant},
};

use daedalus_uapi::control::Sandbox;
use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope as LandlockScope,
};
use nix::{
    sys::prctl,
    unistd::{self, User},
};

use crate::{Error, Result};

/// The Landlock that is asked for: Linux 6.12's, the oldest that the module is for. Older ones give what
/// they have.
const LANDLOCK: ABI = ABI::V6;

/// The user of this name.
pub fn user(name: &str) -> Result<User> {
    let looked_up =
        User::from_name(name).map_err(|e| Error::System("looking up the user", e.into()));
    looked_up?.ok_or_else(|| Error::NoUser(name.into()))
}

/// How long threads may take to end that have been waited for: their task outlives them a little.
const PATIENCE: Duration = Duration::from_secs(5);

/// The whole process enters, as [`enter`] has it. It must have one thread: others would stay outside.
pub fn enter_process(user: Option<&User>, listener: Option<RawFd>) -> Result<Sandbox> {
    let failed = |error: std::io::Error| Error::System("/proc/self/task", error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::read_dir("/proc/self/task").map_err(failed)?.count() {
            1 => return enter(user, listener),
            threads if Instant::now() >= deadline => {
                return Err(Error::Sandbox("threads", format!("{threads} are running already")));
            }
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Gives everything up but what is open, and connections to `listener`; becomes `user` first if one is named. What
/// the kernel has no means for is said in the log; what it refuses is an error. Returns what holds.
pub fn enter(user: Option<&User>, listener: Option<RawFd>) -> Result<Sandbox> {
    prctl::set_no_new_privs().map_err(|e| Error::System("no_new_privs", e.into()))?;
    drop_privileges(user)?;
    let files = restrict_files()?;
    let system_calls = calls::restrict(listener)?;
    let user = user.map(|user| format!("as {}, ", user.name)).unwrap_or_default();
    let (landlock, files) = match files {
        RulesetStatus::FullyEnforced => ("full", "Landlock"),
        RulesetStatus::PartiallyEnforced => ("partial", "Landlock as far as this kernel has it"),
        RulesetStatus::NotEnforced => ("none", "no Landlock"),
    };
    let calls = system_calls.map_or("all".into(), |count| count.to_string());
    log::info!("sandbox: {user}no capabilities, {files}, {calls} system calls");
    Ok(Sandbox { active: true, landlock: landlock.into(), system_calls })
}

/// Capabilities, and the user if another is wanted.
fn drop_privileges(user: Option<&User>) -> Result<()> {
    let failed = |what: &'static str| move |error: String| Error::Sandbox(what, error);
    // Only who has CAP_SETPCAP can; for others no_new_privs has the same effect.
    if let Err(error) = caps::clear(None, caps::CapSet::Bounding) {
        log::debug!("sandbox: bounding set: {error}");
    }
    if let Some(user) = user {
        unistd::setgroups(&[])
            .and_then(|()| unistd::setresgid(user.gid, user.gid, user.gid))
            .and_then(|()| unistd::setresuid(user.uid, user.uid, user.uid))
            .map_err(|error| failed("becoming another user")(error.to_string()))?;
    }
    // The effective set first: it must not be more than the permitted one.
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable] {
        let cleared = caps::read(None, set).and_then(|left| match left.is_empty() {
            // A service manager may have seen to that, and forbidden the call.
            true => Ok(()),
            false => caps::clear(None, set),
        });
        cleared.map_err(|error| failed("capabilities")(error.to_string()))?;
    }
    Ok(())
}

/// No file can be opened, no TCP port used, no process outside be signalled. Says what holds.
fn restrict_files() -> Result<RulesetStatus> {
    let restricted = || -> std::result::Result<RulesetStatus, landlock::RulesetError> {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(LandlockScope::from_all(LANDLOCK))?;
        Ok(ruleset.create()?.restrict_self()?.ruleset)
    };
    let holds = restricted().map_err(|error| Error::Sandbox("Landlock", error.to_string()))?;
    if holds == RulesetStatus::NotEnforced {
        log::warn!("sandbox: this kernel has no Landlock");
    }
    Ok(holds)
}

#[cfg(test)]
mod tests;
