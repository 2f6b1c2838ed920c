//! Where clients come in. All of it happens before the sandbox.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::{
            fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown},
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
};

use nix::{
    sys::stat::{Mode, umask},
    unistd::User,
};

use crate::{Error, Result};

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// A socket that the service manager has made for us, if it has.
#[derive(Debug, Default)]
pub struct Inherited(Option<OwnedFd>);

impl Inherited {
    /// Takes it. To be called first of all: it changes the environment.
    #[allow(unsafe_code)]
    pub fn take() -> Inherited {
        let mut fds = sd_notify::listen_fds().into_iter().flatten();
        // SAFETY: the service manager has opened it for this process, and nobody here has used it.
        Inherited(fds.next().map(|fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

impl Socket {
    /// The service manager's socket, else one at `path`, which `user`, those of its group and root may connect
    /// to if `mode` is 0660. One that a daemon has left behind there is replaced.
    pub fn open(
        inherited: Inherited,
        path: &Path,
        mode: u32,
        user: Option<&User>,
    ) -> Result<Socket> {
        let failed = |error| Error::Socket(path.into(), error);
        let listener = match inherited.0 {
            Some(fd) => UnixListener::from(fd),
            None => bind(path, mode, user).map_err(failed)?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Socket(listener.into()))
    }

    /// What the sandbox has to let accept4() have.
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn bind(path: &Path, mode: u32, user: Option<&User>) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        match DirBuilder::new().mode(0o755).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"));
            }
        }
    }
    // Nobody gets in who may not, at no moment.
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    if let Some(user) = user {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("daedalus-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_socket_of_a_daemon_that_died_is_replaced_and_that_of_another_is_not() {
        let folder = folder("listen");
        let path = folder.join("control.sock");
        let first = Socket::open(Inherited(None), &path, 0o640, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        let error = Socket::open(Inherited(None), &path, 0o640, None).unwrap_err().to_string();
        assert!(error.contains("somebody listens there"), "{error}");
        drop(first);
        Socket::open(Inherited(None), &path, 0o660, None).unwrap();
        fs::remove_file(&path).unwrap();
        // What is no socket is somebody's file.
        fs::write(&path, "text").unwrap();
        Socket::open(Inherited(None), &path, 0o660, None).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_the_service_manager_has_opened_is_used() {
        let folder = folder("inherited");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("theirs.sock");
        let theirs = UnixListener::bind(&path).unwrap();
        let elsewhere = folder.join("not-used.sock");
        Socket::open(Inherited(Some(theirs.into())), &elsewhere, 0o660, None).unwrap();
        assert!(!elsewhere.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
