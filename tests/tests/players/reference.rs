//! What a film's last picture looks like: decoded by ffmpeg in software, and converted to RGB by swscale.
//!
//! Not a screenshot of the same player without the driver: Mesa's software renderer leaves half of that window
//! black in an emulated machine.

use std::path::Path;

use daedalus_tests::process;

use crate::film::{Film, POSITION};
use crate::screenshot::{Screenshot, run};

/// Who turns a player's pictures into RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Converter {
    /// The player, by what the film says of its colours.
    Player,
    /// The compositor. Up to version 14 weston takes BT.601 in limited range for granted, whatever it is.
    Compositor,
}

/// The picture as a screenshot would have it. Stays in `folder`.
pub fn make(
    film: &Film,
    path: &Path,
    converter: Converter,
    folder: &Path,
) -> Result<Screenshot, String> {
    let (matrix, range) = match converter {
        Converter::Player => film.colours,
        Converter::Compositor => ("bt601", "limited"),
    };
    let file = folder.join(format!("{}-reference-{matrix}-{range}.png", film.name));
    let mut command = process::command("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-hwaccel", "none", "-ss"]);
    command.arg(POSITION.to_string()).arg("-i").arg(path).args(["-frames:v", "1", "-vf"]);
    // Chroma between two samples is interpolated, as players do.
    command.arg(format!(
        "scale=flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp:\
         in_color_matrix={matrix}:in_range={range}:out_range=full,format=rgb24"
    ));
    run(command.arg(&file))?;
    Screenshot::read(&file)
}
