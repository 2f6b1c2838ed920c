//! Running other programs so that none of them outlives us, hangs us, or loses its output.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// The program's name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its output could not be read.
    #[error("cannot read what {program} says: {source}")]
    Read {
        /// The program's name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It did not end in time and was killed.
    #[error("{program} did not end within {seconds} s; it said:\n{log}")]
    TimedOut {
        /// The program's name.
        program: String,
        /// How long it had.
        seconds: u64,
        /// What it had written to standard error.
        log: String,
    },
}

/// What a program that ended has left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, invalid UTF-8 replaced.
    pub log: String,
    /// How long it ran.
    pub elapsed: Duration,
    /// What it used of the machine.
    pub usage: Usage,
}

/// What a program, and those of its children that it has waited for, used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time, its own and the kernel's for it.
    pub processor: Duration,
    /// The most memory that was resident at a time, in KiB.
    pub peak: u64,
}

impl Finished {
    /// Standard output as text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// "exit status 1", or "signal 11 (SIGSEGV)" with a name a reader knows.
    pub fn ending(&self) -> String {
        self.killed_by().unwrap_or_else(|| self.status.to_string())
    }

    /// The signal that ended it, if one did: "signal 11 (SIGSEGV)".
    pub fn killed_by(&self) -> Option<String> {
        self.status.signal().map(|n| match Signal::try_from(n) {
            Ok(signal) => format!("signal {n} ({signal})"),
            Err(_) => format!("signal {n}"),
        })
    }

    /// The last `lines` lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// A command that gets nothing on standard input and dies with the thread that starts it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    // SAFETY: prctl(PR_SET_PDEATHSIG) is one system call; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGTERM)?));
    }
    command
}

/// Runs `command` to its end, collecting what it says. It is killed after `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<Finished, Error> {
    run_watched(command, limit, |_| ())
}

/// As [`run`]; `chunk` sees each piece of standard output as it arrives.
pub fn run_watched(
    command: &mut Command,
    limit: Duration,
    mut chunk: impl FnMut(&[u8]),
) -> Result<Finished, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Start { program: program.clone(), source })?;
    let (send, receive) = mpsc::channel();
    let mut out = child.stdout.take().expect("stdout is a pipe");
    let mut err = child.stderr.take().expect("stderr is a pipe");
    let (mut stdout, mut log) = (Vec::new(), Vec::new());
    let outcome = std::thread::scope(|scope| {
        let send_err = send.clone();
        scope.spawn(move || pump(&mut out, Source::Out, &send));
        scope.spawn(move || pump(&mut err, Source::Err, &send_err));
        loop {
            let left = limit.saturating_sub(started.elapsed());
            match receive.recv_timeout(left) {
                Ok(Ok((Source::Out, bytes))) => {
                    chunk(&bytes);
                    stdout.extend_from_slice(&bytes);
                }
                Ok(Ok((Source::Err, bytes))) => log.extend_from_slice(&bytes),
                Ok(Err(source)) => {
                    end(&mut child);
                    return Err(Error::Read { program: program.clone(), source });
                }
                // Both pipes are closed: it has ended, or is about to.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    end(&mut child);
                    return Ok(None);
                }
            }
        }
        let ended = wait(child).map_err(|source| Error::Read { program: program.clone(), source });
        Ok(Some(ended?))
    })?;
    let log = String::from_utf8_lossy(&log).into_owned();
    match outcome {
        Some((status, usage)) => {
            Ok(Finished { status, stdout, log, elapsed: started.elapsed(), usage })
        }
        None => Err(Error::TimedOut { program, seconds: limit.as_secs(), log }),
    }
}

/// Kills and reaps; both can only fail if it has ended already.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for its end. The standard library does not tell what it used.
fn wait(child: Child) -> std::io::Result<(ExitStatus, Usage)> {
    let pid = i32::try_from(child.id()).map_err(std::io::Error::other)?;
    let mut status = 0;
    // SAFETY: all integers, for which zero is a value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: nobody else waits for this child, which is owned and has not been waited for: the
        // number is still its own. Both outputs are ours.
        let got = unsafe { libc::wait4(pid, &mut status, 0, &mut used) };
        if got == pid {
            break;
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    let usage = Usage {
        processor: duration(used.ru_utime) + duration(used.ru_stime),
        peak: used.ru_maxrss as u64,
    };
    Ok((ExitStatus::from_raw(status), usage))
}

enum Source {
    Out,
    Err,
}

type Piece = std::io::Result<(Source, Vec<u8>)>;

fn pump(from: &mut impl Read, source: Source, to: &mpsc::Sender<Piece>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let piece = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => match source {
                Source::Out => Ok((Source::Out, buffer[..n].to_vec())),
                Source::Err => Ok((Source::Err, buffer[..n].to_vec())),
            },
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let failed = piece.is_err();
        // A closed channel means that the receiver has given up on the program.
        if to.send(piece).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_ending_are_kept_apart() {
        let done = run(command("sh").args(["-c", "echo out; echo err >&2; exit 3"]), Duration::MAX)
            .unwrap();
        assert_eq!((done.text().as_str(), done.log.as_str()), ("out\n", "err\n"));
        assert_eq!(done.status.code(), Some(3));
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let hung = run(command("sleep").arg("1000"), Duration::from_millis(50));
        assert!(matches!(hung, Err(Error::TimedOut { .. })), "{hung:?}");
    }

    #[test]
    fn what_a_program_used_is_known() {
        let done = run(command("sh").args(["-c", "exit 0"]), Duration::MAX).unwrap();
        assert!(done.usage.peak > 100, "{:?}", done.usage);
        assert!(done.usage.processor < Duration::from_secs(60), "{:?}", done.usage);
    }

    #[test]
    fn a_crash_is_named_by_its_signal() {
        let done = run(command("sh").args(["-c", "kill -SEGV $$"]), Duration::MAX).unwrap();
        assert_eq!(done.ending(), "signal 11 (SIGSEGV)");
    }
}
