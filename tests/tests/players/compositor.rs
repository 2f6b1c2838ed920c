//! weston on no screen: a compositor that takes dma-bufs, and screenshots of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{fs, thread};

use daedalus_tests::process;

use crate::screen::Screen;
use crate::screenshot::Screenshot;

/// What is behind all windows: no film has it.
pub const BACKGROUND: [u8; 3] = [64, 32, 96];

const SETTINGS: &str = "[shell]\npanel-position=none\nbackground-color=0xff402060\nlocking=false\n";

const SOCKET: &str = "wayland-daedalus";

/// The number of the first render node, whose module is loaded once weston runs: EGL must not find it.
const RENDER_NODE: u64 = 128;

/// Makes the render node.
const DISPLAY_DRIVER: &str = "virtio-gpu";

const PATIENCE: Duration = Duration::from_secs(60);

/// A running compositor. Dropping it ends it.
pub struct Compositor {
    weston: Child,
    folder: PathBuf,
}

impl Compositor {
    /// Starts it, with its log in `folder`, and loads the display driver.
    pub fn start(folder: &Path) -> Result<Compositor, String> {
        if Path::new("/dev/dri").exists() {
            return Err("a DRM driver is loaded: weston's EGL would take it".into());
        }
        let settings = folder.join("weston.ini");
        fs::write(&settings, SETTINGS).map_err(|e| format!("{}: {e}", settings.display()))?;
        let node = Path::new("/tmp/render-device");
        let device = nix::sys::stat::makedev(226, RENDER_NODE);
        let kind = nix::sys::stat::SFlag::S_IFCHR;
        let _ = fs::remove_file(node);
        nix::sys::stat::mknod(node, kind, nix::sys::stat::Mode::S_IRWXU, device)
            .map_err(|e| format!("{}: {e}", node.display()))?;
        let log = folder.join("weston.log");
        let mut command = process::command("weston");
        command.arg("--config").arg(&settings).arg("--log").arg(&log);
        command.args(["--backend=headless", "--renderer=gl", "--width=480", "--height=270"]);
        command.args(["--debug", "--idle-time=0"]).arg(format!("--socket={SOCKET}"));
        command.env("LD_PRELOAD", "/daedalus/bin/render_device.so").env("RENDER_DEVICE", node);
        let weston = command.spawn().map_err(|e| format!("cannot run weston: {e}"))?;
        let compositor = Compositor { weston, folder: folder.to_owned() };
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
        let socket = Path::new(&runtime).join(SOCKET);
        wait_for("weston", PATIENCE, || socket.exists())?;
        // Its own client draws the background.
        wait_for("weston's shell", PATIENCE, || {
            compositor.screenshot("empty", (0, 0)).is_ok_and(|shot| shot.is_empty())
        })?;
        modprobe(&[DISPLAY_DRIVER])?;
        wait_for("the render node", PATIENCE, || Path::new("/dev/dri/renderD128").exists())?;
        Ok(compositor)
    }
}

impl Screen for Compositor {
    fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("WAYLAND_DISPLAY", SOCKET).env_remove("DISPLAY")
    }

    /// All that is not the background.
    fn screenshot(&self, name: &str, _size: (u32, u32)) -> Result<Screenshot, String> {
        let scratch = self.folder.join("scratch");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
        let mut command = process::command("weston-screenshooter");
        self.apply(&mut command).current_dir(&scratch);
        let done = process::run(&mut command, PATIENCE).map_err(|e| e.to_string())?;
        let taken = fs::read_dir(&scratch).map_err(|e| e.to_string())?.flatten().next();
        let taken = taken.ok_or_else(|| format!("no screenshot: {}", done.log_tail(5)))?;
        let file = self.folder.join(format!("{name}.png"));
        fs::rename(taken.path(), &file).map_err(|e| format!("{}: {e}", file.display()))?;
        Screenshot::read(&file)
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.weston.kill();
        let _ = self.weston.wait();
        // For the next one, which must not find a DRM node.
        if let Err(why) = modprobe(&["--remove", DISPLAY_DRIVER]) {
            eprintln!("players: {why}");
        }
    }
}

fn modprobe(words: &[&str]) -> Result<(), String> {
    let done = process::run(process::command("modprobe").args(words), PATIENCE);
    let done = done.map_err(|e| e.to_string())?;
    if done.status.success() { Ok(()) } else { Err(done.log_tail(5)) }
}

/// Waits until something is so, but not longer than `limit`.
pub fn wait_for(what: &str, limit: Duration, mut is: impl FnMut() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while !is() {
        if started.elapsed() > limit {
            return Err(format!("{what} does not come"));
        }
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
