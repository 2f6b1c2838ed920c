//! The kernel's device, where this machine has one, and daemons for it.
//!
//! Everyday kernels have none: `./x uml` and `./x vm` bring machines that do.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process;

/// What `DAEDALUS_DEVICE` is set to where programs are to use the kernel's device or fail.
pub const TRANSPORT: &str = "kernel";

/// Names the daemon's program to the tests; else they take the one next to their own build.
pub const DAEMON_VARIABLE: &str = "DAEDALUS_DAEMON";

/// The module's end of its protocol.
const NODE: &str = "/dev/daedalus";

/// How long a daemon may take to attach, or to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the module is loaded.
pub fn is_there() -> bool {
    Path::new(NODE).exists()
}

/// Whether this process was told to have programs use the kernel's device.
pub fn is_wanted() -> bool {
    std::env::var("DAEDALUS_DEVICE").is_ok_and(|device| device == TRANSPORT)
}

/// The daemon's program: [`DAEMON_VARIABLE`], else `daedalusd` in the profile's folder of the running
/// executable.
pub fn program() -> Result<PathBuf, String> {
    let program = match std::env::var_os(DAEMON_VARIABLE) {
        Some(program) => PathBuf::from(program),
        None => {
            let executable = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
            executable.ancestors().nth(2).unwrap_or(Path::new("/")).join("daedalusd")
        }
    };
    if program.is_file() { Ok(program) } else { Err(format!("no {}", program.display())) }
}

/// A running daemon. Dropping it ends it.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts one with `arguments`, its log going to the file `log`, and waits until it says, as to a service manager,
    /// that it is ready: it is attached by then and listens.
    pub fn start(log: &Path, arguments: &[&str]) -> Result<Daemon, String> {
        Daemon::start_in(log, arguments, &[])
    }

    /// The same, with more for its environment.
    pub fn start_in(
        log: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Daemon, String> {
        let file = fs::File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        let manager = Manager::new()?;
        let child = process::command(program()?)
            .args(arguments)
            .envs(environment.iter().copied())
            .env("NOTIFY_SOCKET", &manager.path)
            .stdout(file.try_clone().map_err(|e| e.to_string())?)
            .stderr(file)
            .spawn()
            .map_err(|e| format!("cannot run daedalusd: {e}"))?;
        let mut daemon = Daemon { child };
        let started = Instant::now();
        while !manager.hears_that_it_is_ready()? {
            let ended = daemon.child.try_wait().map_err(|e| e.to_string())?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("daedalusd does not start ({ended:?}); it said:\n{said}"));
            }
        }
        match Statistics::read()?.daemon.as_str() {
            "attached" => Ok(daemon),
            other => Err(format!("daedalusd is ready, and the module says {other}")),
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it without warning.
    pub fn kill(mut self) -> Result<(), String> {
        self.child.kill().map_err(|e| format!("killing daedalusd: {e}"))?;
        self.child.wait().map_err(|e| format!("daedalusd: {e}"))?;
        Ok(())
    }

    /// Asks it to end, which it has to do in good time and good order.
    pub fn stop(mut self) -> Result<(), String> {
        self.terminate()?;
        let started = Instant::now();
        loop {
            match self.child.try_wait().map_err(|e| e.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("daedalusd ended with {status}")),
                None if started.elapsed() > PATIENCE => {
                    return Err("daedalusd does not heed SIGTERM".into());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Lets it do nothing any more: a daemon that hangs.
    pub fn suspend(&self) -> Result<(), String> {
        self.signal(Signal::SIGSTOP)
    }

    fn terminate(&self) -> Result<(), String> {
        self.signal(Signal::SIGTERM)
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).map_err(|e| e.to_string())?;
        kill(Pid::from_raw(pid), signal).map_err(|e| format!("{signal}: {e}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a service manager listens on: sd_notify(3).
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new() -> Result<Manager, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Not next to the log: a socket's path is at most 107 bytes long.
        let path =
            std::env::temp_dir().join(format!("daedalus-ready-{}-{count}", std::process::id()));
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let socket = UnixDatagram::bind(&path).map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_millis(5))).map_err(failed)?;
        Ok(Manager { socket, path })
    }

    /// Waits for a few milliseconds.
    fn hears_that_it_is_ready(&self) -> Result<bool, String> {
        let mut message = [0; 256];
        match self.socket.recv(&mut message) {
            Ok(length) => {
                Ok(message[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1"))
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(false)
            }
            Err(error) => Err(format!("{}: {error}", self.path.display())),
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// dma-bufs in the whole system, from debugfs.
pub fn dma_bufs() -> Result<usize, String> {
    let path = "/sys/kernel/debug/dma_buf/bufinfo";
    let text = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    count_of_dma_bufs(&text).ok_or_else(|| format!("{path} has no total"))
}

/// The last line says it; before it each buffer has a total of its own, of devices.
fn count_of_dma_bufs(bufinfo: &str) -> Option<usize> {
    let total = |line: &str| line.strip_prefix("Total ")?.split_once(" objects")?.0.parse().ok();
    bufinfo.lines().find_map(total)
}

/// What the module counts, from debugfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// "attached" or "absent".
    pub daemon: String,
    /// Users who have sessions.
    pub users: u64,
    /// Open files of the video device.
    pub sessions: u64,
    /// Buffers of all their queues.
    pub buffers: u64,
    /// Requests that the daemon has.
    pub jobs: u64,
    /// Requests that ended with a picture, ever.
    pub completed: u64,
    /// Requests that ended without one.
    pub failed: u64,
    /// Requests that their clients took back.
    pub cancelled: u64,
}

impl Statistics {
    /// Reads them as they are now.
    pub fn read() -> Result<Statistics, String> {
        let path = "/sys/kernel/debug/daedalus/statistics";
        let text = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        let values: HashMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once(' ')).collect();
        let word = |name: &str| {
            values.get(name).copied().ok_or_else(|| format!("{path} does not tell {name}:\n{text}"))
        };
        let number = |name: &str| word(name)?.parse().map_err(|e| format!("{path}: {name}: {e}"));
        Ok(Statistics {
            daemon: word("daemon")?.to_owned(),
            users: number("users")?,
            sessions: number("sessions")?,
            buffers: number("buffers")?,
            jobs: number("jobs")?,
            completed: number("completed")?,
            failed: number("failed")?,
            cancelled: number("cancelled")?,
        })
    }

    /// Waits until no session, buffer or request is left: clients that were killed may still be dying.
    pub fn wait_for_idle() -> Result<Statistics, String> {
        let started = Instant::now();
        loop {
            let now = Statistics::read()?;
            if (now.sessions, now.buffers, now.jobs) == (0, 0, 0) {
                return Ok(now);
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("something is left behind: {now:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_counted_and_not_their_devices() {
        let bufinfo = "\nDma-buf Objects:\nsize\tflags\n00126976\t00080002\n\tAttached Devices:\n\
            Total 1 devices attached\n\n\nTotal 12 objects, 126976 bytes\n";
        assert_eq!(count_of_dma_bufs(bufinfo), Some(12));
        assert_eq!(count_of_dma_bufs("Total 1 devices attached\n"), None);
    }
}
