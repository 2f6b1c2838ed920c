//! The packages in a fresh Debian 13, in an emulated machine with its own kernel and systemd.
//!
//! The machine starts twice from one disk, whose changes go with the emulator. Its files are the share: `job`
//! and the packages go in, `log` says what became of each step.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use daedalus_tests::process;
use nix::fcntl::FlockArg;

use super::{Checks, build, built, folder, lifecycle};
use crate::bed::signals::Watch;
use crate::bed::vm::{image, workshop};
use crate::fresh::Release;
use crate::project;
use crate::root::{self, Kept, Mounts, Plan, named};

/// What the machine has before the packages come: what they depend on (there is no network in it), the kernel's headers,
/// and programs that decode.
const PLAN: Plan = Plan {
    codename: "trixie",
    architectures: &[],
    packages: &[
        "busybox-static",
        "cpio",
        "dbus",
        "dkms",
        "ffmpeg",
        "iproute2",
        "kmod",
        "libavcodec61",
        "libdav1d7",
        "libegl-mesa0",
        "libgl1-mesa-dri",
        "libgles2",
        "libpam-systemd",
        "linux-headers-amd64",
        "linux-image-amd64",
        "login",
        "mpv",
        "procps",
        "systemd-sysv",
        "udev",
        "vainfo",
        "weston",
        "xz-utils",
    ],
    finish: include_str!("image.sh"),
};

/// Films of the project's own tests, which every decoder of that codec knows.
const CLIPS: [&str; 3] = [
    "engine/tests/data/bframes.h264",
    "engine/tests/data/altref.ivf",
    "tests/data/av1/aom-lag19.ivf",
];

/// From power-on to power-off.
const LIMIT: Duration = Duration::from_secs(3600);

/// Where the workshop sees the image and the share.
const IMAGE: &str = "package-image";
const SHARE: &str = "package-share";

/// See the module.
pub fn run(mounts: &Mounts, renew: bool, checks: &mut Checks) -> Result<(), String> {
    let workshop = workshop::get(false)?;
    mounts.kernel(workshop.path())?;
    let image = disk(&workshop, mounts, renew)?;
    let share = share(mounts)?;
    mounts.read_only(image.path(), workshop.path(), IMAGE)?;
    mounts.folder(&share, workshop.path(), SHARE)?;
    // The disk's changes are in a file that has no name.
    let scratch = folder().join("guest-scratch");
    fs::create_dir_all(&scratch).map_err(named(&scratch))?;
    mounts.folder(&scratch, workshop.path(), "var/tmp")?;

    eprintln!("x: starting the guest; its files are in {}", share.display());
    let mut command = root::command(workshop.path(), "/", &qemu());
    command.env("TMPDIR", "/var/tmp").stdout(Stdio::null());
    let watch = Watch::new();
    let log = share.join("log");
    let mut guest = Guest {
        qemu: command.spawn().map_err(|e| format!("cannot run chroot: {e}"))?,
        log: File::open(&log).map_err(named(&log))?,
        line: String::new(),
    };
    guest.wait(&watch, checks)?;
    let done = match share.join("done").exists() {
        true => Ok(()),
        false => Err(format!("it ended before; see {}", share.join("console").display())),
    };
    checks.say("the guest came to its end", done);
    Ok(())
}

/// The disk, the kernel and what starts it, made now unless they are there.
fn disk(workshop: &Kept, mounts: &Mounts, renew: bool) -> Result<Kept, String> {
    let recipe = format!("{PLAN:#?}\n");
    Kept::folder("package-guest", &recipe, renew, |folder| {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(named(folder))?;
        }
        fs::create_dir_all(folder).map_err(named(folder))?;
        let tree = folder.join("root");
        root::make(&PLAN, &tree)?;
        let boot = tree.join("boot/daedalus");
        let initramfs = boot.join("initramfs");
        fs::copy(&initramfs, folder.join("initramfs")).map_err(named(&initramfs))?;
        mounts.folder(folder, workshop.path(), IMAGE)?;
        image::unpack_kernel(workshop, IMAGE, folder, &boot.join("vmlinuz"))?;
        fs::remove_dir_all(&boot).map_err(named(&boot))?;
        // A machine that does not know its own name asks the person at it for everything else.
        let machine = tree.join("etc/machine-id");
        fs::write(&machine, "da0eda10000000000000000000000013\n").map_err(named(&machine))?;
        eprintln!("x: making its disk");
        let disk = folder.join("disk");
        let mut make = process::command("mke2fs");
        make.args(["-q", "-t", "ext4", "-d"]).arg(&tree).arg(&disk).arg("6G");
        let status = make.status().map_err(|e| format!("cannot run mke2fs: {e}"))?;
        if !status.success() {
            return Err(format!("mke2fs failed ({status})"));
        }
        fs::remove_dir_all(&tree).map_err(named(&tree))
    })
}

