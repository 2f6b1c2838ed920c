//! Tests of the translator: pictures as a client sends them, requests as a device needs them.

use daedalus_uapi::{
    Controls,
    av1::{self, frame_flag, frame_type},
};
use libva_sys as va;

use super::*;
use crate::codec::Rendered;

const INVALID: va::VASurfaceID = va::VA_INVALID_SURFACE;

/// A 64x64 picture of one tile.
fn params(surface: va::VASurfaceID, kind: u32, shown: bool) -> va::VADecPictureParameterBufferAV1 {
    let mut p = va::VADecPictureParameterBufferAV1 {
        order_hint_bits_minus_1: 6,
        current_frame: surface,
        current_display_picture: surface,
        frame_width_minus1: 63,
        frame_height_minus1: 63,
        ref_frame_map: [INVALID; 8],
        primary_ref_frame: 7,
        tile_cols: 1,
        tile_rows: 1,
        superres_scale_denominator: 8,
        base_qindex: 50,
        ..Default::default()
    };
    // SAFETY: both views of the unions are integers.
    unsafe {
        p.seq_info_fields.fields.set_enable_order_hint(1);
        p.seq_info_fields.fields.set_subsampling_x(1);
        p.seq_info_fields.fields.set_subsampling_y(1);
        p.pic_info_fields.bits.set_frame_type(kind);
        p.pic_info_fields.bits.set_show_frame(shown.into());
        p.pic_info_fields.bits.set_uniform_tile_spacing_flag(1);
    }
    p
}

fn bytes<T: Copy>(value: &T) -> Vec<u8> {
    // SAFETY: libva's structs are read as the bytes that a client would send.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }.to_vec()
}

fn rendered<T: Copy>(kind: va::VABufferType, value: &T) -> Rendered {
    Rendered { kind, element_size: size_of::<T>(), count: 1, data: bytes(value) }
}

fn buffers(p: &va::VADecPictureParameterBufferAV1) -> Vec<Rendered> {
    let tile = va::VASliceParameterBufferAV1 {
        slice_data_offset: 3,
        slice_data_size: 2,
        ..Default::default()
    };
    let data = Rendered {
        kind: va::VASliceDataBufferType,
        element_size: 6,
        count: 1,
        data: vec![0, 1, 2, 3, 4, 5],
    };
    // Chromium's order: data first.
    vec![
        data,
        rendered(va::VAPictureParameterBufferType, p),
        rendered(va::VASliceParameterBufferType, &tile),
    ]
}

struct Client {
    translator: Av1Translator,
}

impl Client {
    fn new() -> Self {
        Client { translator: Av1Translator::new() }
    }

    fn send(&mut self, p: &va::VADecPictureParameterBufferAV1) -> Result<Vec<Draft>> {
        let buffers = buffers(p);
        let begun = p.current_frame;
        let picture = Picture { target: begun, context_size: (64, 64), buffers: &buffers };
        let mut ready = Vec::new();
        self.translator.picture(&picture, &mut ready).map(|()| ready)
    }

    fn key(&mut self, surface: va::VASurfaceID) -> Vec<Draft> {
        self.send(&params(surface, frame_type::KEY, true)).unwrap()
    }

    /// An inter picture while the client's slots hold `map`; it refers to the first seven.
    fn inter(&mut self, surface: va::VASurfaceID, map: [va::VASurfaceID; 8]) -> Vec<Draft> {
        let mut p = params(surface, frame_type::INTER, true);
        p.ref_frame_map = map;
        p.ref_frame_idx = [0, 1, 2, 3, 4, 5, 6];
        p.order_hint = surface as u8;
        self.send(&p).unwrap()
    }

    fn commit(&mut self) -> Vec<Draft> {
        let mut ready = Vec::new();
        self.translator.commit(&mut ready);
        ready
    }
}

fn controls(draft: &Draft) -> &av1::Controls {
    match &draft.controls {
        Controls::Av1(controls) => controls,
        other => panic!("{other:?}"),
    }
}

fn only(drafts: Vec<Draft>) -> Draft {
    let [draft] = <[Draft; 1]>::try_from(drafts).unwrap();
    draft
}

