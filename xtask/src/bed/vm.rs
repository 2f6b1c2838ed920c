//! `./x vm`: a Debian 13 with its own kernel, in an emulated machine.
//!
//! It shows the installed product at work: stock kernel, stock libraries, stock clients. What is ours
//! is built against that system and reaches it through a shared folder, so the image is made once.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::bed::command;
use crate::project;
use crate::root::Mounts;

mod guest;
pub mod image;
mod parts;
mod tests;
pub mod workshop;

use guest::{Machine, Task};
use image::Image;
use parts::Rooms;

/// What `--help` says at its end.
const HELP: &str = "\
The command is a line for the guest's shell (words are joined by spaces, as ssh does). It runs as root in
/daedalus/results; there is also a user called `user`. In the guest there are:
  /daedalus/va/daedalus_drv_video.so  the driver; LIBVA_DRIVER_NAME and LIBVA_DRIVERS_PATH are set
  /daedalus/modules/daedalus.ko       the module; `load-daedalus [PARAMETERS]` loads it
  /daedalus/bin                       daedalusd and the like, on the PATH
  /daedalus/project                   the project's folder, read-only
  /daedalus/vectors                   the test vectors, read-only, where the project has them
  /daedalus/results                   target/vm/job-0/results here (job-1 ... where guests run beside each other)
`modprobe vgem` and `modprobe virtio-gpu` make DRM nodes.

Standard output is the command's; the kernel's warnings go to standard error. The status is the command's,
unless it succeeded and the kernel complained: that is a failure. 124: the time limit passed; 125: the
guest died. All of it stays in target/vm/job-0: stdout, dmesg, console.

`test`, or --tests, and then words: parts of test names, as for `./x test`; the test programs are in
/daedalus/tests. All of the tests take hours: the machine is emulated. Those of players take screenshots.

  ./x vm 'load-daedalus && (daedalusd &) && sleep 3 && v4l2-compliance -d /dev/video0'
  ./x vm 'modprobe vgem && vainfo --display drm --device /dev/dri/renderD128'
  ./x vm test players
  ./x vm --time-limit 7200 test gstreamer-v4l2:: gstreamer-va::";

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
    /// Seconds from power-on to power-off [default: 600, none for a shell and tests]
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// Run the tests of clients on the kernel's device, or those whose name contains one of the words
    #[arg(long)]
    tests: bool,
    /// A line for the guest's shell, or `shell` for an interactive one
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required_unless_present_any = ["build", "tests"]
    )]
    command: Vec<OsString>,
}

/// See the module.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    let mut words = Vec::new();
    for word in &options.command {
        words.push(word.to_str().ok_or("the command is not UTF-8")?);
    }
    // The shell's own `test` does nothing that anybody would start a machine for.
    let tests = options.tests || words.first() == Some(&"test");
    if tests && !options.tests {
        words.remove(0);
    }
    let line = if tests { tests::script(&words) } else { words.join(" ") };
    let shell = line == "shell";

    let workshop = workshop::get(options.renew)?;
    let mounts = Mounts::new()?;
    mounts.kernel(workshop.path())?;
    let image = Image::get(&workshop, &mounts, options.renew)?;
    let parts = project::target().join("vm/parts");
    if !options.no_build {
        let rooms = Rooms::get(&workshop, &image, options.renew)?;
        rooms.build(&mounts, &image, &parts, tests)?;
    }
    if options.build {
        println!("{}", parts.display());
        return Ok(ExitCode::SUCCESS);
    }

    let task = if shell { Task::Shell } else { Task::Run(&line) };
    let limit = match options.time_limit {
        Some(seconds) => Duration::from_secs(seconds),
        None if shell || tests => Duration::MAX,
        None => Duration::from_secs(600),
    };
    let machine = Machine { workshop: &workshop, mounts: &mounts, parts: &parts };
    let outcome = machine.run(&task, limit)?;
    command::report(&outcome, false);
    if tests {
        return Ok(tests::summary(&outcome));
    }
    Ok(ExitCode::from(outcome.code()))
}
