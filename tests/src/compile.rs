//! Clients and others that are written in C, compiled where the tests run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;

/// Compiles `sources` to a program with these libraries, as pkg-config names them.
pub fn c(sources: &[PathBuf], program: &Path, libraries: &[&str]) -> Result<(), String> {
    let mut flags = String::new();
    if !libraries.is_empty() {
        let mut ask = process::command("pkg-config");
        flags = run(ask.args(["--cflags", "--libs"]).args(libraries), Duration::from_secs(30))?;
    }
    let mut compile = process::command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compile.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
    compile.args(sources).arg("-o").arg(program).args(flags.split_whitespace());
    run(&mut compile, Duration::from_secs(120)).map(drop)
}

/// Compiles `source` to a shared library with this name for the dynamic linker.
pub fn shared(source: &Path, library: &Path, name: &str) -> Result<(), String> {
    let mut compile = process::command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compile.args(["-std=c11", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]);
    compile.arg(format!("-Wl,-soname,{name}")).arg(source).arg("-o").arg(library);
    run(&mut compile, Duration::from_secs(120)).map(drop)
}

fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let done = process::run(command, limit).map_err(|e| e.to_string())?;
    if done.status.success() { Ok(done.text()) } else { Err(done.log_tail(20)) }
}
