//! The player that goes on where ffmpeg ends, on the kernel's device.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use daedalus_tests::player::pictures;
use daedalus_tests::process;
use daedalus_tests::stream::Stream;

use crate::Bed;

/// What came, by the number of the packet that it was in: the MD5 of the picture, `None` for one that was
/// lost. Pictures that are missing have no entry.
pub type Shown = BTreeMap<u32, Option<String>>;

/// A player of `stream`.
pub fn command(stream: &Stream, bed: &Bed) -> Command {
    bed.player.command(stream.codec, &stream.path, &bed.setting.environment)
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
    let shown = pictures(&done.text()).into_iter().map(|picture| (picture.packet, picture.md5));
    Ok((shown.collect(), done.log))
}
