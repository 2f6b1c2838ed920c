//! Decoding through libavcodec, against what FFmpeg's own software decode shows of the same clips.

mod fields;
mod sizes;

use super::*;

const BFRAMES: &[u8] = include_bytes!("../../../tests/data/bframes.h264");
const HIGH10: &[u8] = include_bytes!("../../../tests/data/high10.h264");
const ALTREF: &[u8] = include_bytes!("../../../tests/data/altref.ivf");
const PROFILE2: &[u8] = include_bytes!("../../../tests/data/profile2.ivf");

/// How many threads decode in the tests.
const THREADS: [usize; 5] = [1, 2, 3, 4, 8];

/// Checksums in decode order (see tests/data/COMMANDS.md).
const BFRAMES_SUMS: [u32; 5] = [0xae4752e3, 0xb4a917da, 0xa3a137f6, 0xa02e37c1, 0xfc302565];
const HIGH10_SUMS: [u32; 5] = [0x0fb9da74, 0x384780a1, 0xf16bd6fa, 0xff5ba847, 0x84219b2f];
const ALTREF_SUMS: [u32; 14] = [
    0xed5e51ef, 0xa0d01e22, 0x620f3a76, 0x3ed82f73, 0x91be2252, 0xa0d01e22, 0x8b541c17, 0x1ab01554,
    0x4df823ec, 0x8a122828, 0x6c352d33, 0xde1c2e81, 0x2c972c30, 0x8b541c17,
];
const PROFILE2_SUMS: [u32; 3] = [0x79c2398a, 0x1fd12fda, 0x3a7e26f1];

/// Access units of an Annex B stream that has access unit delimiters.
fn access_units(stream: &[u8]) -> Vec<&[u8]> {
    let delimiter = [0, 0, 0, 1, 9];
    let starts = stream.windows(5).enumerate().filter(|(_, w)| *w == delimiter).map(|(at, _)| at);
    let mut starts: Vec<_> = starts.collect();
    starts.push(stream.len());
    starts.windows(2).map(|w| &stream[w[0]..w[1]]).collect()
}

/// Frames of an IVF file, those inside superframes (VP9 annex B) one by one.
fn ivf_frames(mut file: &[u8]) -> Vec<&[u8]> {
    file = &file[32..];
    let mut frames = Vec::new();
    while let Some((header, rest)) = file.split_at_checked(12) {
        let size = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let (mut packet, rest) = rest.split_at(size);
        file = rest;
        let marker = packet[size - 1];
        if marker & 0xe0 == 0xc0 {
            let (count, bytes) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
            let index = &packet[size - 1 - count * bytes..size - 1];
            for length in index.chunks(bytes) {
                let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let (frame, rest) = packet.split_at(length);
                frames.push(frame);
                packet = rest;
            }
        } else {
            frames.push(packet);
        }
    }
    frames
}

