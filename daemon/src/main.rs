//! `daedalusd`: the command line around the pump.

#![forbid(unsafe_code)]

use std::{
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{ArgAction, Parser, ValueEnum};
use daedalus_daemon::{
    Error, Result,
    device::{Capabilities, KernelDevice},
    dump::Dump,
    pump::Pump,
    sandbox,
};
use daedalus_engine as engine;
use daedalus_uapi::{
    Codec,
    protocol::{CODEC_AV1, CODEC_H264, CODEC_VP9},
};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

/// The largest frame in luma samples, in both directions; the VA-API driver has the same limit.
const MAX_SIZE: u32 = 16384;

/// Decodes what the V4L2 device of the Daedalus kernel module is asked for.
///
/// Runs in the foreground and logs to standard error until it gets SIGTERM or SIGINT. What clients have
/// queued waits, for a while, for the next daemon.
#[derive(Parser)]
#[command(name = "daedalusd", version)]
struct Arguments {
    /// The character device of the module
    #[arg(long, value_name = "FILE", default_value = "/dev/daedalus")]
    device: PathBuf,

    /// What to offer; what cannot be decoded here is left out
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "h264,vp9,av1")]
    codecs: Vec<Offered>,

    /// Decoder threads of each session (1 to 64) [default: as many as there are processors, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,

    /// Write each request as one line of JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,

    /// The user to become once the device is open; for a daemon that is started as root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Keep all rights, and do not limit system calls: for debuggers and profilers
    #[arg(long, conflicts_with = "user")]
    no_sandbox: bool,

    /// What to log: error, warn, info, debug or trace, or env_logger's syntax (daedalus_engine=debug)
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,

    /// Log more: once for debug, twice for trace
    #[arg(short, action = ArgAction::Count, conflicts_with = "log")]
    verbose: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Offered {
    H264,
    Vp9,
    Av1,
}

impl Offered {
    fn codec(self) -> (Codec, u32) {
        match self {
            Offered::H264 => (Codec::H264, CODEC_H264),
            Offered::Vp9 => (Codec::Vp9, CODEC_VP9),
            Offered::Av1 => (Codec::Av1, CODEC_AV1),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = match arguments.verbose {
        0 => &arguments.log,
        1 => "debug",
        _ => "trace",
    };
    env_logger::Builder::new().parse_filters(filter).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    // Before any thread starts, so that all have them blocked.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block().map_err(|e| Error::System("blocking signals", e.into()))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let stop =
        SignalFd::with_flags(&signals, flags).map_err(|e| Error::System("signalfd", e.into()))?;
    allow_many_files();

    let mut options = engine::Options::default();
    options.threads = arguments.threads.map_or(options.threads, usize::from);
    let (codecs, names) = usable(&arguments.codecs, &options)?;
    let dump = arguments.dump.as_deref().map(create_dump).transpose()?;
    let user = arguments.user.as_deref().map(sandbox::user).transpose()?;
    // The engine decodes all of them with 8 and with 10 bits per sample.
    let capabilities = Capabilities { codecs, codecs_10bit: codecs, max_size: MAX_SIZE };
    let device = KernelDevice::attach(&arguments.device, capabilities)?;
    let message_size = device.message_size();
    let pump = Pump::new(Arc::new(device), message_size, options, dump)?;
    log::info!("{}: ready to decode {names}", arguments.device.display());
    if let Err(error) = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]) {
        log::warn!("telling the service manager: {error}");
    }
    if arguments.no_sandbox {
        log::warn!("no sandbox: asked for");
    } else {
        sandbox::enter_process(user.as_ref())?;
    }
    pump.run(stop.as_fd())?;
    log::info!("end");
    Ok(())
}

/// The codecs for which there is a decoder: as bits, and in words.
fn usable(wanted: &[Offered], options: &engine::Options) -> Result<(u32, String)> {
    let mut bits = 0;
    let mut names = Vec::new();
    for (codec, bit) in wanted.iter().map(|offered| offered.codec()) {
        match engine::Session::new(codec, options) {
            Ok(_) if bits & bit == 0 => {
                bits |= bit;
                names.push(codec.to_string());
            }
            Ok(_) => {}
            Err(error) => log::warn!("not offering {codec}: {error}"),
        }
    }
    if bits == 0 { Err(Error::NoCodec) } else { Ok((bits, names.join(", "))) }
}

fn create_dump(path: &Path) -> Result<Dump> {
    Dump::create(path).map_err(|error| Error::Open(path.into(), error))
}

/// Each capture buffer of each session is an open file.
fn allow_many_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(errno) = raised {
        log::debug!("the limit of open files: {errno}");
    }
}
