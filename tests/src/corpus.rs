//! The streams of a test run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalogue::{self, Tier};
use crate::stream::Stream;
use crate::{clips, software};

/// What there is to decode.
pub struct Corpus {
    /// The streams.
    pub streams: Vec<Stream>,
    /// Whether they were made here because the catalogue is absent.
    pub generated: bool,
}

/// The catalogue's streams; without a catalogue, generated clips.
pub fn streams(tier: Tier) -> Result<Corpus, String> {
    Ok(match catalogue::folder() {
        Some(folder) => Corpus { streams: catalogue::streams(&folder, tier)?, generated: false },
        None => Corpus { streams: clips()?, generated: true },
    })
}

/// Small clips of each kind, with what ffmpeg decodes in software as the reference.
pub fn clips() -> Result<Vec<Stream>, String> {
    let extent = clips::Extent { width: 354, height: 292, frames: 30 };
    let encoders = clips::Encoders::list().map_err(|e| e.to_string())?;
    let mut streams = Vec::new();
    for recipe in clips::RECIPES {
        let path = recipe
            .make(extent, &encoders, |encoder| eprintln!("making {} ({encoder})", recipe.name))
            .map_err(|why| format!("{}: {why}", recipe.name))?;
        let named = |why: String| format!("{}: {why}", recipe.name);
        let video = software::probe(&path).map_err(|why| named(why.to_string()))?;
        let frames =
            software::frames(&path, &video, None, Duration::from_secs(60)).map_err(named)?;
        let (codec, layout) = (recipe.codec, recipe.layout);
        streams.push(Stream { name: recipe.name.into(), path, codec, layout, frames });
    }
    Ok(streams)
}

/// The folder `name` in cargo's folder for tests (`CARGO_TARGET_TMPDIR`), emptied of what an earlier run left.
pub fn scratch(tests: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = tests.join(name);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {e}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
