//! Threads that enter the sandbox and try to get out. (The process outside of them is as before.)

use std::{
    fs::File,
    io,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
};

use nix::{
    errno::Errno,
    sys::{
        memfd::{MFdFlags, memfd_create},
        mman::{MapFlags, ProtFlags, mmap_anonymous},
        signal,
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
    for (what, attempt) in ATTEMPTS {
        let error = inside(|| {
            enter(None).unwrap();
            // A thread of the sandbox's own is in there, too.
            inside(attempt)
        });
        let errno = error.expect_err(what).raw_os_error().map(Errno::from_raw);
        assert_eq!(errno, Some(Errno::ENOSYS), "{what}");
    }
}

#[test]
fn landlock_alone_keeps_files_shut() {
    let opened = inside(|| {
        prctl::set_no_new_privs().unwrap();
        (restrict_files().unwrap(), File::open("/proc/self/status"), File::create("/dev/null"))
    });
    if let ("no Landlock", ..) = opened {
        return eprintln!("not tested: this kernel has no Landlock");
    }
    for file in [opened.1, opened.2] {
        assert_eq!(file.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn capabilities_are_gone_for_good() {
    inside(|| {
        enter(None).unwrap();
        for set in [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable] {
            // Without the filter in the way they could be asked about; raising one is refused by both.
            assert!(caps::raise(None, set, caps::Capability::CAP_SYS_ADMIN).is_err());
        }
    });
    let left = inside(|| {
        drop_privileges(None).unwrap();
        [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable]
            .map(|set| caps::read(None, set).unwrap().len())
    });
    assert_eq!(left, [0, 0, 0]);
}

#[test]
fn a_user_that_is_not_there_is_named() {
    let error = user("nobody-of-this-name").unwrap_err();
    assert!(error.to_string().contains("nobody-of-this-name"), "{error}");
}
