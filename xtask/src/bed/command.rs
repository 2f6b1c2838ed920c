//! `./x uml`: a command in user-mode Linux.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::kernel::{Flavour, Kernel, tail};
use super::module::Module;
use super::{Ending, Job, Outcome, compliance, selftest, uml};

/// What `./x uml` takes.
#[derive(Args)]
#[command(after_help = "\
The command runs as root in the project's folder, with this machine's files (writable!), but with
/tmp, /run, /dev and /dev/shm of its own, and without a terminal, a display and a network.
v4l2-compliance, v4l2-ctl and media-ctl are those of v4l-utils 1.30 or later there.

Its status is that of `./x uml`, unless the kernel complained: that is never a success.
124: the time limit passed; 125: the kernel died, or a module did not load or unload.
What came of it lies in target/uml/job-0: stdout, stderr, dmesg, console (of jobs that run
beside each other in job-1, job-2 ...).

  ./x uml uname -a
  ./x uml --module visl v4l2-compliance -d /dev/video0
  ./x uml --debug-kernel --module daedalus -- sh -c 'v4l2-ctl --all; dmesg | tail'
")]
pub struct Options {
    /// The kernel with KASAN, lockdep and other checks; slower
    #[arg(long)]
    debug_kernel: bool,
    /// Load a module first, and unload it afterwards: a file, `daedalus` (built now, from kmod/), or
    /// one of the kernel's own (visl, vim2m, vgem). With parameters: "visl visl_debug=1"
    #[arg(long, value_name = "NAME", value_parser = Module::parse)]
    module: Vec<Module>,
    /// Seconds that all of it may take [default: 300, and 900 with --debug-kernel]
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// Memory of the machine
    #[arg(long, default_value = "2G", value_parser = uml::is_memory)]
    memory: String,
    /// Also report memory that the kernel has lost (kmemleak: several times slower)
    #[arg(long, requires = "debug_kernel")]
    leaks: bool,
    /// Show what the kernel wrote to its log, at the end
    #[arg(long)]
    dmesg: bool,
    /// Only make the kernels (with --debug-kernel that one alone), and our modules
    #[arg(long, conflicts_with = "command")]
    build: bool,
    /// Check that the bed itself works
    #[arg(long, conflicts_with_all = ["command", "build"])]
    self_test: bool,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required_unless_present_any = ["build", "self_test"])]
    command: Vec<OsString>,
}

/// See the module.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    if options.build {
        return prepare(options.debug_kernel);
    }
    if options.self_test {
        return selftest::run(options.debug_kernel);
    }
    let flavour = if options.debug_kernel { Flavour::Debug } else { Flavour::Fast };
    let limit = options.time_limit.unwrap_or(if options.debug_kernel { 900 } else { 300 });
    let kernel = Kernel::get(flavour)?;
    let mut job = Job::new(&options.command);
    job.modules = options.module.clone();
    job.memory = options.memory.clone();
    job.limit = Duration::from_secs(limit);
    job.leaks = options.leaks;
    job.shown = true;
    job.find_programs_in(&compliance::programs()?);
    let outcome = uml::run(&kernel, &job)?;
    report(&outcome, options.dmesg);
    Ok(ExitCode::from(outcome.code()))
}

fn prepare(debug_only: bool) -> Result<ExitCode, String> {
    let flavours: &[Flavour] =
        if debug_only { &[Flavour::Debug] } else { &[Flavour::Fast, Flavour::Debug] };
    for flavour in flavours {
        let kernel = Kernel::get(*flavour)?;
        println!("{}: {} ({})", flavour.name(), kernel.build().display(), kernel.version());
        if super::module::exists() {
            println!("{}: {}", flavour.name(), super::module::build(&kernel)?.display());
        }
    }
    println!("v4l-utils: {}", compliance::programs()?.display());
    Ok(ExitCode::SUCCESS)
}

/// Says what went wrong, to standard error.
pub fn report(outcome: &Outcome, with_log: bool) {
    match outcome.ending {
        Ending::Status(_) if with_log => eprint!("{}", outcome.log),
        Ending::Status(_) | Ending::Interrupted => (),
        Ending::KernelDied => eprintln!("x: the end of the console:\n{}", tail(&outcome.log, 60)),
        Ending::TimedOut => {
            let (log, stacks) = outcome.log.split_once(uml::STACKS).unwrap_or((&outcome.log, ""));
            eprintln!("x: the end of the console:\n{}", tail(log, 20));
            if !stacks.is_empty() {
                eprintln!("x: the stacks of all tasks are in {}/console", outcome.folder.display());
            }
        }
    }
    for splat in &outcome.splats {
        eprintln!("x: the kernel says:\n{}\n", splat.text);
    }
    for complaint in outcome.complaints() {
        eprintln!("x: {complaint}");
    }
    let times = outcome.seconds.map_or(String::new(), |(booted, ended)| {
        format!("booted in {booted:.1} s, ran {:.1} s; ", ended - booted)
    });
    eprintln!("x: {times}see {}", outcome.folder.display());
}
