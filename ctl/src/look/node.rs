//! Device nodes.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    libc::O_NONBLOCK,
    unistd::{AccessFlags, Gid, Uid, eaccess},
};
use serde::Serialize;

use super::{group_name, lossy, user_name};

/// A node, and what this user can do with it.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// Where it is.
    #[serde(serialize_with = "lossy::path")]
    pub path: PathBuf,
    /// Owner, group and mode as `ls -l` has them: `root:video 0660`. None if there is no node.
    pub rights: Option<String>,
    /// The group.
    pub group: Option<String>,
    /// What comes of opening it.
    pub opening: Opening,
}

/// What comes of opening a node to read and write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Opening {
    /// It can be opened.
    Opens,
    /// It is not there.
    Missing,
    /// This user may not.
    Denied,
    /// Somebody else has it (EBUSY).
    Busy,
    /// This user has it open as often as he may (EMFILE of the device).
    Full,
    /// Something else.
    Failed(String),
}

impl Node {
    /// Looks, and opens it for a moment.
    pub fn open(path: &Path) -> Node {
        let opened = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path);
        let opening = match opened {
            Ok(_) => Opening::Opens,
            Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => Opening::Missing,
                Errno::EACCES | Errno::EPERM => Opening::Denied,
                Errno::EBUSY => Opening::Busy,
                Errno::EMFILE => Opening::Full,
                _ => Opening::Failed(error.to_string()),
            },
        };
        Node::with(path, opening)
    }

    /// Looks only: opening it would keep others out.
    pub fn look(path: &Path) -> Node {
        let opening = match eaccess(path, AccessFlags::R_OK | AccessFlags::W_OK) {
            Ok(()) => Opening::Opens,
            Err(Errno::ENOENT | Errno::ENOTDIR) => Opening::Missing,
            Err(Errno::EACCES | Errno::EPERM | Errno::EROFS) => Opening::Denied,
            Err(errno) => Opening::Failed(errno.to_string()),
        };
        Node::with(path, opening)
    }

    fn with(path: &Path, opening: Opening) -> Node {
        let metadata = fs::metadata(path).ok();
        let group = metadata.as_ref().map(|file| group_name(Gid::from_raw(file.gid())));
        let rights = metadata.zip(group.clone()).map(|(file, group)| {
            let owner = user_name(Uid::from_raw(file.uid()));
            format!("{owner}:{group} {:04o}", file.mode() & 0o7777)
        });
        Node { path: path.to_owned(), rights, group, opening }
    }
}
