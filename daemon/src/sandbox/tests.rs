//! Threads that enter the sandbox and try to get out. (The process outside of them is as before.)

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    process::Command,
};

use nix::{
    errno::Errno,
    sys::{
        memfd::{MFdFlags, memfd_create},
        mman::{MapFlags, ProtFlags, mmap_anonymous},
        signal,
        socket::{
            GetSockOpt, SockFlag, accept4, getsockopt,
            sockopt::{PeerCredentials, RcvBuf, SocketError},
        },
    },
};

use super::*;

/// Something that must fail.
type Attempt = (&'static str, fn() -> io::Result<()>);

const ATTEMPTS: &[Attempt] = &[
    ("reading a file", || File::open("/proc/self/status").map(drop)),
    ("writing a file", || File::options().write(true).open("/dev/null").map(drop)),
    ("listing a folder", || fs::read_dir("/").map(drop)),
    ("making a folder", || fs::create_dir("/tmp/out-of-the-sandbox")),
    ("asking about a file", || fs::metadata("/").map(drop)),
    ("sockets", || UnixStream::pair().map(drop)),
    ("serving", || TcpListener::bind("127.0.0.1:0").map(drop)),
    ("connecting", || TcpStream::connect("127.0.0.1:9").map(drop)),
    ("a program", || Command::new("/bin/true").status().map(drop)),
    ("anonymous files", || Ok(memfd_create(c"", MFdFlags::empty()).map(drop)?)),
    ("signals", || Ok(signal::kill(nix::unistd::getppid(), None)?)),
    ("code", || executable(ProtFlags::PROT_WRITE | ProtFlags::PROT_EXEC)),
];

#[allow(unsafe_code)]
fn executable(protection: ProtFlags) -> io::Result<()> {
    let length = std::num::NonZeroUsize::MIN;
    // SAFETY: a new mapping, which nobody else uses.
    Ok(unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) }.map(drop)?)
}

/// Runs `body` in a thread of its own.
fn inside<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(body).join().unwrap())
}

#[test]
fn nothing_leads_out() {
    let listener = listener("nothing");
    for (what, attempt) in ATTEMPTS {
        // A control socket makes no difference to them.
        for listener in [None, Some(listener.as_raw_fd())] {
            let error = inside(|| {
                enter(None, listener).unwrap();
                // A thread of the sandbox's own is in there, too.
                inside(attempt)
            });
            let errno = error.expect_err(what).raw_os_error().map(Errno::from_raw);
            assert_eq!(errno, Some(Errno::ENOSYS), "{what}");
        }
    }
}

/// A socket without a file.
fn listener(name: &str) -> UnixListener {
    let name = format!("daedalus-{name}-{}", std::process::id());
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
}

/// Something that is asked of a socket.
fn option<O: GetSockOpt>(socket: BorrowedFd<'_>, option: O) -> nix::Result<()> {
    getsockopt(&socket, option).map(drop)
}

#[test]
fn connections_to_the_control_socket_come_in_and_no_others() {
    let (ours, other) = (listener("ours"), listener("other"));
    let connect = |to: &UnixListener| UnixStream::connect_addr(&to.local_addr().unwrap()).unwrap();
    let (mut client, _idle) = (connect(&ours), connect(&other));
    let fds = [&ours, &other].map(AsRawFd::as_raw_fd);
    client.write_all(b"ping").unwrap();
    let refused = inside(move || {
        enter(None, Some(fds[0])).unwrap();
        let accept = |fd| accept4(fd, SockFlag::SOCK_CLOEXEC);
        #[allow(unsafe_code)]
        // SAFETY: accept4() has made it for us.
        let socket = unsafe { File::from_raw_fd(accept(fds[0]).unwrap()) };
        let (mut socket, mut said) = (socket, [0; 4]);
        socket.read_exact(&mut said).unwrap();
        socket.write_all(&said).unwrap();
        assert_eq!(getsockopt(&socket, PeerCredentials).unwrap().pid() as u32, std::process::id());
        [
            accept(fds[1]).map(drop),
            option(socket.as_fd(), RcvBuf),
            option(socket.as_fd(), SocketError),
            socket
                .try_clone()
                .map(drop)
                .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap())),
        ]
    });
    assert_eq!(refused, [Err(Errno::ENOSYS); 4]);
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "ping");
}

#[test]
fn without_a_control_socket_nobody_comes_in() {
    let listener = listener("none");
    let _client = UnixStream::connect_addr(&listener.local_addr().unwrap()).unwrap();
    let accepted = inside(|| {
        enter(None, None).unwrap();
        accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)
    });
    assert_eq!(accepted, Err(Errno::ENOSYS));
}

#[test]
fn landlock_alone_keeps_files_shut() {
    let opened = inside(|| {
        prctl::set_no_new_privs().unwrap();
        (restrict_files().unwrap(), File::open("/proc/self/status"), File::create("/dev/null"))
    });
    if let (RulesetStatus::NotEnforced, ..) = opened {
        return eprintln!("not tested: this kernel has no Landlock");
    }
    for file in [opened.1, opened.2] {
        assert_eq!(file.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn capabilities_are_gone_for_good() {
    const SETS: [caps::CapSet; 3] =
        [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable];
    if caps::read(None, caps::CapSet::Permitted).unwrap().is_empty() {
        return eprintln!("not tested: this user has no capabilities");
    }
    // Without the filter, in whose way they could not be asked about.
    let (left, raised) = inside(|| {
        drop_privileges(None).unwrap();
        let raise = |set| caps::raise(None, set, caps::Capability::CAP_KILL).is_ok();
        (SETS.map(|set| caps::read(None, set).unwrap().len()), SETS.map(raise))
    });
    assert_eq!(left, [0; 3]);
    assert_eq!(raised, [false; 3]);
}

#[test]
fn a_user_that_is_not_there_is_named() {
    let error = user("nobody-of-this-name").unwrap_err();
    assert!(error.to_string().contains("nobody-of-this-name"), "{error}");
}
