//! Watching a daemon at work: numbers, requests, who may see them, and that watching disturbs nothing.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use daedalus_tests::clients::ffmpeg;
use daedalus_tests::kernel::Daemon;
use daedalus_tests::stream::Codec;
use daedalus_tests::{ctl, frames, process};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::{Bed, film};

const FRAMES: usize = 60;

/// What the tool says, to whom.
fn ctl(bed: &Bed, user: u32, arguments: &[&str]) -> Result<process::Finished, String> {
    let mut command = ctl::command()?;
    command.args(arguments);
    if user != 0 {
        command.uid(user).gid(user);
    }
    process::run(&mut command, bed.setting.limit).map_err(|e| e.to_string())
}

/// The daemon's part of `status`.
fn status(bed: &Bed) -> Result<Value, String> {
    let done = ctl(bed, 0, &["status", "--json"])?;
    let report: Value =
        serde_json::from_slice(&done.stdout).map_err(|e| format!("{e}: {}", done.text()))?;
    match &report["facts"]["daemon"]["answer"]["status"] {
        Value::Null => Err(format!("no status: {report:#}")),
        status => Ok(status.clone()),
    }
}

fn wants(what: &str, is: bool, of: &dyn std::fmt::Debug) -> Result<(), String> {
    if is { Ok(()) } else { Err(format!("{what}: {of:?}")) }
}

pub fn of_a_daemon_at_work(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("watching.log"), &["--socket-mode", "666"])?;
    let before = status(bed)?;
    wants("nothing yet", before["total"]["sessions"] == 0, &before)?;
    wants("its process", before["pid"] == daemon.id(), &before)?;
    wants("in its sandbox", before["sandbox"]["landlock"] == "full", &before)?;

    // A player that stops in the middle keeps its session.
    let stream = film::make(bed, Codec::H264, FRAMES)?;
    let mut player = playing(bed, &stream)?.spawn().map_err(|e| format!("ffmpeg: {e}"))?;
    let pid = player.id();
    let watched = watch(bed, pid);
    // Whatever came of it.
    let _ = player.kill();
    let _ = player.wait();
    watched?;

    // All that is left of it are numbers, when the daemon has read that it has gone.
    let started = Instant::now();
    let total = loop {
        let now = status(bed)?;
        let is_there = |session: &Value| session["pid"] == pid;
        if !now["sessions"].as_array().is_some_and(|all| all.iter().any(is_there)) {
            break now["total"].clone();
        }
        wants("its session ends", started.elapsed() < bed.setting.limit, &now)?;
    };
    wants("pictures are counted", total["done"].as_u64() > Some(0), &total)?;
    wants("none has failed", total["failed"] == 0, &total)?;
    let mut exact = decoding(bed, &stream);
    let done = process::run(&mut exact, bed.setting.limit).map_err(|e| e.to_string())?;
    if let Some(difference) = frames::compare(&stream.frames, &frames::parse_framemd5(&done.text()))
    {
        return Err(difference.to_string().into());
    }
    let after = status(bed)?["total"].clone();
    let more =
        after["done"].as_u64().zip(total["done"].as_u64()).map(|(after, before)| after - before);
    wants("each picture counts once", more == Some(FRAMES as u64), &(total, after))?;
    let metrics = ctl(bed, 0, &["metrics"])?.text();
    wants(
        "metrics",
        metrics.contains("daedalus_pictures_total{codec=\"h264\",outcome=\"done\"}"),
        &metrics,
    )?;
    Ok(daemon.stop()?)
}

/// ffmpeg on the kernel's device.
fn decoding(bed: &Bed, stream: &daedalus_tests::stream::Stream) -> Command {
    let mut command = ffmpeg::command(&bed.setting.environment);
    command.env("DAEDALUS_DEVICE", "kernel");
    command.args(ffmpeg::input(stream.codec)).arg("-i").arg(&stream.path);
    let download = ffmpeg::Fetch::Download.filter(stream.layout);
    command.args(["-vf", &download]).args(ffmpeg::FRAME_MD5S);
    command
}

/// ffmpeg that plays the stream again and again, in the time that it takes to watch it.
fn playing(bed: &Bed, stream: &daedalus_tests::stream::Stream) -> Result<Command, String> {
    let mut command = ffmpeg::command(&bed.setting.environment);
    command.env("DAEDALUS_DEVICE", "kernel").arg("-re").args(["-stream_loop", "-1"]);
    command.args(ffmpeg::input(stream.codec)).arg("-i").arg(&stream.path);
    let download = ffmpeg::Fetch::Download.filter(stream.layout);
    command.args(["-vf", &download, "-f", "null", "-"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// What is to be seen of a session of this process.
fn watch(bed: &Bed, pid: u32) -> Result<(), String> {
    let started = Instant::now();
    let session = loop {
        if started.elapsed() > bed.setting.limit {
            return Err(format!("process {pid} has no session: {}", status(bed)?));
        }
        let status = status(bed)?;
        let sessions = status["sessions"].as_array().cloned().unwrap_or_default();
        let ours = sessions.into_iter().find(|session| session["pid"] == pid);
        if let Some(session) = ours.filter(|session| session["pictures"]["done"].as_u64() > Some(9))
        {
            break session;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    println!("{session}");
    let is = session["codec"] == "h264" && session["uid"] == 0 && session["depth"] == 8;
    wants("whose it is", is && session["width"].as_u64() > Some(0), &session)?;
    wants("how fast", session["fps"].as_f64() > Some(0.0), &session)?;
    wants("for how long", session["decode_max_ms"].as_f64() > Some(0.0), &session)?;

    let table = ctl(bed, 0, &["top", "--once"])?.text();
    println!("{table}");
    let client = format!("ffmpeg ({pid})");
    let row = table.lines().find(|line| line.contains(&client)).unwrap_or_default();
    wants("a row", row.contains(" root ") && row.contains(" h264 "), &table)?;

    let id = session["id"].to_string();
    let dump = ctl(bed, 0, &["dump", &id, "--count", "5"])?;
    let lines: Vec<Value> = dump.text().lines().flat_map(serde_json::from_str).collect();
    let are = lines.iter().all(|line| line["session"] == session["id"] && line["codec"] == "h264");
    wants("requests", lines.len() == 5 && are, &(dump.text(), &dump.log))?;
    // Others may look at numbers here, and at no requests.
    let denied = ctl(bed, 1002, &["dump", &id])?;
    let is = denied.status.code() == Some(1) && denied.log.contains("another user's");
    wants("what others may", is && denied.text().is_empty(), &denied)?;
    wants("numbers", ctl(bed, 1002, &["metrics"])?.status.success(), &"metrics")
}
