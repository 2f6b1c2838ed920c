//! What order hints decide: distances (AV1 section 7.2) and the references of skip mode (5.9.22).

use super::REFS_PER_FRAME;

/// get_relative_dist(): how far `a` comes after `b` in output order, modulo 2^`bits`. 0 without order
/// hints (`bits` 0).
pub fn relative_dist(a: u32, b: u32, bits: u8) -> i32 {
    let Some(shift) = 32u32.checked_sub(u32::from(bits)).filter(|_| bits > 0) else { return 0 };
    // The difference, its lowest `bits` bits read as a signed number.
    (a.wrapping_sub(b) << shift) as i32 >> shift
}

/// SkipModeFrame: the two references of skip mode by name (LAST_FRAME is 1), or `None` where
/// skipModeAllowed is 0 for lack of references. `hints` are the order hints of the references, LAST_FRAME
/// first; the caller checks FrameIsIntra, reference_select and enable_order_hint.
pub fn skip_mode_frames(
    order_hint: u32,
    hints: &[u32; REFS_PER_FRAME],
    bits: u8,
) -> Option<[u8; 2]> {
    let dist = |a: u32, b: u32| relative_dist(a, b, bits);
    let mut forward: Option<(usize, u32)> = None;
    let mut backward: Option<(usize, u32)> = None;
    for (i, &hint) in hints.iter().enumerate() {
        if dist(hint, order_hint) < 0 {
            if forward.is_none_or(|(_, best)| dist(hint, best) > 0) {
                forward = Some((i, hint));
            }
        } else if dist(hint, order_hint) > 0
            && backward.is_none_or(|(_, best)| dist(hint, best) < 0)
        {
            backward = Some((i, hint));
        }
    }
    let (first, forward_hint) = forward?;
    let second = match backward {
        Some((second, _)) => second,
        None => {
            let mut second: Option<(usize, u32)> = None;
            for (i, &hint) in hints.iter().enumerate() {
                if dist(hint, forward_hint) < 0
                    && second.is_none_or(|(_, best)| dist(hint, best) > 0)
                {
                    second = Some((i, hint));
                }
            }
            second?.0
        }
    };
    Some([1 + first.min(second) as u8, 1 + first.max(second) as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_wrap_around() {
        assert_eq!(relative_dist(1, 127, 7), 2);
        assert_eq!(relative_dist(127, 1, 7), -2);
        assert_eq!(relative_dist(64, 0, 7), -64);
        assert_eq!(relative_dist(3, 1, 0), 0);
        assert_eq!(relative_dist(u32::MAX, 0, 255), 0, "more bits than AV1 has");
    }

    #[test]
    fn skip_mode_takes_the_nearest_on_both_sides() {
        assert_eq!(skip_mode_frames(10, &[8, 4, 2, 9, 16, 12, 20], 5), Some([4, 6]));
    }

    #[test]
    fn skip_mode_takes_the_two_nearest_before_where_none_follows() {
        assert_eq!(skip_mode_frames(10, &[9, 8, 4, 9, 9, 8, 1], 5), Some([1, 2]));
        assert_eq!(skip_mode_frames(10, &[9; 7], 5), None);
        assert_eq!(skip_mode_frames(10, &[11; 7], 5), None);
    }
}