/// FFmpeg's framecrc: Adler-32 from 0 over the planes without padding.
fn checksum(picture: &Decoded) -> u32 {
    let view = picture.planar.view();
    let bytes = if view.bit_depth > 8 { 2 } else { 1 };
    let (mut a, mut b) = (0u32, 0u32);
    let mut plane = |(samples, pitch): (&[u8], usize), width: usize, height: usize| {
        assert_eq!(samples.len(), pitch * (height - 1) + width * bytes, "exact plane length");
        for byte in samples.chunks(pitch).flat_map(|row| &row[..width * bytes]) {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
    };
    plane(view.luma, view.width, view.height);
    for chroma in view.chroma.unwrap() {
        plane(chroma, view.width.div_ceil(2), view.height.div_ceil(2));
    }
    b << 16 | a
}

/// Sends packets with the ids 1000, 2000 ... and returns the answers, one per packet and in order.
fn decode(codec: Codec, packets: &[&[u8]], threads: usize) -> Vec<Result<Decoded>> {
    let mut decoder = FfmpegDecoder::new(codec, threads, Division::Pictures).unwrap();
    send_all(&mut decoder, 1000, packets)
}

fn send_all(decoder: &mut FfmpegDecoder, first: u64, packets: &[&[u8]]) -> Vec<Result<Decoded>> {
    let ids: Vec<u64> = (first..).step_by(1000).take(packets.len()).collect();
    let mut out = Vec::new();
    for (id, bytes) in ids.iter().zip(packets) {
        decoder.send(Packet::plain(*id, bytes), &mut out);
    }
    decoder.finish(u64::MAX, &mut out);
    assert_eq!(out.iter().map(|o| o.id).collect::<Vec<_>>(), ids);
    out.into_iter().map(|o| o.picture).collect()
}

/// Checksums of pictures that must all be clean.
fn sums(answers: Vec<Result<Decoded>>) -> Vec<u32> {
    let clean = answers.into_iter().map(|answer| {
        let picture = answer.unwrap();
        assert_eq!(picture.damage, None);
        checksum(&picture)
    });
    clean.collect()
}

#[test]
fn reordered_pictures_answer_the_packet_that_coded_them() {
    for threads in THREADS {
        assert_eq!(
            sums(decode(Codec::H264, &access_units(BFRAMES), threads)),
            BFRAMES_SUMS,
            "{threads} threads"
        );
    }
}

#[test]
fn ten_bit_h264_is_exact() {
    for threads in THREADS {
        assert_eq!(
            sums(decode(Codec::H264, &access_units(HIGH10), threads)),
            HIGH10_SUMS,
            "{threads} threads"
        );
    }
}

#[test]
fn hidden_vp9_frames_have_pictures() {
    for threads in THREADS {
        assert_eq!(
            sums(decode(Codec::Vp9, &ivf_frames(ALTREF), threads)),
            ALTREF_SUMS,
            "{threads} threads"
        );
    }
}

#[test]
fn odd_sized_ten_bit_vp9_is_exact() {
    for threads in THREADS {
        assert_eq!(
            sums(decode(Codec::Vp9, &ivf_frames(PROFILE2), threads)),
            PROFILE2_SUMS,
            "{threads} threads"
        );
    }
}

#[test]
fn pictures_outlive_their_decoder() {
    let answers = decode(Codec::Vp9, &ivf_frames(ALTREF), 3);
    assert_eq!(sums(answers).len(), ALTREF_SUMS.len());
}

#[test]
fn a_reset_decoder_starts_again_at_a_key_frame() {
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
        let units = access_units(BFRAMES);
        send_all(&mut decoder, 1000, &units[..3]);
        let mut out = Vec::new();
        decoder.reset(&mut out);
        assert!(out.is_empty());
        assert_eq!(sums(send_all(&mut decoder, 11_000, &units)), BFRAMES_SUMS);
    }
}

#[test]
fn a_lost_slice_marks_the_picture_and_the_next_key_frame_is_clean() {
    let units = access_units(BFRAMES);
    let second_slice = (0..units[0].len() - 4)
        .filter(|at| units[0][*at..at + 3] == [0, 0, 1] && units[0][at + 3] & 0x1f == 5)
        .nth(1)
        .unwrap();
    let third_slice = (second_slice + 3..units[0].len() - 4)
        .find(|at| units[0][*at..at + 3] == [0, 0, 1])
        .unwrap();
    let holed = [&units[0][..second_slice], &units[0][third_slice..]].concat();
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
        let damaged = send_all(&mut decoder, 1000, &[&holed]).remove(0).unwrap();
        assert_eq!(damaged.damage.as_deref(), Some("12 of 48 rows were not decoded"));
        assert_eq!(sums(send_all(&mut decoder, 11_000, &units)), BFRAMES_SUMS);
    }
}

#[test]
fn a_vp9_frame_cut_in_its_headers_is_not_clean_and_the_next_key_frame_is() {
    let frames = ivf_frames(ALTREF);
    // libavcodec reads zeros beyond the end of tile data and does not report that.
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::Vp9, threads, Division::Pictures).unwrap();
        for length in [0, 1, 2, 9, 20] {
            let answer =
                send_all(&mut decoder, 1000 + length as u64, &[&frames[0][..length]]).remove(0);
            let clean = answer.is_ok_and(|picture| picture.damage.is_none());
            assert!(!clean, "{length} bytes");
        }
        assert_eq!(sums(send_all(&mut decoder, 101_000, &frames)), ALTREF_SUMS);
    }
}

#[test]
fn a_packet_without_a_picture_is_an_error() {
    let parameter_sets = {
        let unit = access_units(BFRAMES)[0];
        let slice = unit.windows(4).position(|w| w == [0, 0, 1, 0x65]).unwrap();
        &unit[..slice]
    };
    for packet in [&[][..], &[0xff; 40], parameter_sets] {
        for threads in THREADS {
            let answer = decode(Codec::H264, &[packet], threads).remove(0);
            assert!(matches!(answer, Err(Error::Decode { .. })));
        }
    }
}

