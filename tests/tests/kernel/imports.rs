//! Memory that clients bring: what is wrong with it is said, and nothing of it stays.

use std::path::Path;
use std::time::Duration;

use daedalus_tests::kernel::{Statistics, dma_bufs};
use daedalus_tests::{compile, process};
use libtest_mimic::Failed;

use crate::{Bed, device};

/// What `importer.c` says: lengths of a plane in bytes, and what became of them. The memory has 65,536, which a queue here wants.
const EXPECTED: &str = "69632 EINVAL\n4294967295 EINVAL\n61440 EINVAL\n65536 none\n";

/// videobuf2 alone forgets the dma-buf of a plane that is longer than it; it would stay for ever.
pub fn of_wrong_lengths(bed: &Bed) -> Result<(), Failed> {
    let program = bed.file("importer");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/importer.c");
    compile::c(&[source], &program, &[])?;
    let before = dma_bufs()?;
    let mut command = process::command(&program);
    command.arg(device::video()?);
    let done = process::run(&mut command, Duration::from_secs(30)).map_err(|e| e.to_string())?;
    if !done.status.success() || done.text() != EXPECTED {
        return Err(format!("{}:\n{}{}", done.ending(), done.text(), done.log_tail(5)).into());
    }
    Statistics::wait_for_idle()?;
    let after = dma_bufs()?;
    if after != before {
        return Err(format!("{before} dma-bufs before, {after} after").into());
    }
    Ok(())
}
