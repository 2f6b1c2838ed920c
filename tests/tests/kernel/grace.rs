//! Requests without a daemon: they wait for one, and not for ever.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::clients::Client;
use daedalus_tests::frames;
use daedalus_tests::kernel::Daemon;
use daedalus_tests::stream::Codec;
use libtest_mimic::Failed;

use crate::{Bed, film};

const PARAMETER: &str = "/sys/module/daedalus/parameters/grace_ms";

/// Sets the grace period, and sets it back.
struct Grace(String);

impl Grace {
    fn set(milliseconds: u32) -> Result<Grace, String> {
        let before = fs::read_to_string(PARAMETER).map_err(|e| format!("{PARAMETER}: {e}"))?;
        fs::write(PARAMETER, milliseconds.to_string()).map_err(|e| format!("{PARAMETER}: {e}"))?;
        Ok(Grace(before))
    }
}

impl Drop for Grace {
    fn drop(&mut self) {
        // The next test sets its own if it minds.
        let _ = fs::write(PARAMETER, self.0.trim());
    }
}

/// A daemon that comes in time decodes what has been waiting, from the first frame on.
pub fn requests_wait_for_a_daemon(bed: &Bed) -> Result<(), Failed> {
    let stream = film::make(bed, Codec::H264, 60)?;
    let log = bed.file("grace.log");
    Daemon::start(&log, &[])?.stop()?;
    let _grace = Grace::set(60_000)?;
    let got = thread::scope(|scope| {
        let client = scope.spawn(|| Client::GstreamerV4l2.decode(&stream, &bed.setting));
        thread::sleep(Duration::from_secs(1));
        if client.is_finished() {
            return Err(format!("the client did not wait: {:?}", client.join()));
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

/// Without one the client is told, soon.
pub fn requests_fail_when_none_comes(bed: &Bed) -> Result<(), Failed> {
    let stream = film::make(bed, Codec::H264, 60)?;
    Daemon::start(&bed.file("grace.log"), &[])?.stop()?;
    let _grace = Grace::set(300)?;
    let started = Instant::now();
    match Client::GstreamerV4l2.decode(&stream, &bed.setting) {
        Ok(got) => {
            let right = got.iter().zip(&stream.frames).filter(|(got, frame)| **got == frame.md5);
            let (right, got) = (right.count(), got.len());
            Err(format!("gives {got} frames, {right} of them right, although nobody decodes")
                .into())
        }
        Err(failure) if failure.hung() => Err(failure.to_string().into()),
        Err(failure) if failure.log().contains("Failed to decode frame") => {
            println!("told after {:?}", started.elapsed());
            Ok(())
        }
        Err(failure) => Err(format!("not told of a failed frame: {failure}").into()),
    }
}
