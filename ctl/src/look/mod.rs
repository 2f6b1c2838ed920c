//! Finding out how things are, as this user sees them. Nothing here judges.

mod driver;
mod libva;
mod lossy;
mod module;
mod node;
pub mod probe;

use std::path::{Path, PathBuf};

use daedalus_uapi::control;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgroups};
use serde::Serialize;

pub use driver::{DRIVER_FILE, Driver};
pub use libva::{Libva, Outcome, is_ours, tried};
pub use module::{Device, Module, program};
#[cfg(test)]
pub use module::{Holder, Limits};
pub use node::{Node, Opening};

use crate::client::{Connection, Error};

/// How things are.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Who looks.
    pub user: Person,
    /// What `DAEDALUS_DEVICE` says; `auto` if it is not set.
    pub device: String,
    /// The node that this is, if it is one's path and there is one.
    #[serde(serialize_with = "lossy::option")]
    pub node: Option<PathBuf>,
    /// The kernel's side.
    pub module: Module,
    /// The daemon's side.
    pub daemon: Daemon,
    /// Where the driver is.
    pub driver: Driver,
    /// What libva makes of all that.
    pub libva: Libva,
}

/// A user.
#[derive(Clone, Debug, Serialize)]
pub struct Person {
    /// The number.
    pub uid: u32,
    /// The name, or the number.
    pub name: String,
    /// The groups of this process, by name.
    pub groups: Vec<String>,
}

/// What the control socket says.
#[derive(Clone, Debug, Serialize)]
pub struct Daemon {
    /// Where it was looked for.
    #[serde(serialize_with = "lossy::path")]
    pub socket: PathBuf,
    /// What came of it.
    pub answer: Answer,
}

/// What comes of asking the daemon.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It says how it is.
    Status(Box<control::Status>),
    /// There is no socket.
    Missing,
    /// There is one, and nobody behind it.
    Refused,
    /// This user may not ask.
    Denied,
    /// Nothing comes.
    Silent,
    /// It has no time for this user: its words.
    Busy(String),
    /// It could not be asked, for a reason on this side.
    Unasked(String),
    /// It says something else.
    Other(String),
}

/// Looks at the module alone.
pub fn module() -> Module {
    module::look()
}

/// Asks libva alone, about our driver whatever the environment says.
pub fn our_driver() -> Libva {
    libva::look(Some("daedalus"))
}

/// Looks at everything.
pub fn look(socket: &Path) -> Facts {
    let user = person();
    let libva = libva::look(None);
    let device = std::env::var("DAEDALUS_DEVICE").unwrap_or_else(|_| "auto".into());
    Facts {
        // The driver follows links, too.
        node: device.starts_with('/').then(|| std::fs::canonicalize(&device).ok()).flatten(),
        device,
        module: module::look(),
        daemon: daemon(socket),
        driver: driver::look(&libva.messages),
        libva,
        user,
    }
}

fn daemon(socket: &Path) -> Daemon {
    let answer = match Connection::open(socket).and_then(|mut connection| connection.status()) {
        Ok(status) => Answer::Status(Box::new(status)),
        Err(Error::Missing) => Answer::Missing,
        Err(Error::Refused) => Answer::Refused,
        Err(Error::Denied) => Answer::Denied,
        Err(Error::Silent) => Answer::Silent,
        Err(Error::Said(why)) if why == control::TOO_MANY => Answer::Busy(why),
        Err(Error::Io(error)) => Answer::Unasked(error.to_string()),
        Err(other) => Answer::Other(other.to_string()),
    };
    Daemon { socket: socket.to_owned(), answer }
}

fn person() -> Person {
    let groups = getgroups().unwrap_or_default().into_iter().chain([nix::unistd::getegid()]);
    let mut groups: Vec<String> = groups.map(group_name).collect();
    groups.sort();
    groups.dedup();
    Person { uid: geteuid().as_raw(), name: user_name(geteuid()), groups }
}

/// A user's name, or number.
pub fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A group's name, or number.
pub fn group_name(gid: Gid) -> String {
    let group = Group::from_gid(gid).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
