//! Where the device is.

use std::fs;
use std::path::{Path, PathBuf};

/// The video device of the module.
pub fn video() -> Result<PathBuf, String> {
    named("daedalus")?.ok_or_else(|| "the module has no video device".to_owned())
}

/// The media device beside the video device.
pub fn media() -> Result<PathBuf, String> {
    let video = video()?;
    let name = video.file_name().and_then(|name| name.to_str()).ok_or("no name")?;
    let device = format!("/sys/class/video4linux/{name}/device");
    let entries = fs::read_dir(&device).map_err(|e| format!("{device}: {e}"))?;
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| name.starts_with("media"))
        .map(|name| Path::new("/dev").join(name))
        .ok_or_else(|| format!("{device} has no media device"))
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
