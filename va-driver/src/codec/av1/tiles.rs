//! Tiles: their layout (AV1 section 5.9.15) and their bytes.

use daedalus_uapi::av1::{MAX_TILE_COLS, TILE_INFO_UNIFORM_TILE_SPACING, TileGroupEntry, TileInfo};
use libva_sys as va;

use super::params::Params;
use crate::{
    codec::{CodedBytes, Picture, slice_bytes},
    error::{Error, Result},
};

/// A frame's size in superblocks and how large one is.
#[derive(Clone, Copy, Debug)]
pub struct Superblocks {
    /// In units of 4x4 luma samples.
    pub mi: [u32; 2],
    /// log2 of a superblock's side in units of 4x4 luma samples: 4 or 5.
    pub shift: u32,
}

impl Superblocks {
    /// For FrameWidth and FrameHeight.
    pub fn new(frame_width: u32, frame_height: u32, use_128x128_superblock: bool) -> Self {
        let mi = |size: u32| 2 * ((size + 7) >> 3);
        let shift = if use_128x128_superblock { 5 } else { 4 };
        Superblocks { mi: [mi(frame_width), mi(frame_height)], shift }
    }

    /// Columns (0) or rows (1) of superblocks.
    pub fn count(&self, axis: usize) -> u32 {
        self.mi[axis].div_ceil(1 << self.shift)
    }
}

/// The sizes of `count` uniformly spaced tiles in `sbs` superblocks, or `None` if no TileColsLog2 leads
/// to that number.
fn uniform(count: u8, sbs: u32) -> Option<Vec<u32>> {
    for log2 in 0..=6 {
        let size = (sbs + (1 << log2) - 1) >> log2;
        if size > 0 && sbs.div_ceil(size) == u32::from(count) {
            let starts = (0..sbs).step_by(size as usize);
            return Some(starts.map(|start| size.min(sbs - start)).collect());
        }
    }
    None
}

/// The sizes of `count` tiles of which all but the last are given; the last one takes what remains.
fn given(count: u8, minus_1: &[u16], sbs: u32) -> Option<Vec<u32>> {
    let given = minus_1.get(..usize::from(count).checked_sub(1)?)?;
    let mut sizes: Vec<u32> = given.iter().map(|size| u32::from(*size) + 1).collect();
    let rest = sbs.checked_sub(sizes.iter().sum()).filter(|rest| *rest > 0)?;
    sizes.push(rest);
    Some(sizes)
}

/// The sizes of the tiles along one axis. Clients that say "uniform" may leave the sizes zero.
fn sizes(uniformly: bool, count: u8, minus_1: &[u16], sbs: u32) -> Option<Vec<u32>> {
    if count == 0 || usize::from(count) > MAX_TILE_COLS {
        return None;
    }
    if uniformly { uniform(count, sbs) } else { given(count, minus_1, sbs) }
}

/// Whether the tile columns that the client describes fit a frame of that width.
pub fn columns_fit(p: &Params, superblocks: &Superblocks) -> bool {
    let uniformly = p.pic.uniform_tile_spacing_flag() != 0;
    let said = &p.buffer.width_in_sbs_minus_1;
    let sbs = superblocks.count(0);
    let Some(sizes) = sizes(uniformly, p.buffer.tile_cols, said, sbs) else { return false };
    // Widths that need not be given (all with uniform spacing, else the last one) may be zero.
    let optional = if uniformly { 0 } else { sizes.len() - 1 };
    let told = said.iter().zip(&sizes).enumerate();
    if uniformly && said.iter().take(sizes.len()).all(|minus_1| *minus_1 == 0) {
        return true;
    }
    told.filter(|(i, (minus_1, _))| *i < optional || uniformly || **minus_1 != 0)
        .all(|(_, (minus_1, size))| u32::from(*minus_1) + 1 == *size)
}

/// Fills the zeroed tile layout of a frame.
pub fn tile_info(params: &Params, superblocks: &Superblocks, info: &mut TileInfo) -> Result<()> {
    let uniformly = params.pic.uniform_tile_spacing_flag() != 0;
    let p = &params.buffer;
    if uniformly {
        info.flags |= TILE_INFO_UNIFORM_TILE_SPACING;
    }
    info.context_update_tile_id = u8::try_from(p.context_update_tile_id).map_err(|_| {
        Error::Decoding(format!("context_update_tile_id {}", p.context_update_tile_id))
    })?;
    info.tile_cols = p.tile_cols;
    info.tile_rows = p.tile_rows;
    info.tile_size_bytes = 4;
    let axes = [
        (
            p.tile_cols,
            &p.width_in_sbs_minus_1,
            &mut info.mi_col_starts,
            &mut info.width_in_sbs_minus_1,
        ),
        (
            p.tile_rows,
            &p.height_in_sbs_minus_1,
            &mut info.mi_row_starts,
            &mut info.height_in_sbs_minus_1,
        ),
    ];
    for (axis, (count, said, mi_starts, minus_1)) in axes.into_iter().enumerate() {
        let sbs = superblocks.count(axis);
        let sizes = sizes(uniformly, count, said, sbs).ok_or_else(|| {
            Error::Decoding(format!("{count} tiles do not divide {sbs} superblocks"))
        })?;
        let mut start = 0;
        for (i, size) in sizes.iter().enumerate() {
            mi_starts[i] = start << superblocks.shift;
            minus_1[i] = size - 1;
            start += size;
        }
        mi_starts[sizes.len()] = superblocks.mi[axis];
    }
    Ok(())
}

/// The tiles of a picture, their bytes one after the other.
///
/// Clients send the bytes in many ways (bare tiles, tile groups, whole temporal units); what each tile's
/// parameters say about offset and size holds for all of them. The nth parameter buffer belongs to the
/// nth data buffer, or all of them to the only data buffer (Chromium).
pub fn tiles(picture: &Picture<'_>) -> Result<(Vec<TileGroupEntry>, Vec<u8>)> {
    let of_kind = |kind| picture.buffers.iter().filter(move |b| b.kind == kind);
    let params: Vec<_> = of_kind(va::VASliceParameterBufferType).collect();
    let data: Vec<_> = of_kind(va::VASliceDataBufferType).collect();
    if params.is_empty() || data.is_empty() || (data.len() != 1 && data.len() != params.len()) {
        return Err(Error::InvalidBuffer(format!(
            "{} tile parameter buffers with {} data buffers",
            params.len(),
            data.len()
        )));
    }
    let (mut entries, mut bytes) = (Vec::new(), Vec::new());
    let mut all = CodedBytes::default();
    for (i, params) in params.into_iter().enumerate() {
        let data = data.get(i).unwrap_or(&data[0]);
        for tile in params.elements::<va::VASliceParameterBufferAV1>()? {
            let coded = slice_bytes(&data.data, tile.slice_data_offset, tile.slice_data_size)?;
            all.add(coded)?;
            entries.push(TileGroupEntry {
                // It fits, or there would be too many.
                tile_offset: bytes.len() as u32,
                tile_size: tile.slice_data_size,
                tile_row: tile.tile_row.into(),
                tile_col: tile.tile_column.into(),
            });
            bytes.extend_from_slice(coded);
        }
    }
    Ok((entries, bytes))
}
