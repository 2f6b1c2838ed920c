//! What may happen to units on their way.

use super::units::{Coded, Packet};
use crate::random::dice::Dice;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    FlipBits,
    Overwrite,
    Truncate,
    Drop,
    Duplicate,
    Swap,
    DropPacket,
    DuplicatePacket,
    SwapPackets,
    Insert,
}

/// How likely each is. Flipped bits come in many kinds of their own.
const KINDS: [(u32, Kind); 10] = [
    (8, Kind::FlipBits),
    (3, Kind::Overwrite),
    (3, Kind::Truncate),
    (2, Kind::Drop),
    (1, Kind::Duplicate),
    (1, Kind::Swap),
    (2, Kind::DropPacket),
    (1, Kind::DuplicatePacket),
    (2, Kind::SwapPackets),
    (2, Kind::Insert),
];

/// Damages the packets before number `end`, as `dice` fall; `foreign` has units that do not belong there. Says
/// what was done. The packets from `end` on stay as they are, and have the number that is returned as well.
pub fn damage(
    coded: &mut Coded,
    mut end: usize,
    foreign: &[Packet],
    dice: &mut Dice,
) -> (Vec<String>, usize) {
    let mut done = Vec::new();
    for _ in 0..dice.weighted(&[(4, 1), (3, 2), (2, 4), (1, 12)]) {
        if end == 0 {
            break;
        }
        let at = dice.range(0..=end as u32 - 1) as usize;
        let kind = dice.weighted(&KINDS);
        let what = match kind {
            Kind::DropPacket => {
                coded.packets.remove(at);
                end -= 1;
                String::new()
            }
            Kind::DuplicatePacket => {
                coded.packets.insert(at, coded.packets[at].clone());
                end += 1;
                String::new()
            }
            Kind::SwapPackets => {
                let other = dice.range(0..=end as u32 - 1) as usize;
                coded.packets.swap(at, other);
                format!(" with {other}")
            }
            Kind::Insert if !foreign.is_empty() => {
                let other = dice.range(0..=foreign.len() as u32 - 1) as usize;
                coded.packets.insert(at, foreign[other].clone());
                end += 1;
                format!(" another's {other}")
            }
            _ => within(&mut coded.packets[at], kind, dice),
        };
        done.push(format!("{kind:?} {at}{what}"));
    }
    (done, end)
}

/// Something that happens to one unit of a packet.
fn within(packet: &mut Packet, kind: Kind, dice: &mut Dice) -> String {
    if packet.is_empty() {
        return String::new();
    }
    let last = packet.len() as u32 - 1;
    let at = dice.range(0..=last) as usize;
    match kind {
        Kind::Drop => drop(packet.remove(at)),
        Kind::Duplicate => packet.insert(at, packet[at].clone()),
        Kind::Swap => packet.swap(at, dice.range(0..=last) as usize),
        _ => return format!(".{at}{}", bytes(&mut packet[at], kind, dice)),
    }
    format!(".{at}")
}

/// Something that happens to the bytes of a unit. Headers are at the beginning, and hit more often than their
/// length says.
fn bytes(unit: &mut Vec<u8>, kind: Kind, dice: &mut Dice) -> String {
    if unit.is_empty() {
        return String::new();
    }
    let length = unit.len() as u32;
    let most = if dice.one_in(3) { length.min(24) } else { length };
    let at = dice.range(0..=most - 1) as usize;
    match kind {
        Kind::Truncate => unit.truncate(at),
        Kind::Overwrite => {
            let count = dice.range(1..=64).min(length - at as u32) as usize;
            let zeros = dice.one_in(3);
            for byte in &mut unit[at..at + count] {
                *byte = if zeros { 0 } else { dice.range(0..=255) as u8 };
            }
            return format!(" {count} from {at}");
        }
        _ => {
            let count = dice.weighted(&[(4, 1), (2, 3), (1, 16)]);
            unit[at] ^= 1 << dice.range(0..=7);
            for _ in 1..count {
                unit[dice.range(0..=most - 1) as usize] ^= 1 << dice.range(0..=7);
            }
            return format!(" {count} from {at}");
        }
    }
    format!(" to {at}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Codec;

    #[test]
    fn the_end_stays_as_it_is_and_the_rest_does_not() {
        let mut file = vec![0; 32];
        for number in 0..20_u8 {
            file.extend(40_u32.to_le_bytes());
            file.extend(u64::from(number).to_le_bytes());
            file.extend([number; 40]);
        }
        let whole = Coded::parse(Codec::Vp9, &file).unwrap();
        let foreign = vec![vec![vec![99; 9]]];
        let mut changed = 0;
        for seed in 0..300 {
            let mut coded = whole.clone();
            let (done, end) = damage(&mut coded, 15, &foreign, &mut Dice::new(seed));
            assert!(!done.is_empty());
            assert_eq!(coded.from(end).packets, whole.from(15).packets, "{seed}: {done:?}");
            changed += usize::from(coded != whole);
        }
        // A packet may be swapped with itself, or a bit flipped twice.
        assert!(changed > 250, "{changed}");
    }
}
