//! The header writer against the library's parser, and the decoder against broken packets. Any bytes make
//! a tile, so pictures here are noise; only their headers matter.

use std::{sync::mpsc, thread, time::Duration};

use daedalus_uapi::{
    Controls,
    av1::{
        self, FilmGrain, Frame, GlobalMotion, LoopRestoration, PRIMARY_REF_NONE,
        TILE_INFO_UNIFORM_TILE_SPACING, TileGroupEntry, film_grain_flag, frame_flag, frame_type,
        loop_filter_flag, quantization_flag, restoration_type, segmentation_flag, sequence_flag,
        warp_model,
    },
};

use super::{Av1Decoder, Decoder, Output, Packet, library::Library};
use crate::{
    Error,
    reconstruct::{Writer, av1::Av1Writer},
};

/// Bytes of a tile, and of as many as a picture here has.
const TILE: u32 = 64;
const DATA: [u8; 12 * TILE as usize] = [0; 12 * TILE as usize];

/// Without frame threads, and with few and more.
const THREADS: [usize; 4] = [1, 2, 3, 5];

/// A shown key frame of one tile.
fn key(width: u32, height: u32) -> av1::Controls {
    let mut controls = av1::Controls::new_zeroed();
    let sequence = &mut controls.sequence;
    sequence.bit_depth = 8;
    sequence.order_hint_bits = 7;
    sequence.flags = sequence_flag::SUBSAMPLING_X
        | sequence_flag::SUBSAMPLING_Y
        | sequence_flag::ENABLE_ORDER_HINT
        | sequence_flag::ENABLE_CDEF
        | sequence_flag::FILM_GRAIN_PARAMS_PRESENT;
    let frame = &mut controls.frame;
    frame.frame_type = frame_type::KEY;
    frame.flags = frame_flag::SHOW_FRAME | frame_flag::ERROR_RESILIENT_MODE;
    frame.frame_width_minus_1 = width - 1;
    frame.upscaled_width = width;
    frame.frame_height_minus_1 = height - 1;
    frame.superres_denom = 8;
    frame.primary_ref_frame = PRIMARY_REF_NONE;
    frame.quantization.base_q_idx = 100;
    frame.tx_mode = 1;
    frame.refresh_frame_flags = 0xff;
    set_tiles(&mut controls, 1, 1);
    controls
}

/// A shown inter frame whose references are slots 0 to 6.
fn inter(width: u32, height: u32, order_hint: u32) -> av1::Controls {
    let mut controls = key(width, height);
    let frame = &mut controls.frame;
    frame.frame_type = frame_type::INTER;
    frame.flags = frame_flag::SHOW_FRAME;
    frame.order_hint = order_hint;
    frame.refresh_frame_flags = 1 << 2;
    frame.ref_frame_idx = [0, 1, 2, 3, 4, 5, 6];
    controls
}

fn set_tiles(controls: &mut av1::Controls, cols: u8, rows: u8) {
    let info = &mut controls.frame.tile_info;
    info.flags = TILE_INFO_UNIFORM_TILE_SPACING;
    info.tile_cols = cols;
    info.tile_rows = rows;
    let tile = |i: u32| TileGroupEntry {
        tile_offset: i * TILE,
        tile_size: TILE,
        tile_row: i / u32::from(cols),
        tile_col: i % u32::from(cols),
    };
    controls.tiles = (0..u32::from(cols) * u32::from(rows)).map(tile).collect();
}

fn write(writer: &mut Av1Writer, controls: &av1::Controls) -> Result<Vec<u8>, Error> {
    let mut packet = Vec::new();
    writer.write(1000, &Controls::Av1(Box::new(controls.clone())), &DATA, &mut packet)?;
    Ok(packet)
}

/// Writes frames one after the other into one decoder.
struct Witness {
    writer: Av1Writer,
    library: Library,
}

impl Witness {
    fn new() -> Self {
        Witness { writer: Av1Writer::new(), library: Library::open(1).unwrap() }
    }

    /// The picture as the library made it; panics if it found the headers wrong.
    fn read(&mut self, controls: &av1::Controls) -> super::Picture {
        let packet = write(&mut self.writer, controls).unwrap();
        self.library.send(1, &packet).expect("the library accepts the headers");
        self.library.get_picture().expect("a picture")
    }
}