#[test]
fn a_second_packet_of_the_same_id_completes_the_same_picture() {
    let units = access_units(BFRAMES);
    let third_slice = units[0].windows(4).rposition(|w| w == [0, 0, 1, 0x65]).unwrap();
    let (first, second) = units[0].split_at(third_slice);
    let mut decoder = FfmpegDecoder::new(Codec::H264, 1, Division::Pictures).unwrap();
    let mut out = Vec::new();
    decoder.send(Packet::plain(1000, first), &mut out);
    decoder.send(Packet::plain(1000, second), &mut out);
    assert!(out.iter().all(|o| o.id == 1000 && o.picture.is_ok()) && out.len() == 2);
}

#[test]
fn what_is_asked_for_is_finished_without_more_packets() {
    let units = access_units(BFRAMES);
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
        let mut out = Vec::new();
        for (id, bytes) in (1..).zip(&units) {
            decoder.send(Packet::plain(id, bytes), &mut out);
            decoder.finish(id, &mut out);
            assert_eq!(out.len() as u64, id, "{threads} threads");
        }
        assert_eq!(sums(out.into_iter().map(|o| o.picture).collect()), BFRAMES_SUMS);
    }
}

#[test]
fn hidden_frames_are_finished_one_by_one() {
    let frames = ivf_frames(ALTREF);
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::Vp9, threads, Division::Pictures).unwrap();
        let mut out = Vec::new();
        for (id, bytes) in (1..).zip(&frames) {
            decoder.send(Packet::plain(id, bytes), &mut out);
            if id % 3 != 0 {
                decoder.finish(id, &mut out);
                assert_eq!(out.len() as u64, id, "{threads} threads");
            }
        }
        decoder.finish(u64::MAX, &mut out);
        assert_eq!(sums(out.into_iter().map(|o| o.picture).collect()), ALTREF_SUMS);
    }
}

#[test]
fn pictures_beside_a_broken_packet_are_those_of_one_thread() {
    let units = access_units(BFRAMES);
    let broken = [units[0], units[1], &[0xff; 40][..], units[2], &[][..], units[3], units[4]];
    for threads in THREADS {
        let answers = decode(Codec::H264, &broken, threads);
        let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.is_ok());
        assert_eq!(bad.len(), 2, "{threads} threads");
        let good: Vec<u32> = good.into_iter().map(|answer| checksum(&answer.unwrap())).collect();
        assert_eq!(good, BFRAMES_SUMS, "{threads} threads");
    }
}

/// What the adaptive decoder makes of `packets`, of which the ones in `keys` are key frames. The bits of
/// `queued` say which packets have one behind them; for the others the picture is waited for.
fn adapt(codec: Codec, packets: &[&[u8]], keys: &[usize], queued: u32, threads: usize) -> Vec<u32> {
    let mut decoder = AdaptiveDecoder::new(codec, threads).unwrap();
    let mut out = Vec::new();
    for (at, bytes) in packets.iter().enumerate() {
        let queued = queued >> (at % 32) & 1 != 0;
        let id = at as u64 + 1;
        let key = keys.contains(&at);
        decoder.send(Packet { key, parts: 3, queued, ..Packet::plain(id, bytes) }, &mut out);
        if !queued {
            decoder.finish(id, &mut out);
            assert_eq!(out.len() as u64, id);
        }
    }
    decoder.finish(u64::MAX, &mut out);
    if threads > 1 && queued == 0 {
        assert_eq!(decoder.division, Division::Parts);
    }
    if queued == !0 {
        assert_eq!(decoder.division, Division::Pictures);
    }
    assert!(out.iter().map(|output| output.id).eq(1..=packets.len() as u64));
    sums(out.into_iter().map(|output| output.picture).collect())
}

#[test]
fn the_division_of_work_may_change_at_any_time() {
    let units = access_units(BFRAMES);
    let units = [&units[..], &units, &units, &units].concat();
    let frames = ivf_frames(ALTREF);
    let frames = [&frames[..], &frames].concat();
    let patterns = [0, !0, 2, 4, 0b1_0000, 0x5555_5555, 0x00f0_00f0, 0xffff_0000, 0xffff];
    for threads in THREADS {
        for queued in patterns {
            let h264 = adapt(Codec::H264, &units, &[0, 5, 10, 15], queued, threads);
            assert_eq!(h264, BFRAMES_SUMS.repeat(4), "{threads} threads, {queued:#x}");
            let vp9 = adapt(Codec::Vp9, &frames, &[0, 14], queued, threads);
            assert_eq!(vp9, ALTREF_SUMS.repeat(2), "{threads} threads, {queued:#x}");
        }
    }
}

