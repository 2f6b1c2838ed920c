//! Where the device is.

use std::fs;
use std::path::PathBuf;

/// The video device of the module.
pub fn video() -> Result<PathBuf, String> {
    let class = "/sys/class/video4linux";
    let entries = fs::read_dir(class).map_err(|e| format!("{class}: {e}"))?;
    let is_ours = |path: &PathBuf| {
        fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == "daedalus")
    };
    let node = entries.flatten().map(|entry| entry.path()).find(is_ours);
    let node = node.ok_or("the module has no video device")?;
    Ok(PathBuf::from("/dev").join(node.file_name().ok_or("a device without a name")?))
}
