//! A Debian root that may be spoilt: a kept one under a layer that goes with this process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use daedalus_tests::process;
use nix::mount::{MsFlags, mount};

use super::folder;
use crate::root::{self, Kept, Mounts, named};

/// The root, and what is written there.
pub struct Layer {
    path: PathBuf,
}

impl Layer {
    /// Puts an empty layer over `base`. The folder `share` is seen in it as `/packages`, read-only.
    pub fn over(mounts: &Mounts, base: &Kept, name: &str, share: &Path) -> Result<Self, String> {
        let here = folder().join("layers").join(name);
        if here.exists() {
            fs::remove_dir_all(&here).map_err(named(&here))?;
        }
        let [upper, work, path] = ["upper", "work", "root"].map(|inner| here.join(inner));
        for inner in [&upper, &work, &path] {
            fs::create_dir_all(inner).map_err(named(inner))?;
        }
        // The top of a root that others than root use.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&upper, open).map_err(named(&upper))?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            base.path().display(),
            upper.display(),
            work.display()
        );
        mount(Some("overlay"), &path, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .map_err(|e| format!("cannot mount a layer over {}: {e}", base.path().display()))?;
        // As on a machine: services must not be started, and devices are not this machine's.
        fs::create_dir_all(path.join("proc")).map_err(named(&path))?;
        mounts.kernel(&path)?;
        mounts.read_only(share, &path, "packages")?;
        root::copy_settings(&path)?;
        Ok(Self { path })
    }

    /// Runs lines of shell, which end at the first failure. Returns what they write to standard output.
    pub fn sh(&self, lines: &str, limit: Duration) -> Result<String, String> {
        let mut command = root::command(&self.path, "/", &["sh", "-euc", lines]);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        let done = process::run(&mut command, limit).map_err(|e| e.to_string())?;
        if done.status.success() {
            return Ok(done.text());
        }
        let said = done.text();
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        Err(format!("{tail}\n{}\nended with {}", done.log_tail(30), done.ending()))
    }
}