#[test]
fn key_frame_fields_reach_the_decoder() {
    let mut controls = key(300, 150);
    let frame = &mut controls.frame;
    frame.order_hint = 77;
    frame.flags |= frame_flag::DISABLE_CDF_UPDATE | frame_flag::REDUCED_TX_SET;
    frame.tx_mode = 2;
    let q = &mut frame.quantization;
    q.flags = quantization_flag::USING_QMATRIX | quantization_flag::DELTA_Q_PRESENT;
    (q.delta_q_y_dc, q.delta_q_u_dc, q.delta_q_u_ac) = (-64, 63, -1);
    (q.delta_q_v_dc, q.delta_q_v_ac) = (5, 0);
    (q.qm_y, q.qm_u, q.qm_v, q.delta_q_res) = (3, 7, 15, 2);
    let lf = &mut frame.loop_filter;
    lf.flags = loop_filter_flag::DELTA_ENABLED
        | loop_filter_flag::DELTA_LF_PRESENT
        | loop_filter_flag::DELTA_LF_MULTI;
    (lf.level, lf.sharpness, lf.delta_lf_res) = ([63, 1, 2, 33], 7, 3);
    (lf.ref_deltas, lf.mode_deltas) = ([-64, 63, 0, 1, -1, 2, -2, 3], [-5, 6]);
    let cdef = &mut frame.cdef;
    (cdef.damping_minus_3, cdef.bits) = (2, 1);
    (cdef.y_pri_strength[1], cdef.y_sec_strength[1]) = (15, 4);
    (cdef.uv_pri_strength[0], cdef.uv_sec_strength[0]) = (9, 2);
    frame.loop_restoration = LoopRestoration {
        flags: 3,
        frame_restoration_type: [
            restoration_type::SWITCHABLE,
            restoration_type::WIENER,
            restoration_type::SGRPROJ,
        ],
        loop_restoration_size: [128, 64, 64],
        ..frame.loop_restoration
    };

    let picture = Witness::new().read(&controls);
    assert_eq!((picture.width(), picture.height()), (300, 150));
    let h = picture.header();
    assert_eq!((h.frame_type, h.show_frame, h.error_resilient_mode), (0, 1, 1));
    assert_eq!((h.frame_offset, h.refresh_frame_flags), (77, 0xff));
    assert_eq!((h.disable_cdf_update, h.reduced_txtp_set, h.txfm_mode), (1, 1, 2));
    let q = &h.quant;
    assert_eq!((q.yac, q.ydc_delta, q.udc_delta, q.uac_delta), (100, -64, 63, -1));
    assert_eq!((q.vdc_delta, q.vac_delta, q.qm_y, q.qm_u, q.qm_v), (5, 0, 3, 7, 15));
    assert_eq!((h.delta.q.present, h.delta.q.res_log2), (1, 2));
    assert_eq!((h.delta.lf.present, h.delta.lf.res_log2, h.delta.lf.multi), (1, 3, 1));
    let lf = &h.loopfilter;
    assert_eq!((lf.level_y, lf.level_u, lf.level_v, lf.sharpness), ([63, 1], 2, 33, 7));
    assert_eq!(lf.mode_ref_deltas.ref_delta, [-64, 63, 0, 1, -1, 2, -2, 3]);
    assert_eq!(lf.mode_ref_deltas.mode_delta, [-5, 6]);
    assert_eq!((h.cdef.damping, h.cdef.n_bits), (5, 1));
    assert_eq!((h.cdef.y_strength[1], h.cdef.uv_strength[0]), (15 << 2 | 3, 9 << 2 | 2));
    // dav1d: 0 none, 1 switchable, 2 Wiener, 3 self-guided, as coded; sizes as shifts.
    assert_eq!(h.restoration.type_, [1, 2, 3]);
    assert_eq!(h.restoration.unit_size, [7, 6]);
}

#[test]
fn segmentation_reaches_the_decoder_in_full() {
    let mut controls = key(64, 64);
    let seg = &mut controls.frame.segmentation;
    seg.flags = segmentation_flag::ENABLED | segmentation_flag::UPDATE_MAP;
    seg.feature_enabled[1] = 0b1000_0011;
    (seg.feature_data[1][0], seg.feature_data[1][1]) = (-255, 63);
    seg.feature_enabled[6] = 0b0110_0000;
    seg.feature_data[6][5] = 7;
    let picture = Witness::new().read(&controls);
    let segmentation = &picture.header().segmentation;
    assert_eq!(segmentation.enabled, 1);
    let d = &segmentation.seg_data.d;
    assert_eq!((d[1].delta_q, d[1].delta_lf_y_v, d[1].globalmv), (-255, 63, 1));
    assert_eq!((d[6].ref_, d[6].skip, d[0].delta_q), (7, 1, 0));
}

