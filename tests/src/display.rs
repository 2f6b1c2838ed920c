//! A virtual X display of our own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process;

/// An Xvfb on a display number that it found free. Stopped when dropped.
pub struct Xvfb {
    server: Child,
    name: String,
}

/// Why there is no display.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Xvfb is not installed or cannot run.
    #[error("cannot start Xvfb: {0}")]
    Start(std::io::Error),
    /// It ended before it named a display.
    #[error("Xvfb ended without naming a display: run `Xvfb -displayfd 1` to see why")]
    NoDisplay,
}

impl Xvfb {
    /// Starts one and waits until it accepts clients.
    pub fn start() -> Result<Self, Error> {
        // -displayfd: the server picks the number itself, so two of them never collide, and writes
        // it when it is ready.
        let mut server = process::command("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"])
            // Else it restarts whenever its last client leaves, and turns away who comes meanwhile.
            .arg("-noreset")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::Start)?;
        let mut line = String::new();
        let stdout = server.stdout.take().expect("stdout is a pipe");
        let read = BufReader::new(stdout).read_line(&mut line);
        let number = read.ok().and_then(|_| line.trim().parse::<u32>().ok());
        // Owned by a value with a destructor before the first way out.
        let xvfb = Self { server, name: format!(":{}", number.unwrap_or_default()) };
        if number.is_none() { Err(Error::NoDisplay) } else { Ok(xvfb) }
    }

    /// The value for `DISPLAY`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        // SIGTERM, not SIGKILL: it removes its socket and lock file.
        if let Ok(pid) = i32::try_from(self.server.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.server.wait();
    }
}
