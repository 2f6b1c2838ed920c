//! `daedalusctl` where no kernel module is needed. (What needs one: `kernel/doctor.rs`.)

mod bench;
mod doctor;
mod dump;
mod fake;
mod top;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(300);

/// A folder of a test's own.
fn scratch(name: &str) -> PathBuf {
    daedalus_tests::corpus::scratch(Path::new(env!("CARGO_TARGET_TMPDIR")), name).unwrap()
}
