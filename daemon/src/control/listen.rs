//! Where clients come in. All of it happens before the sandbox.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::{
            fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown},
            net::UnixListener,
        },
    },
    path::Path,
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, connect,
            getsockopt, listen, socket, sockopt,
        },
        stat::{Mode, fchmod},
    },
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
    /// The service manager's socket, if that is one that processes of this machine connect to, else one at `path`,
    /// which `user`, those of its group and root may connect to if `mode` is 0660. One that a daemon has left behind
    /// there is replaced.
    pub fn open(
        inherited: Inherited,
        path: &Path,
        mode: u32,
        user: Option<&User>,
    ) -> Result<Socket> {
        let (name, listener) = match inherited.0 {
            Some(fd) => (Path::new("the service manager's socket"), listening(fd)),
            None => (path, bind(path, mode, user)),
        };
        let made = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(Socket(listener.into()))
        });
        made.map_err(|error| Error::Socket(name.into(), error))
    }

    #[cfg(test)]
    pub(super) fn of(fd: OwnedFd) -> Socket {
        Socket(fd)
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

/// A descriptor, if clients that the kernel can tell the user of come in there. (A connection of a unit with
/// Accept=yes is none, nor is a port.)
fn listening(fd: OwnedFd) -> io::Result<UnixListener> {
    let is_stream = getsockopt(&fd, sockopt::SockType)? == SockType::Stream;
    let listens = getsockopt(&fd, sockopt::AcceptConn)?;
    let listener = UnixListener::from(fd);
    // It fails with an address of another kind.
    let is_local = listener.local_addr().is_ok();
    match is_stream && listens && is_local {
        true => Ok(listener),
        false => Err(io::Error::other("no listening Unix stream socket (ListenStream=PATH)")),
    }
}

/// Whether somebody listens at a path where there is a socket. Does not wait: that may be somebody who hangs.
fn is_in_use(path: &Path) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ours = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(ours.as_raw_fd(), &UnixAddr::new(path)?) {
        // As many wait there as may.
        Ok(()) | Err(Errno::EAGAIN) => Ok(true),
        Err(Errno::ECONNREFUSED) => Ok(false),
        Err(errno) => Err(errno.into()),
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
        if is_in_use(path)? {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"));
        }
        fs::remove_file(path)?;
    }
    let ours = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Its file begins with these permissions: nobody gets in who may not, at no moment. (unix(7) has none of it; it is
    // how Linux makes the file.)
    fchmod(&ours, Mode::from_bits_truncate(mode))?;
    bind_to(ours.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&ours, Backlog::MAXCONN)?;
    let listener = UnixListener::from(ours);
    if let Some(user) = user {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        os::unix::net::{UnixDatagram, UnixStream},
        sync::mpsc,
        thread,
        time::Duration,
    };

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

    #[test]
    fn what_the_service_manager_has_opened_must_be_a_socket_that_users_connect_to() {
        let (connection, _other) = UnixStream::pair().unwrap();
        let others: [OwnedFd; 5] = [
            connection.into(),
            TcpListener::bind("127.0.0.1:0").unwrap().into(),
            UnixDatagram::unbound().unwrap().into(),
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap(),
            fs::File::open("/dev/null").unwrap().into(),
        ];
        for (number, other) in others.into_iter().enumerate() {
            let path = Path::new("/nonexistent/control.sock");
            let error = Socket::open(Inherited(Some(other)), path, 0o660, None).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("the service manager's socket: "), "{number}: {text}");
        }
    }

    #[test]
    fn somebody_who_listens_and_accepts_nothing_is_not_waited_for() {
        let folder = folder("full");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("control.sock");
        let address = UnixAddr::new(&path).unwrap();
        let make = |flags| socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        let theirs = make(SockFlag::empty());
        bind_to(theirs.as_raw_fd(), &address).unwrap();
        listen(&theirs, Backlog::new(0).unwrap()).unwrap();
        let mut waiting = Vec::new();
        loop {
            let client = make(SockFlag::SOCK_NONBLOCK);
            match connect(client.as_raw_fd(), &address) {
                Ok(()) => waiting.push(client),
                Err(errno) => break assert_eq!(errno, Errno::EAGAIN),
            }
        }
        let (tell, told) = mpsc::channel();
        thread::spawn({
            let path = path.clone();
            move || tell.send(Socket::open(Inherited(None), &path, 0o660, None))
        });
        let opened = told.recv_timeout(Duration::from_secs(60)).expect("it waits");
        let error = opened.unwrap_err().to_string();
        assert!(error.contains("somebody listens there"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
