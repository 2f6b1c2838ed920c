//! The VA-API client that is not written in Rust: `tests/c/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process;

/// Compiles it to `program`.
pub fn compile(program: &Path) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut sources: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    if sources.is_empty() {
        return Err(format!("no C source in {}", folder.display()));
    }
    let mut ask = process::command("pkg-config");
    ask.args(["--cflags", "--libs", "libva", "libva-x11", "x11"]);
    let flags = run(&mut ask, Duration::from_secs(30))?;
    let mut compile = process::command(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compile.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
    compile.args(&sources).arg("-o").arg(program).args(flags.split_whitespace());
    run(&mut compile, Duration::from_secs(120)).map(drop)
}

fn run(command: &mut std::process::Command, limit: Duration) -> Result<String, String> {
    let done = process::run(command, limit).map_err(|e| e.to_string())?;
    if done.status.success() { Ok(done.text()) } else { Err(done.log_tail(20)) }
}
