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
    let from = root().join(part);
    let mut list = process::command("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let files = list.current_dir(&from).output().map_err(|e| format!("cannot run git: {e}"))?;
    if !files.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&files.stderr)));
    }
    for name in files.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = Path::new(OsStr::from_bytes(name));
        let (from, to) = (from.join(name), to.join(name));
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
