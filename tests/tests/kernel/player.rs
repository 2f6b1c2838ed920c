//! The player of `player.c`, which goes on where ffmpeg ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use daedalus_tests::process;
use daedalus_tests::stream::Stream;

use crate::Bed;

/// What came, by the number of the packet that it was in: the MD5 of the picture, `None` for one that was
/// lost. Pictures that are missing have no entry.
pub type Shown = BTreeMap<u32, Option<String>>;

/// Compiles the player.
pub fn build(bed: &Bed) -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/player.c");
    crate::compile(&[source], &["libavcodec", "libavutil"], &bed.file("player"))
}

/// A player of `stream`.
pub fn command(stream: &Stream, bed: &Bed) -> Command {
    let mut command = process::command(bed.file("player"));
    bed.setting.environment.apply(&mut command);
    command.env("DAEDALUS_LOG", "info").arg(stream.codec.name()).arg(&stream.path);
    command
}

/// Plays `stream` to its end, whatever happens.
pub fn play(stream: &Stream, bed: &Bed, limit: Duration) -> Result<(Shown, String), String> {
    end(command(stream, bed), limit)
}

/// Runs a player to its end: what it showed, and its log.
pub fn end(mut player: Command, limit: Duration) -> Result<(Shown, String), String> {
    let done = process::run(&mut player, limit).map_err(|e| e.to_string())?;
    if !done.status.success() || !done.log.contains("decoding on ") {
        return Err(format!("the player: {}: {}", done.ending(), done.log));
    }
    let line = |line: &str| {
        let (number, md5) = line.split_once(' ')?;
        Some((number.parse().ok()?, (md5 != "lost").then(|| md5.to_owned())))
    };
    Ok((done.text().lines().filter_map(line).collect(), done.log))
}