#[test]
fn tile_layouts_are_reproduced() {
    // 12 by 5 superblocks.
    let mut uniform = key(12 * 64, 5 * 64);
    set_tiles(&mut uniform, 4, 3);
    uniform.frame.tile_info.context_update_tile_id = 11;
    let picture = Witness::new().read(&uniform);
    let tiling = &picture.header().tiling;
    assert_eq!((tiling.uniform, tiling.cols, tiling.rows, tiling.update), (1, 4, 3, 11));
    assert_eq!(tiling.col_start_sb[..5], [0, 3, 6, 9, 12]);
    assert_eq!(tiling.row_start_sb[..4], [0, 2, 4, 5]);

    let mut own = key(12 * 64, 5 * 64);
    set_tiles(&mut own, 3, 2);
    let info = &mut own.frame.tile_info;
    info.flags = 0;
    info.width_in_sbs_minus_1[..3].copy_from_slice(&[0, 6, 3]);
    info.height_in_sbs_minus_1[..2].copy_from_slice(&[3, 0]);
    let picture = Witness::new().read(&own);
    let tiling = &picture.header().tiling;
    assert_eq!((tiling.uniform, tiling.cols, tiling.rows), (0, 3, 2));
    assert_eq!(tiling.col_start_sb[..4], [0, 1, 8, 12]);
    assert_eq!(tiling.row_start_sb[..3], [0, 4, 5]);
}

#[test]
fn impossible_tile_layouts_are_refused() {
    for (cols, rows) in [(5, 1), (1, 4), (0, 1), (1, 0), (255, 255)] {
        let mut controls = key(12 * 64, 5 * 64);
        set_tiles(&mut controls, cols.max(1), rows.max(1));
        (controls.frame.tile_info.tile_cols, controls.frame.tile_info.tile_rows) = (cols, rows);
        assert!(write(&mut Av1Writer::new(), &controls).is_err(), "{cols}x{rows}");
        controls.frame.tile_info.flags = 0;
        controls.frame.tile_info.width_in_sbs_minus_1[0] = u32::MAX;
        controls.frame.tile_info.height_in_sbs_minus_1[0] = u32::MAX;
        assert!(write(&mut Av1Writer::new(), &controls).is_err(), "{cols}x{rows}");
    }
    let mut missing = key(12 * 64, 5 * 64);
    set_tiles(&mut missing, 2, 1);
    missing.tiles[1].tile_col = 0;
    assert!(write(&mut Av1Writer::new(), &missing).is_err());
    let mut beyond = key(64, 64);
    beyond.tiles[0].tile_offset = u32::MAX;
    assert!(write(&mut Av1Writer::new(), &beyond).is_err());
}

#[test]
fn superres_codes_the_width_of_the_finished_picture() {
    let mut controls = key(0x100, 64);
    let frame = &mut controls.frame;
    frame.flags |= frame_flag::USE_SUPERRES;
    (frame.upscaled_width, frame.superres_denom) = (256, 13);
    frame.frame_width_minus_1 = (256 * 8 + 6) / 13 - 1;
    let picture = Witness::new().read(&controls);
    let h = picture.header();
    assert_eq!((h.width, picture.width()), ([158, 256], 256));
    assert_eq!((h.super_res.enabled, h.super_res.width_scale_denominator), (1, 13));
    controls.frame.frame_width_minus_1 += 1;
    assert!(write(&mut Av1Writer::new(), &controls).is_err());
}

