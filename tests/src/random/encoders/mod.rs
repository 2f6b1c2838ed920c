//! The encoders: what each can be told, and how its program is called.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::dice::Dice;
use super::options::{Options, Style};
use super::shape::Shape;
use crate::process;
use crate::stream::Codec;

mod aomenc;
mod ffmpeg;
mod rav1e;
mod svt;
mod vpxenc;
mod x264;

/// A program that encodes, or a library that ffmpeg encodes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// The program of libx264.
    X264,
    /// The program of libvpx.
    Vpxenc,
    /// The program of libaom.
    Aomenc,
    /// The program of SVT-AV1.
    SvtAv1,
    /// The program of rav1e.
    Rav1e,
    /// ffmpeg with libx264.
    FfmpegX264,
    /// ffmpeg with libopenh264.
    FfmpegOpenh264,
    /// ffmpeg with libvpx.
    FfmpegVpx,
    /// ffmpeg with libaom.
    FfmpegAom,
    /// ffmpeg with SVT-AV1.
    FfmpegSvt,
    /// ffmpeg with rav1e.
    FfmpegRav1e,
}

/// All of them, and how often each is drawn. A new one goes to the end and changes what seeds draw.
pub const ALL: [(u32, Encoder); 11] = [
    (7, Encoder::X264),
    (5, Encoder::Vpxenc),
    (8, Encoder::Aomenc),
    (4, Encoder::SvtAv1),
    (2, Encoder::Rav1e),
    (2, Encoder::FfmpegX264),
    (1, Encoder::FfmpegOpenh264),
    (2, Encoder::FfmpegVpx),
    (2, Encoder::FfmpegAom),
    (1, Encoder::FfmpegSvt),
    (1, Encoder::FfmpegRav1e),
];

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoder::X264 => "x264",
            Encoder::Vpxenc => "vpxenc",
            Encoder::Aomenc => "aomenc",
            Encoder::SvtAv1 => "svt-av1",
            Encoder::Rav1e => "rav1e",
            Encoder::FfmpegX264 => "ffmpeg-libx264",
            Encoder::FfmpegOpenh264 => "ffmpeg-libopenh264",
            Encoder::FfmpegVpx => "ffmpeg-libvpx-vp9",
            Encoder::FfmpegAom => "ffmpeg-libaom-av1",
            Encoder::FfmpegSvt => "ffmpeg-libsvtav1",
            Encoder::FfmpegRav1e => "ffmpeg-librav1e",
        })
    }
}

/// What a draw decides about an encode, but for the pictures.
pub(super) struct Draft {
    /// Size and depth.
    pub shape: Shape,
    /// What the encoder is told.
    pub options: Options,
    /// The extension of the stream's file, which selects the container.
    pub extension: &'static str,
    /// What clients need to know.
    pub traits: Traits,
}

/// What matters to whether a client can decode a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// No chroma planes.
    pub monochrome: bool,
    /// Frames may differ in size.
    pub resizes: bool,
    /// Parts of the picture may have other quantisers (segmentation).
    pub segments: bool,
}

