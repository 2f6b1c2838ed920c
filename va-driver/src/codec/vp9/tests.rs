//! The translator on frames of a real clip and on headers written for a purpose.

use bitstream_io::{BigEndian, BitWrite, BitWriter};

use super::*;
use crate::codec::Rendered;

/// See COMMANDS.md beside the clip: a key frame, a hidden frame, four shown ones, a hidden one, seven.
const ALTREF: &[u8] = include_bytes!("../../../../engine/tests/data/altref.ivf");

/// Frames of an IVF file, those inside superframes (VP9 annex B) one by one.
fn ivf_frames(mut file: &[u8]) -> Vec<&[u8]> {
    file = &file[32..];
    let mut frames = Vec::new();
    while let Some((header, rest)) = file.split_at_checked(12) {
        let size = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let (mut packet, rest) = rest.split_at(size);
        file = rest;
        let marker = packet[size - 1];
        if marker & 0xe0 != 0xc0 {
            frames.push(packet);
            continue;
        }
        let (count, bytes) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
        for length in packet[size - 1 - count * bytes..size - 1].chunks(bytes) {
            let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let (frame, rest) = packet.split_at(length);
            frames.push(frame);
            packet = rest;
        }
    }
    frames
}

fn rendered<T: Plain>(kind: va::VABufferType, element: &T) -> Rendered {
    let start = std::ptr::from_ref(element).cast::<u8>();
    // SAFETY: `element` is that many initialised bytes (the tests zero padding first).
    let data = unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec();
    Rendered { kind, element_size: data.len(), count: 1, data }
}

/// The buffers of one frame as a client renders them.
fn buffers(frame: &[u8], size: (u16, u16), references: [va::VASurfaceID; 8]) -> Vec<Rendered> {
    // SAFETY: integers, for which zero is valid.
    let (mut params, mut slice) = unsafe {
        std::mem::zeroed::<(va::VADecPictureParameterBufferVP9, va::VASliceParameterBufferVP9)>()
    };
    (params.frame_width, params.frame_height) = size;
    params.reference_frames = references;
    // SAFETY: any bits are valid.
    unsafe {
        params
            .pic_fields
            .bits
            .set_frame_type(frame.first().map_or(0, |first| first >> 2 & 1).into())
    };
    slice.slice_data_size = frame.len() as u32;
    let data = frame.to_vec();
    vec![
        rendered(va::VAPictureParameterBufferType, &params),
        rendered(va::VASliceParameterBufferType, &slice),
        Rendered { kind: va::VASliceDataBufferType, element_size: data.len(), count: 1, data },
    ]
}