/// A device: checks that every reference is in the slot that the request says, and stores pictures.
#[derive(Default)]
struct Device([u64; 8]);

impl Device {
    fn decode(&mut self, draft: &Draft) {
        let frame = &controls(draft).frame;
        assert_eq!(frame.reference_frame_ts, self.0, "slots before picture {}", draft.timestamp);
        for (i, slot) in self.0.iter_mut().enumerate() {
            if frame.refresh_frame_flags & (1 << i) != 0 {
                *slot = draft.timestamp;
            }
        }
    }

    /// The pictures that an inter picture refers to, LAST_FRAME first.
    fn references(&self, draft: &Draft) -> [u64; 7] {
        controls(draft).frame.ref_frame_idx.map(|idx| self.0[idx as usize])
    }
}

/// Fills the client's slots 0 to 7 with surfaces 1 to 8.
fn eight_pictures(client: &mut Client, device: &mut Device) -> [va::VASurfaceID; 8] {
    let mut map = [1; 8];
    device.decode(&only(client.key(1)));
    for surface in 2..=8 {
        device.decode(&only(client.inter(surface, map)));
        map[surface as usize - 1] = surface;
    }
    map
}

#[test]
fn tiles_are_found_by_offset_and_size_alone() {
    let draft = only(Client::new().key(1));
    assert_eq!(draft.data, [3, 4]);
    assert_eq!(
        (controls(&draft).tiles[0].tile_offset, controls(&draft).tiles[0].tile_size),
        (0, 2)
    );
}

#[test]
fn a_shown_key_frame_takes_all_slots() {
    let mut device = Device::default();
    let mut client = Client::new();
    let key = only(client.key(1));
    assert_eq!(controls(&key).frame.refresh_frame_flags, 0xff);
    device.decode(&key);
    let next = only(client.inter(2, [1; 8]));
    assert_eq!(controls(&next).frame.refresh_frame_flags.count_ones(), 1);
    assert_eq!(device.references(&next), [key.timestamp; 7]);
}

