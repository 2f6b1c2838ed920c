//! Daemons and clients that are killed in the middle of their work.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::clients::{Client, Setting, ffmpeg, gstreamer};
use daedalus_tests::frames;
use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::process;
use daedalus_tests::random::dice::Dice;
use daedalus_tests::stream::{Codec, Stream};
use libtest_mimic::Failed;

use crate::{Bed, film};

/// No client takes longer when nothing is wrong; with a daemon that dies it may not take much longer.
const LIMIT: Duration = Duration::from_secs(60);

/// The most requests that a client has under way at once.
const IN_FLIGHT: usize = 16;

/// The daemon is killed while ffmpeg or GStreamer plays; a new one takes its place. The client ends by
/// itself, and what it gives from the next key frame on is right.
pub fn of_daemons(bed: &Bed) -> Result<(), Failed> {
    let rounds = if bed.full { 50 } else { 6 };
    let log = bed.file("deaths.log");
    let films = [Codec::H264, Codec::Vp9, Codec::Av1].map(|codec| film::make(bed, codec, 100));
    let films = films.into_iter().collect::<Result<Vec<Stream>, String>>()?;
    let mut daemon = Daemon::start(&log, &[])?;
    let whole: Vec<Duration> =
        films.iter().map(|stream| played(stream, bed)).collect::<Result<_, _>>()?;
    let mut dice = Dice::new(20_261_124);
    let (mut interrupted, mut resumed) = (0, 0);
    for round in 0..rounds {
        let number = round % films.len();
        let stream = &films[number];
        // What the client will have done by then is its own affair: any point of its life will do.
        let moment = part(&mut dice, whole[number]);
        let by_gstreamer = round % 2 == 1 && stream.codec != Codec::Av1;
        daemon = thread::scope(|scope| {
            let client = scope.spawn(|| {
                if by_gstreamer { gstreamer_ends(stream, bed) } else { ffmpeg_resumes(stream, bed) }
            });
            thread::sleep(moment);
            daemon.kill()?;
            let next = Daemon::start(&log, &[])?;
            let outcome = client.join().expect("no panic")?;
            interrupted += usize::from(outcome.lost > 0);
            resumed += usize::from(outcome.lost > 0 && outcome.resumed);
            Ok::<_, String>(next)
        })
        .map_err(|why| format!("round {round}, {}, after {moment:?}: {why}", stream.name))?;
        Statistics::wait_for_idle()?;
    }
    println!("{rounds} daemons killed: {interrupted} films lost frames, {resumed} went on after that");
    // And now without interruption.
    for stream in &films {
        played(stream, bed)?;
    }
    daemon.stop()?;
    // A run in which nobody was hit proves nothing.
    if interrupted == 0 { Err("no film was hit".into()) } else { Ok(()) }
}

/// Some part of a time.
fn part(dice: &mut Dice, whole: Duration) -> Duration {
    whole * dice.range(0..=1000) / 1000
}

/// What became of a film whose daemon died.
struct Outcome {
    /// Frames that did not come, or not as they should.
    lost: usize,
    /// Whether right frames followed.
    resumed: bool,
}

/// ffmpeg leaves frames out that fail and goes on. The frames lost are those of one group of pictures,
/// give or take: the decoder starts again at the next key frame.
fn ffmpeg_resumes(stream: &Stream, bed: &Bed) -> Result<Outcome, String> {
    let mut command = ffmpeg::one_by_one(stream, &bed.setting.environment);
    let done = process::run(&mut command, LIMIT).map_err(|e| e.to_string())?;
    if let Some(signal) = done.killed_by() {
        return Err(format!("ffmpeg was ended by {signal}: {}", done.log_tail(20)));
    }
    let got = numbered(&done.text());
    let right =
        |number: usize| got.get(&number).is_some_and(|md5| *md5 == stream.frames[number].md5);
    let lost: Vec<usize> = (0..stream.frames.len()).filter(|number| !right(*number)).collect();
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else {
        return Ok(Outcome { lost: 0, resumed: true });
    };
    // ffmpeg gives hardware decoding up if it fails as it begins: then software went on.
    let reach = 2 * film::KEY + IN_FLIGHT;
    if last - first >= reach {
        return Err(format!("frames {first} to {last} are lost: {}", done.log_tail(20)));
    }
    Ok(Outcome { lost: lost.len(), resumed: last + 1 < stream.frames.len() })
}

