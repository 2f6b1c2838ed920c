//! A run of a target for some time, on one or more processors.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::proc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program::Program;
use super::status::Status;
use super::targets::Target;
use crate::bed::signals::Watch;
use crate::root::named;

/// How often it is said how far a run is, where nobody looks at it.
const INTERVAL: Duration = Duration::from_secs(30);

/// What a run has come to.
pub struct Outcome {
    /// Of all processes together.
    pub status: Status,
    /// Somebody asked it to end.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// Processor time of all processes, but for a moment at the end.
    pub processor: Duration,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub time: Duration,
    /// It is processor time, of all processes together.
    pub of_processor: bool,
}

/// Runs `target` in so many processes. They share what they find.
pub fn run(
    program: &Program,
    target: &Target,
    limit: Limit,
    jobs: usize,
) -> Result<Outcome, String> {
    for folder in [target.found(), target.artifacts()] {
        fs::create_dir_all(&folder).map_err(named(&folder))?;
    }
    let watch = Watch::new();
    let started = Instant::now();
    let (send, ends) = mpsc::channel();
    let (mut children, mut logs) = (Vec::new(), Vec::new());
    for _ in 0..jobs {
        let mut command = program.command(target);
        if !limit.of_processor {
            command.arg(format!("-max_total_time={}", limit.time.as_secs()));
        }
        command.args(["-print_final_stats=1", "-reload=10"]);
        command.args(target.inputs());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot run the target: {e}"))?;
        logs.push(child.stderr.take().expect("stderr is a pipe"));
        children.push(child);
    }
    let statuses: Vec<_> = children.iter().map(|_| Mutex::new(Status::default())).collect();
    let (mut bad, mut processor) = (None, Duration::ZERO);
    thread::scope(|scope| {
        for (number, (log, status)) in logs.into_iter().zip(&statuses).enumerate() {
            let send = send.clone();
            let path = target.folder().join(format!("log-{number}"));
            // The receiver lives longer than this scope.
            scope.spawn(move || send.send(follow(log, status, &path)).is_ok());
        }
        let mut shown = Shown::new();
        let (mut ended, mut told) = (0, false);
        let mut over = false;
        while ended < jobs {
            match ends.recv_timeout(Duration::from_millis(500)) {
                Ok(done) => {
                    ended += 1;
                    bad = bad.take().or(done.err());
                }
                Err(_) => {
                    // Some may have ended: what they had is in the figure of before.
                    processor = processor.max(used(&children));
                    over = limit.of_processor && processor >= limit.time;
                    let done = if limit.of_processor { processor } else { started.elapsed() };
                    shown.say(&total(&statuses), done, limit.time);
                }
            }
            // When one ends, having found something or not, so do the others.
            if !told && (over || watch.asked() || ended > 0) {
                children.iter().for_each(interrupt);
                told = true;
            }
        }
        shown.end();
    });
    if let Some(why) = bad {
        return Err(why);
    }
    let endings = children.iter_mut().map(|child| child.wait());
    let endings: Vec<_> =
        endings.collect::<Result<_, _>>().map_err(|e| format!("the target: {e}"))?;
    let mut status = total(&statuses);
    // libFuzzer says so by its exit status even where its log does not.
    let odd = endings.iter().find(|ending| !ordinary(ending));
    if let (Some(ending), None) = (odd, &status.summary) {
        status.summary = Some(format!("the target ended with {ending}"));
    } else if odd.is_none() {
        status.summary = None;
    }
    Ok(Outcome { status, interrupted: watch.asked(), elapsed: started.elapsed(), processor })
}

/// Processor time of processes so far.
fn used(children: &[Child]) -> Duration {
    let seconds = children.iter().filter_map(|child| Some(proc::used(child.id())?.processor));
    Duration::from_secs_f64(seconds.sum())
}

/// libFuzzer's exit status after an interruption (`-interrupted_exitcode`).
const INTERRUPTED: i32 = 72;

fn ordinary(ending: &ExitStatus) -> bool {
    matches!(ending.code(), Some(0 | INTERRUPTED))
}

/// Asks it to end; libFuzzer then sums up. The terminal may have done so already.
fn interrupt(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    }
}

/// Copies a log to a file, and reads it.
fn follow(
    log: impl std::io::Read,
    status: &Mutex<Status>,
    path: &std::path::Path,
) -> Result<(), String> {
    let mut file = File::create(path).map_err(named(path))?;
    for line in BufReader::new(log).split(b'\n') {
        let line = line.map_err(|e| format!("cannot read what the target says: {e}"))?;
        file.write_all(&line).and_then(|()| file.write_all(b"\n")).map_err(named(path))?;
        let line = String::from_utf8_lossy(&line);
        status.lock().unwrap_or_else(PoisonError::into_inner).read(&line);
    }
    Ok(())
}

/// All processes together: they share a corpus, so that the largest numbers count.
fn total(statuses: &[Mutex<Status>]) -> Status {
    let mut total = Status::default();
    for status in statuses {
        let status = status.lock().unwrap_or_else(PoisonError::into_inner);
        total.executions += status.executions;
        total.edges = total.edges.max(status.edges);
        total.all_edges = total.all_edges.max(status.all_edges);
        total.features = total.features.max(status.features);
        total.corpus = total.corpus.max(status.corpus);
        if total.artifact.is_none() && status.artifact.is_some() {
            total.artifact = status.artifact.clone();
            total.summary = status.summary.clone();
        }
        total.summary = total.summary.or_else(|| status.summary.clone());
    }
    total
}

/// What a person sees of it meanwhile.
struct Shown {
    terminal: bool,
    last: Instant,
}

impl Shown {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), last: Instant::now() }
    }

    fn say(&mut self, status: &Status, elapsed: Duration, time: Duration) {
        let Status { executions, edges, features, corpus, .. } = status;
        let line = format!(
            "{} of {} s: {executions} executions, {edges} edges, {features} features, {corpus} inputs",
            elapsed.as_secs(),
            time.as_secs()
        );
        if self.terminal {
            eprint!("\r\x1b[K{line}");
            // Cosmetic: a terminal that is gone gets no progress.
            let _ = std::io::stderr().flush();
        } else if self.last.elapsed() >= INTERVAL {
            eprintln!("x: {line}");
            self.last = Instant::now();
        }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
