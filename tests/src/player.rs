//! The player of `player/player.c`: libavcodec through VA-API, which goes on where the ffmpeg program ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::driver::Environment;
use crate::stream::Codec;
use crate::{compile, process};

/// The compiled player.
#[derive(Clone, Debug)]
pub struct Player {
    program: PathBuf,
}

/// One picture, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The number of the packet that it was in.
    pub packet: u32,
    /// The MD5 of its pixels as NV12 or P010; none for one that was lost.
    pub md5: Option<String>,
}

impl Player {
    /// Compiles it into `folder`.
    pub fn build(folder: &Path) -> Result<Player, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("player/player.c");
        let program = folder.join("player");
        compile::c(&[source], &program, &["libavcodec", "libavutil"])?;
        Ok(Player { program })
    }

    /// The player with a file: an Annex B byte stream, or IVF.
    pub fn command(&self, codec: Codec, file: &Path, environment: &Environment) -> Command {
        let mut command = process::command(&self.program);
        environment.apply(&mut command);
        command.env("DAEDALUS_LOG", "info").arg(codec.name()).arg(file);
        command
    }
}

/// What a player has printed.
pub fn pictures(text: &str) -> Vec<Picture> {
    let picture = |line: &str| {
        let (packet, md5) = line.split_once(' ')?;
        let md5 = (md5 != "lost").then(|| md5.to_owned());
        Some(Picture { packet: packet.parse().ok()?, md5 })
    };
    text.lines().filter_map(picture).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_pictures_count_and_other_lines_do_not() {
        let picture = |packet, md5: Option<&str>| Picture { packet, md5: md5.map(str::to_owned) };
        let said = "0 d41d\n2 lost\n1 8cd9\nplayer: something\n";
        let expected = [picture(0, Some("d41d")), picture(2, None), picture(1, Some("8cd9"))];
        assert_eq!(pictures(said), expected);
    }
}