/// The lines of a framemd5 file by the number of the frame, which is its time.
fn numbered(text: &str) -> BTreeMap<usize, String> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let (time, duration) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        let number = usize::checked_div(time, duration)?;
        Some((number, (*fields.last()?).to_owned()))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
}

/// gst-launch-1.0 ends with an error at the first frame that fails. It must end.
fn gstreamer_ends(stream: &Stream, bed: &Bed) -> Result<Outcome, String> {
    let setting = Setting { limit: LIMIT, ..bed.setting.clone() };
    match Client::GstreamerV4l2.decode(stream, &setting) {
        Ok(got) => match frames::compare(&stream.frames, &got) {
            None => Ok(Outcome { lost: 0, resumed: true }),
            Some(difference) => Err(format!("GStreamer took it for right: {difference}")),
        },
        Err(failure) if failure.hung() => Err(failure.to_string()),
        Err(_) => Ok(Outcome { lost: 1, resumed: false }),
    }
}

/// Plays a film without interruption, exactly; how long that takes.
fn played(stream: &Stream, bed: &Bed) -> Result<Duration, String> {
    let started = Instant::now();
    let outcome = ffmpeg_resumes(stream, bed)?;
    match outcome.lost {
        0 => Ok(started.elapsed()),
        lost => Err(format!("{}: {lost} frames are lost without any death", stream.name)),
    }
}

/// Clients are killed at any moment; nothing of them stays behind.
pub fn of_clients(bed: &Bed) -> Result<(), Failed> {
    let rounds = if bed.full { 200 } else { 20 };
    let stream = film::make(bed, Codec::H264, 100)?;
    let daemon = Daemon::start(&bed.file("clients.log"), &[])?;
    let whole = played(&stream, bed)?;
    // Warm: caches that grow once have grown.
    for _ in 0..5 {
        killed(&stream, bed, whole / 2, false)?;
    }
    let before = Held::now(&daemon)?;
    let mut dice = Dice::new(20_261_125);
    for round in 0..rounds {
        killed(&stream, bed, part(&mut dice, whole), round % 2 == 1)
            .map_err(|why| format!("round {round}: {why}"))?;
    }
    let after = Held::now(&daemon)?;
    println!("{rounds} clients killed: before {before:?}, after {after:?}");
    before.compare(&after)?;
    // The daemon is as good as new.
    played(&stream, bed)?;
    Ok(daemon.stop()?)
}

/// Starts a client and kills it after `moment`.
fn killed(stream: &Stream, bed: &Bed, moment: Duration, v4l2: bool) -> Result<(), String> {
    let mut command = if v4l2 {
        let mut command = gstreamer::command(Client::GstreamerV4l2, stream, &bed.setting);
        command.args(["!", "fakesink"]);
        command
    } else {
        ffmpeg::one_by_one(stream, &bed.setting.environment)
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
        // The daemon lets go of a session after the module has told it.
        thread::sleep(Duration::from_millis(300));
        let process = format!("/proc/{}", daemon.id());
        let read = |path: String| fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"));
        let files = fs::read_dir(format!("{process}/fd")).map_err(|e| e.to_string())?.count();
        let mappings = read(format!("{process}/maps"))?.lines().count();
        let buffers = read("/sys/kernel/debug/dma_buf/bufinfo".into())?;
        let buffers = buffers.lines().find_map(|line| {
            line.strip_prefix("Total ")?.split_whitespace().next()?.parse().ok()
        });
        let slab = read("/proc/meminfo".into())?;
        let slab = slab.lines().find_map(|line| {
            line.strip_prefix("Slab:")?.split_whitespace().next()?.parse().ok()
        });
        Ok(Held {
            files,
            mappings,
            buffers: buffers.ok_or("bufinfo has no total")?,
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
