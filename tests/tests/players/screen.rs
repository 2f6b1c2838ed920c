//! What players show their pictures on.

use std::path::PathBuf;
use std::process::Command;

use daedalus_tests::display::Xvfb;
use daedalus_tests::process;

use crate::screenshot::{Screenshot, run};

/// Something that programs connect to, and that can be looked at.
pub trait Screen {
    /// Has a program connect to it.
    fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command;

    /// What is on it. A window is of this size. It stays as a file of that name.
    fn screenshot(&self, name: &str, size: (u32, u32)) -> Result<Screenshot, String>;
}

/// An X server without a window manager: windows have no frames, and stay where they put themselves.
pub struct X11 {
    server: Xvfb,
    folder: PathBuf,
}

impl X11 {
    pub fn start(folder: PathBuf) -> Result<X11, String> {
        Ok(X11 { server: Xvfb::start().map_err(|e| e.to_string())?, folder })
    }
}

impl Screen for X11 {
    fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("DISPLAY", self.server.name()).env_remove("WAYLAND_DISPLAY")
    }

    /// The upper left corner.
    fn screenshot(&self, name: &str, (width, height): (u32, u32)) -> Result<Screenshot, String> {
        let file = self.folder.join(format!("{name}.png"));
        let mut grab = process::command("ffmpeg");
        grab.args(["-nostdin", "-v", "error", "-y", "-f", "x11grab", "-draw_mouse", "0"]);
        grab.arg("-video_size").arg(format!("{width}x{height}")).arg("-i").arg(self.server.name());
        run(grab.args(["-frames:v", "1"]).arg(&file))?;
        Screenshot::read(&file)
    }
}
