//! The catalogue of test streams in `../shared/vectors` (its README.md describes the columns).

use std::path::{Path, PathBuf};

use crate::frames::Frame;
use crate::stream::{Codec, Layout, Stream};

/// The folder of the vectors, next to the project; `None` where it is absent.
pub fn folder() -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let folder = project.parent()?.join("shared/vectors");
    folder.join("catalogue.tsv").is_file().then_some(folder)
}

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Those of every test run.
    Core,
    /// All that must decode exactly.
    Full,
}

/// What must become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It decodes exactly.
    Ok,
    /// Damaged: whatever comes out is fine; nothing crashes, hangs or leaks.
    Invalid,
    /// Of a format that the driver does not decode: clients fall back by themselves.
    Unsupported,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What must become of it.
    pub kind: Kind,
    /// When it is run.
    pub tier: Tier,
    /// The stream; its frames are known for [`Kind::Ok`] only.
    pub stream: Stream,
    /// How many frames software decoding gives, where that is known.
    pub frames: Option<usize>,
}

/// The streams that must decode exactly, in the catalogue's order.
pub fn streams(folder: &Path, tier: Tier) -> Result<Vec<Stream>, String> {
    let wanted = |row: &Row| row.kind == Kind::Ok && (tier == Tier::Full || row.tier == Tier::Core);
    let streams: Vec<_> = rows(folder)?.into_iter().filter(wanted).map(|row| row.stream).collect();
    if streams.is_empty() { Err("catalogue.tsv names no stream".into()) } else { Ok(streams) }
}

/// All rows, in the catalogue's order.
///
/// A row that cannot be read is an error, not one test less.
pub fn rows(folder: &Path) -> Result<Vec<Row>, String> {
    let text = read(&folder.join("catalogue.tsv"))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        header.iter().position(|h| *h == name).ok_or(format!("catalogue.tsv has no column {name}"))
    };
    let (path, kind, tier) = (column("path")?, column("kind")?, column("tier")?);
    let (codec, format, frames) = (column("codec")?, column("profile_pixfmt")?, column("frames")?);
    let mut rows = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |index: usize| cells.get(index).copied().unwrap_or_default();
        let name = cell(path);
        let wrong = |what: &str| format!("catalogue.tsv, {name}: {what}");
        let kind = match cell(kind) {
            "ok" => Kind::Ok,
            "invalid" => Kind::Invalid,
            "unsupported" => Kind::Unsupported,
            _ => return Err(wrong("unknown kind")),
        };
        let known = match kind {
            Kind::Ok => reference(&folder.join("framemd5").join(format!("{name}.txt")))?,
            _ => Vec::new(),
        };
        let frames = cell(frames).parse().ok();
        if kind == Kind::Ok && frames != Some(known.len()) {
            return Err(wrong("number of frames differs from framemd5"));
        }
        rows.push(Row {
            kind,
            tier: if cell(tier) == "core" { Tier::Core } else { Tier::Full },
            stream: Stream {
                name: name.to_owned(),
                path: folder.join(name),
                codec: Codec::named(cell(codec)).ok_or_else(|| wrong("unknown codec"))?,
                layout: if cell(format).ends_with("10le") { Layout::P010 } else { Layout::Nv12 },
                frames: known,
            },
            frames,
        });
    }
    Ok(rows)
}

/// The frames of an AV1 stream without its film grain, for streams that have some.
pub fn without_grain(folder: &Path, stream: &Stream) -> Option<Result<Vec<Frame>, String>> {
    let path = folder.join(format!("framemd5/{}.nograin.txt", stream.name));
    path.is_file().then(|| reference(&path))
}

/// Reads one `framemd5/*.txt`: number, width, height, ..., MD5 as NV12 or P010.
fn reference(path: &Path) -> Result<Vec<Frame>, String> {
    let frame = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let size = (cells.get(1)?.parse().ok()?, cells.get(2)?.parse().ok()?);
        Some(Frame { size, md5: (*cells.get(7)?).to_owned() })
    };
    read(path)?
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| frame(line).ok_or(format!("{}: cannot read: {line}", path.display())))
        .collect()
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}
