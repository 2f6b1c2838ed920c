//! Random calls from several processes (`stress.c`), with a daemon that comes and goes: nothing gets stuck,
//! nothing is left over, and films are right again afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use daedalus_tests::kernel::{Daemon, Statistics, dma_bufs};
use daedalus_tests::random::dice::Dice;
use daedalus_tests::stream::Codec;
use daedalus_tests::{compile, process};
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::parameter::Parameter;
use crate::{Bed, deaths, device, module};

/// Processes that make calls at the same time.
const PROCESSES: u32 = 4;

/// Seconds of one round, with a seed of its own.
const ROUND: u64 = 10;

pub fn of_random_calls(bed: &Bed) -> Result<(), Failed> {
    let rounds = if bed.full { 30 } else { 2 };
    let program = bed.file("stress");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/stress.c");
    compile::c(&[source], &program, &[])?;
    let log = bed.file("stress.log");
    let before = dma_bufs()?;
    // User-mode Linux has little memory, and what is exported lives as long as its descriptor.
    let _memory = Parameter::set("memory_per_user", 64)?;
    let mut dice = Dice::new(20_261_128);
    for node in [device::video()?, device::media()?] {
        fs::set_permissions(&node, fs::Permissions::from_mode(0o666))
            .map_err(|e| format!("{}: {e}", node.display()))?;
    }
    for round in 0..rounds {
        let mut command = process::command(&program);
        command.arg((round * PROCESSES).to_string()).arg(ROUND.to_string());
        command.arg(PROCESSES.to_string()).arg(device::video()?).arg(device::media()?);
        let said = thread::scope(|scope| {
            let limit = Duration::from_secs(ROUND * 10);
            let calls = scope.spawn(move || process::run(&mut command, limit));
            let mut daemon = Daemon::start(&log, &[])?;
            while !calls.is_finished() {
                thread::sleep(Duration::from_millis(dice.range(50..=800).into()));
                daemon = disturb(daemon, &log, &mut dice)?;
            }
            daemon.stop()?;
            let done = calls.join().expect("no panic").map_err(|e| e.to_string())?;
            if done.status.success() { Ok(done.text()) } else { Err(done.log_tail(20)) }
        });
        let said = said.map_err(|why| format!("round {round}: {why}"))?;
        println!("{}", said.trim_end());
        Statistics::wait_for_idle()?;
    }
    let after = dma_bufs()?;
    if after > before {
        return Err(format!("{before} dma-bufs before, {after} after").into());
    }
    let daemon = Daemon::start(&log, &[])?;
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        deaths::whole(codec, bed)?;
    }
    Ok(daemon.stop()?)
}

/// Something that happens to daemons, and a try to unload the module, which is in use.
fn disturb(daemon: Daemon, log: &Path, dice: &mut Dice) -> Result<Daemon, String> {
    let signal = |signal| {
        let id = i32::try_from(daemon.id()).map_err(|e| e.to_string())?;
        kill(Pid::from_raw(id), signal).map_err(|e| format!("{signal}: {e}"))
    };
    match dice.range(0..=3) {
        0 => {
            daemon.kill()?;
            Daemon::start(log, &[])
        }
        1 => {
            signal(Signal::SIGSTOP)?;
            thread::sleep(Duration::from_millis(dice.range(10..=700).into()));
            signal(Signal::SIGCONT)?;
            Ok(daemon)
        }
        2 => {
            if module::rmmod()? {
                return Err("the module went while a daemon was attached".into());
            }
            Ok(daemon)
        }
        _ => Ok(daemon),
    }
}
