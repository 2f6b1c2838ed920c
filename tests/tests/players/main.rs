//! Players show surfaces without copying them, under a compositor, and the picture on the screen is the right one.
//!
//! These tests need DRM devices, a compositor and the players: `./x vm test players` runs them in a machine that
//! has all of it; elsewhere there are none. Screenshots stay in the folder that `DAEDALUS_SCREENSHOTS` names.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

mod compositor;
mod film;
mod firefox;
mod player;
mod reference;
mod screen;
mod screenshot;

use compositor::Compositor;
use film::Film;
use player::Player;
use screen::{Screen, X11};

/// Names the folder for screenshots and logs; without it there are no tests.
const SCREENSHOTS: &str = "DAEDALUS_SCREENSHOTS";

/// What the tests share.
struct Bed {
    folder: PathBuf,
    compositor: Compositor,
    x11: OnceLock<Result<X11, String>>,
}

impl Bed {
    /// What the player's window is on.
    fn screen(&self, player: Player) -> Result<&dyn Screen, String> {
        if player != Player::MpvX11 {
            return Ok(&self.compositor);
        }
        let x11 = self.x11.get_or_init(|| X11::start(self.folder.clone()));
        x11.as_ref().map(|x11| x11 as &dyn Screen).map_err(Clone::clone)
    }
}

/// Who plays what. Films differ in what may go wrong: codec, depth, colours, odd sizes.
const CASES: &[(Player, Film)] = &[
    (Player::MpvGpu, film::H264),
    (Player::MpvGpu, film::VP9),
    (Player::MpvGpu, film::AV1),
    (Player::MpvGpu, film::VP9_10BIT),
    (Player::MpvGpu, film::BT709),
    (Player::MpvGpu, film::FULL_RANGE),
    (Player::MpvGpu, film::ODD),
    (Player::MpvCopy, film::H264),
    (Player::MpvCopy, film::AV1),
    (Player::MpvOverlay, film::H264),
    (Player::MpvOverlay, film::VP9),
    (Player::MpvOverlay, film::AV1),
    (Player::MpvX11, film::H264),
    (Player::MpvX11, film::BT709),
    (Player::GstreamerGl, film::H264_MKV),
    (Player::GstreamerGl, film::VP9),
    (Player::GstreamerGl, film::AV1),
    (Player::GstreamerWayland, film::H264),
    (Player::Firefox, film::H264),
    (Player::Firefox, film::VP9),
    (Player::Firefox, film::AV1),
];

fn main() -> ExitCode {
    run(&Arguments::from_args()).unwrap_or_else(|why| {
        eprintln!("players: {why}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let Some(folder) = std::env::var_os(SCREENSHOTS) else {
        // No test at all rather than ignored ones: they are for the test machine.
        let _ = libtest_mimic::run(arguments, vec![]);
        return Ok(ExitCode::SUCCESS);
    };
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let compositor = Compositor::start(&folder)?;
    let bed = Arc::new(Bed { folder, compositor, x11: OnceLock::new() });
    let trials = CASES.iter().map(|(player, film)| {
        let bed = Arc::clone(&bed);
        let name = format!("players::{}::{}", player.name(), film.name);
        Trial::test(name, move || shows(*player, film, &bed).map_err(Into::into))
    });
    // One window at a time.
    let arguments = Arguments { test_threads: Some(1), ..arguments.clone() };
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    drop(bed);
    Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
}

/// The player shows the film's last picture as software decodes it.
fn shows(player: Player, film: &Film, bed: &Bed) -> Result<(), String> {
    let file = film.make(&bed.folder)?;
    let reference = reference::make(film, &file, player.converts(), &bed.folder)?;
    let shown = player.show(film, &file, bed)?;
    let difference = shown.compare(&reference)?;
    println!("{difference}");
    difference.check()
}
