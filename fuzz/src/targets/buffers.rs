//! VA buffers → controls → bitstream, picture after picture, as in one stream.

use daedalus_drv_video::codec::{self, Draft, PROFILE_H264_HIGH10};
use daedalus_engine::reconstruct::{self, Writer};
use daedalus_uapi::Codec;
use libva_sys as va;

use crate::{input::Input, pictures::Picture};

/// More than any commit on successor looks back.
const MOST_PICTURES: usize = 32;

/// The profiles of a codec.
pub fn profiles(codec: Codec) -> &'static [va::VAProfile] {
    match codec {
        Codec::H264 => &[
            va::VAProfileH264High,
            PROFILE_H264_HIGH10,
            va::VAProfileH264Main,
            va::VAProfileH264ConstrainedBaseline,
        ],
        Codec::Vp9 => &[va::VAProfileVP9Profile0, va::VAProfileVP9Profile2],
        Codec::Av1 => &[va::VAProfileAV1Profile0],
    }
}

/// A profile, the size of the context, and pictures.
pub fn run(codec: Codec, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let profile = input.choice(profiles(codec));
    let context_size = (u32::from(input.u16()), u32::from(input.u16()));
    let mut translator = codec::translator(profile).expect("a profile that is decoded");
    let mut writer = reconstruct::writer(codec);
    let mut ready = Vec::new();
    for _ in 0..MOST_PICTURES {
        if input.is_empty() {
            break;
        }
        let Picture { commit, target, buffers } = Picture::read(codec, &mut input);
        if commit {
            translator.commit(&mut ready);
        }
        let picture = codec::Picture { target, context_size, buffers: &buffers };
        let known = codec::ancestry(codec, &picture);
        let translated = translator.picture(&picture, &mut ready);
        // The first picture of a context is asked for its references before it is translated.
        assert!(known.is_ok() || translated.is_err(), "translated without ancestry: {known:?}");
        ready.drain(..).for_each(|draft| write(codec, &mut *writer, &draft));
    }
    translator.commit(&mut ready);
    ready.drain(..).for_each(|draft| write(codec, &mut *writer, &draft));
}

fn write(codec: Codec, writer: &mut dyn Writer, draft: &Draft) {
    assert_eq!(draft.controls.codec(), codec);
    let mut packet = Vec::new();
    let written = writer.write(draft.timestamp, &draft.controls, &draft.data, &mut packet);
    assert_eq!(written.is_ok(), !packet.is_empty(), "{written:?}, {} bytes", packet.len());
}
