//! `daedalusctl top` on a terminal, and without one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use daedalus_tests::{ctl, process};
use nix::libc;
use nix::pty::{Winsize, openpty};
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
    ours: File,
    theirs: OwnedFd,
    child: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn new(command: &mut Command, columns: u16) -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: two system calls, which allocate nothing and take no lock.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().unwrap();
        let ours = File::from(pty.master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (ours.try_clone().unwrap(), shown.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = from.read(&mut bytes) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Terminal { ours, theirs: pty.slave, child, shown }
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

    fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 10, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the struct of this ioctl, which is read.
        let done = unsafe { libc::ioctl(self.ours.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(done, 0);
    }

    /// It ends well, and leaves the terminal as it was.
    fn ends(mut self) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LIMIT, "it does not end");
            thread::sleep(std::time::Duration::from_millis(5));
        };
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

#[test]
fn on_a_terminal_it_shows_a_table_until_it_is_told_to_end() {
    let folder = fake::folder("top");
    let socket = fake::daemon(&folder, &fake::status());
    let start = || {
        let mut top = ctl::command().unwrap();
        top.arg("--socket").arg(&socket).arg("top").env("TERM", "xterm").env("NO_COLOR", "1");
        let terminal = Terminal::new(&mut top, 120);
        terminal.wait_for("1280x720");
        assert!(terminal.is_raw());
        terminal
    };
    type End = fn(&Terminal);
    let ends: [End; 3] = [
        |terminal| (&terminal.ours).write_all(b"q").unwrap(),
        |terminal| (&terminal.ours).write_all(b"\x03").unwrap(),
        |terminal| {
            let pid = Pid::from_raw(i32::try_from(terminal.child.id()).unwrap());
            kill(pid, Signal::SIGTERM).unwrap();
        },
    ];
    for end in ends {
        let terminal = start();
        // It is drawn anew in another size: what stood in a column that does not fit is cut off.
        terminal.shown.lock().unwrap().clear();
        terminal.resize(60);
        terminal.wait_for("SESSION");
        end(&terminal);
        terminal.ends();
    }
    fs::remove_dir_all(folder).unwrap();
}
