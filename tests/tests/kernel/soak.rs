//! A minute of what `./x soak --transport kernel` does for as long as it is told.

use std::time::Duration;

use daedalus_tests::driver::Environment;
use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::soak::{self, Setting};
use libtest_mimic::Failed;

use crate::Bed;

pub fn of_sessions(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("soak.log"), &[])?;
    let folder = bed.file("soak");
    soak::prepare(&folder, &folder)?;
    let Environment { directory, display } = &bed.setting.environment;
    let setting = Setting {
        films: folder.clone(),
        folder,
        duration: Duration::from_secs(45),
        sessions: 3,
        seed: 8,
        environment: Environment { directory: directory.clone(), display: display.clone() },
    };
    let outcome = soak::run(&setting, Some(&daemon), |_| {})?;
    println!("{}", outcome.said);
    outcome.is_flat()?;
    Statistics::wait_for_idle()?;
    Ok(daemon.stop()?)
}
