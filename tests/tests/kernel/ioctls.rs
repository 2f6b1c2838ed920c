//! How often the driver calls the kernel for a picture: counted with strace.

use std::time::Duration;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::kernel::Daemon;
use daedalus_tests::process;
use daedalus_tests::stream::Codec;
use libtest_mimic::Failed;

use crate::{Bed, film};

/// Two films that differ in length differ by what the pictures cost, whatever it costs to begin and end.
pub fn seven_for_each_picture(bed: &Bed) -> Result<(), Failed> {
    let daemon = Daemon::start(&bed.file("ioctls.log"), &[])?;
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        let (short, long) = (ioctls(bed, codec, 40)?, ioctls(bed, codec, 100)?);
        let each = (long as f64 - short as f64) / 60.0;
        println!("{}: {each:.2} ioctls for each picture", codec.name());
        if each > 7.0 {
            return Err(format!("{}: {each:.2} ioctls for each picture", codec.name()).into());
        }
    }
    Ok(daemon.stop()?)
}

/// The ioctls on the video device, the media device and requests while a film is decoded into surfaces.
fn ioctls(bed: &Bed, codec: Codec, frames: usize) -> Result<usize, String> {
    let stream = film::make(bed, codec, frames)?;
    let trace = bed.file("strace.log");
    let mut client = ffmpeg::command(&bed.setting.environment);
    client.args(ffmpeg::input(codec)).arg("-i").arg(&stream.path);
    client.args(["-vf", &Fetch::Download.filter(stream.layout)]).args(ffmpeg::FRAME_MD5S);
    let mut command = process::command("strace");
    command.args(["-f", "-qq", "-e", "trace=ioctl", "-o"]).arg(&trace);
    command.arg(client.get_program()).args(client.get_args());
    command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = process::run(&mut command, Duration::from_secs(300)).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("strace: {}: {}", done.ending(), done.log_tail(20)));
    }
    let text = std::fs::read_to_string(&trace).map_err(|e| format!("{}: {e}", trace.display()))?;
    let is_ours = |line: &&str| line.contains("VIDIOC_") || line.contains("MEDIA_");
    // Video ioctls are of type 'V', the media controller's and requests' of '|'.
    let by_number = |line: &&str| line.contains("_IOC(") && line.contains("0x7c");
    Ok(text.lines().filter(|line| is_ours(line) || by_number(line)).count())
}
