//! The streams of a conformance run and what is to become of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalogue::{self, Kind, Row, Tier};
use crate::software::{self, NotOurs};
use crate::stream::{Codec, Stream};

/// A stream and what is to become of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The stream. Its name is unique within a run.
    pub stream: Stream,
    /// What is to become of it.
    pub expectation: Expectation,
    /// Whether every test run includes it.
    pub core: bool,
}

/// What is to become of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The stream's frames come out.
    Exact,
    /// Nothing crashes or hangs.
    Survive,
    /// The client decodes it by itself; so many frames, where that is known.
    FallBack {
        /// How many.
        frames: Option<usize>,
    },
}

impl Expectation {
    /// The catalogue's word for it.
    pub fn kind(self) -> Kind {
        match self {
            Expectation::Exact => Kind::Ok,
            Expectation::Survive => Kind::Invalid,
            Expectation::FallBack { .. } => Kind::Unsupported,
        }
    }
}

/// The rows of the catalogue in `folder`. Damaged files whose container cannot be opened are joined by a
/// copy in `scratch` that can, so that their content reaches a decoder.
pub fn of_catalogue(folder: &Path, scratch: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for row in catalogue::rows(folder)? {
        let Row { kind, tier, stream, frames } = row;
        let expectation = match kind {
            Kind::Ok => Expectation::Exact,
            Kind::Invalid => Expectation::Survive,
            Kind::Unsupported => Expectation::FallBack { frames },
        };
        let repaired = match kind {
            Kind::Invalid => repaired(&stream, scratch)?,
            _ => None,
        };
        let core = tier == Tier::Core;
        cases.push(Case { stream, expectation, core });
        cases.extend(repaired.map(|stream| Case { stream, expectation, core: false }));
    }
    Ok(cases)
}

/// A copy of a damaged IVF file with a sound file header.
///
/// Fuzzers feed decoders the frames of IVF files without looking at the file header, which is noise in
/// most of their findings; no client opens those.
fn repaired(stream: &Stream, scratch: &Path) -> Result<Option<Stream>, String> {
    const HEADER: usize = 32;
    let read = fs::read(&stream.path);
    let bytes = read.map_err(|e| format!("{}: {e}", stream.path.display()))?;
    let fourcc = match stream.codec {
        Codec::Av1 => b"AV01",
        Codec::Vp9 => b"VP90",
        Codec::H264 => return Ok(None),
    };
    let is_matroska = bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]);
    let is_sound = bytes.starts_with(b"DKIF") && bytes.get(8..12) == Some(fourcc);
    if is_matroska || is_sound || bytes.len() <= HEADER {
        return Ok(None);
    }
    let mut copy = Vec::from(b"DKIF\0\0\x20\0");
    copy.extend_from_slice(fourcc);
    for half in [352u16, 288] {
        copy.extend_from_slice(&half.to_le_bytes());
    }
    for word in [25u32, 1, 1, 0] {
        copy.extend_from_slice(&word.to_le_bytes());
    }
    copy.extend_from_slice(&bytes[HEADER..]);
    let path = scratch.join(format!("{}.ivf", stream.name.replace('/', "_")));
    fs::write(&path, copy).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Some(Stream { name: format!("{}#repaired", stream.name), path, ..stream.clone() }))
}

/// The videos in `path`, a file or a folder and its folders, with what ffmpeg decodes in software as the
/// reference. `skipped` hears of every file that is none of ours, and why.
pub fn of_path(path: &Path, mut skipped: impl FnMut(&Path, &str)) -> Result<Vec<Case>, String> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    let mut cases = Vec::new();
    for file in files {
        let video = match software::probe(&file) {
            Ok(video) => video,
            Err(NotOurs::Other(why)) => {
                skipped(&file, why.lines().next().unwrap_or_default());
                continue;
            }
            Err(why) => return Err(format!("{}: {why}", file.display())),
        };
        let frames = match software::frames(&file, &video, None, Duration::from_secs(1200)) {
            Ok(frames) => frames,
            Err(why) => {
                skipped(&file, &why);
                continue;
            }
        };
        let (codec, layout, name) = (video.codec, video.layout, file.display().to_string());
        let stream = Stream { name, path: file, codec, layout, frames };
        cases.push(Case { stream, expectation: Expectation::Exact, core: false });
    }
    Ok(cases)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    if !fs::metadata(path).map_err(named)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(named)?.collect();
    let mut paths: Vec<_> = entries.map_err(named)?.into_iter().map(|e| e.path()).collect();
    paths.sort();
    paths.iter().try_for_each(|path| collect(path, files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Layout;

    fn stream(name: &str, bytes: &[u8], folder: &Path) -> Stream {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        let (codec, layout) = (Codec::Av1, Layout::Nv12);
        Stream { name: name.into(), path, codec, layout, frames: vec![] }
    }

    #[test]
    fn only_files_that_nothing_opens_are_repaired() {
        let folder = std::env::temp_dir().join(format!("daedalus-cases-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut sound = Vec::from(b"DKIF\0\0\x20\0AV01");
        sound.resize(40, 7);
        assert!(repaired(&stream("a", &sound, &folder), &folder).unwrap().is_none());
        assert!(repaired(&stream("b", b"short", &folder), &folder).unwrap().is_none());
        sound[0] = 0;
        let copy = repaired(&stream("c", &sound, &folder), &folder).unwrap().unwrap();
        let copy = fs::read(copy.path).unwrap();
        assert_eq!((&copy[..4], copy.len(), &copy[32..]), (&b"DKIF"[..], 40, &[7; 8][..]));
        fs::remove_dir_all(&folder).unwrap();
    }
}