#[test]
fn inter_frames_name_their_references_and_repeat_motion() {
    let mut witness = Witness::new();
    witness.read(&key(128, 128));
    let mut first = inter(128, 128, 1);
    first.frame.flags |= frame_flag::ALLOW_HIGH_PRECISION_MV
        | frame_flag::ALLOW_WARPED_MOTION
        | frame_flag::IS_MOTION_MODE_SWITCHABLE
        | frame_flag::USE_REF_FRAME_MVS;
    first.frame.interpolation_filter = 4;
    let one = 1 << 16;
    set_motion(
        &mut first.frame.global_motion,
        1,
        warp_model::ROTZOOM,
        [-(5 << 10), 7 << 10, one + 40, -16, 16, one + 40],
    );
    set_motion(
        &mut first.frame.global_motion,
        4,
        warp_model::TRANSLATION,
        [3 << 13, -(4 << 13), one, 0, 0, one],
    );
    let params = first.frame.global_motion.params;
    let picture = witness.read(&first);
    let h = picture.header();
    assert_eq!((h.refidx, h.frame_offset, h.refresh_frame_flags), ([0, 1, 2, 3, 4, 5, 6], 1, 4));
    assert_eq!((h.hp, h.warp_motion, h.switchable_motion_mode), (1, 1, 1));
    assert_eq!((h.use_ref_frame_mvs, h.subpel_filter_mode, h.primary_ref_frame), (1, 4, 7));
    assert_eq!((h.gmv[0].matrix, h.gmv[3].matrix), (params[1], params[4]));

    // Slot 2 (LAST3_FRAME) saved those parameters: the next ones are coded as differences from them.
    let mut second = inter(128, 128, 2);
    second.frame.primary_ref_frame = 2;
    set_motion(
        &mut second.frame.global_motion,
        1,
        warp_model::AFFINE,
        [9 << 10, -(7 << 10), one - 60, 18, -20, one + 2],
    );
    let params = second.frame.global_motion.params;
    let picture = witness.read(&second);
    assert_eq!(picture.header().primary_ref_frame, 2);
    assert_eq!(picture.header().gmv[0].matrix, params[1]);
}

fn set_motion(gm: &mut GlobalMotion, reference: usize, kind: u32, params: [i32; 6]) {
    gm.kind[reference] = kind;
    gm.params[reference] = params;
}

#[test]
fn skip_mode_is_coded_only_where_the_references_allow_it() {
    let mut witness = Witness::new();
    witness.read(&key(64, 64));
    let mut frame = inter(64, 64, 4);
    frame.frame.flags |= frame_flag::REFERENCE_SELECT | frame_flag::SKIP_MODE_PRESENT;
    let header = witness.read(&frame);
    assert_eq!(header.header().skip_mode_allowed, 0, "all references are the key frame");
    frame.frame.order_hint = 2;
    let header = witness.read(&frame);
    assert_eq!((header.header().skip_mode_allowed, header.header().skip_mode_enabled), (1, 1));
    assert_eq!(header.header().skip_mode_refs, [0, 2]);
}

#[test]
fn error_resilient_and_switch_frames_are_understood() {
    let mut witness = Witness::new();
    witness.read(&key(64, 64));
    let mut frame = inter(64, 64, 5);
    frame.frame.flags |= frame_flag::ERROR_RESILIENT_MODE;
    let picture = witness.read(&frame);
    assert_eq!((picture.header().error_resilient_mode, picture.header().frame_offset), (1, 5));
    let mut frame = inter(64, 64, 6);
    frame.frame.frame_type = frame_type::SWITCH;
    let picture = witness.read(&frame);
    assert_eq!((picture.header().frame_type, picture.header().refresh_frame_flags), (3, 0xff));
    let mut frame = inter(64, 64, 7);
    frame.frame.frame_type = frame_type::INTRA_ONLY;
    let picture = witness.read(&frame);
    assert_eq!((picture.header().frame_type, picture.header().refresh_frame_flags), (2, 4));
}