fn translate(
    translator: &mut Vp9Translator,
    target: va::VASurfaceID,
    buffers: &[Rendered],
) -> Result<(u64, vp9::Controls)> {
    let mut ready = Vec::new();
    translator.picture(&Picture { target, context_size: (64, 48), buffers }, &mut ready)?;
    assert_eq!(ready.len(), 1);
    let draft = ready.remove(0);
    assert_eq!(draft.target, Some(target));
    match draft.controls {
        Controls::Vp9(controls) => Ok((draft.timestamp, *controls)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_frame_of_a_clip_becomes_one_request_with_its_headers() {
    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    for (i, frame) in ivf_frames(ALTREF).into_iter().enumerate() {
        let buffers = buffers(frame, (64, 48), [va::VA_INVALID_SURFACE; 8]);
        let (_, controls) = translate(&mut translator, i as u32, &buffers).unwrap();
        let control = &controls.frame;
        assert_eq!(control.flags & vp9::FRAME_KEY_FRAME != 0, i == 0);
        assert_eq!(control.flags & vp9::FRAME_SHOW_FRAME == 0, i == 1 || i == 6, "frame {i}");
        assert_eq!((control.frame_width_minus_1, control.frame_height_minus_1), (63, 47));
        assert_eq!((control.bit_depth, control.profile), (8, 0));
        let headers = control.uncompressed_header_size + control.compressed_header_size;
        assert!(usize::from(headers) < frame.len());
    }
}

#[test]
fn references_are_named_by_the_timestamps_of_the_pictures_in_their_slots() {
    let frames = ivf_frames(ALTREF);
    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    let invalid = [va::VA_INVALID_SURFACE; 8];
    let key = buffers(frames[0], (64, 48), invalid);
    let (key_time, controls) = translate(&mut translator, 50, &key).unwrap();
    let named = |frame: &Frame| [frame.last_frame_ts, frame.golden_frame_ts, frame.alt_frame_ts];
    assert_eq!(named(&controls.frame), [NO_REFERENCE; 3]);

    let hidden = buffers(frames[1], (64, 48), [50; 8]);
    let (hidden_time, controls) = translate(&mut translator, 51, &hidden).unwrap();
    assert_eq!(named(&controls.frame), [key_time; 3]);
    assert!(hidden_time > key_time);

    // The hidden frame is in slot 2, which the third frame uses as its alternate reference.
    let third = buffers(frames[2], (64, 48), [50, 50, 51, 50, 50, 50, 50, 50]);
    let (_, controls) = translate(&mut translator, 52, &third).unwrap();
    assert_eq!(named(&controls.frame), [key_time, key_time, hidden_time]);

    // A surface that was not decoded in this stream has no name.
    let fourth = buffers(frames[3], (64, 48), [99; 8]);
    let (_, controls) = translate(&mut translator, 53, &fourth).unwrap();
    assert_eq!(named(&controls.frame), [NO_REFERENCE; 3]);
}

#[test]
fn ancestry_tells_key_frames_and_names_valid_references() {
    let frames = ivf_frames(ALTREF);
    let mut slots = [va::VA_INVALID_SURFACE; 8];
    let of = |frame: &[u8], slots| {
        let buffers = buffers(frame, (64, 48), slots);
        ancestry(&Picture { target: 1, context_size: (64, 48), buffers: &buffers }).unwrap()
    };
    assert_eq!(of(frames[0], slots), Ancestry { key: true, references: vec![] });
    slots[3] = 7;
    assert_eq!(of(frames[1], slots), Ancestry { key: false, references: vec![7] });
}

#[test]
fn missing_and_mismatched_buffers_are_refused() {
    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    let whole = buffers(ivf_frames(ALTREF)[0], (64, 48), [va::VA_INVALID_SURFACE; 8]);
    for missing in 0..whole.len() {
        let mut some = whole.clone();
        some.remove(missing);
        let error = translate(&mut translator, 1, &some).unwrap_err();
        assert!(matches!(error, Error::InvalidBuffer(_)), "{error}");
    }
    let mut outside = whole.clone();
    outside[2].data.truncate(10);
    assert!(matches!(translate(&mut translator, 1, &outside), Err(Error::InvalidBuffer(_))));
    let mut short = whole.clone();
    short[0].element_size -= 4;
    assert!(matches!(translate(&mut translator, 1, &short), Err(Error::InvalidBuffer(_))));
    assert!(translate(&mut translator, 1, &whole).is_ok());
}

#[test]
fn damaged_frames_neither_panic_nor_change_what_follows() {
    let frames = ivf_frames(ALTREF);
    let second = |translator: &mut Vp9Translator| {
        translate(translator, 2, &buffers(frames[1], (64, 48), [1; 8])).unwrap().1.frame.lf
    };
    let key = buffers(frames[0], (64, 48), [va::VA_INVALID_SURFACE; 8]);
    let mut clean = Vp9Translator::new(va::VAProfileVP9Profile0);
    translate(&mut clean, 1, &key).unwrap();
    let expected = second(&mut clean);

    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    let (_, controls) = translate(&mut translator, 1, &key).unwrap();
    let headers = controls.frame.uncompressed_header_size + controls.frame.compressed_header_size;
    for length in 0..usize::from(headers) {
        let cut = buffers(&frames[0][..length], (64, 48), [1; 8]);
        let error = translate(&mut translator, 1, &cut).unwrap_err();
        assert!(matches!(error, Error::Decoding(_)), "{length} bytes: {error}");
    }
    assert_eq!(second(&mut translator), expected);

    for bit in 0..usize::from(headers) * 8 {
        let mut flipped = frames[1].to_vec();
        if let Some(byte) = flipped.get_mut(bit / 8) {
            *byte ^= 0x80 >> (bit % 8);
        }
        // Whatever the damaged headers say, the answer is a request or an error.
        let _ = translate(&mut translator, 3, &buffers(&flipped, (64, 48), [1; 8]));
    }
}

/// The parts of an inter frame's header that the tests vary.
#[derive(Default)]
struct Inter {
    error_resilient_mode: bool,
    /// `loop_filter_ref_delta[0]`, if it is updated.
    ref_delta: Option<i8>,
    segmentation_enabled: bool,
    /// `feature_value` of alternate quantizer in segment 0, if segmentation data is updated.
    alt_q: Option<i16>,
}

/// An inter frame without coded size, with a compressed header of zeros.
fn inter_frame(inter: &Inter) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut w = BitWriter::endian(&mut bytes, BigEndian);
    let mut f = |bits: u32, value: u16| w.write_var(bits, value).unwrap();
    f(2, 2); // frame_marker
    f(2, 0); // profile
    f(1, 0); // show_existing_frame
    f(1, 1); // frame_type
    f(1, 1); // show_frame
    f(1, inter.error_resilient_mode.into());
    if !inter.error_resilient_mode {
        f(2, 3); // reset_frame_context
    }
    f(8, 1); // refresh_frame_flags
    for slot in 0..3 {
        f(3, slot);
        f(1, (slot == 2).into()); // sign_bias
    }
    f(1, 1); // found_ref
    f(1, 0); // render_and_frame_size_different
    f(1, 1); // allow_high_precision_mv
    f(1, 0); // is_filter_switchable
    f(2, 1); // raw_interpolation_filter
    if !inter.error_resilient_mode {
        f(1, 1); // refresh_frame_context
        f(1, 0); // frame_parallel_decoding_mode
    }
    f(2, 2); // frame_context_idx
    f(6, 10); // loop_filter_level
    f(3, 1); // loop_filter_sharpness
    f(1, 1); // loop_filter_delta_enabled
    f(1, inter.ref_delta.is_some().into());
    if let Some(delta) = inter.ref_delta {
        f(1, 1); // update_ref_delta
        f(6, delta.unsigned_abs().into());
        f(1, (delta < 0).into());
        f(5, 0); // three more, and update_mode_delta twice
    }
    f(8, 60); // base_q_idx
    f(3, 0); // delta_coded, three times
    f(1, inter.segmentation_enabled.into());
    if inter.segmentation_enabled {
        f(1, 0); // segmentation_update_map
        f(1, inter.alt_q.is_some().into());
        if let Some(value) = inter.alt_q {
            f(1, 1); // segmentation_abs_or_delta_update
            f(1, 1); // feature_enabled
            f(8, value.unsigned_abs());
            f(1, (value < 0).into());
            for _ in 1..32 {
                f(1, 0);
            }
        }
    }
    f(1, 0); // tile_rows_log2
    f(16, 20); // header_size_in_bytes
    w.byte_align().unwrap();
    bytes.extend([0; 30]);
    bytes
}

/// The frame control of an inter frame.
fn inter(translator: &mut Vp9Translator, inter: Inter) -> Frame {
    let buffers = buffers(&inter_frame(&inter), (64, 48), [1; 8]);
    translate(translator, 2, &buffers).unwrap().1.frame
}

#[test]
fn header_fields_arrive_in_v4l2_numbers() {
    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    let frame = inter(&mut translator, Inter::default());
    assert_eq!(frame.reset_frame_context, 2, "all");
    assert_eq!(frame.interpolation_filter, 0, "eight-tap");
    assert_eq!(frame.frame_context_idx, 2);
    assert_eq!(frame.ref_frame_sign_bias, vp9::SIGN_BIAS_ALT);
    assert_eq!((frame.lf.level, frame.lf.sharpness), (10, 1));
    assert_eq!(frame.quant.base_q_idx, 60);
    assert_eq!((frame.frame_width_minus_1, frame.frame_height_minus_1), (63, 47));
    assert_eq!((frame.render_width_minus_1, frame.render_height_minus_1), (63, 47));
    let flags = vp9::FRAME_SHOW_FRAME
        | vp9::FRAME_ALLOW_HIGH_PREC_MV
        | vp9::FRAME_REFRESH_FRAME_CTX
        | vp9::FRAME_X_SUBSAMPLING
        | vp9::FRAME_Y_SUBSAMPLING;
    assert_eq!(frame.flags, flags);
}

#[test]
fn loop_filter_deltas_last_until_an_error_resilient_frame() {
    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    let updated = inter(&mut translator, Inter { ref_delta: Some(-5), ..Inter::default() });
    assert_eq!(updated.lf.ref_deltas, [-5, 0, -1, -1]);
    assert_eq!(updated.lf.flags, vp9::LOOP_FILTER_DELTA_ENABLED | vp9::LOOP_FILTER_DELTA_UPDATE);
    let kept = inter(&mut translator, Inter::default());
    assert_eq!(kept.lf.ref_deltas, [-5, 0, -1, -1]);
    assert_eq!(kept.lf.flags, vp9::LOOP_FILTER_DELTA_ENABLED);
    let reset = inter(&mut translator, Inter { error_resilient_mode: true, ..Inter::default() });
    assert_eq!(reset.lf.ref_deltas, [1, 0, -1, -1]);
    assert_eq!(reset.reset_frame_context, 0);
    assert_ne!(reset.flags & vp9::FRAME_PARALLEL_DEC_MODE, 0);
}

#[test]
fn segmentation_features_last_until_an_error_resilient_frame() {
    let mut translator = Vp9Translator::new(va::VAProfileVP9Profile0);
    let on = || Inter { segmentation_enabled: true, ..Inter::default() };
    let updated = inter(&mut translator, Inter { alt_q: Some(-77), ..on() }).seg;
    assert_eq!(updated.feature_data[0], [-77, 0, 0, 0]);
    assert_eq!(updated.feature_enabled, [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_ne!(updated.flags & vp9::SEGMENTATION_ABS_OR_DELTA_UPDATE, 0);
    let off = inter(&mut translator, Inter::default()).seg;
    assert_eq!(off.flags & vp9::SEGMENTATION_ENABLED, 0);
    let kept = inter(&mut translator, on()).seg;
    assert_eq!(
        (kept.feature_data, kept.feature_enabled),
        (updated.feature_data, updated.feature_enabled)
    );
    assert_eq!(kept.flags, vp9::SEGMENTATION_ENABLED | vp9::SEGMENTATION_ABS_OR_DELTA_UPDATE);
    assert_eq!((kept.tree_probs, kept.pred_probs), ([255; 7], [255; 3]));
    let reset = inter(&mut translator, Inter { error_resilient_mode: true, ..on() }).seg;
    assert_eq!((reset.feature_data, reset.feature_enabled), ([[0; 4]; 8], [0; 8]));
    assert_eq!(reset.flags, vp9::SEGMENTATION_ENABLED);
}
