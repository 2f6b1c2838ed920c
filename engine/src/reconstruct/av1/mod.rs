//! AV1: all headers from the controls, tiles as they came.
//!
//! Clients send bare tiles, a frame OBU or a whole temporal unit; only where each tile lies can be relied
//! on. So each request becomes a temporal unit of its own: a temporal delimiter, a sequence header that
//! stays the same over the stream, and a frame OBU with a frame header written from the controls.
//!
//! A frame header refers to what a decoder remembers of earlier frames (order hints and global motion
//! parameters per slot), so the writer remembers the same.

mod bits;
mod film_grain;
mod filters;
mod frame_header;
mod global_motion;
mod quantization;
mod sequence;
#[cfg(test)]
mod testing;
mod tile_info;

use daedalus_uapi::{
    Codec, Controls,
    av1::{self, NUM_REF_FRAMES, TileGroupEntry},
};

use self::{
    bits::{Bits, invalid, leb128},
    frame_header::uncompressed_header,
    sequence::SequenceHeader,
    tile_info::TILE_SIZE_BYTES,
};
use super::{Step, Writer};
use crate::{Error, Result};

const OBU_SEQUENCE_HEADER: u8 = 1;
const OBU_TEMPORAL_DELIMITER: u8 = 2;
const OBU_FRAME: u8 = 6;

/// What later frames need to know of the frame in a slot.
#[derive(Clone, Debug)]
struct Slot {
    order_hint: u32,
    /// SavedGmParams.
    gm_params: global_motion::Params,
}

/// Writes temporal units.
pub(crate) struct Av1Writer {
    sequence: Option<SequenceHeader>,
    slots: [Option<Slot>; NUM_REF_FRAMES],
}

impl Av1Writer {
    pub(crate) fn new() -> Self {
        Av1Writer { sequence: None, slots: Default::default() }
    }

    fn temporal_unit(
        &mut self,
        controls: &av1::Controls,
        data: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<()> {
        let sequence = SequenceHeader::new(&controls.sequence)?;
        // A decoder forgets its references when the sequence header changes.
        let empty = Default::default();
        let same = self.sequence == Some(sequence);
        let slots = if same { &self.slots } else { &empty };

        let tiles = tiles(controls, data)?;
        let mut header = Bits::new();
        let written = uncompressed_header(&mut header, &sequence, controls, slots)?;
        header.byte_alignment();
        let mut frame = header.into_bytes();
        tile_group_obu(&tiles, &mut frame)?;
        let sequence_header = sequence.write()?;

        obu(OBU_TEMPORAL_DELIMITER, &[], packet);
        obu(OBU_SEQUENCE_HEADER, &sequence_header, packet);
        obu(OBU_FRAME, &frame, packet);
        if !same {
            self.sequence = Some(sequence);
            self.slots = empty;
        }
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if written.refresh_frame_flags & (1 << i) != 0 {
                *slot = Some(written.slot.clone());
            }
        }
        Ok(())
    }
}

impl Writer for Av1Writer {
    fn write(
        &mut self,
        _timestamp: u64,
        controls: &Controls,
        data: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<Step> {
        let Controls::Av1(controls) = controls else {
            return Err(Error::WrongCodec { session: Codec::Av1, got: controls.codec() });
        };
        self.temporal_unit(controls, data, packet)?;
        Ok(Step::default())
    }
}

/// open_bitstream_unit() with a size field.
fn obu(obu_type: u8, payload: &[u8], out: &mut Vec<u8>) {
    let obu_has_size_field = 1;
    out.push(obu_type << 3 | obu_has_size_field << 1);
    leb128(payload.len(), out);
    out.extend_from_slice(payload);
}

/// The bytes of each tile in tile order. Exactly TileCols * TileRows of them, none empty. Together they are no more than
/// there are: what a request brings is bounded, and what is written of it must be.
fn tiles<'a>(controls: &av1::Controls, data: &'a [u8]) -> Result<Vec<&'a [u8]>> {
    let info = &controls.frame.tile_info;
    let (cols, rows) = (usize::from(info.tile_cols), usize::from(info.tile_rows));
    let mut found = vec![None; cols * rows];
    for entry in &controls.tiles {
        let TileGroupEntry { tile_offset, tile_size, tile_row, tile_col } = *entry;
        let (row, col) = (tile_row as usize, tile_col as usize);
        let start = tile_offset as usize;
        let bytes = start.checked_add(tile_size as usize).and_then(|end| data.get(start..end));
        match bytes.filter(|bytes| !bytes.is_empty() && row < rows && col < cols) {
            Some(bytes) => found[row * cols + col] = Some(bytes),
            None => {
                return Err(invalid(format!(
                    "tile {row},{col} of {rows}x{cols}: {tile_offset}+{tile_size} in {} bytes",
                    data.len()
                )));
            }
        }
    }
    let tiles: Option<Vec<_>> = found.into_iter().collect();
    let tiles = tiles.filter(|tiles| !tiles.is_empty());
    let tiles = tiles.ok_or_else(|| invalid("tiles: some are missing".into()))?;
    let sum: usize = tiles.iter().map(|tile| tile.len()).sum();
    if sum > data.len() {
        return Err(invalid(format!("tiles of {sum} bytes in {}", data.len())));
    }
    Ok(tiles)
}

/// tile_group_obu() with all tiles.
fn tile_group_obu(tiles: &[&[u8]], out: &mut Vec<u8>) -> Result<()> {
    if tiles.len() > 1 {
        out.push(0); // tile_start_and_end_present_flag, byte_alignment()
    }
    for (i, tile) in tiles.iter().enumerate() {
        if i + 1 < tiles.len() {
            let minus_1 = u32::try_from(tile.len() - 1).map_err(|_| invalid("TileSize".into()))?;
            out.extend_from_slice(&minus_1.to_le_bytes()[..TILE_SIZE_BYTES as usize]);
        }
        out.extend_from_slice(tile);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tiles side by side, at these places.
    fn two(places: [(u32, u32); 2]) -> av1::Controls {
        let mut controls = av1::Controls::new_zeroed();
        (controls.frame.tile_info.tile_cols, controls.frame.tile_info.tile_rows) = (2, 1);
        controls.tiles = (0..)
            .zip(places)
            .map(|(tile_col, (tile_offset, tile_size))| TileGroupEntry {
                tile_offset,
                tile_size,
                tile_row: 0,
                tile_col,
            })
            .collect();
        controls
    }

    #[test]
    fn tiles_are_no_more_than_the_data() {
        let data = [1, 2, 3, 4];
        let tiles = |places| tiles(&two(places), &data).map(|tiles| tiles.concat());
        assert_eq!(tiles([(0, 1), (1, 3)]).unwrap(), data);
        assert_eq!(tiles([(2, 2), (0, 2)]).unwrap(), [3, 4, 1, 2]);
        assert!(tiles([(0, 3), (1, 3)]).is_err(), "copies of the same bytes");
        assert!(tiles([(0, 1), (1, 4)]).is_err());
        assert!(tiles([(0, 1), (1, 0)]).is_err());
    }
}
