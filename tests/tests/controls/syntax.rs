//! Syntax elements as FFmpeg's `trace_headers` reads them: a parser that knows the syntax and nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use daedalus_tests::process;

use crate::demux;

/// The syntax elements of one packet.
#[derive(Debug, Default)]
pub struct Syntax {
    /// The packet.
    pub data: Vec<u8>,
    /// By name: the position in bits and the value.
    elements: HashMap<String, (usize, i64)>,
}

impl Syntax {
    /// An element; `None` if it is not coded.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.elements.get(name).map(|(_, value)| *value)
    }

    /// An element that is 0 where it is not coded.
    pub fn or_zero<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        self.get(name).and_then(|value| T::try_from(value).ok()).unwrap_or_default()
    }

    /// A flag, off where it is not coded.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(1)
    }

    /// Where an element begins, in bits.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.elements.get(name).map(|(position, _)| *position)
    }
}

/// The packets of the first video stream of `file` behind the bitstream filter `split`.
pub fn packets(file: &Path, split: &str) -> Result<Vec<Syntax>, String> {
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-v", "info", "-i"]).arg(file);
    command.args(demux::track(file));
    // Without -copyinkf what comes before the first key frame is dropped.
    command.args(["-c", "copy", "-copyinkf", "-bsf:v"]);
    command.arg(format!("{split},trace_headers")).args(["-f", "data", "-"]);
    let done = process::run(&mut command, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("trace_headers: {}", done.log_tail(20)));
    }
    let mut data = &done.stdout[..];
    let mut packets: Vec<Syntax> = Vec::new();
    for line in done.log.lines() {
        let Some(("[trace_headers", said)) = line.split_once(" @ ") else { continue };
        let Some((_, said)) = said.split_once("] ") else { continue };
        let words: Vec<&str> = said.split_whitespace().collect();
        match words[..] {
            ["Packet:", size, "bytes,", ..] => {
                let size = size.parse().map_err(|_| format!("a packet of {size} bytes"))?;
                let (packet, rest) = data.split_at_checked(size).ok_or("less data than packets")?;
                data = rest;
                packets.push(Syntax { data: packet.to_vec(), ..Syntax::default() });
            }
            [position, name, .., "=", value] => {
                let (Ok(position), Ok(value)) = (position.parse(), value.parse()) else { continue };
                let packet = packets.last_mut().ok_or("an element before the first packet")?;
                packet.elements.insert(name.to_owned(), (position, value));
            }
            _ => {}
        }
    }
    match data {
        [] => Ok(packets),
        _ => Err(format!("{} bytes more than packets", data.len())),
    }
}
