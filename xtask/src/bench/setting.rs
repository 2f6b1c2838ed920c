//! What every run needs: where the driver is, which transport it takes, how many threads there are.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clap::ValueEnum;
use daedalus_tests::driver::Environment;
use daedalus_tests::kernel::{self, Daemon};
use daedalus_tests::proc::{self, Used};

/// What decodes behind the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// The engine, in the client's process.
    Embedded,
    /// The kernel module and its daemon.
    Kernel,
}

impl Transport {
    /// As `DAEDALUS_DEVICE` has it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Embedded => "embedded",
            Transport::Kernel => kernel::TRANSPORT,
        }
    }

    /// Whether a client's log shows this transport.
    pub fn check(self, log: &str) -> Result<(), String> {
        if self == Transport::Kernel && !log.contains("decoding on ") {
            return Err(format!("nothing shows that the kernel's device was used:\n{log}"));
        }
        Ok(())
    }
}

/// What every run needs.
#[derive(Clone)]
pub struct Setting {
    /// The driver and the display.
    pub environment: Environment,
    /// What decodes.
    pub transport: Transport,
    /// The daemon, for the kernel's device.
    pub daemon: Option<Arc<Daemon>>,
    /// Threads of both sides.
    pub threads: usize,
    /// Pairs of runs per row.
    pub pairs: usize,
    /// The client of `tests/bench`.
    pub client: PathBuf,
    /// The client of `tests/tests/small_client`, for what libavcodec does not decode through VA-API.
    pub small_client: PathBuf,
}

impl Setting {
    /// Has `command` use the driver as is to be measured.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        self.environment.apply(command).env("DAEDALUS_DEVICE", self.transport.name());
        command.env("DAEDALUS_THREADS", self.threads.to_string());
        if self.transport == Transport::Kernel {
            // What decodes is said in the log and nowhere else.
            command.env("DAEDALUS_LOG", "info");
        }
        command
    }

    /// Does `work`, and says what the daemon used meanwhile.
    pub fn beside_daemon<T>(&self, work: impl FnOnce() -> T) -> (T, Option<Used>) {
        let daemon = self.daemon.as_deref().map(Daemon::id);
        let before = daemon.and_then(|pid| {
            proc::forget_peak(pid);
            proc::used(pid)
        });
        let value = work();
        let after = daemon.and_then(proc::used);
        let used = before.zip(after).map(|(before, after)| Used {
            processor: after.processor - before.processor,
            peak: after.peak,
        });
        (value, used)
    }
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn the_kernels_device_must_show() {
        assert!(Transport::Kernel.check("x: decoding on /dev/video0: asked for").is_ok());
        assert!(Transport::Kernel.check("x: decoding in this process").is_err());
        assert!(Transport::Embedded.check("").is_ok());
    }
}
