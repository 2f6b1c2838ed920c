//! The elementary stream in a file, by ffmpeg without decoding.

use std::path::Path;
use std::time::Duration;

use daedalus_tests::clients::ffmpeg;
use daedalus_tests::process;

/// H.264 as an Annex B byte stream. Files may keep the parameter sets elsewhere, or begin in the middle of a
/// stream; `with_parameter_sets` puts those that ffmpeg's decoder begins with before every picture.
pub fn annex_b(file: &Path, with_parameter_sets: bool) -> Result<Vec<u8>, String> {
    let filters = ["-bsf:v", "h264_mp4toannexb,dump_extra=freq=all"];
    elementary(file, "h264", if with_parameter_sets { &filters } else { &[] })
}

/// AV1 as IVF.
pub fn ivf(file: &Path) -> Result<Vec<u8>, String> {
    elementary(file, "ivf", &[])
}

/// ffmpeg's options for the video track that both sides read.
pub fn track(file: &Path) -> Vec<String> {
    match ffmpeg::selection(file) {
        none if none.is_empty() => vec!["-map".into(), "0:v:0".into()],
        track => track,
    }
}

fn elementary(file: &Path, format: &str, filters: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file).args(track(file));
    // Without -copyinkf what comes before the first key frame is dropped.
    command.args(["-c", "copy", "-copyinkf"]).args(filters).args(["-f", format, "-"]);
    let done = process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("ffmpeg cannot demux: {}", done.log_tail(20)));
    }
    Ok(done.stdout)
}
