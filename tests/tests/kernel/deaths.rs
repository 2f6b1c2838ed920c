//! Daemons and clients that are killed in the middle of their work.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::clients::{Client, Setting, gstreamer};
use daedalus_tests::kernel::{self, Daemon, Statistics};
use daedalus_tests::random::dice::Dice;
use daedalus_tests::stream::{Codec, Stream};
use libtest_mimic::Failed;

use crate::parameter::Parameter;
use crate::player::{self, Shown};
use crate::{Bed, film};

/// No client takes longer when nothing is wrong; with a daemon that dies it may not take much longer.
const LIMIT: Duration = Duration::from_secs(60);

/// The most requests that a client has under way at once.
pub const IN_FLIGHT: u32 = 16;

/// A film, and what it is without any death.
pub struct Film {
    pub stream: Stream,
    whole: Shown,
    takes: Duration,
}

/// The daemon is killed while libavcodec or GStreamer plays; a new one takes its place. The client ends by
/// itself, and a player that does not give up shows the right pictures from the next key frame on.
pub fn of_daemons(bed: &Bed) -> Result<(), Failed> {
    let rounds = if bed.full { 50 } else { 9 };
    // When a film is at which picture depends on the machine: further rounds, until one was hit in its middle.
    let most = 5 * rounds;
    let log = bed.file("deaths.log");
    // However long the next one takes.
    let _grace = Parameter::set("grace_ms", 60_000)?;
    let mut daemon = Daemon::start(&log, &[])?;
    let films = [Codec::H264, Codec::Vp9, Codec::Av1].map(|codec| whole(codec, bed));
    let films = films.into_iter().collect::<Result<Vec<Film>, String>>()?;
    let mut dice = Dice::new(20_261_124);
    let (mut hit, mut resumed) = (0, 0);
    let mut done = 0;
    for round in 0..most {
        if round >= rounds && resumed > 0 {
            break;
        }
        let film = &films[round % films.len()];
        let moment = part(&mut dice, film.takes);
        // GStreamer 1.22 has no AV1 on V4L2.
        let by_gstreamer = round / films.len() % 2 == 1 && film.stream.codec != Codec::Av1;
        daemon = thread::scope(|scope| {
            let client = scope.spawn(|| {
                if by_gstreamer { gstreamer_ends(film, bed) } else { player_resumes(film, bed) }
            });
            thread::sleep(moment);
            daemon.kill()?;
            let next = Daemon::start(&log, &[])?;
            let outcome = client.join().expect("no panic")?;
            hit += usize::from(outcome.lost > 0);
            resumed += usize::from(outcome.lost > 0 && outcome.resumed);
            println!("{round}: {}: after {moment:?}: {outcome:?}", film.stream.name);
            Ok::<_, String>(next)
        })
        .map_err(|why| format!("round {round}, {}, after {moment:?}: {why}", film.stream.name))?;
        Statistics::wait_for_idle()?;
        done += 1;
    }
    println!("{done} daemons killed: {hit} films lost pictures, {resumed} went on after that");
    // And now without interruption.
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        whole(codec, bed)?;
    }
    daemon.stop()?;
    // A run in which nobody was hit proves nothing.
    if resumed == 0 { Err("no film was hit in the middle".into()) } else { Ok(()) }
}

/// Plays a film without interruption, which has to be right.
pub fn whole(codec: Codec, bed: &Bed) -> Result<Film, String> {
    let stream = film::make(bed, codec, 100)?;
    let started = Instant::now();
    let (whole, log) = player::play(&stream, bed, LIMIT)?;
    let takes = started.elapsed();
    // The player's numbers are those of packets; in output order they are the frames.
    let right = stream.frames.iter().filter(|frame| {
        whole.values().any(|shown| shown.as_ref().is_some_and(|md5| *md5 == frame.md5))
    });
    let (right, frames) = (right.count(), stream.frames.len());
    if right != frames || whole.len() != frames || !whole.values().all(Option::is_some) {
        return Err(format!("{}: {right} of {frames} frames are right: {log}", stream.name));
    }
    Ok(Film { stream, whole, takes })
}

/// Some part of a time.
fn part(dice: &mut Dice, whole: Duration) -> Duration {
    whole * dice.range(0..=1000) / 1000
}

/// What became of a film whose daemon died.
#[derive(Debug)]
struct Outcome {
    /// Pictures that did not come, or not as they should.
    lost: usize,
    /// Whether right ones followed.
    resumed: bool,
}

impl Film {
    /// The numbers of the pictures that were not shown as they should.
    pub fn lost(&self, shown: &Shown) -> Vec<u32> {
        let is_lost = |(number, md5): &(&u32, &Option<String>)| shown.get(number) != Some(md5);
        self.whole.iter().filter(is_lost).map(|(number, _)| *number).collect()
    }
}

