//! Running cargo on this project.

use std::process::Command;

use daedalus_tests::process;

use crate::project;

/// The cargo that runs us, in the project's folder.
pub fn command(subcommand: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::command(cargo);
    command.arg(subcommand).current_dir(project::root());
    command
}

/// Whether cargo has `subcommand` (rustfmt and clippy are optional components; what documents is a program of
/// its own).
pub fn has(subcommand: &str) -> bool {
    let mut asked = match subcommand {
        "doc" => process::command("rustdoc"),
        _ => command(subcommand),
    };
    asked.arg("--version").output().is_ok_and(|done| done.status.success())
}

/// Runs `command` with our own output; an error names it.
pub fn check(command: &mut Command) -> Result<(), String> {
    let name = describe(command);
    let status = command.status().map_err(|e| format!("cannot run {name}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})")) }
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    format!("cargo {}", words.join(" "))
}

/// Whether the system has a libdav1d that decodes everything right: then the bundled one is not needed.
fn system_dav1d() -> bool {
    let mut dav1d = pkg_config::Config::new();
    dav1d.atleast_version("1.3").cargo_metadata(false).env_metadata(false).print_system_libs(false);
    dav1d.probe("dav1d").is_ok()
}

/// The features to build the driver, or everything, with.
pub fn features() -> &'static [&'static str] {
    if system_dav1d() {
        &["--no-default-features", "--features", "daedalus-va-driver/embedded"]
    } else {
        &[]
    }
}

/// The features to build the daemon with.
pub fn daemon_features() -> &'static [&'static str] {
    if system_dav1d() { &["--no-default-features"] } else { &[] }
}
