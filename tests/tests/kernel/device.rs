//! Where the device is.

use std::fs;
use std::path::{Path, PathBuf};

/// The video device of the module.
pub fn video() -> Result<PathBuf, String> {
    named("daedalus")?.ok_or_else(|| "the module has no video device".to_owned())
}

/// A device of the kernel's own that exports buffers of the single-planar API, which ours does not have.
pub fn exporter() -> Result<Option<PathBuf>, String> {
    named("vim2m")
}

/// The video device of a driver.
fn named(driver: &str) -> Result<Option<PathBuf>, String> {
    let class = "/sys/class/video4linux";
    let entries = fs::read_dir(class).map_err(|e| format!("{class}: {e}"))?;
    let is_it = |path: &PathBuf| {
        fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == driver)
    };
    let node = entries.flatten().map(|entry| entry.path()).find(is_it);
    Ok(node.and_then(|node| Some(Path::new("/dev").join(node.file_name()?))))
}