#[test]
fn film_grain_leaves_the_plain_picture_alone() {
    let mut controls = key(64, 64);
    let grain = &mut controls.film_grain;
    *grain = FilmGrain {
        flags: film_grain_flag::APPLY_GRAIN | film_grain_flag::OVERLAP,
        grain_seed: 0xabcd,
        num_y_points: 2,
        num_cb_points: 1,
        num_cr_points: 1, // 4:2:0 has points for both or for neither
        grain_scaling_minus_8: 2,
        ar_coeff_lag: 1,
        ar_coeff_shift_minus_6: 1,
        cb_mult: 128,
        cb_luma_mult: 192,
        cb_offset: 256,
        ..*grain
    };
    grain.point_y_value[1] = 255;
    (grain.point_y_scaling[0], grain.point_y_scaling[1]) = (80, 90);
    grain.point_cb_scaling[0] = 70;
    grain.ar_coeffs_y_plus_128 = [130; 25];
    grain.ar_coeffs_cb_plus_128 = [126; 25];
    let data = Witness::new().read(&controls);
    let data = &data.header().film_grain.data;
    assert_eq!((data.seed, data.num_y_points, data.num_uv_points), (0xabcd, 2, [1, 1]));
    assert_eq!((data.y_points[1], data.uv_points[0][0]), ([255, 90], [0, 70]));
    assert_eq!((data.ar_coeffs_y[3], data.ar_coeffs_uv[0][4]), (2, -2));
    assert_eq!((data.scaling_shift, data.ar_coeff_shift, data.overlap_flag), (10, 7, 1));

    for threads in THREADS {
        let mut decoder = Av1Decoder::new(threads).unwrap();
        let mut outputs = Vec::new();
        for id in 1..=3 {
            let packet = write(&mut Av1Writer::new(), &controls).unwrap();
            decoder.send(Packet::plain(id, &packet), &mut outputs);
        }
        decoder.finish(u64::MAX, &mut outputs);
        assert_eq!(outputs.len(), 3);
        let first = outputs.remove(0).picture.unwrap();
        let plain = first.planar.view().luma.0.to_vec();
        assert_ne!(first.grained.unwrap().view().luma.0, plain);
        drop(outputs);
        assert_eq!(
            first.planar.view().luma.0,
            plain,
            "the plain picture outlives its grained copy"
        );
    }
}

fn answers(outputs: &[Output]) -> Vec<(u64, bool)> {
    outputs.iter().map(|output| (output.id, output.picture.is_ok())).collect()
}

#[test]
fn every_packet_is_answered_once_and_errors_pass() {
    let mut writer = Av1Writer::new();
    let key = write(&mut writer, &key(64, 64)).unwrap();
    let mut hidden = inter(64, 64, 3);
    hidden.frame.flags = 0;
    let hidden = write(&mut writer, &hidden).unwrap();
    for threads in THREADS {
        let mut decoder = Av1Decoder::new(threads).unwrap();
        let mut outputs = Vec::new();
        decoder.send(Packet::plain(1, &key), &mut outputs);
        decoder.send(Packet::plain(2, &[0xff; 40]), &mut outputs); // a forbidden bit
        decoder.send(Packet::plain(3, &key[..key.len() - 70]), &mut outputs); // cut off in the frame OBU
        decoder.send(Packet::plain(4, &key[..2]), &mut outputs); // nothing but a temporal delimiter
        decoder.send(Packet::plain(5, &[]), &mut outputs);
        decoder.finish(u64::MAX, &mut outputs);
        decoder.send(Packet::plain(6, &key), &mut outputs);
        decoder.send(Packet::plain(7, &hidden), &mut outputs);
        decoder.finish(u64::MAX, &mut outputs);
        decoder.reset(&mut outputs);
        decoder.send(Packet::plain(8, &hidden), &mut outputs); // its references are gone
        decoder.send(Packet::plain(9, &key), &mut outputs);
        decoder.finish(u64::MAX, &mut outputs);
        let mut answers = answers(&outputs);
        answers.sort();
        let ok = [true, false, false, false, false, true, true, false, true];
        assert_eq!(answers, (1..=9).zip(ok).collect::<Vec<_>>(), "{threads} threads");
    }
}

#[test]
fn frame_threads_answer_every_packet_in_order() {
    let mut writer = Av1Writer::new();
    let mut decoder = Av1Decoder::new(3).unwrap();
    let mut outputs = Vec::new();
    decoder.send(Packet::plain(1, &write(&mut writer, &key(64, 64)).unwrap()), &mut outputs);
    for id in 2..=40u64 {
        let mut frame = inter(64, 64, id as u32 % 128);
        if id % 3 == 0 {
            frame.frame.flags = 0;
        }
        decoder.send(Packet::plain(id, &write(&mut writer, &frame).unwrap()), &mut outputs);
        if id % 7 == 0 {
            decoder.finish(u64::MAX, &mut outputs);
            assert_eq!(outputs.len() as u64, id);
        }
    }
    decoder.finish(u64::MAX, &mut outputs);
    assert_eq!(answers(&outputs), (1..=40).map(|id| (id, true)).collect::<Vec<_>>());
}

