//! Damaged streams on the kernel's device: client, daemon and module stay up, and pictures are exact again from
//! the next key frame on.

use std::time::Duration;

use daedalus_tests::damage::{self, Setting, Verdict};
use daedalus_tests::driver::Environment;
use daedalus_tests::kernel::{Daemon, Statistics};
use libtest_mimic::Failed;

use crate::Bed;

/// How many there are when nobody asks for more.
const COUNT: u64 = 30;

/// As many seeds as `DAEDALUS_DAMAGE` says: the first and their number.
pub fn of_streams(bed: &Bed) -> Result<(), Failed> {
    let asked = std::env::var("DAEDALUS_DAMAGE").unwrap_or_else(|_| format!("0 {COUNT}"));
    let seeds = asked.split_once(' ').and_then(|(first, count)| {
        let first: u64 = first.parse().ok()?;
        Some(first..first.checked_add(count.parse().ok()?)?)
    });
    let seeds = seeds.ok_or_else(|| format!("DAEDALUS_DAMAGE={asked}: not two numbers"))?;
    let daemon = Daemon::start(&bed.file("damage.log"), &[])?;
    let Environment { directory, display } = &bed.setting.environment;
    let setting = Setting {
        bases: damage::make_all(&bed.file("whole"))?,
        player: bed.player.clone(),
        environment: Environment { directory: directory.clone(), display: display.clone() },
        folder: bed.setting.scratch.clone(),
        limit: Duration::from_secs(120),
    };
    let (mut recovered, total) = (0, seeds.end - seeds.start);
    for (number, seed) in seeds.enumerate() {
        let trial = damage::run(&setting, seed, false)?;
        match trial.verdict {
            Verdict::Recovered => recovered += 1,
            Verdict::Neither | Verdict::Client => {}
            Verdict::Failed(why) => return Err(format!("{}\n{why}", trial.title).into()),
        }
        if number % 500 == 499 {
            println!("{} of {total} damaged streams", number + 1);
        }
    }
    println!(
        "{recovered} of {total} exact from the last key frame on, the others not in ffmpeg either"
    );
    Statistics::wait_for_idle()?;
    // It is the one that was started: it would have been missed otherwise.
    Ok(daemon.stop()?)
}
