//! The compressed header, VP9 section 6.3, as V4L2 wants it: the coded probability updates themselves
//! (after inv_map_table, section 6.3.5; motion vectors' as new values), zero where there is none. What
//! the probabilities were before is the device's business.

use daedalus_uapi::{
    FromZeros,
    vp9::{CompressedHdr, MvProbs},
};

use super::{
    bool_decoder::BoolDecoder,
    uncompressed_header::{SWITCHABLE, UncompressedHeader},
};
use crate::error::Result;

const TX_MODE_ALLOW_32X32: u8 = 3;
const TX_MODE_SELECT: u8 = 4;

const SINGLE_REFERENCE: u8 = 0;
const COMPOUND_REFERENCE: u8 = 1;
const REFERENCE_MODE_SELECT: u8 = 2;

/// `MAX_PROB - 1`, the number of entries of inv_map_table.
const INV_MAP_ENTRIES: usize = 254;

/// `inv_map_table`, section 6.3.5: every 13th value from 7 on, then all others in order.
const INV_MAP_TABLE: [u8; INV_MAP_ENTRIES] = {
    let mut table = [0; INV_MAP_ENTRIES];
    let (mut coarse, mut other, mut value) = (0, 20, 1);
    while value < 255 {
        if value % 13 == 7 {
            table[coarse] = value as u8;
            coarse += 1;
        } else {
            table[other] = value as u8;
            other += 1;
        }
        value += 1;
    }
    table
};

/// `compressed_header()`: the updates and `reference_mode`, which V4L2 has in another control.
pub(super) fn parse(data: &[u8], header: &UncompressedHeader) -> Result<(CompressedHdr, u8)> {
    let mut bool_decoder = BoolDecoder::new(data)?;
    let d = &mut bool_decoder;
    let mut updates = CompressedHdr::new_zeroed();
    let mut reference_mode = SINGLE_REFERENCE;
    updates.tx_mode = read_tx_mode(d, header.lossless());
    if updates.tx_mode == TX_MODE_SELECT {
        tx_mode_probs(d, &mut updates);
    }
    read_coef_probs(d, &mut updates);
    diff_update_probs(d, &mut updates.skip);
    if !header.frame_is_intra() {
        diff_update_probs(d, updates.inter_mode.as_flattened_mut());
        if header.interp_filter == SWITCHABLE {
            diff_update_probs(d, updates.interp_filter.as_flattened_mut());
        }
        diff_update_probs(d, &mut updates.is_inter);
        reference_mode = frame_reference_mode(d, &header.ref_frame_sign_bias);
        frame_reference_mode_probs(d, &mut updates, reference_mode);
        diff_update_probs(d, updates.y_mode.as_flattened_mut());
        diff_update_probs(d, updates.partition.as_flattened_mut());
        mv_probs(d, &mut updates.mv, header.allow_high_precision_mv);
    }
    Ok((updates, reference_mode))
}

/// Section 6.3.1.
fn read_tx_mode(d: &mut BoolDecoder<'_>, lossless: bool) -> u8 {
    if lossless {
        return 0;
    }
    let tx_mode = d.literal(2);
    if tx_mode == TX_MODE_ALLOW_32X32 { tx_mode + d.literal(1) } else { tx_mode }
}

/// Section 6.3.2.
fn tx_mode_probs(d: &mut BoolDecoder<'_>, updates: &mut CompressedHdr) {
    diff_update_probs(d, updates.tx8.as_flattened_mut());
    diff_update_probs(d, updates.tx16.as_flattened_mut());
    diff_update_probs(d, updates.tx32.as_flattened_mut());
}

/// Section 6.3.3.
fn diff_update_prob(d: &mut BoolDecoder<'_>, prob: &mut u8) {
    if d.bool(252) {
        let delta_prob = decode_term_subexp(d);
        // The code reaches one beyond the table; decoders take its last value then.
        *prob = INV_MAP_TABLE[usize::from(delta_prob).min(INV_MAP_ENTRIES - 1)];
    }
}

fn diff_update_probs(d: &mut BoolDecoder<'_>, probs: &mut [u8]) {
    probs.iter_mut().for_each(|prob| diff_update_prob(d, prob));
}

