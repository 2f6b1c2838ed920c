//! One guest, from power-on to power-off.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bed::vm::image;
use crate::root::{self, Kept, Mounts, named};

/// What the guest is to do.
pub enum Job<'a> {
    /// Run this line of shell.
    Command(&'a str),
    /// Be at the person's disposal.
    Shell,
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// The job's exit status.
    pub status: i32,
    /// What the kernel has said.
    pub dmesg: String,
    /// The kernel's taint flags: 4096 is for a module from outside, 8192 for an unsigned one.
    pub tainted: u64,
}

/// Where the workshop sees the folder of the guest's files, and the vectors.
const FILES: &str = "vm";
const VECTORS: &str = "vectors";

/// A machine to start.
pub struct Machine<'a> {
    /// What starts it, with the image in place.
    pub workshop: &'a Kept,
    /// The mounts in the workshop.
    pub mounts: &'a Mounts,
    /// For the files of a run. The guest sees `share` in there as /daedalus.
    pub folder: &'a Path,
    /// The test vectors, if they are here.
    pub vectors: Option<&'a Path>,
    /// Whether this machine's own processor runs it: ten times as fast, but few virtual machines can.
    pub kvm: bool,
}

impl Machine<'_> {
    /// From power-on to power-off. The guest is stopped after `limit`.
    pub fn run(&self, job: &Job, limit: Duration) -> Result<Outcome, String> {
        let share = self.folder.join("share");
        prepare(&share, self.vectors.is_some(), job)?;
        let console = self.folder.join("console.log");
        fs::write(&console, "").map_err(named(&console))?;
        self.mounts.folder(self.folder, self.workshop.path(), FILES)?;
        if let Some(vectors) = self.vectors {
            self.mounts.read_only(vectors, self.workshop.path(), VECTORS)?;
        }
        let mut command = root::command(self.workshop.path(), "/", &self.qemu());
        if matches!(job, Job::Shell) {
            command.stdin(Stdio::inherit());
        }
        let mut guest = Guest {
            qemu: command.spawn().map_err(|e| format!("cannot run chroot: {e}"))?,
            console: Console { file: File::open(&console).map_err(named(&console))? },
        };
        guest.wait(limit)?;
        outcome(&share)
    }

    /// The command line.
    fn qemu(&self) -> Vec<String> {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get()).min(4);
        let accelerator = match self.kvm {
            true => "-accel kvm -cpu host",
            false => "-accel tcg,thread=multi -cpu max,la57=off",
        };
        // The kernel speaks on a serial line, the job on a console of its own.
        let fixed = format!(
            "qemu-system-x86_64 -machine q35 -nodefaults -no-user-config -no-reboot -display none \
             -m 4G -smp {processors} {accelerator} \
             -kernel /{image}/vmlinux -initrd /{image}/initramfs \
             -drive if=virtio,format=raw,readonly=on,file=/{image}/root.squashfs \
             -serial file:/{FILES}/console.log \
             -device virtio-serial-pci -chardev stdio,id=job,signal=off \
             -device virtconsole,chardev=job -device virtio-gpu-pci \
             -virtfs local,path=/{FILES}/share,mount_tag=share,security_model=none,multidevs=remap",
            image = image::PLACE,
        );
        let mut words: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
        if self.vectors.is_some() {
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

/// Puts what the guest's first process reads into the share, and takes away what the last one left.
fn prepare(share: &Path, vectors: bool, job: &Job) -> Result<(), String> {
    for left in ["status", "status.part", "dmesg", "tainted", "has-vectors", "shell"] {
        let left = share.join(left);
        if left.exists() {
            fs::remove_file(&left).map_err(named(&left))?;
        }
    }
    for folder in ["results", "vectors"] {
        let folder = share.join(folder);
        fs::create_dir_all(&folder).map_err(named(&folder))?;
    }
    let write = |name: &str, content: &str| -> Result<(), String> {
        let file = share.join(name);
        fs::write(&file, content).map_err(named(&file))
    };
    write("init", include_str!("init.sh"))?;
    let init = share.join("init");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).map_err(named(&init))?;
    if vectors {
        write("has-vectors", "")?;
    }
    match job {
        Job::Command(line) => write("job", &format!("{line}\n")),
        Job::Shell => {
            write("shell", &terminal_size())?;
            write("job", "exec bash -i\n")
        }
    }
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
    console: Console,
}

impl Guest {
    /// Waits for the power to go, showing what the kernel says meanwhile.
    fn wait(&mut self, limit: Duration) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let ended = self.qemu.try_wait().map_err(|e| format!("qemu: {e}"))?;
            self.console.show();
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("qemu ended with {status}")),
                None if started.elapsed() > limit => {
                    return Err(format!("the guest did not end within {} s", limit.as_secs()));
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
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

/// The file that the kernel's messages go to.
struct Console {
    file: File,
}

impl Console {
    /// Copies what is new to our standard error.
    fn show(&mut self) {
        let mut new = Vec::new();
        // It stays in the file, should we not be able to show it.
        if self.file.read_to_end(&mut new).is_ok() && !new.is_empty() {
            let _ = std::io::stderr().write_all(&new);
        }
    }
}

fn outcome(share: &Path) -> Result<Outcome, String> {
    let read = |name: &str| fs::read_to_string(share.join(name)).ok();
    let Some(status) = read("status").and_then(|text| text.trim().parse().ok()) else {
        return Err("the guest went down before the job ended".into());
    };
    let dmesg = read("dmesg").ok_or("the guest has left no dmesg")?;
    let tainted = read("tainted").and_then(|text| text.trim().parse().ok());
    Ok(Outcome { status, dmesg, tainted: tainted.ok_or("the guest has left no taint flags")? })
}
