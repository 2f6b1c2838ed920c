//! What libva sees, found out by a child process: drivers are others' code, which may crash or hang.

use std::{
    env,
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{driver, probe};

/// How long libva and its drivers may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the child may take to die, and what it said to arrive.
const GRACE: Duration = Duration::from_secs(1);

/// How often the child is looked at.
const ATTENTION: Duration = Duration::from_millis(5);

/// Bytes of what the child says that are kept.
const MOST: usize = 256 << 10;

/// libva's view.
#[derive(Clone, Debug, Serialize)]
pub struct Libva {
    /// The file of the library; none if there is none, or the child did not get that far.
    pub library: Option<String>,
    /// The version of VA-API that it says it has, else that of the file's name.
    pub version: Option<(u32, u32)>,
    /// What came of asking it.
    pub outcome: Outcome,
    /// What it said meanwhile.
    pub messages: Vec<String>,
}

/// What comes of asking libva.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A driver works.
    Works {
        /// The display: a node, or `x11`.
        display: String,
        /// What the driver calls itself.
        vendor: String,
        /// How many profiles it has.
        profiles: usize,
    },
    /// No driver does.
    Fails {
        /// The display.
        display: String,
        /// Why, in libva's words.
        error: String,
    },
    /// There is neither a render node nor an X display that can be opened.
    NoDisplay(Vec<String>),
    /// There is no libva. The rest of the story.
    NoLibrary(String),
    /// libva.so.2 is not there, its predecessor is.
    Predecessor,
    /// The child died: of a signal.
    Crashed(String),
    /// The child did not end.
    Hung,
    /// It did not, while it opened this display.
    DisplayHangs(String),
    /// The child could not do its work.
    Broken(String),
}

/// What the child says, as one line of JSON for each step, so that what came before a crash is known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// No libva.so.2; whether there is a libva.so.1; why.
    NoLibrary { predecessor: bool, error: String },
    /// The file of the library.
    Library(String),
    /// A display is about to be opened: how people know it.
    Opening(String),
    /// It is.
    Opened,
    /// A display could not be opened.
    NoDisplay(String),
    /// vaInitialize failed.
    Fails { display: String, error: String },
    /// vaInitialize worked.
    Works { display: String, version: (u32, u32), vendor: String, profiles: usize },
}

/// Whether a driver that calls itself so is ours.
pub fn is_ours(vendor: &str) -> bool {
    vendor.starts_with("Daedalus")
}

/// Looks, with the environment's driver or the one that is named.
pub fn look(driver: Option<&str>) -> Libva {
    let mut probe = Command::new("/proc/self/exe");
    probe.arg0(probe::NAME).env("LIBVA_MESSAGING_LEVEL", "2");
    // Why the driver does not start is said at this level, whatever this user wants to see.
    probe.env("DAEDALUS_LOG", "warn");
    probe.envs(driver.map(|name| ("LIBVA_DRIVER_NAME", name)));
    probe.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match probe.spawn() {
        Ok(child) => match listen(child) {
            Ok(heard) => judge(heard),
            Err(error) => broken(error.to_string()),
        },
        Err(error) => broken(error.to_string()),
    }
}

fn broken(why: String) -> Libva {
    Libva { library: None, version: None, outcome: Outcome::Broken(why), messages: Vec::new() }
}

/// What a child left.
struct Heard {
    steps: Vec<Step>,
    messages: Vec<String>,
    /// None: it was killed, for it did not end.
    status: Option<ExitStatus>,
}

fn listen(mut child: Child) -> std::io::Result<Heard> {
    let (out, err) = (Listener::to(child.stdout.take()), Listener::to(child.stderr.take()));
    let status = wait(&mut child, PATIENCE)?;
    if status.is_none() {
        child.kill()?;
        // One that hangs in the kernel does not even die. That it was killed is no news.
        wait(&mut child, GRACE)?;
    }
    // Both pipes are closed by its end, unless a driver has started something that outlives it.
    let deadline = Instant::now() + GRACE;
    while !(out.is_done() && err.is_done()) && Instant::now() < deadline {
        thread::sleep(ATTENTION);
    }
    let steps = out.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let messages = err.lines().iter().map(|line| crate::program::harmless(line)).collect();
    Ok(Heard { steps, messages, status })
}

/// How a child ended; None if it does not end in that time.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait()? {
            None if Instant::now() < deadline => thread::sleep(ATTENTION),
            status => return Ok(status),
        }
    }
}

/// Hears what comes through a pipe, to its end or for as long as somebody wants to know.
struct Listener {
    heard: Arc<Mutex<Vec<u8>>>,
    thread: thread::JoinHandle<()>,
}

impl Listener {
    fn to(pipe: Option<impl Read + Send + 'static>) -> Listener {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let thread = thread::spawn({
            let heard = heard.clone();
            move || {
                let mut bytes = [0; 4096];
                let mut pipe = pipe;
                // What is more than is kept is thrown away, so that the child does not wait.
                while let Some(count @ 1..) = pipe.as_mut().and_then(|p| p.read(&mut bytes).ok()) {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MOST - heard.len();
                    heard.extend_from_slice(&bytes[..count.min(room)]);
                }
            }
        });
        Listener { heard, thread }
    }

    fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// What was heard so far.
    fn lines(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).lines().map(String::from).collect()
    }
}

