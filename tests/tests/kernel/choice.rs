//! Where the driver decodes when it may choose: `DAEDALUS_DEVICE=auto`.

use std::process::Command;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::stream::{Codec, Stream};
use daedalus_tests::{frames, process};
use libtest_mimic::Failed;

use crate::parameter::Parameter;
use crate::{Bed, film};

/// With a daemon pictures are the kernel device's, without one the program's own; exact both times, and
/// the log says which and why.
pub fn of_the_device(bed: &Bed) -> Result<(), Failed> {
    let stream = film::make(bed, Codec::H264, 40)?;
    let daemon = Daemon::start(&bed.file("choice.log"), &[])?;
    let before = Statistics::read()?.completed;
    says(&decode(bed, &stream)?, "decoding on /dev/video")?;
    let with = Statistics::read()?.completed;
    if with < before + 40 {
        return Err(format!("the device has completed {} of 40 pictures", with - before).into());
    }
    daemon.stop()?;

    says(&decode(bed, &stream)?, "decoding in this process: /dev/video")?;
    let without = Statistics::wait_for_idle()?.completed;
    if without != with {
        return Err(format!("{} pictures without a daemon", without - with).into());
    }
    Ok(())
}

/// A user who may have no more of the device's memory decodes as if there were no device.
pub fn without_memory(bed: &Bed) -> Result<(), Failed> {
    let stream = film::make(bed, Codec::Vp9, 40)?;
    let daemon = Daemon::start(&bed.file("choice.log"), &[])?;
    let _limit = Parameter::set("memory_per_user", 0)?;
    let mut command = process::command("setpriv");
    bed.setting.environment.apply(&mut command);
    // Root without what lifts limits.
    command.args(["--bounding-set=-sys_resource", "ffmpeg", "-nostdin", "-v", "verbose"]);
    let log = decode_with(command, bed, &stream)?;
    // The device looked ready at first.
    match decisions(&log)[..] {
        [_, line] if line.contains("in this process: setting up the device") => {}
        ref lines => return Err(format!("not a device, then this process: {lines:?}").into()),
    }
    Statistics::wait_for_idle()?;
    Ok(daemon.stop()?)
}

/// Decodes exactly; the log.
fn decode(bed: &Bed, stream: &Stream) -> Result<String, String> {
    decode_with(ffmpeg::command(&bed.setting.environment), bed, stream)
}

fn decode_with(mut command: Command, bed: &Bed, stream: &Stream) -> Result<String, String> {
    command.env("DAEDALUS_DEVICE", "auto").env("DAEDALUS_LOG", "info");
    command.args(ffmpeg::input(stream.codec)).arg("-i").arg(&stream.path);
    command.args(["-vf", &Fetch::Download.filter(stream.layout)]).args(ffmpeg::FRAME_MD5S);
    let done = process::run(&mut command, bed.setting.limit).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("{}: {}", done.ending(), done.log_tail(25)));
    }
    match frames::compare(&stream.frames, &frames::parse_framemd5(&done.text())) {
        None => Ok(done.log),
        Some(difference) => Err(difference.to_string()),
    }
}

/// One line of the log says where pictures are decoded, and it is this one.
fn says(log: &str, what: &str) -> Result<(), String> {
    match decisions(log)[..] {
        [line] if line.contains(what) => Ok(()),
        ref lines => Err(format!("not one line with {what:?}: {lines:?}")),
    }
}

/// What the log says of where pictures are decoded.
fn decisions(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("daedalus: info: decoding")).collect()
}
