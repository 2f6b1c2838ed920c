//! The command line. (`./x man` makes manual pages of it, so that nothing here knows the rest.)

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Looks after the Daedalus video decoder: the VA-API driver, the kernel module and its daemon.
#[derive(Parser)]
#[command(name = "daedalusctl", version, arg_required_else_help = true)]
pub struct Arguments {
    /// Where the daemon listens
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/daedalusd/control.sock")]
    pub socket: PathBuf,

    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Say what works and what does not: for each thing wrong what it is, and how to mend it
    ///
    /// Looks as the user who calls it, with his environment: LIBVA_DRIVERS_PATH, LIBVA_DRIVER_NAME,
    /// DAEDALUS_DEVICE. With DAEDALUS_DEVICE=embedded no kernel module is needed. The exit status is 0 if nothing is
    /// wrong, 1 if something is.
    Status(Status),
    /// Show what the daemon is decoding, again each second; q ends it
    Top(Top),
    /// Write the requests of a session as lines of JSON, for bug reports
    ///
    /// Only root, the daemon's own user and the session's user may: it shows what somebody watches. Lines that
    /// could not be written in time are left out; how many is said on standard error.
    Dump(Dump),
    /// Measure how many frames a second the driver decodes here, with ffmpeg
    Bench(Bench),
    /// Print the daemon's numbers in Prometheus' text format
    Metrics,
}

/// Of `status`.
#[derive(Args)]
pub struct Status {
    /// Print what was looked at and what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Of `top`.
#[derive(Args)]
pub struct Top {
    /// Print the table once and end, as is done where standard output is no terminal
    #[arg(long)]
    pub once: bool,

    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub interval: u16,
}

/// Of `dump`.
#[derive(Args)]
pub struct Dump {
    /// The number of the session, as `top` shows it
    pub session: u64,

    /// End after so many requests
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,

    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Of `bench`.
#[derive(Args)]
pub struct Bench {
    /// A video file; without one a clip of ten seconds is made (1280x720, H.264)
    pub file: Option<PathBuf>,
}
