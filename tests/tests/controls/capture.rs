//! The requests that the driver hands to its device while a real client decodes a stream.

use std::path::Path;
use std::process::Command;

use daedalus_tests::clients::ffmpeg::{self, FRAME_MD5S, Fetch};
use daedalus_tests::clients::{Client, Setting, gstreamer};
use daedalus_tests::process;
use daedalus_tests::stream::Stream;
use daedalus_uapi::record::Record;

use crate::{demux, small};

/// Who decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// A program of this machine.
    Installed(Client),
    /// ffmpeg, one file after the other (`pieces`).
    Pieces,
    /// The small client of H.264 High 10, which this program is as well.
    Small,
}

/// The requests for `path` (`stream` or a piece of it), in the driver's order.
pub fn requests(
    decoder: Decoder,
    stream: &Stream,
    path: &Path,
    setting: &Setting,
) -> Result<Vec<Record>, String> {
    let mut command = match decoder {
        Decoder::Installed(client @ (Client::Gstreamer | Client::GstreamerVa)) => {
            let mut command = gstreamer::command(client, stream, setting);
            // Its debug log would come between the driver's lines.
            command.env_remove("GST_DEBUG").args(["!", "fakesink"]);
            command
        }
        Decoder::Installed(_) | Decoder::Pieces => ffmpeg(stream, path, setting),
        Decoder::Small => small::command(path, &setting.environment)?,
    };
    command.env("DAEDALUS_LOG", "requests=trace");
    let done = process::run(&mut command, setting.limit).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("{decoder:?}: {}: {}", done.ending(), short(&done.log)));
    }
    let lines = done.log.lines().filter_map(|line| line.split_once("daedalus: trace: "));
    let records =
        lines.map(|(_, json)| Record::from_json(json).map_err(|e| format!("{e}: {}", short(json))));
    let records: Vec<Record> = records.collect::<Result<_, _>>()?;
    if records.is_empty() {
        return Err(format!("{decoder:?} sent no request: {}", short(&done.log)));
    }
    Ok(records)
}

fn ffmpeg(stream: &Stream, path: &Path, setting: &Setting) -> Command {
    let mut command = ffmpeg::command(&setting.environment);
    // Quiet, so that its own lines do not come between the driver's.
    command.args(["-v", "error"]).args(ffmpeg::input(stream.codec)).arg("-i").arg(path);
    command.args(demux::track(path));
    command.args(["-vf", &Fetch::Download.filter(stream.layout)]).args(FRAME_MD5S);
    command
}

/// The end of a text, requests cut short.
fn short(log: &str) -> String {
    let lines: Vec<String> =
        log.lines().map(|line| line.chars().take(300).collect::<String>()).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
