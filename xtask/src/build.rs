//! Building the driver and putting it where libva finds it; building the daemon and its tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use daedalus_tests::driver;

use crate::{cargo, project};

/// How cargo optimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// With debug assertions and overflow checks.
    Dev,
    /// As people use it.
    Release,
}

/// Builds the driver and returns the folder that holds `daedalus_drv_video.so`.
pub fn driver(profile: Profile) -> Result<PathBuf, String> {
    let built = package("daedalus-va-driver", cargo::features(), profile)?;
    let folder = built.join("va");
    place(&built.join(format!("lib{}", driver::FILE)), &folder)?;
    Ok(folder)
}

/// Builds the daemon and returns its program.
pub fn daemon(profile: Profile) -> Result<PathBuf, String> {
    Ok(package("daedalus-daemon", cargo::daemon_features(), profile)?.join("daedalusd"))
}

/// Builds the tool for administrators and returns its program.
pub fn ctl(profile: Profile) -> Result<PathBuf, String> {
    Ok(package("daedalus-ctl", &[], profile)?.join("daedalusctl"))
}

/// Builds a package and returns the folder of what was built.
fn package(name: &str, features: &[&str], profile: Profile) -> Result<PathBuf, String> {
    let mut build = cargo::command("build");
    build.args(["--package", name]).args(features);
    let built = project::target().join(match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    });
    // Standard output belongs to our own caller (`./x env`); cargo reports on standard error.
    cargo::check(&mut build)?;
    Ok(built)
}

/// Copies the library under its driver name. A program that has the old one open keeps it: the new
/// file replaces the name, not the content.
fn place(library: &Path, folder: &Path) -> Result<(), String> {
    let here = |e: std::io::Error| format!("{}: {e}", folder.display());
    fs::create_dir_all(folder).map_err(here)?;
    let unfinished = folder.join(format!(".{}.{}", driver::FILE, std::process::id()));
    fs::copy(library, &unfinished).map_err(|e| format!("{}: {e}", library.display()))?;
    fs::rename(&unfinished, folder.join(driver::FILE)).map_err(here)
}

/// `./x build`: the driver's path is the first line.
pub fn run(release: bool) -> Result<ExitCode, String> {
    let profile = if release { Profile::Release } else { Profile::Dev };
    let folder = driver(profile)?;
    println!("{}", folder.join(driver::FILE).display());
    println!("{}", daemon(profile)?.display());
    println!("{}", ctl(profile)?.display());
    Ok(ExitCode::SUCCESS)
}

/// `./x env`: shell lines.
pub fn print_environment() -> Result<ExitCode, String> {
    let folder = driver(Profile::Release)?;
    let folder = folder.to_str().ok_or("the project's path is not UTF-8")?;
    println!("export LIBVA_DRIVER_NAME=daedalus");
    println!("export LIBVA_DRIVERS_PATH={}", quote(folder));
    Ok(ExitCode::SUCCESS)
}

/// One word for a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quoted_text_survives_a_shell() {
        for text in ["/plain", "/with space", "/it's $HOME `here`"] {
            let said = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
        }
    }
}