#[test]
fn order_hints_follow_the_references() {
    let mut client = Client::new();
    client.key(1);
    client.inter(5, [1; 8]);
    let frame = controls(&only(client.inter(9, [5, 1, 1, 1, 1, 1, 1, 1]))).frame;
    assert_eq!(frame.order_hints, [0, 5, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn with_eight_pictures_the_successor_tells_which_one_was_replaced() {
    let (mut client, mut device) = (Client::new(), Device::default());
    let mut map = eight_pictures(&mut client, &mut device);
    assert!(client.inter(9, map).is_empty(), "nobody knows yet");
    map[2] = 9; // it replaced surface 3
    let before = device.0;
    let drafts = client.inter(10, map);
    assert_eq!(drafts.len(), 1, "and the next one waits in turn");
    let slot = before.iter().position(|ts| *ts == 3000).unwrap();
    assert_eq!(controls(&drafts[0]).frame.refresh_frame_flags, 1 << slot);
    assert_eq!(drafts[0].target, Some(9));
    device.decode(&drafts[0]);
    // Not a reference: the map stays as it was.
    let drafts = client.inter(11, map);
    assert_eq!(controls(&drafts[0]).frame.refresh_frame_flags, 0);
    device.decode(&drafts[0]);
    assert_eq!(client.translator.counts(), Counts { waited: 3, committed: 0, repeated: 0 });
}

#[test]
fn a_committed_picture_that_turns_out_to_be_a_reference_is_decoded_again() {
    let (mut client, mut device) = (Client::new(), Device::default());
    let mut map = eight_pictures(&mut client, &mut device);
    assert!(client.inter(9, map).is_empty());
    let shown = only(client.commit());
    assert_eq!((shown.target, controls(&shown).frame.refresh_frame_flags), (Some(9), 0));
    device.decode(&shown);
    assert!(client.commit().is_empty(), "once is enough");

    map[7] = 9;
    map[6] = 9; // and now there is room again
    let drafts = client.inter(10, map);
    assert_eq!(drafts.len(), 2);
    assert_eq!((drafts[0].target, drafts[0].ungrained), (None, None));
    assert_eq!(drafts[0].data, shown.data);
    assert_eq!(
        controls(&drafts[0]).frame.reference_frame_ts,
        controls(&shown).frame.reference_frame_ts
    );
    device.decode(&drafts[0]);
    let named = device.references(&drafts[1]);
    assert_eq!(named, [1000, 2000, 3000, 4000, 5000, 6000, drafts[0].timestamp]);
    device.decode(&drafts[1]);
    assert_eq!(client.translator.counts(), Counts { waited: 1, committed: 1, repeated: 1 });
}

#[test]
fn a_committed_picture_that_is_no_reference_is_not_decoded_again() {
    let (mut client, mut device) = (Client::new(), Device::default());
    let map = eight_pictures(&mut client, &mut device);
    client.inter(9, map);
    device.decode(&only(client.commit()));
    assert!(client.inter(10, map).is_empty());
    let targets: Vec<_> = client.key(11).iter().map(|draft| draft.target).collect();
    assert_eq!(targets, [Some(10), Some(11)]);
}

#[test]
fn a_shown_key_frame_releases_what_was_kept_back() {
    let (mut client, mut device) = (Client::new(), Device::default());
    let map = eight_pictures(&mut client, &mut device);
    assert!(client.inter(9, map).is_empty());
    let drafts = client.key(10);
    assert_eq!(drafts.iter().map(|draft| draft.target).collect::<Vec<_>>(), [Some(9), Some(10)]);
    drafts.iter().for_each(|draft| device.decode(draft));
    assert_eq!(device.0, [drafts[1].timestamp; 8]);
}

#[test]
fn a_hidden_key_frame_keeps_the_references_that_its_client_does_not_name() {
    let (mut client, mut device) = (Client::new(), Device::default());
    let mut map = eight_pictures(&mut client, &mut device);
    assert!(client.inter(9, map).is_empty());
    // ffmpeg names no surfaces with key frames.
    assert!(client.send(&params(10, frame_type::KEY, false)).unwrap().is_empty());
    let mut shown = client.commit();
    assert_eq!(shown.iter().map(|draft| draft.target).collect::<Vec<_>>(), [Some(9), Some(10)]);
    shown.iter().for_each(|draft| device.decode(draft));
    (map[0], map[4]) = (10, 9);
    shown = client.inter(11, map);
    assert_eq!(shown.len(), 2, "both are references after all");
    shown.iter().for_each(|draft| device.decode(draft));
    let (nine, ten) = (shown[0].timestamp, shown[1].timestamp);
    shown = client.inter(12, map);
    device.decode(&only(shown.clone()));
    assert_eq!(device.references(&shown[0]), [ten, 2000, 3000, 4000, nine, 6000, 7000]);
}

#[test]
fn a_surface_used_again_means_the_new_picture() {
    let (mut client, mut device) = (Client::new(), Device::default());
    device.decode(&only(client.key(1)));
    device.decode(&only(client.inter(2, [1; 8])));
    device.decode(&only(client.inter(3, [2; 8])));
    let again = only(client.inter(1, [2, 2, 2, 3, 3, 3, 3, 3]));
    device.decode(&again);
    let next = only(client.inter(4, [1, 2, 3, 1, 2, 3, 1, 2]));
    let [a, b, c] = [again.timestamp, 2000, 3000];
    assert_eq!(device.references(&next), [a, b, c, a, b, c, a]);
}

#[test]
fn random_clients_find_their_references_in_every_case() {
    // An encoder that refreshes random slots, a client that reuses surfaces and syncs at random.
    let mut state = 7u64;
    let mut random = move |n: u32| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32 % n
    };
    for _ in 0..200 {
        let (mut client, mut device) = (Client::new(), Device::default());
        // What each surface holds, as the timestamp of the last request with its order hint.
        let mut content = std::collections::HashMap::new();
        let mut map = [1; 8];
        device.decode(&only(client.key(1)));
        content.insert(1, 0u32);
        let mut hints = std::collections::HashMap::from([(1000u64, 0u32)]);
        for picture in 1..60u32 {
            let free = (1..=20).find(|s| !map.contains(s)).unwrap();
            let mut p = params(free, frame_type::INTER, true);
            p.ref_frame_map = map;
            p.ref_frame_idx = std::array::from_fn(|_| random(8) as u8);
            p.order_hint = (picture % 128) as u8;
            let mut drafts = client.send(&p).unwrap();
            if random(3) == 0 {
                drafts.extend(client.commit());
            }
            for draft in &drafts {
                let frame = &controls(draft).frame;
                for (i, ts) in device.references(draft).into_iter().enumerate() {
                    assert_eq!(hints[&ts], frame.order_hints[i + 1], "picture {picture}");
                }
                device.decode(draft);
                hints.insert(draft.timestamp, frame.order_hint);
            }
            let hint = picture % 128;
            if let Some(mine) = drafts.iter().find(|d| controls(d).frame.order_hint == hint) {
                let named = p.ref_frame_idx.map(|idx| content[&map[usize::from(idx)]]);
                assert_eq!(controls(mine).frame.order_hints[1..], named);
            }
            content.insert(free, hint);
            for slot in &mut map {
                if random(9) == 0 {
                    *slot = free;
                }
            }
        }
    }
}

#[test]
fn film_grain_goes_to_the_display_surface() {
    let mut p = params(1, frame_type::KEY, true);
    p.current_display_picture = 2;
    let plain = only(Client::new().send(&p).unwrap());
    assert_eq!((plain.target, plain.ungrained), (Some(1), None), "no grain, no second surface");
    // SAFETY: both views of the union are integers.
    unsafe { p.film_grain_info.film_grain_info_fields.bits.set_apply_grain(1) };
    p.film_grain_info.ar_coeffs_cb = [-128; 25];
    let grained = only(Client::new().send(&p).unwrap());
    assert_eq!((grained.target, grained.ungrained), (Some(2), Some(1)));
    assert_eq!(controls(&grained).film_grain.ar_coeffs_cb_plus_128, [0; 25]);
    p.current_display_picture = INVALID;
    let one = only(Client::new().send(&p).unwrap());
    assert_eq!((one.target, one.ungrained), (Some(1), None));
}

#[test]
fn both_meanings_of_the_superres_width_are_understood() {
    let mut p = params(1, frame_type::KEY, true);
    p.superres_scale_denominator = 16;
    p.frame_width_minus1 = 639;
    p.tile_cols = 2;
    // SAFETY: both views of the union are integers.
    unsafe {
        p.pic_info_fields.bits.set_use_superres(1);
        p.pic_info_fields.bits.set_uniform_tile_spacing_flag(0);
    }
    let frame = |p: &va::VADecPictureParameterBufferAV1| {
        let mut frame = av1::Controls::new_zeroed().frame;
        frame::fill(&Params::new(*p), 640, &mut frame).unwrap();
        (frame.upscaled_width, frame.frame_width_minus_1 + 1)
    };
    p.width_in_sbs_minus_1[..2].copy_from_slice(&[2, 1]); // 5 superblocks: 320 samples are coded
    assert_eq!(frame(&p), (640, 320));
    p.frame_width_minus1 = 319;
    assert_eq!(frame(&p), (640, 320));
}

#[test]
fn uniform_tiles_need_no_sizes() {
    let mut p = params(1, frame_type::KEY, true);
    p.frame_width_minus1 = 64 * 7 - 1;
    p.tile_cols = 4;
    let mut frame = av1::Controls::new_zeroed().frame;
    frame::fill(&Params::new(p), 0, &mut frame).unwrap();
    assert_eq!(frame.tile_info.mi_col_starts[..5], [0, 32, 64, 96, 112]);
    assert_eq!(frame.tile_info.width_in_sbs_minus_1[..4], [1, 1, 1, 0]);
}

#[test]
fn derived_frame_fields_are_complete() {
    let mut client = Client::new();
    client.key(1);
    client.inter(2, [1; 8]);
    let mut p = params(8, frame_type::INTER, true);
    p.ref_frame_map = [1, 2, 1, 1, 1, 1, 1, 1];
    p.ref_frame_idx = [0, 1, 1, 1, 1, 1, 1];
    p.order_hint = 8;
    p.cdef_y_strengths[0] = 0b10_1011;
    p.seg_info.feature_mask[3] = 1 << 5;
    // SAFETY: both views of the unions are integers.
    unsafe {
        p.seg_info.segment_info_fields.bits.set_enabled(1);
        p.mode_control_fields.bits.set_reference_select(1);
        p.loop_restoration_fields.bits.set_cbframe_restoration_type(2);
        p.loop_restoration_fields.bits.set_lr_unit_shift(1);
        p.loop_restoration_fields.bits.set_lr_uv_shift(1);
    }
    let frame = controls(&only(client.send(&p).unwrap())).frame;
    assert_eq!((frame.cdef.y_pri_strength[0], frame.cdef.y_sec_strength[0]), (10, 4));
    assert_eq!((frame.segmentation.flags, frame.segmentation.last_active_seg_id), (0x11, 3));
    assert_eq!(frame.loop_restoration.loop_restoration_size, [128, 64, 64]);
    assert_eq!(frame.flags & frame_flag::SKIP_MODE_ALLOWED, frame_flag::SKIP_MODE_ALLOWED);
    assert_eq!(frame.skip_mode_frame, [1, 2]);
}

#[test]
fn intra_frames_have_integer_motion_vectors() {
    let flag = |drafts| controls(&only(drafts)).frame.flags & frame_flag::FORCE_INTEGER_MV;
    let mut client = Client::new();
    assert_ne!(flag(client.key(1)), 0, "whatever the client says");
    assert_eq!(flag(client.inter(2, [1; 8])), 0);
    let mut intra_only = params(3, frame_type::INTRA_ONLY, true);
    intra_only.ref_frame_map = [1, 2, 1, 1, 1, 1, 1, 1];
    assert_ne!(flag(client.send(&intra_only).unwrap()), 0);
}

#[test]
fn what_can_never_work_is_refused() {
    let mut client = Client::new();
    let mut p = params(1, frame_type::KEY, true);
    p.bit_depth_idx = 2;
    assert!(client.send(&p).is_err());
    let mut p = params(1, frame_type::KEY, true);
    p.profile = 1;
    assert!(client.send(&p).is_err());
    let mut p = params(1, frame_type::KEY, true);
    // SAFETY: both views of the union are integers.
    unsafe { p.pic_info_fields.bits.set_large_scale_tile(1) };
    assert!(client.send(&p).is_err());
    let mut p = params(1, frame_type::KEY, true);
    p.tile_cols = 200;
    assert!(client.send(&p).is_err());
    let broken = Picture { target: 1, context_size: (64, 64), buffers: &[] };
    assert!(client.translator.picture(&broken, &mut Vec::new()).is_err());
    assert!(ancestry(&broken).is_err());
}

#[test]
fn hostile_parameters_never_panic() {
    let mut state = 3u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    };
    let mut client = Client::new();
    let mut translated = 0;
    for round in 0..20_000u32 {
        let mut p = params(round % 12, random() % 4, random() % 2 == 0);
        p.ref_frame_map = std::array::from_fn(|_| random() % 12);
        let mut buffers = buffers(&p);
        for _ in 0..random() % 5 {
            let at = random() as usize % size_of::<va::VADecPictureParameterBufferAV1>();
            buffers[1].data[at] = random() as u8;
        }
        if random() % 8 == 0 {
            let at = random() as usize % buffers[2].data.len();
            buffers[2].data[at] = random() as u8;
        }
        let picture = Picture { target: 1, context_size: (64, 64), buffers: &buffers };
        let mut ready = Vec::new();
        translated += usize::from(client.translator.picture(&picture, &mut ready).is_ok());
        if random() % 16 == 0 {
            client.translator.commit(&mut ready);
        }
    }
    assert!(translated > 1000, "{translated} pictures were translated");
}
