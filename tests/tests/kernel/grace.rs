//! Requests without a daemon: they wait for one, and not for ever.

use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::clients::Client;
use daedalus_tests::frames;
use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::stream::Codec;
use libtest_mimic::Failed;

use crate::parameter::Parameter;
use crate::{Bed, film, player};

/// A daemon that comes in time decodes what has been waiting, from the first frame on.
pub fn requests_wait_for_a_daemon(bed: &Bed) -> Result<(), Failed> {
    let stream = film::make(bed, Codec::H264, 60)?;
    let log = bed.file("grace.log");
    Daemon::start(&log, &[])?.stop()?;
    let _grace = Parameter::set("grace_ms", 60_000)?;
    let got = thread::scope(|scope| {
        let client = scope.spawn(|| Client::GstreamerV4l2.decode(&stream, &bed.setting));
        // It has its buffers, and queues the first of them while the daemon starts. (GStreamer itself waits for a second
        // at the most.)
        while Statistics::read()?.buffers == 0 {
            if client.is_finished() {
                return Err(format!("the client did not wait: {:?}", client.join()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        let daemon = Daemon::start(&log, &[])?;
        let got = client.join().expect("no panic").map_err(|failure| failure.to_string())?;
        daemon.stop()?;
        Ok(got)
    })?;
    match frames::compare(&stream.frames, &got) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string().into()),
    }
}

/// Without one the client is told of every picture, soon. (GStreamer 1.22 does not listen: its H.264 decoder
/// takes no notice of V4L2_BUF_FLAG_ERROR.)
pub fn requests_fail_when_none_comes(bed: &Bed) -> Result<(), Failed> {
    let stream = film::make(bed, Codec::H264, 60)?;
    Daemon::start(&bed.file("grace.log"), &[])?.stop()?;
    let _grace = Parameter::set("grace_ms", 300)?;
    let started = Instant::now();
    let (shown, log) = player::play(&stream, bed, Duration::from_secs(60))?;
    println!("told of {} pictures within {:?}", shown.len(), started.elapsed());
    let decoded = shown.values().flatten().count();
    if shown.is_empty() || decoded != 0 {
        return Err(format!(
            "{decoded} of {} pictures, although nobody decodes: {log}",
            shown.len()
        )
        .into());
    }
    Ok(())
}