impl Encoder {
    /// The encoder called `name`.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().map(|(_, encoder)| encoder).find(|encoder| encoder.to_string() == name)
    }

    /// What it makes.
    pub fn codec(self) -> Codec {
        match self {
            Encoder::X264 | Encoder::FfmpegX264 | Encoder::FfmpegOpenh264 => Codec::H264,
            Encoder::Vpxenc | Encoder::FfmpegVpx => Codec::Vp9,
            Encoder::Aomenc
            | Encoder::SvtAv1
            | Encoder::Rav1e
            | Encoder::FfmpegAom
            | Encoder::FfmpegSvt
            | Encoder::FfmpegRav1e => Codec::Av1,
        }
    }

    /// The program that is run.
    pub fn program(self) -> &'static str {
        match self {
            Encoder::X264 => "x264",
            Encoder::Vpxenc => "vpxenc",
            Encoder::Aomenc => "aomenc",
            Encoder::SvtAv1 => "SvtAv1EncApp",
            Encoder::Rav1e => "rav1e",
            _ => "ffmpeg",
        }
    }

    /// The name of ffmpeg's encoder, where ffmpeg is the program.
    fn library(self) -> Option<&'static str> {
        match self {
            Encoder::FfmpegX264 => Some("libx264"),
            Encoder::FfmpegOpenh264 => Some("libopenh264"),
            Encoder::FfmpegVpx => Some("libvpx-vp9"),
            Encoder::FfmpegAom => Some("libaom-av1"),
            Encoder::FfmpegSvt => Some("libsvtav1"),
            Encoder::FfmpegRav1e => Some("librav1e"),
            _ => None,
        }
    }

    /// Draws what it is told to do. `high10` says whether a client can decode 10-bit H.264.
    pub(super) fn draw(self, dice: &mut Dice, high10: bool) -> Draft {
        match self {
            Encoder::X264 => x264::draw(dice, high10),
            Encoder::Vpxenc => vpxenc::draw(dice),
            Encoder::Aomenc => aomenc::draw(dice),
            Encoder::SvtAv1 => svt::draw(dice),
            Encoder::Rav1e => rav1e::draw(dice),
            Encoder::FfmpegX264 => ffmpeg::x264(dice),
            Encoder::FfmpegOpenh264 => ffmpeg::openh264(dice),
            Encoder::FfmpegVpx => ffmpeg::vpx(dice),
            Encoder::FfmpegAom => ffmpeg::aom(dice),
            Encoder::FfmpegSvt => ffmpeg::svt(dice),
            Encoder::FfmpegRav1e => ffmpeg::rav1e(dice),
        }
    }

    /// The command that encodes the file `from` into `to`.
    pub(super) fn command(
        self,
        options: &Options,
        from: &str,
        to: &str,
        installed: &Installed,
    ) -> Vec<String> {
        let style = match self {
            Encoder::X264 | Encoder::SvtAv1 | Encoder::Rav1e => Style::Apart,
            Encoder::Vpxenc | Encoder::Aomenc => Style::Joined,
            _ => Style::OneDash,
        };
        let told = options.words(style, |name| installed.knows(self, name));
        let program = self.program();
        let (before, after): (Vec<&str>, Vec<&str>) = match self {
            Encoder::X264 => (
                vec![program, "--no-progress", "--log-level", "error", "--threads", "1"],
                vec!["-o", to, from],
            ),
            Encoder::Vpxenc => (
                vec![program, "--codec=vp9", "--quiet", "--disable-warning-prompt", "--threads=1"],
                vec!["-o", to, from],
            ),
            Encoder::Aomenc => (
                vec![program, "--quiet", "--disable-warning-prompt", "--threads=1"],
                vec!["-o", to, from],
            ),
            Encoder::SvtAv1 => {
                (vec![program, "--progress", "0", "--lp", "1"], vec!["-i", from, "-b", to])
            }
            Encoder::Rav1e => {
                (vec![program, "-y", "--quiet", "--threads", "1"], vec![from, "-o", to])
            }
            _ => {
                let library = self.library().unwrap_or_default();
                let start = [program, "-nostdin", "-v", "error", "-y", "-i", from, "-c:v", library];
                (start.into_iter().chain(["-threads", "1"]).collect(), vec![to])
            }
        };
        let words = |part: Vec<&str>| part.into_iter().map(str::to_owned).collect::<Vec<_>>();
        [words(before), told, words(after)].concat()
    }
}

/// The encoders that this machine has, and their options.
pub struct Installed {
    /// What each program says of its options; for ffmpeg, the list of its encoders.
    help: HashMap<&'static str, String>,
}

impl Installed {
    /// Asks every program.
    pub fn ask() -> Self {
        let questions: [(&'static str, &[&str]); 6] = [
            ("x264", &["--fullhelp"]),
            ("vpxenc", &["--help"]),
            ("aomenc", &["--help"]),
            ("SvtAv1EncApp", &["--help"]),
            ("rav1e", &["--fullhelp"]),
            ("ffmpeg", &["-hide_banner", "-encoders"]),
        ];
        let ask = |(program, arguments): (&'static str, &[&str])| {
            let mut command = process::command(program);
            let said = process::run(command.args(arguments), Duration::from_secs(30)).ok()?;
            // Some help goes to standard error.
            Some((program, format!("{}\n{}", said.text(), said.log)))
        };
        Self { help: questions.into_iter().filter_map(ask).collect() }
    }

    /// Whether `encoder` is there.
    pub fn has(&self, encoder: Encoder) -> bool {
        let Some(help) = self.help.get(encoder.program()) else { return false };
        let Some(library) = encoder.library() else { return true };
        help.lines().any(|line| line.split_whitespace().nth(1) == Some(library))
    }

    /// Whether the program of `encoder` has the option `name`: versions differ.
    fn knows(&self, encoder: Encoder, name: &str) -> bool {
        // ffmpeg's list is not one of options; it says itself what it does not know.
        let (None, Some(help)) = (encoder.library(), self.help.get(encoder.program())) else {
            return true;
        };
        let dashed = if name.len() == 1 { format!("-{name}") } else { format!("--{name}") };
        // "--no-x" is what --x is turned off with, which not every help spells out.
        mentions(help, &dashed) || name.strip_prefix("no-").is_some_and(|x| mentions(help, x))
    }
}

/// Whether `word` is in `text`, not as the beginning of another.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let after = text[at + word.len()..].chars().next();
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for (_, encoder) in ALL {
            assert_eq!(Encoder::named(&encoder.to_string()), Some(encoder));
        }
    }

    #[test]
    fn an_option_is_not_known_by_its_beginning() {
        let help = "--enable-qm=<arg>  x\n  -w <arg>, --width=<arg>\n";
        assert!(mentions(help, "--enable-qm") && mentions(help, "-w"));
        assert!(!mentions(help, "--enable-q"));
    }
}