#[test]
fn hostile_controls_never_panic_the_writer() {
    // A small linear congruential generator: the same controls in every run.
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    };
    let mut writer = Av1Writer::new();
    let mut written = 0;
    for round in 0..20_000 {
        let mut controls = if round % 2 == 0 { key(700, 300) } else { inter(700, 300, 9) };
        for _ in 0..1 + random() % 6 {
            let at = random() as usize % size_of::<Frame>();
            // SAFETY: Frame consists of integers and arrays of them: any bytes make a valid one.
            let bytes = unsafe {
                std::slice::from_raw_parts_mut(
                    (&raw mut controls.frame).cast::<u8>(),
                    size_of::<Frame>(),
                )
            };
            bytes[at] = random() as u8;
        }
        if random() % 4 == 0 {
            controls.sequence.flags = random();
            controls.sequence.order_hint_bits = random() as u8;
        }
        if random() % 4 == 0 {
            // SAFETY: FilmGrain consists of integers and arrays of them.
            let bytes = unsafe {
                std::slice::from_raw_parts_mut(
                    (&raw mut controls.film_grain).cast::<u8>(),
                    size_of::<FilmGrain>(),
                )
            };
            bytes.iter_mut().for_each(|byte| *byte = random() as u8);
        }
        if random() % 4 == 0 {
            controls.tiles[0].tile_size = random();
        }
        written += usize::from(write(&mut writer, &controls).is_ok());
    }
    assert!(written > 1000, "{written} of the controls were writable");
}

#[test]
fn a_damaged_tile_is_an_error_and_nothing_more() {
    let mut controls = key(300, 150);
    set_tiles(&mut controls, 1, 1);
    let mut writer = Av1Writer::new();
    let mut packet = Vec::new();
    let noise = [0x5a; 64];
    writer.write(1000, &Controls::Av1(Box::new(controls.clone())), &noise, &mut packet).unwrap();
    let right = write(&mut writer, &controls).unwrap();
    for threads in THREADS {
        let packets = [Some(&packet), Some(&right), None, Some(&packet), None, Some(&right)];
        let answers = played(threads, &packets);
        assert_eq!(answers, [(0, false), (1, true), (3, false), (5, true)], "{threads} threads");
    }
}

/// Answers of a decoder with `threads` threads that is given `packets` and asked to finish where there is none.
fn played(threads: usize, packets: &[Option<&Vec<u8>>]) -> Vec<(u64, bool)> {
    let mut decoder = Av1Decoder::new(threads).unwrap();
    let mut outputs = Vec::new();
    for (id, packet) in packets.iter().enumerate() {
        match packet {
            Some(packet) => decoder.send(Packet::plain(id as u64, packet), &mut outputs),
            None => decoder.finish(u64::MAX, &mut outputs),
        }
    }
    decoder.finish(u64::MAX, &mut outputs);
    let mut answers = answers(&outputs);
    answers.sort();
    answers
}

#[test]
fn a_frame_that_is_refused_before_its_tiles_holds_nobody_up() {
    let mut writer = Av1Writer::new();
    let key = write(&mut writer, &key(64, 64)).unwrap();
    // Less than half as large as its references.
    let bad = write(&mut writer, &inter(16, 16, 1)).unwrap();
    let mut writer = Av1Writer::new();
    write(&mut writer, &self::key(64, 64)).unwrap();
    let good: Vec<_> =
        (2..9).map(|hint| write(&mut writer, &inter(64, 64, hint)).unwrap()).collect();
    for threads in THREADS {
        for before in 0..4 {
            for after in 1..6 {
                let mut packets = vec![Some(&key), None, Some(&bad)];
                packets.extend(good[..before].iter().map(Some));
                packets.push(None);
                packets.extend(good[..after].iter().map(Some));
                packets.push(None);
                packets.push(Some(&key));
                packets.extend(good[..after].iter().map(Some));
                let (end, told) = mpsc::channel();
                let owned: Vec<Option<Vec<u8>>> = packets.iter().map(|p| p.cloned()).collect();
                thread::spawn(move || {
                    let packets: Vec<_> = owned.iter().map(Option::as_ref).collect();
                    let _ = end.send(played(threads, &packets));
                });
                let answers = told.recv_timeout(Duration::from_secs(60));
                let answers = answers.unwrap_or_else(|_| {
                    panic!("{threads} threads, {before} and {after} frames: the decoder hangs")
                });
                let sent = packets.iter().flatten().count();
                assert_eq!(answers.len(), sent, "{threads} threads, {before}, {after}");
                let from_key = &answers[sent - after - 1..];
                assert!(from_key.iter().all(|(_, ok)| *ok), "{threads}, {before}, {after}");
            }
        }
    }
}
