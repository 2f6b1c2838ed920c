//! Surfaces that others have as dma-bufs: read through their descriptors alone, made and destroyed by the
//! thousand, and left behind by a client that dies. On the kernel's device and in the client itself.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use daedalus_tests::kernel::{Daemon, dma_bufs};
use daedalus_tests::stream::{Codec, Stream};
use daedalus_tests::{c_client, process};
use libtest_mimic::Failed;

use crate::{Bed, film};

/// Pictures that are read through descriptors of before the first.
const PICTURES: usize = 500;

const SURFACES: usize = 2000;

/// What memory may differ by in KiB: caches of the client's own.
const SLACK: i64 = 1024;

pub fn every_picture_on_the_device(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("sharing.log"), &[])?;
    every_picture(bed, "kernel")?;
    Ok(daemon.stop()?)
}

pub fn every_picture_in_the_process(bed: &Bed) -> Result<(), Failed> {
    Ok(every_picture(bed, "embedded")?)
}

/// Firefox' decoder process on a Raspberry Pi may open video devices, and none of those that give memory.
pub fn all_in_memory_of_the_device(bed: &Bed) -> Result<(), Failed> {
    let _hidden = Hidden::nodes(&["udmabuf", "dma_heap/system", "media0", "media1"])?;
    every_picture(bed, "embedded")?;
    Ok(churn(bed, "embedded")?)
}

/// On a PC it may open display devices alone.
pub fn all_in_memory_of_a_card(bed: &Bed) -> Result<(), Failed> {
    let nodes = ["udmabuf", "dma_heap/system", "media0", "media1", "video0", "video1"];
    let _hidden = Hidden::nodes(&nodes)?;
    let load = std::env::var("DAEDALUS_LOAD_VGEM")
        .map_err(|_| "DAEDALUS_LOAD_VGEM does not say how to load vgem")?;
    run(process::command("sh").args(["-c", &load]), MINUTE)?;
    let all = every_picture(bed, "embedded").and_then(|()| churn(bed, "embedded"));
    run(process::command("rmmod").arg("vgem"), MINUTE)?;
    Ok(all?)
}

pub fn nothing_piles_up_on_the_device(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("sharing.log"), &[])?;
    churn(bed, "kernel")?;
    abandon(bed, "kernel")?;
    Ok(daemon.stop()?)
}

pub fn nothing_piles_up_in_the_process(bed: &Bed) -> Result<(), Failed> {
    churn(bed, "embedded")?;
    Ok(abandon(bed, "embedded")?)
}

/// The C client sees each entry point for sharing succeed.
pub fn every_entry_point(bed: &Bed) -> Result<(), Failed> {
    let program = bed.file("c-client");
    c_client::compile(&program)?;
    let mut command = process::command(program);
    bed.setting.environment.apply(&mut command);
    command.env("DAEDALUS_DEVICE", "embedded").env("SHARING", "yes");
    run(&mut command, bed.setting.limit).map_err(|why| why.into()).map(drop)
}

/// All surfaces are exported before the first picture; [`PICTURES`] are read through these descriptors.
fn every_picture(bed: &Bed, device: &str) -> Result<(), String> {
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        let stream = film::make(bed, codec, 60)?;
        let mut command = command(bed, device)?;
        command.args(["play", codec.name()]).arg(&stream.path).arg(PICTURES.to_string());
        let got = run(&mut command, bed.setting.limit * 4)?;
        compare(&stream, &got).map_err(|why| format!("{codec:?}, {device}: {why}"))?;
    }
    Ok(())
}

/// The film again and again.
fn compare(stream: &Stream, got: &str) -> Result<(), String> {
    let got: Vec<&str> = got.lines().collect();
    if got.len() != PICTURES {
        return Err(format!("{} pictures of {PICTURES}", got.len()));
    }
    for (number, (frame, md5)) in stream.frames.iter().cycle().zip(got).enumerate() {
        if frame.md5 != md5 {
            return Err(format!("picture {number} is {md5}, expected {}", frame.md5));
        }
    }
    Ok(())
}

