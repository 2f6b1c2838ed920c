//! Where the driver under test is and how a program is told to use it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The file libva looks for when `LIBVA_DRIVER_NAME` is `daedalus`.
pub const FILE: &str = "daedalus_drv_video.so";

/// What [`vendor`](self::VENDOR) strings of the driver begin with; clients log it.
pub const VENDOR: &str = "Daedalus";

/// Names the driver's folder to the tests; else they take the one next to their own build.
pub const DIRECTORY_VARIABLE: &str = "DAEDALUS_DRIVER_DIR";

/// The environment in which a client reaches the driver.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The folder that holds [`FILE`].
    pub directory: PathBuf,
    /// The X display, as in `DISPLAY`.
    pub display: String,
}

impl Environment {
    /// Has `command` use the driver and nothing else.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("LIBVA_DRIVER_NAME", "daedalus")
            .env("LIBVA_DRIVERS_PATH", &self.directory)
            .env("DISPLAY", &self.display)
            .env_remove("WAYLAND_DISPLAY")
    }
}

/// The folder of the driver to test: [`DIRECTORY_VARIABLE`], else `va/` in the profile's folder of the
/// running executable (`target/debug/deps/clients-...` gives `target/debug/va`).
pub fn directory() -> Result<PathBuf, String> {
    let directory = match std::env::var_os(DIRECTORY_VARIABLE) {
        Some(directory) => PathBuf::from(directory),
        None => {
            let executable = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
            let profile = executable.ancestors().nth(2).unwrap_or(Path::new("/"));
            profile.join("va")
        }
    };
    if directory.join(FILE).is_file() {
        Ok(directory)
    } else {
        Err(format!(
            "no {FILE} in {}: run `./x test`, or `./x build` and then the tests",
            directory.display()
        ))
    }
}