/// Of all displays: one where our driver works, else one where another does, else the first that fails.
fn judge(heard: Heard) -> Libva {
    let Heard { steps, messages, status } = heard;
    let mut libva = Libva { library: None, version: None, outcome: Outcome::Hung, messages };
    let (mut works, mut fails, mut closed, mut none) = (Vec::new(), None, Vec::new(), None);
    let mut opening = None;
    for step in steps {
        opening = None;
        match step {
            Step::Opening(display) => opening = Some(display),
            Step::Opened => {}
            Step::NoLibrary { predecessor: true, .. } => none = Some(Outcome::Predecessor),
            Step::NoLibrary { error, .. } => none = Some(Outcome::NoLibrary(error)),
            Step::Library(file) => {
                libva.version = version_of(&file);
                libva.library = Some(file);
            }
            Step::NoDisplay(why) => closed.push(why),
            Step::Fails { display, error } => {
                fails = fails.or(Some(Outcome::Fails { display, error }));
            }
            Step::Works { display, version, vendor, profiles } => {
                libva.version = Some(version);
                works.push(Outcome::Works { display, vendor, profiles });
            }
        }
    }
    let ours =
        |outcome: &Outcome| matches!(outcome, Outcome::Works { vendor, .. } if is_ours(vendor));
    let at = works.iter().position(ours).or((!works.is_empty()).then_some(0));
    let crashed = match status {
        None => Some(opening.map_or(Outcome::Hung, Outcome::DisplayHangs)),
        Some(status) => status.signal().map(|signal| {
            let name = nix::sys::signal::Signal::try_from(signal);
            Outcome::Crashed(name.map_or(signal.to_string(), |name| name.to_string()))
        }),
    };
    libva.outcome = match (at, crashed, none) {
        (_, _, Some(none)) => none,
        (Some(at), ..) => works.swap_remove(at),
        (None, Some(crashed), _) => crashed,
        (None, None, None) => match status {
            Some(status) if !status.success() => Outcome::Broken(status.to_string()),
            _ => fails.unwrap_or(Outcome::NoDisplay(closed)),
        },
    };
    libva
}

/// VA-API's version in the name of the library's file: libva.so.2.1700.0 has 1.17.
fn version_of(file: &str) -> Option<(u32, u32)> {
    let number: u32 = file.rsplit_once("libva.so.2.")?.1.split('.').next()?.parse().ok()?;
    Some((1, number / 100))
}

/// The files that libva tried.
pub fn tried(libva: &Libva) -> Vec<std::path::PathBuf> {
    driver::tried(&libva.messages)
}

/// Whether an X display was named.
pub fn has_x11() -> bool {
    env::var_os("DISPLAY").is_some_and(|display| !display.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(steps: Vec<Step>, status: Option<i32>) -> Libva {
        judge(Heard { steps, messages: Vec::new(), status: status.map(ExitStatus::from_raw) })
    }

    fn works(display: &str, vendor: &str) -> Step {
        let (display, vendor) = (display.into(), vendor.into());
        Step::Works { display, version: (1, 22), vendor, profiles: 7 }
    }

    #[test]
    fn our_driver_counts_where_it_works() {
        let failed = Step::Fails { display: "x11".into(), error: "unknown".into() };
        let steps = vec![failed, works("card", "iHD"), works("render", "Daedalus 1")];
        let libva = heard(steps, Some(0));
        assert!(matches!(libva.outcome, Outcome::Works { display, .. } if display == "render"));
        assert_eq!(libva.version, Some((1, 22)));
        let libva = heard(vec![works("card", "iHD")], Some(0));
        assert!(matches!(libva.outcome, Outcome::Works { vendor, .. } if vendor == "iHD"));
    }

    #[test]
    fn what_was_known_before_a_crash_is_kept() {
        let file = || Step::Library("/usr/lib/libva.so.2.1700.0".into());
        let libva = heard(vec![file()], Some(11));
        assert_eq!(
            (libva.version, libva.outcome),
            (Some((1, 17)), Outcome::Crashed("SIGSEGV".into()))
        );
        assert_eq!(heard(vec![file()], None).outcome, Outcome::Hung);
        let opening = || Step::Opening("DISPLAY=:9".into());
        let hangs = Outcome::DisplayHangs("DISPLAY=:9".into());
        assert_eq!(heard(vec![file(), opening()], None).outcome, hangs);
        assert_eq!(heard(vec![opening(), Step::Opened], None).outcome, Outcome::Hung);
        // It did its work before.
        let libva = heard(vec![works("x11", "Daedalus 1")], Some(11));
        assert!(matches!(libva.outcome, Outcome::Works { .. }));
    }

    #[test]
    fn no_library_is_told_from_an_older_one_and_from_no_display() {
        let none = |predecessor| Step::NoLibrary { predecessor, error: "not found".into() };
        assert_eq!(heard(vec![none(true)], Some(0)).outcome, Outcome::Predecessor);
        assert_eq!(
            heard(vec![none(false)], Some(0)).outcome,
            Outcome::NoLibrary("not found".into())
        );
        let closed = heard(vec![Step::NoDisplay("no X".into())], Some(0)).outcome;
        assert_eq!(closed, Outcome::NoDisplay(vec!["no X".into()]));
        assert!(matches!(heard(vec![], Some(256)).outcome, Outcome::Broken(_)));
    }

    #[test]
    fn a_version_stands_in_the_name_of_the_file() {
        assert_eq!(version_of("/usr/lib/x86_64-linux-gnu/libva.so.2.2200.0"), Some((1, 22)));
        assert_eq!(version_of("/opt/libva.so.2"), None);
    }
}
