//! One guest, from power-on to power-off.
//!
//! Its files are the share: `init` (the first process) and `job` go in; `status`, `dmesg` and `tainted` come
//! out, beside what the job itself leaves in `results`. No status means that the guest has ended before
//! the job.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use daedalus_tests::catalogue;

use super::image;
use crate::bed::signals::Watch;
use crate::bed::{Ending, Folder, Outcome, splat};
use crate::project;
use crate::root::{self, Kept, Mounts, named};

/// What a guest is to do.
pub enum Task<'a> {
    /// Run these lines of shell.
    Run(&'a str),
    /// Be at the person's disposal.
    Shell,
}

/// A machine to start.
pub struct Machine<'a> {
    /// What starts it, with the image in place.
    pub workshop: &'a Kept,
    /// The mounts in the workshop.
    pub mounts: &'a Mounts,
    /// Folders of ours that the guest sees in /daedalus under the same names.
    pub parts: &'a Path,
}

/// Where the workshop sees the folder of the guest's files, and the vectors.
const FILES: &str = "vm";
const VECTORS: &str = "vectors";

impl Machine<'_> {
    /// From power-on to power-off. The guest is stopped after `limit`.
    pub fn run(&self, task: &Task, limit: Duration) -> Result<Outcome, String> {
        let folder = Folder::take("vm")?;
        fill(&folder, task)?;
        self.mount(&folder.path)?;
        let mut command = root::command(self.workshop.path(), "/", &self.qemu());
        if matches!(task, Task::Shell) {
            command.stdin(Stdio::inherit());
        }
        let console = folder.write("console", "")?;
        let watch = Watch::new();
        let mut guest = Guest {
            qemu: command.spawn().map_err(|e| format!("cannot run chroot: {e}"))?,
            console: File::open(&console).map_err(named(&console))?,
        };
        let killed = guest.wait(&watch, limit)?;
        drop(guest);
        Ok(collect(killed, folder))
    }

    /// Puts together what the guest sees: its own files, what was built, the project.
    fn mount(&self, folder: &Path) -> Result<(), String> {
        self.mounts.folder(folder, self.workshop.path(), FILES)?;
        let share = self.workshop.path().join(FILES);
        for part in fs::read_dir(self.parts).map_err(named(self.parts))?.flatten() {
            let name = part.file_name().to_string_lossy().into_owned();
            self.mounts.read_only(&part.path(), &share, &name)?;
        }
        self.mounts.read_only(project::root(), &share, "project")?;
        match catalogue::folder() {
            Some(vectors) => self.mounts.read_only(&vectors, self.workshop.path(), VECTORS),
            None => Ok(()),
        }
    }

    /// The command line.
    fn qemu(&self) -> Vec<String> {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get()).min(4);
        // The kernel speaks on a serial line, the job on a console of its own.
        let fixed = format!(
            "qemu-system-x86_64 -machine q35 -nodefaults -no-user-config -no-reboot -display none \
             -accel tcg,thread=multi -cpu max,la57=off -m 6G -smp {processors} \
             -kernel /{image}/vmlinux -initrd /{image}/initramfs \
             -drive if=virtio,format=raw,readonly=on,file=/{image}/root.squashfs \
             -serial file:/{FILES}/console \
             -device virtio-serial-pci -chardev stdio,id=job,signal=off,logfile=/{FILES}/stdout \
             -device virtconsole,chardev=job -device virtio-gpu-pci \
             -virtfs local,path=/{FILES},mount_tag=share,security_model=none,multidevs=remap",
            image = image::PLACE,
        );
        let mut words: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
        if catalogue::folder().is_some() {
            words.push("-virtfs".into());
            words.push(format!(
                "local,path=/{VECTORS},mount_tag=vectors,security_model=none,multidevs=remap,\
                 readonly=on"
            ));
        }
        words.push("-append".into());
        words.push(KERNEL_COMMAND_LINE.into());
        words
    }
}

/// Quiet but for errors; a panic is an end; nothing that only slows an emulator down.
const KERNEL_COMMAND_LINE: &str = "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr \
                                   no_timer_check tsc=reliable";

/// Writes what the guest's first process reads.
fn fill(folder: &Folder, task: &Task) -> Result<(), String> {
    for inner in ["results", "vectors"] {
        let inner = folder.path.join(inner);
        fs::create_dir(&inner).map_err(named(&inner))?;
    }
    let init = folder.write("init", include_str!("init.sh"))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(named(&init))?;
    if catalogue::folder().is_some() {
        folder.write("has-vectors", "")?;
    }
    match task {
        Task::Run(lines) => folder.write("job", &format!("{lines}\n"))?,
        Task::Shell => {
            folder.write("shell", &terminal_size())?;
            folder.write("job", "exec bash -i\n")?
        }
    };
    Ok(())
}

/// Words for stty, from the terminal we are on.
fn terminal_size() -> String {
    let said = Command::new("stty").arg("size").stdin(Stdio::inherit()).output();
    let said = said.map(|done| String::from_utf8_lossy(&done.stdout).into_owned());
    let numbers: Vec<u16> =
        said.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [rows, columns] => format!("rows {rows} cols {columns}\n"),
        _ => "rows 24 cols 80\n".into(),
    }
}

/// A running qemu, which does not outlive this.
struct Guest {
    qemu: Child,
    console: File,
}

impl Guest {
    /// Waits for the power to go, showing what the kernel says meanwhile. Says how it ended if that was
    /// our doing.
    fn wait(&mut self, watch: &Watch, limit: Duration) -> Result<Option<Ending>, String> {
        let started = Instant::now();
        loop {
            let ended = self.qemu.try_wait().map_err(|e| format!("qemu: {e}"))?;
            self.show_console();
            // Ctrl-C ends qemu as well.
            if watch.asked() {
                return Ok(Some(Ending::Interrupted));
            }
            match ended {
                Some(status) if status.success() => return Ok(None),
                Some(status) => return Err(format!("qemu ended with {status}")),
                None if started.elapsed() > limit => return Ok(Some(Ending::TimedOut)),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Copies what is new on the console to our standard error.
    fn show_console(&mut self) {
        let mut new = Vec::new();
        // It stays in the file, should we not be able to show it.
        if self.console.read_to_end(&mut new).is_ok() && !new.is_empty() {
            let _ = std::io::stderr().write_all(&new);
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both can only fail if it has ended already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn collect(killed: Option<Ending>, folder: Folder) -> Outcome {
    let number = |name: &str| folder.read(name).trim().parse::<f64>().ok();
    let status = folder.read("status").trim().parse::<u8>().ok();
    // The console has the worst of it, if the guest did not come to save its log.
    let log = if status.is_some() { folder.read("dmesg") } else { folder.read("console") };
    Outcome {
        ending: killed.unwrap_or(status.map_or(Ending::KernelDied, Ending::Status)),
        failure: None,
        stdout: folder.read("stdout"),
        // The job has one console for both.
        stderr: String::new(),
        splats: splat::find(&log),
        log,
        tainted: folder.read("tainted").trim().parse().unwrap_or(0),
        seconds: number("job-started").zip(number("job-ended")),
        folder: folder.path.clone(),
    }
}
