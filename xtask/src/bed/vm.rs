//! `./x vm`: a Debian 13 with its own kernel, in an emulated machine.
//!
//! It shows the installed product at work: stock kernel, stock libraries, stock clients. What is ours
//! is built against that system and reaches it through a shared folder, so the image is made once.

use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use daedalus_tests::catalogue;
use nix::fcntl::FlockArg;

use crate::project;
use crate::root::{self, Mounts, named};

mod guest;
mod image;
mod parts;
mod workshop;

use guest::{Job, Machine};
use image::Image;
use parts::Rooms;

/// What `--help` says at its end.
const HELP: &str = "\
In the guest, the command runs as root, in /daedalus/results. There are:
  /daedalus/va/daedalus_drv_video.so  the driver; LIBVA_DRIVER_NAME and LIBVA_DRIVERS_PATH are set
  /daedalus/modules/daedalus.ko       the module; modprobe what it needs, then insmod
  /daedalus/bin/daedalusd             the daemon, on the PATH
  /daedalus/vectors                   the test vectors, read-only, where the project has them
  /daedalus/results                   target/vm/share/results here
and a user called `user`. `modprobe vgem` or `modprobe virtio-gpu` make DRM nodes.

Standard output is the command's; the kernel's warnings go to standard error, and all it says to
target/vm/share/dmesg. The exit status is the command's, or 1 if the kernel had something to complain of.";

/// What to do in the guest.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Options {
    /// Make the image and build everything, but do not start the guest
    #[arg(long)]
    build: bool,
    /// Start the guest with what was built last
    #[arg(long, conflicts_with = "build")]
    no_build: bool,
    /// Make the image, and the roots to build in, anew
    #[arg(long)]
    renew: bool,
    /// Seconds from power-on to power-off (default: 600, none for a shell)
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// Let this machine's own processor run the guest, where it can
    #[arg(long)]
    kvm: bool,
    /// A line for the guest's shell, or `shell` for an interactive one
    #[arg(trailing_var_arg = true, required_unless_present = "build")]
    command: Vec<OsString>,
}

/// See the module.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let mut words = Vec::new();
    for word in &options.command {
        words.push(word.to_str().ok_or("the command is not UTF-8")?);
    }
    let line = words.join(" ");
    let shell = line == "shell";

    let folder = project::target().join("vm");
    let share = folder.join("share");
    fs::create_dir_all(&share).map_err(named(&share))?;
    let _lock = root::wait_for(&folder.join("lock"), FlockArg::LockExclusiveNonblock)?;
    let workshop = workshop::get(options.renew)?;
    let mounts = Mounts::new()?;
    mounts.kernel(workshop.path())?;
    let image = Image::get(&workshop, &mounts, options.renew)?;
    if !options.no_build {
        Rooms::get(&workshop, &image, options.renew)?.build(&mounts, &image, &share)?;
    }
    if options.build {
        return Ok(ExitCode::SUCCESS);
    }

    let job = if shell { Job::Shell } else { Job::Command(&line) };
    let limit = match options.time_limit {
        Some(seconds) => Duration::from_secs(seconds),
        None if shell => Duration::MAX,
        None => Duration::from_secs(600),
    };
    let vectors = catalogue::folder();
    let machine = Machine {
        workshop: &workshop,
        mounts: &mounts,
        folder: &folder,
        vectors: vectors.as_deref(),
        kvm: options.kvm,
    };
    eprintln!("x: starting the guest");
    let started = Instant::now();
    let outcome = machine.run(&job, limit)?;
    eprintln!(
        "x: the guest is down after {:.0} s, its job ended with {}",
        started.elapsed().as_secs_f32(),
        outcome.status
    );
    Ok(match u8::try_from(outcome.status) {
        Ok(status) => ExitCode::from(status),
        Err(_) => ExitCode::FAILURE,
    })
}
