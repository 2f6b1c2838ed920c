//! Random scheduling delays in a client and the driver inside it (`jitter/jitter.c`, compiled here).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;

/// Names the seed to the library; 0, or none, asks for no delays.
const SEED_VARIABLE: &str = "DAEDALUS_JITTER";

/// What the library says when a program under it ends.
const REPORT: &str = "jitter: seed ";

/// The compiled library.
#[derive(Clone, Debug)]
pub struct Jitter {
    library: PathBuf,
}

impl Jitter {
    /// Compiles the library into `folder` and sees that ffmpeg takes it.
    pub fn build(folder: &Path) -> Result<Jitter, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("jitter/jitter.c");
        let library = folder.join("jitter.so");
        let mut compile = process::command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compile.args(["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]);
        compile.args(["-fPIC", "-shared"]).arg(source).arg("-o").arg(&library).arg("-ldl");
        let done = run(&mut compile)?;
        if !done.status.success() {
            return Err(format!("jitter.c does not compile:\n{}", done.log_tail(20)));
        }
        let jitter = Jitter { library };
        let mut ask = process::command("ffmpeg");
        let done = run(jitter.apply(ask.arg("-version"), 1))?;
        if done.status.success() && jitter.was_at_work(&done.log) {
            Ok(jitter)
        } else {
            Err(format!("ffmpeg does not run with jitter.so:\n{}", done.log_tail(20)))
        }
    }

    /// Has `command` run with delays as `seed` draws them.
    pub fn apply<'c>(&self, command: &'c mut Command, seed: u64) -> &'c mut Command {
        command.env("LD_PRELOAD", &self.library).env(SEED_VARIABLE, seed.to_string())
    }

    /// Whether a program's log shows that it ran, to its end, with the library.
    pub fn was_at_work(&self, log: &str) -> bool {
        log.contains(REPORT)
    }
}

fn run(command: &mut Command) -> Result<process::Finished, String> {
    process::run(command, Duration::from_secs(120)).map_err(|e| e.to_string())
}
