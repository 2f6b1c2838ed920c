//! `daedalusd`: the command line around the pump.

#![forbid(unsafe_code)]

mod arguments;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{CommandFactory, FromArgMatches};
use daedalus_daemon::{
    Error, Result,
    control::{About, Inherited, Server, Socket},
    device::{Capabilities, KernelDevice},
    dump::Dump,
    pump::Pump,
    sandbox,
};
use daedalus_engine as engine;
use daedalus_uapi::{
    Codec,
    control::{SOCKET, Sandbox, codec_name},
    protocol::{CODEC_AV1, CODEC_H264, CODEC_VP9},
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::{User, geteuid},
};

use arguments::{Arguments, Offered};

/// The largest frame in luma samples, in both directions; the VA-API driver has the same limit.
const MAX_SIZE: u32 = 16384;

fn codec(offered: Offered) -> (Codec, u32) {
    match offered {
        Offered::H264 => (Codec::H264, CODEC_H264),
        Offered::Vp9 => (Codec::Vp9, CODEC_VP9),
        Offered::Av1 => (Codec::Av1, CODEC_AV1),
    }
}

fn main() -> ExitCode {
    let command = Arguments::command().version(daedalus_version::TEXT);
    let command = command.mut_arg("log", |log| log.value_parser(daedalus_logging::check));
    let arguments = Arguments::from_arg_matches(&command.get_matches());
    let arguments = arguments.unwrap_or_else(|error| error.exit());
    let filter = match (arguments.verbose, &arguments.log) {
        (0, None) => daedalus_logging::asked_for(),
        (0, Some(filter)) => Some(filter.clone()),
        (1, _) => Some("debug".into()),
        _ => Some("trace".into()),
    };
    let options = daedalus_logging::Options {
        identifier: "daedalusd",
        plain: daedalus_logging::Plain::Target,
        fields: true,
    };
    daedalus_logging::start(filter.as_deref(), log::LevelFilter::Info, options);
    // A thread that panics tells the journal, too, and how bad it is.
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    let inherited = Inherited::take();
    let ended = stop_signals().and_then(|stop| {
        let ended = run(&arguments, inherited, stop.as_fd());
        let Err(error) = &ended else { return ended };
        log::error!("{error}");
        if is_early(error) && is_service() {
            daedalus_logging::settle();
            if is_told(stop.as_fd(), PAUSE) {
                return Ok(());
            }
        }
        ended
    });
    daedalus_logging::settle();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_lasting(&error) => ExitCode::from(LASTING),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The exit status by which `daedalusd.service` knows that there is no use in starting again: sysexits.h's EX_CONFIG.
const LASTING: u8 = 78;

/// Whether it stays as it is until somebody installs or configures something.
fn is_lasting(error: &Error) -> bool {
    matches!(error, Error::Version { .. } | Error::NoUser(_) | Error::NoCodec)
}

/// Whether it kept the daemon from beginning, and may pass.
fn is_early(error: &Error) -> bool {
    matches!(
        error,
        Error::NoDevice(_)
            | Error::Open(..)
            | Error::Busy(_)
            | Error::Permission(_)
            | Error::Socket(..)
            | Error::Sandbox(..)
    )
}

/// How long a daemon that could not begin stays under a service manager, which starts it again at once
/// (`RestartSec=` is for daemons that crash): ten attempts a second would drive all else out of the journal.
const PAUSE: Duration = Duration::from_secs(10);

/// How long the node may take to be free, and ours, under a service manager: udev gives it to its group a moment after
/// it is there, and the daemon before this one may be about to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a service manager has started this.
fn is_service() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Whether the daemon is told to end, within so long.
fn is_told(stop: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut fds = [PollFd::new(stop, PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
    poll(&mut fds, timeout).is_ok_and(|count| count > 0)
}

/// Becomes the daemon of the device, as soon as that can be.
fn attach(path: &Path, capabilities: Capabilities, stop: BorrowedFd<'_>) -> Result<KernelDevice> {
    let deadline = Instant::now() + if is_service() { PATIENCE } else { Duration::ZERO };
    loop {
        match KernelDevice::attach(path, capabilities) {
            Err(Error::Busy(_) | Error::Permission(_))
                if Instant::now() < deadline && !is_told(stop, Duration::from_millis(50)) => {}
            attached => return attached,
        }
    }
}

/// What is readable once the daemon is told to end.
fn stop_signals() -> Result<SignalFd> {
    // Before any thread starts, so that all have them blocked.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block().map_err(|e| Error::System("blocking signals", e.into()))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(&signals, flags).map_err(|e| Error::System("signalfd", e.into()))
}

fn run(arguments: &Arguments, inherited: Inherited, stop: BorrowedFd<'_>) -> Result<()> {
    allow_many_files();

    log::info!("daedalusd {}", daedalus_version::TEXT);
    let mut options = engine::Options::default();
    options.threads = arguments.threads.map_or(options.threads, usize::from);
    let codecs = usable(&arguments.codecs, &options)?;
    let dump = arguments.dump.as_deref().map(|path| at(path, Dump::open(path))).transpose()?;
    let user = arguments.user.as_deref().map(sandbox::user).transpose()?;
    // The engine decodes all of them with 8 and with 10 bits per sample.
    let bits = codecs.iter().fold(0, |bits, (_, bit)| bits | bit);
    let capabilities = Capabilities { codecs: bits, codecs_10bit: bits, max_size: MAX_SIZE };
    let device = attach(&arguments.device, capabilities, stop)?;
    let dump = arguments.dump.as_deref().zip(dump);
    let dump = dump.map(|(path, dump)| at(path, dump.begin())).transpose()?;
    let message_size = device.message_size();
    let pump = Pump::new(Arc::new(device), message_size, options, dump)?;
    // Who has the device also has the socket.
    let socket = socket(arguments, inherited, user.as_ref())?;
    let names: Vec<_> = codecs.iter().map(|(codec, _)| codec.to_string()).collect();
    log::info!("{}: ready to decode {}", arguments.device.display(), names.join(", "));
    if let Err(error) = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]) {
        log::warn!("telling the service manager: {error}");
    }
    let uid = user.as_ref().map_or_else(geteuid, |user| user.uid).as_raw();
    let sandbox = if arguments.no_sandbox {
        log::warn!("no sandbox: asked for");
        Sandbox { landlock: "none".into(), ..Sandbox::default() }
    } else {
        sandbox::enter_process(user.as_ref(), socket.as_ref().map(Socket::descriptor))?
    };
    let about = About {
        uid,
        device: arguments.device.display().to_string(),
        codecs: codecs.iter().map(|(codec, _)| codec_name(*codec).to_owned()).collect(),
        sandbox,
    };
    let server = socket.map(|socket| Server::start(socket, about, pump.watch())).transpose()?;
    pump.run(stop)?;
    drop(server);
    log::info!("end");
    Ok(())
}

/// The control socket. Somebody who did not ask for one can do without.
fn socket(
    arguments: &Arguments,
    inherited: Inherited,
    user: Option<&User>,
) -> Result<Option<Socket>> {
    if arguments.no_socket {
        return Ok(None);
    }
    let path = arguments.socket.clone().unwrap_or_else(default_socket);
    match Socket::open(inherited, &path, arguments.socket_mode, user) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if arguments.socket.is_some() => Err(error),
        Err(error) => {
            log::warn!("no control socket: {error}");
            Ok(None)
        }
    }
}

