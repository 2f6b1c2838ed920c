//! Pictures that may not be as large as they are.

use super::*;

#[test]
fn pictures_beside_one_that_is_too_large_are_right() {
    // 37x21, and 64x48 in between.
    let (small, large) = (ivf_frames(PROFILE2), ivf_frames(ALTREF)[0]);
    let packets = [&small[..], &[large], &small, &[large, large], &small].concat();
    let expected = [&PROFILE2_SUMS[..]; 3].concat();
    for threads in THREADS {
        for queued in [0, !0, 0b1010_1010_1010] {
            let mut decoder = AdaptiveDecoder::new(Codec::Vp9, threads).unwrap();
            let mut out = Vec::new();
            for (at, bytes) in packets.iter().enumerate() {
                let (id, queued) = (at as u64 + 1, queued >> at & 1 != 0);
                let key = *bytes == small[0] || *bytes == large;
                let plain = Packet::plain(id, bytes);
                decoder.send(Packet { key, queued, largest: 37 * 21, ..plain }, &mut out);
                if !queued {
                    decoder.finish(id, &mut out);
                }
            }
            decoder.finish(u64::MAX, &mut out);
            assert!(out.iter().map(|output| output.id).eq(1..=packets.len() as u64));
            let (good, bad): (Vec<_>, Vec<_>) =
                out.into_iter().map(|output| output.picture).partition(Result::is_ok);
            assert_eq!(sums(good), expected, "{threads} threads, {queued:#x}");
            let refused =
                Error::TooLarge { codec: Codec::Vp9, width: 64, height: 48, largest: 37 * 21 };
            assert_eq!(bad.len(), 3);
            assert!(bad.into_iter().all(|answer| answer.err() == Some(refused.clone())));
        }
    }
}

#[test]
fn what_is_allowed_for_a_picture_is_allowed_for_those_after_it() {
    let units = access_units(BFRAMES);
    let packets = [&units[..], &units].concat();
    for threads in THREADS {
        for queued in [0, !0, 0b11_1000] {
            let mut decoder = AdaptiveDecoder::new(Codec::H264, threads).unwrap();
            let mut out = Vec::new();
            for (at, bytes) in packets.iter().enumerate() {
                let (id, queued) = (at as u64 + 1, queued >> at & 1 != 0);
                let largest = if at == 0 { 1 << 20 } else { 0 };
                let key = at % units.len() == 0;
                let plain = Packet::plain(id, bytes);
                decoder.send(Packet { key, parts: 3, queued, largest, ..plain }, &mut out);
                if !queued {
                    decoder.finish(id, &mut out);
                }
            }
            decoder.finish(u64::MAX, &mut out);
            let pictures = out.into_iter().map(|output| output.picture).collect();
            assert_eq!(sums(pictures), BFRAMES_SUMS.repeat(2), "{threads} threads");
        }
    }
}

#[test]
fn large_packets_are_not_kept() {
    for threads in THREADS {
        let mut decoder = AdaptiveDecoder::new(Codec::H264, threads).unwrap();
        let mut out = Vec::new();
        let key = access_units(BFRAMES)[0];
        // A NAL unit of filler data makes the packet large: three fit into what is kept, and a fourth does not.
        let large = [key, &[0, 0, 1, 12], &vec![0xff; 10 << 20], &[0x80]].concat();
        for id in 1..=4 {
            let packet = Packet { key: id == 1, queued: true, ..Packet::plain(id, &large) };
            decoder.send(packet, &mut out);
            let kept = decoder.kept.as_ref().map_or(0, Vec::len) as u64;
            let expected = if id < 4 && threads > 3 { id } else { 0 };
            let fine = if threads > 3 { kept == expected } else { kept < 4 };
            assert!(fine, "{threads} threads: {kept} packets of {id}");
        }
        decoder.finish(u64::MAX, &mut out);
        assert!(out.iter().map(|output| output.id).eq(1..=4), "{threads} threads");
        assert!(out.iter().all(|output| output.picture.is_ok()), "{threads} threads");
    }
}
