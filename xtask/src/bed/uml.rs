//! User-mode Linux: a kernel that is an ordinary program, with this machine's files as its root.
//!
//! The job's files carry everything in and out: `init.sh` (the first process), `job.sh` (what it does)
//! and `command.sh` go in; `status`, `dmesg` and `tainted` come out. Output comes through two lines of
//! the console, as it is written. No status means that the kernel has ended before the job.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::{catalogue, clips, process};
use nix::sys::signal::{Signal, killpg};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;

use super::kernel::Kernel;
use super::signals::Watch;
use super::{Ending, Folder, Job, Outcome, quoted, splat};
use crate::project;
use crate::root::named;

/// How long a kernel has to end once its job is done.
const POWER_OFF: Duration = Duration::from_secs(2);

/// What begins the stacks that we ask for: what comes then is no complaint.
pub const STACKS: &str = "sysrq: Show State";

/// The kernel maps each page of its processes by itself.
const MAPPINGS: u64 = 2_000_000;
const MAPPINGS_FILE: &str = "/proc/sys/vm/max_map_count";

/// Runs a job.
pub fn run(kernel: &Kernel, job: &Job) -> Result<Outcome, String> {
    allow_mappings();
    if job.modules.iter().any(super::module::Module::is_ours) {
        super::module::build(kernel)?;
    }
    let folder = Folder::take("uml")?;
    folder.write("job.sh", &description(kernel, job, &folder.path)?)?;
    folder.write("command.sh", &command(job))?;
    let init = folder.write("init.sh", include_str!("../../uml/init.sh"))?;
    make_executable(&init)?;

    // The management console's socket needs a short path.
    let sockets = Sockets::new();
    let console = folder.path.join("console");
    let mut machine = process::command("sh");
    // Core dumps would be as large as the machine's memory.
    machine.args(["-c", r#"ulimit -c 0; exec 3>&1 4>&2 >"$0" 2>&1; exec "$@""#]).arg(&console);
    machine.arg(kernel.program()).args(kernel_arguments(job, &folder.path, &sockets));
    machine.env("TMPDIR", memory_folder(&job.memory, &folder.path));
    // Ctrl-C is for us alone: we end it together with the processes that it runs.
    machine.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ending = supervise(&mut machine, job, &folder, &sockets)?;
    Ok(collect(ending, &folder))
}

/// Starts the kernel, passes on what the job says, and ends it if it must end.
fn supervise(
    machine: &mut Command,
    job: &Job,
    folder: &Folder,
    sockets: &Sockets,
) -> Result<Option<Ending>, String> {
    let watch = Watch::new();
    let started = Instant::now();
    let mut child = machine.spawn().map_err(|e| format!("cannot run sh: {e}"))?;
    let out = child.stdout.take().expect("stdout is a pipe");
    let err = child.stderr.take().expect("stderr is a pipe");
    let file = |name: &str| {
        let path = folder.path.join(name);
        fs::File::create(&path).map_err(named(&path))
    };
    let (out_file, err_file) = (file("stdout"), file("stderr"));
    let status = folder.path.join("status");
    let mut finished: Option<Instant> = None;
    let ending = thread::scope(|scope| {
        scope.spawn(|| pass_on(out, out_file.ok(), job.shown.then(std::io::stdout)));
        scope.spawn(|| pass_on(err, err_file.ok(), job.shown.then(std::io::stderr)));
        let ending = loop {
            match child.try_wait() {
                Ok(Some(_)) => break Ok(None),
                Ok(None) => (),
                Err(e) => break Err(format!("cannot wait for the kernel: {e}")),
            }
            // All is said. Now and then a preemptible kernel does not find its way out: powering off ends
            // the processes that hold its tasks, and it waits for one of these.
            if status.exists() && finished.get_or_insert_with(Instant::now).elapsed() > POWER_OFF {
                break Ok(None);
            }
            if watch.asked() {
                break Ok(Some(Ending::Interrupted));
            }
            if finished.is_none() && started.elapsed() > job.limit {
                sockets.ask_for_stacks();
                break Ok(Some(Ending::TimedOut));
            }
            thread::sleep(Duration::from_millis(10));
        };
        // The threads end when nobody is left who could write to the pipes.
        end(&mut child);
        ending
    })?;
    Ok(ending)
}

/// Ends the kernel and its processes, those too that it has left behind.
fn end(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// Writes what comes to a file and, if asked to, where our own output goes.
fn pass_on(mut from: impl Read, mut file: Option<fs::File>, mut shown: Option<impl Write>) {
    let mut buffer = vec![0; 1 << 14];
    loop {
        let piece = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => &buffer[..n],
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        // Where it cannot be written, the job goes on all the same.
        if let Some(file) = &mut file {
            let _ = file.write_all(piece);
        }
        if let Some(shown) = &mut shown {
            let _ = shown.write_all(piece).and_then(|()| shown.flush());
        }
    }
}

fn collect(killed: Option<Ending>, folder: &Folder) -> Outcome {
    let number = |name: &str| folder.read(name).trim().parse::<f64>().ok();
    let status = folder.read("status").trim().parse::<u8>().ok();
    // The console has the kernel's messages too, if the job did not come to save them.
    let log = if status.is_some() { folder.read("dmesg") } else { folder.read("console") };
    let ending = killed.unwrap_or(status.map_or(Ending::KernelDied, Ending::Status));
    let failure = folder.read("failure");
    Outcome {
        ending,
        failure: Some(failure.trim().to_owned()).filter(|failure| !failure.is_empty()),
        stdout: folder.read("stdout"),
        stderr: folder.read("stderr"),
        splats: splat::find(log.split(STACKS).next().unwrap_or_default()),
        log,
        tainted: folder.read("tainted").trim().parse().unwrap_or(0),
        seconds: number("booted").zip(number("ended")),
        folder: folder.path.clone(),
    }
}

fn kernel_arguments(job: &Job, folder: &Path, sockets: &Sockets) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let mut arguments = vec![
        format!("mem={}", job.memory),
        "seccomp=on".into(),
        format!("uml_dir={}", path(&sockets.folder)),
        format!("umid={}", Sockets::ID),
        "root=/dev/root".into(),
        "rootfstype=hostfs".into(),
        "rootflags=/".into(),
        "rw".into(),
        format!("init={}", path(&folder.join("init.sh"))),
        format!("DAEDALUS_JOB={}", path(folder)),
        "con=null".into(),
        "con0=null,fd:1".into(),
        "con1=null,fd:3".into(),
        "con2=null,fd:4".into(),
        "panic=-1".into(),
    ];
    if job.leaks {
        arguments.push("kmemleak=on".into());
    }
    arguments
}

/// What `init.sh` reads.
fn description(kernel: &Kernel, job: &Job, folder: &Path) -> Result<String, String> {
    let mut folders = vec![
        project::root().to_owned(),
        project::target(),
        clips::cache()?,
        job.directory.clone(),
        folder.to_owned(),
    ];
    folders.extend(catalogue::folder());
    folders.extend(["HOME", "CARGO_HOME"].iter().filter_map(std::env::var_os).map(PathBuf::from));
    folders.extend(job.modules.iter().filter_map(|module| module.folder(kernel)));
    let folders: Vec<String> = folders.iter().map(|path| path.display().to_string()).collect();
    let load: Vec<String> = job.modules.iter().map(|module| module.load(kernel)).collect();
    let unload: Vec<String> = job.modules.iter().rev().map(|module| module.name()).collect();
    Ok(format!(
        "folders={}\nload={}\nunload={}\nleaks={}\n",
        quoted(folders.join("\n")),
        quoted(load.join("\n")),
        quoted(unload.join("\n")),
        if job.leaks { "yes" } else { "" },
    ))
}

fn command(job: &Job) -> String {
    let mut text = format!("cd {} || exit 126\nexec env -i", quoted(&job.directory));
    for (name, value) in &job.environment {
        let mut assignment = name.clone();
        assignment.push("=");
        assignment.push(value);
        text.push_str(" \\\n    ");
        text.push_str(&quoted(assignment));
    }
    text.push_str(" \\\n   ");
    for word in &job.command {
        text.push(' ');
        text.push_str(&quoted(word));
    }
    text.push('\n');
    text
}

fn make_executable(file: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).map_err(named(file))
}

/// Where the file goes that is the machine's memory: it is removed at once, and takes what it uses.
fn memory_folder(memory: &str, otherwise: &Path) -> PathBuf {
    let shm = Path::new("/dev/shm");
    let fits = statvfs(shm).is_ok_and(|s| {
        s.blocks_available().saturating_mul(s.fragment_size()) >= bytes(memory).unwrap_or(0)
    });
    if fits { shm.to_owned() } else { otherwise.to_owned() }
}

/// `2G`, `512M` in bytes.
fn bytes(memory: &str) -> Option<u64> {
    let (number, unit) = memory.split_at(memory.len().checked_sub(1)?);
    let unit = match unit {
        "G" | "g" => 30,
        "M" | "m" => 20,
        "K" | "k" => 10,
        _ => return memory.parse().ok(),
    };
    Some(number.parse::<u64>().ok()? << unit)
}

/// Whether `text` says how much memory a machine has.
pub fn is_memory(text: &str) -> Result<String, String> {
    match bytes(text) {
        Some(bytes) if bytes >= 64 << 20 => Ok(text.to_owned()),
        Some(_) => Err("a machine needs 64M and more".into()),
        None => Err("not a size such as 512M or 2G".into()),
    }
}

/// Lets processes have as many mappings as the kernel needs, if this machine lets us.
fn allow_mappings() {
    let allowed = fs::read_to_string(MAPPINGS_FILE).ok().and_then(|text| text.trim().parse().ok());
    if allowed.is_some_and(|n: u64| n < MAPPINGS)
        && fs::write(MAPPINGS_FILE, MAPPINGS.to_string()).is_err()
    {
        eprintln!(
            "x: jobs with much memory in use need more mappings than this machine allows: \
             sudo sysctl vm.max_map_count={MAPPINGS}"
        );
    }
}

/// The folder of the management console's socket.
struct Sockets {
    folder: PathBuf,
}

impl Sockets {
    const ID: &'static str = "uml";

    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("daedalus-uml-{}-{number}", std::process::id());
        Self { folder: std::env::temp_dir().join(name) }
    }

    /// Has the kernel write every task's stack to its console, for whoever wonders why it hangs.
    fn ask_for_stacks(&self) {
        // struct mconsole_request in arch/um/drivers/mconsole.h.
        let text = b"sysrq t";
        let mut request = vec![0; 12 + 512];
        request[..4].copy_from_slice(&0xcafe_babe_u32.to_ne_bytes());
        request[4..8].copy_from_slice(&2_u32.to_ne_bytes());
        request[8..12].copy_from_slice(&(text.len() as u32).to_ne_bytes());
        request[12..12 + text.len()].copy_from_slice(text);
        // It answers to the sender's address, and repeats there what it writes to the console.
        let Ok(socket) = UnixDatagram::bind(self.folder.join("x")) else { return };
        let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
        let console = self.folder.join(Self::ID).join("mconsole");
        if socket.send_to(&request, console).is_err() {
            return;
        }
        // struct mconsole_reply: error, whether more follows, length, text.
        let mut reply = [0; 12 + 512];
        while socket.recv(&mut reply).is_ok_and(|n| n >= 12 && reply[4..8] != [0; 4]) {}
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("2G"), Some(2 << 30));
        assert_eq!(bytes("512m"), Some(512 << 20));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(bytes("much"), None);
        assert_eq!(bytes(""), None);
        assert!(is_memory("1M").is_err());
    }

    #[test]
    fn a_command_keeps_its_words() {
        let mut job = Job::new(["echo", "a b"]);
        job.directory = "/a".into();
        job.environment = vec![("NAME".into(), "it's".into())];
        assert_eq!(
            command(&job),
            "cd '/a' || exit 126\nexec env -i \\\n    'NAME=it'\\''s' \\\n    'echo' 'a b'\n"
        );
    }
}