fn churn(bed: &Bed, device: &str) -> Result<(), String> {
    let buffers = dma_bufs()?;
    let mut command = command(bed, device)?;
    command.arg("churn").arg(SURFACES.to_string());
    let said = run(&mut command, bed.setting.limit * 4)?;
    let figures = |what: &str| -> Option<(i64, i64)> {
        let line = said.lines().find_map(|line| line.strip_prefix(what))?;
        let (before, after) = line.trim().split_once(' ')?;
        Some((before.parse().ok()?, after.parse().ok()?))
    };
    let (Some(descriptors), Some(memory)) = (figures("descriptors"), figures("memory")) else {
        return Err(format!("the client said:\n{said}"));
    };
    println!("{device}: {SURFACES} surfaces: descriptors {descriptors:?}, KiB {memory:?}");
    if descriptors.1 > descriptors.0 || memory.1 > memory.0 + SLACK {
        return Err(format!("descriptors {descriptors:?}, KiB {memory:?}"));
    }
    wait_for_dma_bufs(buffers)
}

/// A client that has 200 surfaces exported, and mapped, is killed.
fn abandon(bed: &Bed, device: &str) -> Result<(), String> {
    let before = (dma_bufs()?, available()?);
    for _ in 0..10 {
        let mut command = command(bed, device)?;
        command.args(["abandon", "200"]).stdout(Stdio::piped());
        let mut client = command.spawn().map_err(|e| format!("cannot start a client: {e}"))?;
        let mut said = String::new();
        let output = client.stdout.take().ok_or("no output")?;
        let read = BufReader::new(output).read_line(&mut said);
        let shared = dma_bufs()?;
        client.kill().map_err(|e| format!("killing a client: {e}"))?;
        client.wait().map_err(|e| format!("a client: {e}"))?;
        read.map_err(|e| e.to_string())?;
        if said.trim() != "ready" || shared < before.0 + 200 {
            return Err(format!("the client said {said:?}; {shared} dma-bufs"));
        }
        wait_for_dma_bufs(before.0)?;
    }
    let after = available()?;
    println!("{device}: ten clients killed: {} KiB available before, {after} after", before.1);
    // One client's 200 surfaces are 24 MiB.
    if after + 48 * 1024 < before.1 {
        return Err(format!("{} KiB were available before, {after} after", before.1));
    }
    Ok(())
}

/// The kernel frees what a process leaves behind a little later.
fn wait_for_dma_bufs(most: usize) -> Result<(), String> {
    let started = Instant::now();
    loop {
        match dma_bufs()? {
            count if count <= most => return Ok(()),
            count if started.elapsed() > Duration::from_secs(10) => {
                return Err(format!("{count} dma-bufs are left of {most}"));
            }
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Device nodes that have other names for a while.
struct Hidden(Vec<(PathBuf, PathBuf)>);

impl Hidden {
    /// Those of these, below /dev, that are there.
    fn nodes(names: &[&str]) -> Result<Hidden, String> {
        let mut hidden = Hidden(Vec::new());
        for (number, name) in names.iter().enumerate() {
            let (from, to) = (Path::new("/dev").join(name), format!("/dev/hidden-{number}").into());
            if from.exists() {
                fs::rename(&from, &to).map_err(|e| format!("{}: {e}", from.display()))?;
                hidden.0.push((from, to));
            }
        }
        Ok(hidden)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        for (from, to) in &self.0 {
            if let Err(why) = fs::rename(to, from) {
                eprintln!("{}: {why}", from.display());
            }
        }
    }
}

/// `MemAvailable` in KiB.
fn available() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|e| e.to_string())?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok()
        })
        .ok_or_else(|| "meminfo has no MemAvailable".to_owned())
}

/// The client of `sharer.c`, compiled if it is not yet.
fn command(bed: &Bed, device: &str) -> Result<Command, String> {
    let program = bed.file("sharer");
    if !program.is_file() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = ["tests/kernel/sharer.c", "bench/packets.c", "bench/process.c"]
            .map(|file| tests.join(file));
        crate::compile(&sources, &["libavcodec", "libavutil", "libva"], &program)?;
    }
    let mut command = process::command(program);
    bed.setting.environment.apply(&mut command);
    command.env("DAEDALUS_DEVICE", device);
    Ok(command)
}

const MINUTE: Duration = Duration::from_secs(60);

fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let done = process::run(command, limit).map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(done.text())
    } else {
        Err(format!("{}:\n{}\n{}", done.ending(), done.text(), done.log_tail(20)))
    }
}
