//! The command line. (`./x man` makes the manual page of it, so that nothing here knows the rest.)

use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};

/// Decodes what the V4L2 device of the Daedalus kernel module is asked for.
///
/// Runs in the foreground and logs to standard error, or to the journal where that is the journal, until it gets
/// SIGTERM or SIGINT. What clients have queued waits, for a while, for the next daemon.
///
/// The exit status is 0 then, 2 after a wrong command line, 78 where no restart helps (another version of the module's
/// protocol, no decoder, no user `--user`), and 1 for all else.
#[derive(Parser)]
#[command(name = "daedalusd", version)]
pub struct Arguments {
    /// The character device of the module
    #[arg(long, value_name = "FILE", default_value = "/dev/daedalus")]
    pub device: PathBuf,

    /// What to offer; what cannot be decoded here is left out
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "h264,vp9,av1")]
    pub codecs: Vec<Offered>,

    /// Decoder threads of each session (1 to 64) [default: as many as there are processors, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: Option<u8>,

    /// Write each request as one line of JSON; - is standard output, whose reader everybody waits for
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,

    /// Where to tell daedalusctl what goes on [default: control.sock in the service manager's
    /// RUNTIME_DIRECTORY, else /run/daedalusd/control.sock]
    ///
    /// A socket that the service manager passes (LISTEN_FDS) is used instead.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Who may look, as the mode of the socket; it is the daemon's user's and group's
    #[arg(long, value_name = "OCTAL", default_value = "660", value_parser = mode)]
    pub socket_mode: u32,

    /// Tell nobody what goes on
    #[arg(long, conflicts_with_all = ["socket", "socket_mode"])]
    pub no_socket: bool,

    /// The user to become once the device is open; for a daemon that is started as root
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Keep all rights, and do not limit system calls: for debuggers and profilers
    #[arg(long, conflicts_with = "user")]
    pub no_sandbox: bool,

    /// What to log: error, warn, info, debug or trace, or env_logger's syntax (daedalus_engine=debug)
    /// [default: what DAEDALUS_LOG says, else info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,

    /// Log more: once for debug, twice for trace
    #[arg(short, action = ArgAction::Count, conflicts_with = "log")]
    pub verbose: u8,
}

/// A codec by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Offered {
    /// H.264
    H264,
    /// VP9
    Vp9,
    /// AV1
    Av1,
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("no mode: 600, 660 and 666 are".into()),
    }
}
