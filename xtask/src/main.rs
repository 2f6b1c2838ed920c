//! Everything a person runs. `./x` installs what is missing and comes here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bed;
mod bench;
mod build;
mod cargo;
mod conformance;
mod damage;
mod demo;
mod fresh;
mod fuzz;
mod kernel_tests;
mod kmod;
mod lint;
mod man;
mod mirror;
mod package;
mod progress;
mod project;
mod random;
mod root;
mod sheet;
mod soak;
mod summary;
mod table;
mod test;
mod threads;
mod timing;

/// A VA-API driver that decodes H.264, VP9 and AV1 in software.
#[derive(Parser)]
#[command(bin_name = "./x", arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decode files, or clips made for each codec, through VA-API and compare every frame with
    /// software decoding
    Demo {
        /// Video files; their first video stream is decoded
        files: Vec<PathBuf>,
    },
    /// Run all tests, or those whose name contains one of the filters
    Test(test::Options),
    /// Decode the streams of a catalogue or a folder through clients and say what became of each
    Conformance(conformance::Options),
    /// Encode what seeds draw (encoder, options, size, pictures), decode it through VA-API and compare
    /// every frame with software decoding
    Random(random::Arguments),
    /// Decode damaged streams: nothing crashes, hangs or leaks, and pictures are exact again from the next key
    /// frame on
    Damage(damage::Options),
    /// Measure Daedalus beside software decoding: throughput, processor time, latency, sessions, memory
    Bench(bench::Options),
    /// Decode streams with every number of decoder threads under random scheduling delays and compare
    /// every frame
    Threads(threads::Options),
    /// Have sessions open, seek and close for a long time, compare every picture, and see that nothing grows
    Soak(soak::Options),
    /// Look for inputs that break something, with libFuzzer and AddressSanitizer; without a target, list
    /// them
    Fuzz(fuzz::Options),
    /// Print the lines that make any program use the driver: eval "$(./x env)"
    Env,
    /// Build daedalus_drv_video.so, daedalusd and daedalusctl and say where they are
    Build {
        /// Optimised, without the checks of development builds
        #[arg(long)]
        release: bool,
    },
    /// Write the manual pages of daedalusctl and daedalusd, and their shell completions
    Man {
        /// The folder to write to: man/ and completions/ in there
        #[arg(default_value = "target/man")]
        folder: PathBuf,
    },
    /// Check the format, run clippy on all targets, and see that the documentation of the code builds
    Lint,
    /// Run a command in user-mode Linux: a kernel of our own, with the kernel module
    #[command(arg_required_else_help = true)]
    Uml(bed::command::Options),
    /// Run demo and test in a new, minimal Debian root below ~/.cache/daedalus (needs root)
    Fresh {
        /// Debian 12 or 13
        release: fresh::Release,
        /// What to run there instead
        what: Option<fresh::What>,
        /// Arguments for it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Build the kernel module against Debian's kernels, with the checks that the kernel's own authors
    /// use (needs root)
    Kmod {
        /// Parts of names of checks, such as `build`, `6.12` or `checkpatch`
        filters: Vec<String>,
        /// Make the roots with the headers anew, to get newer kernels
        #[arg(long)]
        renew: bool,
    },
    /// Build Debian packages for Debian 12 and 13, and test what becomes of machines that get them (needs root)
    Package(package::Options),
    /// Run a command in a Debian 13 of its own, with its stock kernel, in an emulated machine (needs root)
    Vm(bed::vm::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo { files } => demo::run(&files),
        Command::Test(options) => test::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Random(arguments) => random::run(&arguments),
        Command::Damage(options) => damage::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Threads(options) => threads::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Env => build::print_environment(),
        Command::Build { release } => build::run(release),
        Command::Man { folder } => man::run(&folder),
        Command::Lint => lint::run(),
        Command::Uml(options) => bed::command::run(&options),
        Command::Fresh { release, what, arguments } => fresh::run(release, what, &arguments),
        Command::Kmod { filters, renew } => kmod::run(&filters, renew),
        Command::Package(options) => package::run(&options),
        Command::Vm(options) => bed::vm::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(why) => {
            eprintln!("x: {why}");
            ExitCode::FAILURE
        }
    }
}
