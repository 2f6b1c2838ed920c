//! `daedalusctl top` on a terminal, and without one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use daedalus_tests::{ctl, process};
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use crate::{LIMIT, fake};

#[test]
fn without_a_terminal_it_prints_one_table() {
    let folder = fake::folder("top-once");
    let socket = fake::daemon(&folder, &fake::status());
    for once in [&[][..], &["--once"]] {
        let mut top = ctl::command().unwrap();
        let done =
            process::run(top.arg("--socket").arg(&socket).arg("top").args(once), LIMIT).unwrap();
        let said = done.text();
        assert!(done.status.success(), "{}", done.log);
        assert!(said.contains("daedalusd 9.8.7") && said.contains("SESSION"), "{said}");
        let row = said.lines().last().unwrap();
        for word in ["77", "root", "vp9", "1280x720", "30.0", "4.5/9.0"] {
            assert!(row.split_whitespace().any(|other| other == word), "no {word} in {row}");
        }
        assert!(!said.contains('\x1b'), "{said:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn without_a_daemon_it_says_so() {
    let mut top = ctl::command().unwrap();
    let done = process::run(top.args(["--socket", "/nonexistent/socket", "top"]), LIMIT).unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(done.log.contains("/nonexistent/socket: no such socket"), "{}", done.log);
}

/// A terminal with `top` on it.
struct Terminal {
    /// None once it is hung up.
    ours: Option<File>,
    theirs: OwnedFd,
    child: Child,
    shown: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    hung_up: Arc<AtomicBool>,
}

/// Whether it is the terminal that its session has, so that the kernel sends SIGHUP when that is hung up.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Controlling,
    Another,
}

fn resize(ours: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the struct of this ioctl, which is read.
    let done = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    assert_eq!(done, 0);
}

impl Terminal {
    fn new(command: &mut Command, columns: u16, is: Is) -> Terminal {
        // Nobody inherits our end: it would not be hung up before that is closed, too. (openpty() has no such flag.)
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let ours = posix_openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let mut open = File::options();
        open.read(true).write(true).custom_flags(libc::O_NOCTTY);
        let theirs = OwnedFd::from(open.open(ptsname_r(&ours).unwrap()).unwrap());
        let ours = File::from(OwnedFd::from(ours));
        resize(&ours, 24, columns);
        let end = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: two system calls, which allocate nothing and take no lock.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::setsid()?;
                if is == Is::Another {
                    return Ok(());
                }
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let hung_up = Arc::new(AtomicBool::new(false));
        let (mut from, to) = (ours.try_clone().unwrap(), shown.clone());
        let enough = hung_up.clone();
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !enough.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
                if poll(&mut fds, PollTimeout::from(50u8)).unwrap() == 0 {
                    continue;
                }
                let Ok(count) = from.read(&mut bytes) else { return };
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Terminal { ours: Some(ours), theirs, child, shown, reader: Some(reader), hung_up }
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.theirs).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    fn wait_for(&self, what: &str) {
        let started = Instant::now();
        while !self.shown.lock().unwrap().contains(what) {
            let shown = self.shown.lock().unwrap().clone();
            assert!(started.elapsed() < LIMIT, "no {what:?} in {shown:?}");
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn ours(&self) -> &File {
        self.ours.as_ref().unwrap()
    }

    fn write(&self, bytes: &[u8]) {
        self.ours().write_all(bytes).unwrap();
    }

    /// Closes the window.
    fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.ours = None;
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < LIMIT, "it does not end");
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// It ends well, and leaves the terminal as it was.
    fn ends(mut self) {
        let status = self.wait_for_end();
        assert!(status.success(), "{status}");
        assert!(!self.is_raw(), "the terminal is left in raw mode");
        // The other screen is left, the cursor is shown.
        self.wait_for("\x1b[?1049l");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On a terminal, with a table on it.
fn start(socket: &Path, is: Is) -> Terminal {
    let mut top = ctl::command().unwrap();
    top.arg("--socket").arg(socket).arg("top").env("TERM", "xterm").env("NO_COLOR", "1");
    let terminal = Terminal::new(&mut top, 120, is);
    terminal.wait_for("1280x720");
    assert!(terminal.is_raw());
    terminal
}

fn terminate(terminal: &Terminal) {
    let pid = Pid::from_raw(i32::try_from(terminal.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
}

#[test]
fn on_a_terminal_it_shows_a_table_until_it_is_told_to_end() {
    let folder = fake::folder("top");
    let socket = fake::daemon(&folder, &fake::status());
    type End = fn(&Terminal);
    let ends: [End; 4] = [
        |terminal| terminal.write(b"q"),
        |terminal| terminal.write(b"\x03"),
        terminate,
        |terminal| {
            // The beginning of a key, after which whoever reads keys waits for the rest.
            terminal.write(b"\x1b[");
            terminate(terminal);
        },
    ];
    for end in ends {
        let terminal = start(&socket, Is::Controlling);
        // It is drawn anew in another size: what stood in a column that does not fit is cut off.
        terminal.shown.lock().unwrap().clear();
        resize(terminal.ours(), 10, 60);
        terminal.wait_for("SESSION");
        end(&terminal);
        terminal.ends();
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn it_ends_with_its_terminal() {
    let folder = fake::folder("top-hangup");
    let socket = fake::daemon(&folder, &fake::status());
    for is in [Is::Controlling, Is::Another] {
        let mut terminal = start(&socket, is);
        terminal.hang_up();
        let status = terminal.wait_for_end();
        // Not of a signal: it has not panicked for want of somebody to tell.
        assert!(status.code().is_some(), "{status}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_the_daemon_says_does_nothing_to_a_terminal() {
    let folder = fake::folder("top-harmless");
    let evil = "\\u001b]0;x\\u0007";
    let status = fake::status()
        .replace("9.8.7", evil)
        .replace("\"codec\":\"vp9\"", &format!("\"codec\":\"{evil}\""));
    let refusal = format!("{{\"protocol\":1,\"error\":\"{evil}\"}}\n");
    let raw = "\x1b]0;x\x07\n".to_owned();
    for (name, answer) in [("status", status), ("refusal", refusal), ("raw", raw)] {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let socket = fake::daemon(&folder, &answer);
        for arguments in [
            &["top", "--once"][..],
            &["metrics"],
            &["dump", "1"],
            &["status"],
            &["status", "--json"],
        ] {
            // The fake answers each request with the one line, which ends no metrics.
            if name == "status" && arguments[0] == "metrics" {
                continue;
            }
            let mut ctl = ctl::command().unwrap();
            let done =
                process::run(ctl.arg("--socket").arg(&socket).args(arguments), LIMIT).unwrap();
            let said = done.text() + &done.log;
            let harmful = |c: char| c.is_control() && c != '\n';
            assert!(!said.contains(harmful), "{name}: {arguments:?}: {said:?}");
            assert!(
                said.contains("]0;x") || arguments[0] == "dump",
                "{name}: {arguments:?}: {said:?}"
            );
        }
    }
    fs::remove_dir_all(folder).unwrap();
}
