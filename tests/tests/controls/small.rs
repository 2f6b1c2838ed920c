//! The small client of `tests/small_client`, for the streams that no installed client decodes: run with
//! [`ROLE`] set to a file, this program decodes it.

use std::path::Path;
use std::process::Command;

use daedalus_tests::driver::Environment;
use daedalus_tests::process;

// It also measures, which is not done here.
#[allow(dead_code)]
#[path = "../small_client/h264.rs"]
mod h264;
#[path = "../small_client/va.rs"]
mod va;

/// The environment variable that names a file to the small client.
pub const ROLE: &str = "DAEDALUS_SMALL_CLIENT_DECODES";

/// This program as the small client that decodes `file`.
pub fn command(file: &Path, environment: &Environment) -> Result<Command, String> {
    let mut command = process::command(std::env::current_exe().map_err(|e| e.to_string())?);
    environment.apply(&mut command).env(ROLE, file);
    Ok(command)
}

/// Decodes `file`; what comes out is another test's business.
pub fn decode(file: &Path) -> Result<(), String> {
    let stream = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let display = va::Display::open()?;
    eprintln!("small client: the driver is {}", display.vendor());
    h264::decode(display, &stream).map(|_| ())
}
