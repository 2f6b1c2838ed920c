//! tile_info() (AV1 section 5.9.15).

use daedalus_uapi::av1::{MAX_TILE_COLS, TILE_INFO_UNIFORM_TILE_SPACING, TileInfo};

use super::bits::{Bits, invalid};
use crate::Result;

const MAX_TILE_WIDTH: u32 = 4096;
const MAX_TILE_AREA: u32 = 4096 * 2304;
/// TileSizeBytes: the widest, whatever the client's stream used.
pub(super) const TILE_SIZE_BYTES: u32 = 4;

/// What the frame's size says about its tiles.
struct Limits {
    sb_cols: u32,
    sb_rows: u32,
    max_tile_width_sb: u32,
    min_log2_tile_cols: u32,
    max_log2_tile_cols: u32,
    max_log2_tile_rows: u32,
    min_log2_tiles: u32,
}

impl Limits {
    fn new(frame_width: u32, frame_height: u32, use_128x128_superblock: bool) -> Self {
        let mi_cols = 2 * ((frame_width + 7) >> 3);
        let mi_rows = 2 * ((frame_height + 7) >> 3);
        let sb_shift = if use_128x128_superblock { 5 } else { 4 };
        let in_sbs = |mi: u32| (mi + (1 << sb_shift) - 1) >> sb_shift;
        let (sb_cols, sb_rows) = (in_sbs(mi_cols), in_sbs(mi_rows));
        let sb_size = sb_shift + 2;
        let max_tile_width_sb = MAX_TILE_WIDTH >> sb_size;
        let max_tile_area_sb = MAX_TILE_AREA >> (2 * sb_size);
        let min_log2_tile_cols = tile_log2(max_tile_width_sb, sb_cols);
        Limits {
            sb_cols,
            sb_rows,
            max_tile_width_sb,
            min_log2_tile_cols,
            max_log2_tile_cols: tile_log2(1, sb_cols.min(MAX_TILE_COLS as u32)),
            max_log2_tile_rows: tile_log2(1, sb_rows.min(MAX_TILE_COLS as u32)),
            min_log2_tiles: min_log2_tile_cols.max(tile_log2(max_tile_area_sb, sb_rows * sb_cols)),
        }
    }
}

/// tile_log2(): the smallest k such that blkSize << k is at least target.
fn tile_log2(blk_size: u32, target: u32) -> u32 {
    let mut k = 0;
    while (blk_size << k) < target {
        k += 1;
    }
    k
}

/// tile_info(). `frame_width` and `frame_height` are FrameWidth and FrameHeight, at most 65536.
pub(super) fn tile_info(
    w: &mut Bits,
    tiles: &TileInfo,
    frame_width: u32,
    frame_height: u32,
    use_128x128_superblock: bool,
) -> Result<()> {
    let limits = Limits::new(frame_width, frame_height, use_128x128_superblock);
    let uniform = tiles.flags & TILE_INFO_UNIFORM_TILE_SPACING != 0;
    w.flag("uniform_tile_spacing_flag", uniform)?;
    let (tile_cols_log2, tile_rows_log2) =
        if uniform { uniform_spacing(w, tiles, &limits)? } else { own_spacing(w, tiles, &limits)? };
    if tile_cols_log2 > 0 || tile_rows_log2 > 0 {
        let bits = tile_rows_log2 + tile_cols_log2;
        w.f("context_update_tile_id", bits, tiles.context_update_tile_id)?;
        w.f("tile_size_bytes_minus_1", 2, TILE_SIZE_BYTES - 1)?;
    }
    Ok(())
}

/// Codes the TileColsLog2 and TileRowsLog2 that lead to the numbers of tiles.
fn uniform_spacing(w: &mut Bits, tiles: &TileInfo, limits: &Limits) -> Result<(u32, u32)> {
    let count = |sbs: u32, log2: u32| sbs.div_ceil((sbs + (1 << log2) - 1) >> log2);
    let find = |sbs: u32, min: u32, max: u32, wanted: u8| {
        (min..=max.max(min)).find(|log2| count(sbs, *log2) == u32::from(wanted))
    };
    let increments = |w: &mut Bits, name: &str, min: u32, max: u32, log2: u32| {
        for _ in min..log2 {
            w.flag(name, true)?;
        }
        if log2 < max { w.flag(name, false) } else { Ok(()) }
    };
    let (min, max) = (limits.min_log2_tile_cols, limits.max_log2_tile_cols);
    let tile_cols_log2 = find(limits.sb_cols, min, max, tiles.tile_cols)
        .ok_or_else(|| invalid(format!("TileCols: {}", tiles.tile_cols)))?;
    increments(w, "increment_tile_cols_log2", min, max, tile_cols_log2)?;

    let min = limits.min_log2_tiles.saturating_sub(tile_cols_log2);
    let max = limits.max_log2_tile_rows;
    let tile_rows_log2 = find(limits.sb_rows, min, max, tiles.tile_rows)
        .ok_or_else(|| invalid(format!("TileRows: {}", tiles.tile_rows)))?;
    increments(w, "increment_tile_rows_log2", min, max, tile_rows_log2)?;
    Ok((tile_cols_log2, tile_rows_log2))
}

/// Codes each width and height; those of the last column and row are what remains.
fn own_spacing(w: &mut Bits, tiles: &TileInfo, limits: &Limits) -> Result<(u32, u32)> {
    let spans = |w: &mut Bits, name: &str, count: u8, minus_1: &[u32], sbs: u32, most: u32| {
        let mut start = 0;
        let mut widest = 0;
        let last = usize::from(count).wrapping_sub(1);
        for (i, minus_1) in minus_1.iter().enumerate().take(usize::from(count)) {
            if start >= sbs {
                return Err(invalid(format!("{name}: {count} tiles in {sbs} superblocks")));
            }
            let left = sbs - start;
            let size_minus_1 = if i == last { left - 1 } else { *minus_1 };
            w.ns(name, left.min(most), size_minus_1)?;
            widest = widest.max(size_minus_1 + 1);
            start += size_minus_1 + 1;
        }
        if start == sbs { Ok(widest) } else { Err(invalid(format!("{name}: no tiles"))) }
    };
    if usize::from(tiles.tile_cols.max(tiles.tile_rows)) > MAX_TILE_COLS {
        return Err(invalid(format!("TileCols {}, TileRows {}", tiles.tile_cols, tiles.tile_rows)));
    }
    let widest_tile_sb = spans(
        w,
        "width_in_sbs_minus_1",
        tiles.tile_cols,
        &tiles.width_in_sbs_minus_1,
        limits.sb_cols,
        limits.max_tile_width_sb,
    )?;
    let area = limits.sb_rows * limits.sb_cols;
    let max_tile_area_sb =
        if limits.min_log2_tiles > 0 { area >> (limits.min_log2_tiles + 1) } else { area };
    spans(
        w,
        "height_in_sbs_minus_1",
        tiles.tile_rows,
        &tiles.height_in_sbs_minus_1,
        limits.sb_rows,
        (max_tile_area_sb / widest_tile_sb).max(1),
    )?;
    Ok((tile_log2(1, tiles.tile_cols.into()), tile_log2(1, tiles.tile_rows.into())))
}