/// What is lost is what was under way and what refers to it, up to the next key frame.
fn player_resumes(film: &Film, bed: &Bed) -> Result<Outcome, String> {
    let (shown, log) = player::play(&film.stream, bed, LIMIT)?;
    let lost = film.lost(&shown);
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else {
        return Ok(Outcome { lost: 0, resumed: true });
    };
    if last - first >= 2 * film::KEY as u32 + IN_FLIGHT {
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        return Err(format!("pictures {first} to {last} are lost: {}", tail.join("\n")));
    }
    Ok(Outcome { lost: lost.len(), resumed: (*last as usize) < film.whole.len() - 1 })
}

/// gst-launch-1.0 ends with an error at the first frame that fails, or passes over it. It must end.
fn gstreamer_ends(film: &Film, bed: &Bed) -> Result<Outcome, String> {
    let setting = Setting { limit: LIMIT, ..bed.setting.clone() };
    match Client::GstreamerV4l2.decode(&film.stream, &setting) {
        Ok(got) => {
            let expected = &film.stream.frames;
            let wrong = expected.iter().filter(|frame| !got.contains(&frame.md5)).count();
            let resumed = got.last() == expected.last().map(|frame| &frame.md5);
            Ok(Outcome { lost: wrong, resumed })
        }
        Err(failure) if failure.hung() => Err(failure.to_string()),
        Err(_) => Ok(Outcome { lost: 1, resumed: false }),
    }
}

/// Clients are killed at any moment; nothing of them stays behind.
pub fn of_clients(bed: &Bed) -> Result<(), Failed> {
    let rounds = if bed.full { 200 } else { 20 };
    let daemon = Daemon::start(&bed.file("clients.log"), &[])?;
    let Film { stream, takes, .. } = whole(Codec::H264, bed)?;
    // Warm: caches that grow once have grown.
    for _ in 0..5 {
        killed(&stream, bed, takes / 2, false)?;
    }
    let before = Held::now(&daemon)?;
    let mut dice = Dice::new(20_261_125);
    for round in 0..rounds {
        killed(&stream, bed, part(&mut dice, takes), round % 2 == 1)
            .map_err(|why| format!("round {round}: {why}"))?;
    }
    // The daemon lets go of a session after the module has told it.
    let started = Instant::now();
    loop {
        let after = Held::now(&daemon)?;
        let verdict = before.compare(&after);
        if verdict.is_ok() || started.elapsed() > LIMIT {
            println!("{rounds} clients killed: before {before:?}, after {after:?}");
            break verdict?;
        }
    }
    // The daemon is as good as new.
    whole(Codec::H264, bed)?;
    Ok(daemon.stop()?)
}

/// Starts a client and kills it after `moment`.
fn killed(stream: &Stream, bed: &Bed, moment: Duration, v4l2: bool) -> Result<(), String> {
    let mut command = if v4l2 {
        let mut command = gstreamer::command(Client::GstreamerV4l2, stream, &bed.setting);
        command.args(["!", "fakesink"]);
        command
    } else {
        player::command(stream, bed)
    };
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = command.spawn().map_err(|e| format!("cannot start a client: {e}"))?;
    thread::sleep(moment);
    client.kill().map_err(|e| format!("killing a client: {e}"))?;
    client.wait().map_err(|e| format!("a client: {e}"))?;
    Statistics::wait_for_idle().map(drop)
}

/// What can leak.
#[derive(Debug)]
struct Held {
    /// File descriptors of the daemon.
    files: usize,
    /// Mappings of the daemon.
    mappings: usize,
    /// dma-bufs in the whole system.
    buffers: usize,
    /// Kernel memory in KiB.
    slab: usize,
}

impl Held {
    fn now(daemon: &Daemon) -> Result<Held, String> {
        Statistics::wait_for_idle()?;
        thread::sleep(Duration::from_millis(300));
        let process = format!("/proc/{}", daemon.id());
        let read = |path: String| fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"));
        let files = fs::read_dir(format!("{process}/fd")).map_err(|e| e.to_string())?.count();
        let mappings = read(format!("{process}/maps"))?.lines().count();
        let slab = read("/proc/meminfo".into())?;
        let slab = slab
            .lines()
            .find_map(|line| line.strip_prefix("Slab:")?.split_whitespace().next()?.parse().ok());
        Ok(Held {
            files,
            mappings,
            buffers: kernel::dma_bufs()?,
            slab: slab.ok_or("meminfo has no Slab")?,
        })
    }

    /// The same, but for caches of the kernel, which may keep something for a while.
    fn compare(&self, after: &Held) -> Result<(), String> {
        if after.files > self.files || after.buffers > self.buffers {
            return Err(format!("leaked: {self:?} became {after:?}"));
        }
        if after.mappings > self.mappings + 40 || after.slab > self.slab + 16 * 1024 {
            return Err(format!("grows: {self:?} became {after:?}"));
        }
        Ok(())
    }
}