/// A key frame of four slices, and the beginning of a slice of the next picture.
const CUT_SLICE: &[u8] = include_bytes!("../../../tests/data/cut-slice.h264");

#[test]
fn key_frames_after_damage_are_right() {
    let cut = CUT_SLICE.windows(4).rposition(|window| window == [0, 0, 0, 1]).unwrap();
    let (key, slice) = CUT_SLICE.split_at(cut);
    // Damage right before a key frame, or a little earlier.
    for (threads, gap) in (1..=8).flat_map(|threads| (0..4).map(move |gap| (threads, gap))) {
        let mut packets = vec![(key, true), (slice, false)];
        packets.extend(std::iter::repeat_n((key, false), gap));
        packets.extend(std::iter::repeat_n((key, true), 1));
        packets.extend(std::iter::repeat_n((key, false), 20));
        for waits in [true, false] {
            let mut decoder = AdaptiveDecoder::new(Codec::H264, threads).unwrap();
            let mut out = Vec::new();
            for (id, (bytes, key)) in (1..).zip(&packets) {
                let queued = !waits && id < packets.len() as u64;
                let plain = Packet::plain(id, bytes);
                decoder.send(Packet { key: *key, parts: 4, queued, ..plain }, &mut out);
                if waits {
                    decoder.finish(id, &mut out);
                }
            }
            decoder.finish(u64::MAX, &mut out);
            let pictures: Vec<_> = out.into_iter().map(|answer| answer.picture.unwrap()).collect();
            assert_eq!(pictures.len(), packets.len());
            assert!(pictures[1].damage.is_some());
            let right = checksum(&pictures[0]);
            for (at, picture) in pictures.iter().enumerate().skip(gap + 2) {
                let what = format!("{threads} threads, gap {gap}, waits {waits}, picture {at}");
                assert_eq!(checksum(picture), right, "{what}");
            }
        }
    }
}

#[test]
fn a_picture_is_shown_while_it_is_being_decoded() {
    let units = access_units(BFRAMES);
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
        // The machine may have other things to do than the next row.
        decoder.row_patience = Duration::from_secs(60);
        for (id, bytes) in (1..).zip(&units) {
            let (mut out, mut shown, mut rows) = (Vec::new(), Vec::new(), 0);
            decoder.send(Packet::plain(id, bytes), &mut out);
            let mut show = |top: usize, view: &PlanarView<'_>| {
                assert_eq!(top, rows);
                rows += view.height;
                for row in view.luma.0.chunks(view.luma.1) {
                    shown.extend_from_slice(&row[..view.width]);
                }
            };
            decoder.finish_in_view(id, &mut show, &mut out);
            let picture = out.remove(0).picture.unwrap();
            let view = picture.planar.view();
            // With one thread it is complete before anybody can look.
            assert_eq!(rows, if threads > 1 { view.height } else { 0 });
            let whole = view.luma.0.chunks(view.luma.1).flat_map(|row| &row[..view.width]);
            assert!(shown.is_empty() || whole.eq(&shown), "{threads} threads");
        }
    }
}

#[test]
fn a_damaged_picture_is_finished_all_the_same() {
    let units = access_units(BFRAMES);
    let last_slice = units[1].windows(3).rposition(|bytes| bytes == [0, 0, 1]).unwrap();
    for threads in THREADS {
        let mut decoder = FfmpegDecoder::new(Codec::H264, threads, Division::Pictures).unwrap();
        let mut out = Vec::new();
        for (id, bytes) in
            [(1, units[0]), (2, &units[1][..last_slice]), (3, &[0xff; 9]), (4, units[0])]
        {
            decoder.send(Packet::plain(id, bytes), &mut out);
            decoder.finish_in_view(id, &mut |_, _| {}, &mut out);
            assert_eq!(out.len() as u64, id);
        }
        let damaged = out[1].picture.as_ref().unwrap().damage.as_deref();
        assert!(damaged.is_some_and(|what| what.ends_with("rows were not decoded")), "{damaged:?}");
        assert!(out[2].picture.is_err());
        assert_eq!(checksum(out[3].picture.as_ref().unwrap()), BFRAMES_SUMS[0]);
    }
}
