//! Streams that a client decodes only in pieces.

use std::path::PathBuf;

use daedalus_tests::clients::Setting;
use daedalus_tests::obu;
use daedalus_tests::stream::Stream;

use crate::capture::Decoder;

/// The files to decode one after the other: the stream itself, or for [`Decoder::Pieces`] each of its
/// sequences without metadata, as ffmpeg 5.1 decodes them (see `refusals.tsv`).
pub fn of(decoder: Decoder, stream: &Stream, setting: &Setting) -> Result<Vec<PathBuf>, String> {
    if decoder != Decoder::Pieces {
        return Ok(vec![stream.path.clone()]);
    }
    let file = std::fs::read(&stream.path).map_err(|e| e.to_string())?;
    let mut units = obu::temporal_units(&file).map_err(|e| e.to_string())?;
    units.iter_mut().for_each(|obus| obus.retain(|obu| obu.kind != obu::METADATA));
    let stem = stream.name.replace('/', "-");
    let mut paths = Vec::new();
    for (number, sequence) in obu::sequences(&units).into_iter().enumerate() {
        let path = setting.scratch.join(format!("{stem}-{number}.ivf"));
        std::fs::write(&path, obu::ivf(sequence))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}
