//! The clients of our own: `tests/bench`, compiled here, and the small client of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use daedalus_tests::process;

use super::clips::Clip;
use super::outcome::{Run, Said};
use super::setting::Setting;
use crate::kernel_tests::build_tests;
use crate::project;
use crate::root::named;

/// How long a run may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// Names a file to the small client, and how it is to go about it.
const ROLE: &str = "DAEDALUS_SMALL_CLIENT_DECODES";
const PACE: &str = "DAEDALUS_SMALL_CLIENT_PACE";

/// Where the client is, once it is built.
pub fn path() -> PathBuf {
    project::target().join("bench").join("client")
}

/// Compiles the client.
pub fn build() -> Result<PathBuf, String> {
    let folder = project::root().join("tests/bench");
    let sources = ["main.c", "packets.c", "process.c", "session.c"].map(|name| folder.join(name));
    let mut ask = process::command("pkg-config");
    ask.args(["--cflags", "--libs", "libavcodec", "libavutil", "libswscale", "libva"]);
    let libraries = say(&mut ask)?;
    let program = path();
    let parent = program.parent().expect("it lies in a folder");
    std::fs::create_dir_all(parent).map_err(named(parent))?;
    let mut compile = process::command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compile.args(["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-pthread"]);
    compile.args(["-Wall", "-Wextra", "-Werror"]).args(sources).arg("-o").arg(&program);
    compile.args(libraries.split_whitespace());
    say(&mut compile)?;
    Ok(program)
}

fn say(command: &mut Command) -> Result<String, String> {
    let done = process::run(command, Duration::from_secs(120)).map_err(|e| e.to_string())?;
    if done.status.success() { Ok(done.text()) } else { Err(done.log_tail(20)) }
}

/// Builds the small client, which is a test.
pub fn build_small() -> Result<PathBuf, String> {
    let built = build_tests(&["small_client"], &["--release"])?;
    let program = built.into_iter().next().map(|(_, program)| program);
    program.ok_or_else(|| "cargo did not build the small client".into())
}

/// What the client is to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Task {
    /// Through VA-API.
    pub va: bool,
    /// In software, also to NV12 or P010.
    pub convert: bool,
    /// Whether each picture is waited for before the next is sent.
    pub wait_each: bool,
    /// In software: threads of a decoder; one if zero.
    pub threads: u32,
    /// So many decoders at a time; one if zero.
    pub sessions: u32,
    /// So many times over; once if zero.
    pub loops: u32,
    /// Pictures between two looks at the memory; none if zero.
    pub sample: u32,
}

/// Has the client do it. It is an error if any frame is missing, or if somebody else than was asked decoded.
pub fn run(setting: &Setting, clip: &Clip, task: Task) -> Result<(Run, Said), String> {
    let mut command = process::command(&setting.client);
    let mut option = |name: &str, value: u32| {
        if value > 0 {
            command.args([name, &value.to_string()]);
        }
    };
    option("--threads", task.threads);
    option("--sessions", task.sessions);
    option("--loops", task.loops);
    option("--sample", task.sample);
    let flags = [("--va", task.va), ("--convert", task.convert), ("--wait-each", task.wait_each)];
    command.args(flags.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name));
    command.arg(clip.recipe.codec.name()).arg(&clip.file);
    let frames = u64::from(clip.extent.frames * task.loops.max(1));
    measured(setting, command, frames, task.va)
}

/// How the small client goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Pictures stay in their surfaces.
    Surfaces,
    /// Each is read.
    Download,
    /// Each is waited for before the next is sent.
    WaitEach,
}

/// Decodes a High 10 clip with the small client.
pub fn run_small(setting: &Setting, clip: &Clip, pace: Pace) -> Result<(Run, Said), String> {
    let mut command = process::command(&setting.small_client);
    command.env(ROLE, &clip.file).env(
        PACE,
        match pace {
            Pace::Surfaces => "surfaces",
            Pace::Download => "download",
            Pace::WaitEach => "wait-each",
        },
    );
    measured(setting, command, u64::from(clip.extent.frames), true)
}

fn measured(
    setting: &Setting,
    mut command: Command,
    frames: u64,
    va: bool,
) -> Result<(Run, Said), String> {
    setting.apply(&mut command);
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
    let (done, daemon) = setting.beside_daemon(|| process::run(&mut command, LIMIT));
    let done = done.map_err(|e| e.to_string())?;
    if !done.status.success() {
        let name = name.to_string_lossy();
        return Err(format!("{name} ended with {}:\n{}", done.ending(), done.log_tail(20)));
    }
    let said = Said::parse(&done.text())?;
    said.check(frames, va)?;
    if va {
        setting.transport.check(&done.log)?;
    }
    let all = said.sessions.iter().map(|(frames, ..)| frames).sum();
    Ok((Run::new(all, said.seconds, &done, daemon), said))
}