fn default_socket() -> PathBuf {
    // Of several folders, the first.
    let folders = std::env::var("RUNTIME_DIRECTORY").unwrap_or_default();
    match folders.split(':').next() {
        None | Some("") => SOCKET.into(),
        Some(folder) => Path::new(folder).join("control.sock"),
    }
}

/// The codecs for which there is a decoder, with their bits.
fn usable(wanted: &[Offered], options: &engine::Options) -> Result<Vec<(Codec, u32)>> {
    let mut usable = Vec::new();
    for (codec, bit) in wanted.iter().map(|offered| codec(*offered)) {
        match engine::Session::new(codec, options) {
            Ok(_) if !usable.contains(&(codec, bit)) => usable.push((codec, bit)),
            Ok(_) => {}
            Err(error) => log::warn!("not offering {codec}: {error}"),
        }
    }
    if usable.is_empty() { Err(Error::NoCodec) } else { Ok(usable) }
}

/// What comes of opening a file, with its name.
fn at<T>(path: &Path, opened: io::Result<T>) -> Result<T> {
    opened.map_err(|error| Error::Open(path.into(), error))
}

/// Each capture buffer of each session is an open file.
fn allow_many_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(errno) = raised {
        log::debug!("the limit of open files: {errno}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_does_not_start_again_after_what_lasts() {
        assert!(is_lasting(&Error::Version { module: 2, daemon: 1 }));
        assert!(is_lasting(&Error::NoCodec));
        assert!(!is_lasting(&Error::Gone));
        let unit = include_str!("../daedalusd.service");
        let named =
            unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
        assert!(named.split(' ').any(|status| status == LASTING.to_string()), "{named}");
    }
}
