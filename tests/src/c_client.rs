//! The VA-API client that is not written in Rust: `tests/c/`.

use std::path::{Path, PathBuf};

use crate::compile;

/// Compiles it to `program`.
pub fn compile(program: &Path) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut sources: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    if sources.is_empty() {
        return Err(format!("no C source in {}", folder.display()));
    }
    compile::c(&sources, program, &["libva", "libva-x11", "x11"])
}
