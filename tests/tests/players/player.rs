//! Players, and how each shows a film.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use daedalus_tests::process;

use crate::compositor::wait_for;
use crate::film::{Film, POSITION};
use crate::reference::Converter;
use crate::screenshot::Screenshot;
use crate::{Bed, firefox};

/// A player with an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    /// mpv --vo=gpu --hwdec=vaapi: surfaces become textures.
    MpvGpu,
    /// mpv --vo=gpu --hwdec=vaapi-copy.
    MpvCopy,
    /// mpv --vo=dmabuf-wayland: surfaces go to the compositor.
    MpvOverlay,
    /// mpv --vo=vaapi: the driver converts and shows them on X11.
    MpvX11,
    /// GStreamer's glimagesink with DMABuf memory.
    GstreamerGl,
    /// GStreamer's waylandsink with DMABuf memory.
    GstreamerWayland,
    /// A page with a video element.
    Firefox,
}

impl Player {
    pub fn name(self) -> &'static str {
        match self {
            Player::MpvGpu => "mpv-vaapi",
            Player::MpvCopy => "mpv-vaapi-copy",
            Player::MpvOverlay => "mpv-dmabuf-wayland",
            Player::MpvX11 => "mpv-x11",
            Player::GstreamerGl => "gstreamer-glimagesink",
            Player::GstreamerWayland => "gstreamer-waylandsink",
            Player::Firefox => "firefox",
        }
    }

    pub fn converts(self) -> Converter {
        match self {
            Player::MpvOverlay | Player::GstreamerWayland => Converter::Compositor,
            _ => Converter::Player,
        }
    }

    /// How long it may take until it shows what it is about to show, in an emulated machine.
    fn patience(self) -> Duration {
        Duration::from_secs(if self == Player::Firefox { 600 } else { 180 })
    }

    /// Plays a film until it stands still; what is on the screen then. Fails if the film was decoded elsewhere
    /// than in the driver.
    pub fn show(self, film: &Film, path: &Path, bed: &Bed) -> Result<Screenshot, String> {
        let name = format!("{}-{}", film.name, self.name());
        let log = bed.folder.join(format!("{name}.log"));
        let output = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let screen = bed.screen(self)?;
        let mut command = self.command(film, path, &bed.folder)?;
        screen.apply(&mut command).env("DAEDALUS_LOG", "info");
        command.stderr(output.try_clone().map_err(|e| e.to_string())?).stdout(output);
        let player = command.spawn().map_err(|e| format!("cannot run {}: {e}", self.name()))?;
        let mut player = Running(player);
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let wait = wait_for("the last picture", self.patience(), || {
            player.has_ended() || self.stands_still(&said())
        });
        if player.has_ended() || wait.is_err() {
            // What is there instead.
            let _ = screen.screenshot(&name, film.size);
            let said = said();
            let tail: Vec<_> = said.lines().rev().take(15).collect();
            return Err(format!("{name}: not there: {}", tail.join("\n")));
        }
        // What was drawn last has to reach the screen.
        let mut shown = screen.screenshot(&name, film.size)?;
        wait_for("a picture on the screen", self.patience(), || {
            let Ok(next) = screen.screenshot(&name, film.size) else { return false };
            let settled = next.same_pixels(&shown);
            shown = next;
            settled && shown.check_size(film.size).is_ok() && !shown.is_plain()
        })
        .map_err(|why| format!("{name}: {why}; {shown:?}"))?;
        drop(player);
        self.decoded_in_hardware(&said())?;
        Ok(shown)
    }

    fn command(self, film: &Film, path: &Path, folder: &Path) -> Result<Command, String> {
        match self {
            Player::MpvGpu | Player::MpvCopy | Player::MpvOverlay | Player::MpvX11 => {
                let mut command = process::command("mpv");
                command.args(["--no-config", "--no-audio", "--no-osc", "--no-osd-bar", "-v"]);
                command.args(["--keep-open=always", "--term-status-msg=at ${=time-pos}"]);
                // An emulated machine is late for each picture.
                command.arg("--framedrop=no");
                match self {
                    Player::MpvOverlay => command.arg("--vo=dmabuf-wayland"),
                    Player::MpvX11 => command.args(["--vo=vaapi", "--geometry=+0+0"]),
                    _ => command.args(["--vo=gpu", "--gpu-context=wayland"]),
                };
                command.arg(match self {
                    Player::MpvCopy => "--hwdec=vaapi-copy",
                    _ => "--hwdec=vaapi",
                });
                command.arg(path);
                Ok(command)
            }
            Player::GstreamerGl | Player::GstreamerWayland => {
                let sink = match self {
                    Player::GstreamerGl => "glimagesink",
                    _ => "waylandsink",
                };
                let mut command = process::command("gst-launch-1.0");
                command.arg("filesrc").arg(format!("location={}", path.display())).arg("!");
                command.args(film.gstreamer.split_whitespace());
                command.args(["!", "video/x-raw(memory:DMABuf)"]);
                command.args(["!", "progressreport", "update-freq=1", "!", sink]);
                command.env("GST_VA_ALL_DRIVERS", "1").env("GST_GL_WINDOW", "wayland");
                Ok(command)
            }
            Player::Firefox => firefox::command(film, path, folder),
        }
    }

    /// The player has come to where nothing moves any more.
    fn stands_still(self, said: &str) -> bool {
        let position = match self {
            Player::GstreamerGl | Player::GstreamerWayland => said
                .lines()
                .rev()
                .find_map(|line| line.split_once("): ")?.1.split_whitespace().next()?.parse().ok()),
            _ => said
                .lines()
                .rev()
                .find_map(|line| line.rsplit_once("at ")?.1.trim().parse::<f64>().ok()),
        };
        position.is_some_and(|seconds: f64| seconds >= POSITION)
    }

    /// What the player and the driver say about who decoded.
    fn decoded_in_hardware(self, said: &str) -> Result<(), String> {
        let player = match self {
            Player::MpvGpu | Player::MpvOverlay | Player::MpvX11 => {
                "Using hardware decoding (vaapi)."
            }
            Player::MpvCopy => "Using hardware decoding (vaapi-copy).",
            // Its pipeline has no other decoder.
            Player::GstreamerGl | Player::GstreamerWayland => "progressreport",
            Player::Firefox => firefox::DECODED,
        };
        for line in [player, "daedalus: info: decoding "] {
            if !said.contains(line) {
                return Err(format!("{}: no line with {line:?} in its log", self.name()));
            }
        }
        Ok(())
    }
}

/// A program that ends with this.
struct Running(Child);

impl Running {
    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