/// Section 6.3.4; at most 254.
fn decode_term_subexp(d: &mut BoolDecoder<'_>) -> u8 {
    if d.literal(1) == 0 {
        return d.literal(4);
    }
    if d.literal(1) == 0 {
        return d.literal(4) + 16;
    }
    if d.literal(1) == 0 {
        return d.literal(5) + 32;
    }
    let v = d.literal(7);
    if v < 65 { v + 64 } else { (v << 1) - 1 + d.literal(1) }
}

/// Section 6.3.7.
fn read_coef_probs(d: &mut BoolDecoder<'_>, updates: &mut CompressedHdr) {
    let max_tx_size = updates.tx_mode.min(TX_MODE_ALLOW_32X32);
    for tx_size in &mut updates.coef[..=usize::from(max_tx_size)] {
        if d.literal(1) == 1 {
            for bands in tx_size.as_flattened_mut() {
                for (k, band) in bands.iter_mut().enumerate() {
                    let max_l = if k == 0 { 3 } else { 6 };
                    diff_update_probs(d, band[..max_l].as_flattened_mut());
                }
            }
        }
    }
}

/// Section 6.3.12. The biases are those of LAST_FRAME, GOLDEN_FRAME and ALTREF_FRAME.
fn frame_reference_mode(d: &mut BoolDecoder<'_>, ref_frame_sign_bias: &[bool; 3]) -> u8 {
    let [last, golden, altref] = *ref_frame_sign_bias;
    let compound_reference_allowed = golden != last || altref != last;
    if !compound_reference_allowed || d.literal(1) == 0 {
        SINGLE_REFERENCE
    } else if d.literal(1) == 0 {
        COMPOUND_REFERENCE
    } else {
        REFERENCE_MODE_SELECT
    }
}

/// Section 6.3.13.
fn frame_reference_mode_probs(
    d: &mut BoolDecoder<'_>,
    updates: &mut CompressedHdr,
    reference_mode: u8,
) {
    if reference_mode == REFERENCE_MODE_SELECT {
        diff_update_probs(d, &mut updates.comp_mode);
    }
    if reference_mode != COMPOUND_REFERENCE {
        diff_update_probs(d, updates.single_ref.as_flattened_mut());
    }
    if reference_mode != SINGLE_REFERENCE {
        diff_update_probs(d, &mut updates.comp_ref);
    }
}

/// Section 6.3.16.
fn mv_probs(d: &mut BoolDecoder<'_>, mv: &mut MvProbs, allow_high_precision_mv: bool) {
    update_mv_probs(d, &mut mv.joint);
    for i in 0..2 {
        update_mv_prob(d, &mut mv.sign[i]);
        update_mv_probs(d, &mut mv.classes[i]);
        update_mv_prob(d, &mut mv.class0_bit[i]);
        update_mv_probs(d, &mut mv.bits[i]);
    }
    for i in 0..2 {
        update_mv_probs(d, mv.class0_fr[i].as_flattened_mut());
        update_mv_probs(d, &mut mv.fr[i]);
    }
    if allow_high_precision_mv {
        for i in 0..2 {
            update_mv_prob(d, &mut mv.class0_hp[i]);
            update_mv_prob(d, &mut mv.hp[i]);
        }
    }
}

/// Section 6.3.17.
fn update_mv_prob(d: &mut BoolDecoder<'_>, prob: &mut u8) {
    if d.bool(252) {
        let mv_prob = d.literal(7);
        *prob = mv_prob << 1 | 1;
    }
}

fn update_mv_probs(d: &mut BoolDecoder<'_>, probs: &mut [u8]) {
    probs.iter_mut().for_each(|prob| update_mv_prob(d, prob));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_map_table_has_each_distance_once_coarse_ones_first() {
        assert_eq!(INV_MAP_TABLE[..4], [7, 20, 33, 46]);
        assert_eq!(INV_MAP_TABLE[18..28], [241, 254, 1, 2, 3, 4, 5, 6, 8, 9]);
        assert_eq!(INV_MAP_TABLE[250..], [250, 251, 252, 253]);
        let mut sorted = INV_MAP_TABLE;
        sorted.sort_unstable();
        assert!(sorted.iter().zip(1..).all(|(value, wanted)| *value == wanted));
    }
}