/// Fills the share anew.
fn share(mounts: &Mounts) -> Result<PathBuf, String> {
    let share = folder().join("guest");
    if share.exists() {
        fs::remove_dir_all(&share).map_err(named(&share))?;
    }
    let [packages, clips] = ["packages", "clips"].map(|inner| share.join(inner));
    for inner in [&packages, &clips] {
        fs::create_dir_all(inner).map_err(named(inner))?;
    }
    let copy = |from: &Path, to: &Path| {
        let to = to.join(from.file_name().unwrap_or_default());
        fs::copy(from, &to).map(|_| ()).map_err(named(from))
    };
    for package in built(Release::Trixie)? {
        copy(&package, &packages)?;
    }
    for clip in CLIPS.map(|clip| project::root().join(clip)) {
        copy(&clip, &clips)?;
    }
    for (name, text) in [
        ("job", include_str!("job.sh")),
        ("show", include_str!("show.sh")),
        ("describe", lifecycle::DESCRIBE),
        ("log", ""),
        ("console", ""),
    ] {
        let file = share.join(name);
        fs::write(&file, text).map_err(named(&file))?;
    }
    preloaded(mounts, &share)?;
    Ok(share)
}

/// Compiles what names the render node to the compositor.
fn preloaded(mounts: &Mounts, share: &Path) -> Result<(), String> {
    let room = build::root_of(Release::Trixie, false)?;
    let _lock = root::wait_for(&folder().join("guest.lock"), FlockArg::LockExclusiveNonblock)?;
    mounts.kernel(room.path())?;
    mounts.read_only(project::root(), room.path(), "src/daedalus")?;
    mounts.folder(share, room.path(), SHARE)?;
    let output = format!("/{SHARE}/render_device.so");
    let words = ["gcc", "-O1", "-shared", "-fPIC", "tests/tests/players/render_device.c", "-o"];
    let words: Vec<&str> = words.into_iter().chain([output.as_str()]).collect();
    let mut compile = root::command(room.path(), "/src/daedalus", &words);
    let status = compile.status().map_err(|e| format!("cannot run chroot: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("gcc failed in Debian 13 ({status})")) }
}

/// The command line. Its graphics are those of an ordinary virtual machine.
fn qemu() -> Vec<String> {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get()).min(4);
    let fixed = format!(
        "qemu-system-x86_64 -machine q35 -nodefaults -no-user-config -display none \
         -accel tcg,thread=multi -cpu max,la57=off -m 4G -smp {processors} \
         -kernel /{IMAGE}/vmlinux -initrd /{IMAGE}/initramfs \
         -drive if=virtio,format=raw,snapshot=on,file=/{IMAGE}/disk \
         -serial file:/{SHARE}/console -device virtio-gpu-pci \
         -virtfs local,path=/{SHARE},mount_tag=share,security_model=none,multidevs=remap",
    );
    let mut words: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
    words.push("-append".into());
    words.push(
        "root=/dev/vda rw console=ttyS0 quiet loglevel=4 mitigations=off nokaslr no_timer_check \
         tsc=reliable systemd.show_status=no systemd.firstboot=no"
            .into(),
    );
    words
}

/// A running qemu, which does not outlive this.
struct Guest {
    qemu: Child,
    log: File,
    /// What there is of a line that has not ended.
    line: String,
}

impl Guest {
    /// Waits for the power to go; each line of its log is shown, and counted if it is a step's.
    fn wait(&mut self, watch: &Watch, checks: &mut Checks) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let ended = self.qemu.try_wait().map_err(|e| format!("qemu: {e}"))?;
            self.show(checks)?;
            if watch.asked() {
                return Err("interrupted".into());
            }
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("qemu ended with {status}")),
                None if started.elapsed() > LIMIT => {
                    return Err(format!("the guest did not end within {} s", LIMIT.as_secs()));
                }
                None => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    fn show(&mut self, checks: &mut Checks) -> Result<(), String> {
        let mut new = Vec::new();
        self.log.read_to_end(&mut new).map_err(|e| format!("the guest's log: {e}"))?;
        self.line.push_str(&String::from_utf8_lossy(&new));
        while let Some(end) = self.line.find('\n') {
            let line: String = self.line.drain(..=end).collect();
            print!("{line}");
            // What a step has said itself is indented.
            if line.starts_with("ok ") {
                checks.sum.passed += 1;
            } else if line.starts_with("FAILED ") {
                checks.sum.failed += 1;
            }
        }
        std::io::stdout().flush().map_err(|e| format!("standard output: {e}"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both can only fail if it has ended already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
