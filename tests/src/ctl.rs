//! `daedalusctl`, the tool for administrators.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// Names the tool to the tests; else they take the one next to their own build.
pub const VARIABLE: &str = "DAEDALUS_CTL";

/// The tool: [`VARIABLE`], else `daedalusctl` in the profile's folder of the running executable.
pub fn program() -> Result<PathBuf, String> {
    let program = match std::env::var_os(VARIABLE) {
        Some(program) => PathBuf::from(program),
        None => {
            let executable = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
            executable.ancestors().nth(2).unwrap_or(Path::new("/")).join("daedalusctl")
        }
    };
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("no {}: run `./x test`, or `./x build` and then the tests", program.display()))
    }
}

/// The tool, with nothing of this process's environment that it would tell about.
pub fn command() -> Result<Command, String> {
    let mut command = process::command(program()?);
    for name in
        ["LIBVA_DRIVERS_PATH", "LIBVA_DRIVER_NAME", "DAEDALUS_DEVICE", "DISPLAY", "WAYLAND_DISPLAY"]
    {
        command.env_remove(name);
    }
    Ok(command)
}
