//! The loops over samples, a row at a time. Nothing but slices: `benches/pack.rs` compiles this file as well.
//!
//! Plain loops without bounds checks, which the compiler turns into vector instructions (SSE2's and NEON's are
//! enough). The bench shows how far they are from memcpy; docs/performance.md has the figures.

/// 10-bit samples from the lower to the upper bits.
pub(crate) fn widen(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.chunks_exact_mut(2).zip(from.chunks_exact(2)) {
        to.copy_from_slice(&widened(from));
    }
}

/// Cb and Cr by turns, 8 bits each.
pub(crate) fn interleave8(to: &mut [u8], cb: &[u8], cr: &[u8]) {
    // Two stores: of an array of two, the compiler makes 16-bit arithmetic on ARM.
    for ((to, cb), cr) in to.chunks_exact_mut(2).zip(cb).zip(cr) {
        to[0] = *cb;
        to[1] = *cr;
    }
}

/// Cb and Cr by turns, 10 bits each, as [`widen`] does it.
pub(crate) fn interleave10(to: &mut [u8], cb: &[u8], cr: &[u8]) {
    for ((to, cb), cr) in to.chunks_exact_mut(4).zip(cb.chunks_exact(2)).zip(cr.chunks_exact(2)) {
        to[..2].copy_from_slice(&widened(cb));
        to[2..].copy_from_slice(&widened(cr));
    }
}

#[inline(always)]
fn widened(sample: &[u8]) -> [u8; 2] {
    // The array as a whole: of its two bytes, the compiler makes two vectors on ARM.
    let sample: [u8; 2] = sample.try_into().expect("chunks of two bytes");
    (u16::from_le_bytes(sample) << 6).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length around the vectors' and their tails', at every alignment of a source.
    fn for_each_length(mut check: impl FnMut(usize, usize)) {
        for length in (0..=70).chain([127, 128, 129, 255, 961]) {
            (0..4).for_each(|shift| check(length, shift));
        }
    }

    /// `samples` 10-bit samples, all values in turn from `first` on, after `shift` bytes.
    fn ten_bit(samples: usize, first: usize, shift: usize) -> Vec<u8> {
        let sample = |at| (((first + 37 * at) % 1024) as u16).to_le_bytes();
        vec![0xee; shift].into_iter().chain((0..samples).flat_map(sample)).collect()
    }

    fn upper(bytes: &[u8], at: usize) -> [u8; 2] {
        let value = (u32::from(bytes[2 * at]) | u32::from(bytes[2 * at + 1]) << 8) * 64;
        [(value & 0xff) as u8, (value >> 8) as u8]
    }

    #[test]
    fn widening_is_right_at_every_length() {
        for_each_length(|length, shift| {
            let from = ten_bit(length, 1000 + length, shift);
            let from = &from[shift..];
            let mut to = vec![0xaa; 2 * length];
            widen(&mut to, from);
            let naive: Vec<u8> = (0..length).flat_map(|at| upper(from, at)).collect();
            assert_eq!(to, naive, "{length} samples");
        });
    }

    #[test]
    fn eight_bit_chroma_is_right_at_every_length() {
        for_each_length(|length, shift| {
            let byte = |at: usize| (at * 7 + length) as u8;
            let cb: Vec<u8> = (0..length + shift).map(byte).collect();
            let cr: Vec<u8> = (0..length).map(|at| !byte(3 * at)).collect();
            let mut to = vec![0xaa; 2 * length];
            interleave8(&mut to, &cb[shift..], &cr);
            let naive: Vec<u8> = (0..length).flat_map(|at| [cb[shift + at], cr[at]]).collect();
            assert_eq!(to, naive, "{length} pairs");
        });
    }

    #[test]
    fn ten_bit_chroma_is_right_at_every_length() {
        for_each_length(|length, shift| {
            let (cb, cr) = (ten_bit(length, length, shift), ten_bit(length, 1023, 0));
            let cb = &cb[shift..];
            let mut to = vec![0xaa; 4 * length];
            interleave10(&mut to, cb, &cr);
            let pair = |at| [upper(cb, at), upper(&cr, at)].concat();
            let naive: Vec<u8> = (0..length).flat_map(pair).collect();
            assert_eq!(to, naive, "{length} pairs");
        });
    }
}
