//! Where things are.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use daedalus_tests::process;

/// The top of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the project")
}

/// The folder of build results: `CARGO_TARGET_DIR`, else `target/`.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Copies what git knows of the project's folder `part` (`""` is all of it) and what it would add, but no
/// build results, to the folder `to`.
pub fn copy(part: &str, to: &Path) -> Result<(), String> {
    copy_some(part, to, &["--cached", "--others"])
}

/// Copies what git knows of the project to the folder `to`: of work that is not committed what was changed and
/// added, and nothing that just lies about.
pub fn copy_known(to: &Path) -> Result<(), String> {
    for name in list("", &["--others"])? {
        eprintln!("x: left out, for git does not know it: {}", name.display());
    }
    copy_some("", to, &["--cached"])
}

fn copy_some(part: &str, to: &Path, which: &[&str]) -> Result<(), String> {
    let from = root().join(part);
    for name in list(part, which)? {
        let (from, to) = (from.join(&name), to.join(&name));
        // In the index, but deleted in the tree.
        if !from.exists() {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        fs::copy(&from, &to).map_err(|e| format!("{}: {e}", from.display()))?;
    }
    Ok(())
}

/// Files in the folder `part` that are not ignored, of the kinds `which` that `git ls-files` tells apart.
fn list(part: &str, which: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut list = process::command("git");
    list.args(["ls-files", "--exclude-standard", "-z"]).args(which).current_dir(root().join(part));
    let files = list.output().map_err(|e| format!("cannot run git: {e}"))?;
    if !files.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&files.stderr)));
    }
    let names = files.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
}
