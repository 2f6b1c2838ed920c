//! Streams whose device is lost in the middle go on at a key frame: in the client itself, if it may choose,
//! or with the next daemon.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::stream::Codec;
use libtest_mimic::Failed;

use crate::deaths::{self, Film};
use crate::parameter::Parameter;
use crate::player::{self, Shown};
use crate::{Bed, film};

/// More than the driver's own patience with a daemon that does not answer, and the film.
const LIMIT: Duration = Duration::from_secs(120);

/// Pictures after which something happens.
const SOME: u64 = 15;

const FRAMES: usize = 100;

/// What the driver says when a stream goes on.
const GOES_ON: &str = "a new session from this key frame on";

/// The daemon dies, and none follows: the rest of the stream is decoded in the client.
pub fn in_the_process(bed: &Bed) -> Result<(), Failed> {
    let _grace = Parameter::set("grace_ms", 300)?;
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        let (daemon, film) = start(bed, codec)?;
        let (shown, log) = disturb(film.player(bed, "auto", 10), move || daemon.kill())?;
        film.goes_on(&shown, &log)?;
        says(&log, "decoding in this process: /dev/video")?;
        Statistics::wait_for_idle()?;
    }
    Ok(())
}

/// The daemon hangs: as long as the driver waits for it nothing comes, but then it is not asked again.
pub fn from_silence(bed: &Bed) -> Result<(), Failed> {
    let (daemon, film) = start(bed, Codec::H264)?;
    let (shown, log) = disturb(film.player(bed, "auto", 10), || daemon.suspend())?;
    film.goes_on(&shown, &log)?;
    says(&log, "its daemon has failed")?;
    says(&log, "decoding in this process: /dev/video")?;
    daemon.kill()?;
    Statistics::wait_for_idle()?;
    Ok(())
}

/// Where there is nothing but the device, requests fail until the next daemon is there.
pub fn with_a_later_daemon(bed: &Bed) -> Result<(), Failed> {
    let _grace = Parameter::set("grace_ms", 300)?;
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        let (daemon, film) = start(bed, codec)?;
        let mut next = None;
        let (shown, log) = disturb(film.player(bed, "kernel", 60), || {
            let before = Statistics::read()?.failed;
            daemon.kill()?;
            wait_until("no request fails", |now| now.failed >= before + 5)?;
            next = Some(Daemon::start(&bed.file("recovery.log"), &[])?);
            Ok(())
        })?;
        film.ends_well(&shown, &log)?;
        if let Some(next) = next {
            next.stop()?;
        }
    }
    Ok(())
}

/// The same with a daemon that hangs: the stream's session has failed, and is replaced.
pub fn with_a_daemon_after_silence(bed: &Bed) -> Result<(), Failed> {
    let (daemon, film) = start(bed, Codec::H264)?;
    let mut next = None;
    let (shown, log) = disturb(film.player(bed, "kernel", 60), || {
        daemon.suspend()?;
        // The driver takes back what the daemon does not give.
        let before = Statistics::read()?.cancelled;
        wait_until("the driver waits for ever", |now| now.cancelled > before)?;
        daemon.kill()?;
        next = Some(Daemon::start(&bed.file("recovery.log"), &[])?);
        Ok(())
    })?;
    film.ends_well(&shown, &log)?;
    says(&log, GOES_ON)?;
    if let Some(next) = next {
        next.stop()?;
    }
    Ok(())
}

/// A daemon, and a film that it has decoded once without interruption.
fn start(bed: &Bed, codec: Codec) -> Result<(Daemon, Film), String> {
    let daemon = Daemon::start(&bed.file("recovery.log"), &[])?;
    Ok((daemon, deaths::whole(codec, bed)?))
}

/// Runs a player; `disturbance` happens when the device has decoded some pictures for it.
fn disturb(
    player: Command,
    disturbance: impl FnOnce() -> Result<(), String>,
) -> Result<(Shown, String), String> {
    let before = Statistics::wait_for_idle()?.completed;
    thread::scope(|scope| {
        let player = scope.spawn(|| player::end(player, LIMIT));
        wait_until("nothing is decoded", |now| now.completed >= before + SOME)?;
        if player.is_finished() {
            return Err("the player has ended already".into());
        }
        disturbance()?;
        player.join().expect("no panic")
    })
}

fn wait_until(otherwise: &str, reached: impl Fn(&Statistics) -> bool) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let now = Statistics::read()?;
        if reached(&now) {
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            return Err(format!("{otherwise}: {now:?}"));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn says(log: &str, what: &str) -> Result<(), String> {
    if log.contains(what) { Ok(()) } else { Err(format!("the log lacks {what:?}: {log}")) }
}

impl Film {
    /// A player on the device that is named, with a pause before each packet.
    fn player(&self, bed: &Bed, device: &str, milliseconds: u32) -> Command {
        let mut player = player::command(&self.stream, bed);
        player.env("DAEDALUS_DEVICE", device).arg(milliseconds.to_string());
        player
    }

    /// Only pictures of one moment are lost: all that follow the second key frame after it are right.
    fn goes_on(&self, shown: &Shown, log: &str) -> Result<(), String> {
        let lost = self.ends_well(shown, log)?;
        says(log, GOES_ON)?;
        let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return Ok(()) };
        if last - first >= 2 * film::KEY as u32 + deaths::IN_FLIGHT {
            return Err(format!("pictures {first} to {last} are lost: {log}"));
        }
        Ok(())
    }

    /// The pictures from the last key frame on are right. Those that are lost.
    fn ends_well(&self, shown: &Shown, log: &str) -> Result<Vec<u32>, String> {
        let lost = self.lost(shown);
        println!("{}: {} pictures lost: {lost:?}", self.stream.name, lost.len());
        match lost.last() {
            Some(last) if *last as usize >= FRAMES - film::KEY => {
                Err(format!("up to picture {last} all is lost: {log}"))
            }
            _ => Ok(lost),
        }
    }
}
