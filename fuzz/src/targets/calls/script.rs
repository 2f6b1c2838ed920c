//! First inputs: what a client does to decode.

use daedalus_drv_video::codec::codec_of;
use libva_sys as va;

use super::{
    ending::WAITING,
    operations::{Operation as O, PROFILES},
};
use crate::{input::Output, pictures::Picture};

/// Surfaces of a script.
pub const SURFACES: u32 = 14;

/// How a client decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// One thread, surfaces of the driver's.
    Plain,
    /// Three threads at the same time, with contexts of their own.
    Threads,
    /// Surfaces in memory that the client brings.
    Imported,
    /// Nobody looks at a picture before the end, when three threads wait.
    Waiting,
}

/// Decodes pictures of a profile into surfaces of 64x64 samples, whose numbers the pictures name, and looks
/// at some.
pub fn decoding(profile: va::VAProfile, pictures: &[Picture], manner: Manner) -> Vec<u8> {
    let at = PROFILES.iter().position(|known| *known == profile).unwrap_or(0) as u8;
    let Some(codec) = codec_of(profile) else { return Vec::new() };
    let deep = pictures.iter().any(|picture| picture.is_deep(codec));
    let mut setup = Output::default();
    for byte in [O::CreateConfig as u8, at, 0] {
        setup.u8(byte);
    }
    match manner {
        Manner::Imported => (0..SURFACES).for_each(|_| import(deep, &mut setup)),
        _ => {
            for _ in 0..SURFACES / 7 {
                for byte in [O::CreateSurfaces as u8, deep.into(), 7, 0, 0, 0] {
                    setup.u8(byte);
                }
            }
        }
    }
    let threads = manner == Manner::Threads;
    for context in 0..3 {
        for byte in [O::CreateContext as u8, 0, 0, 0, 0] {
            setup.u8(byte);
        }
        if !threads && context == 0 {
            break;
        }
    }
    let format = u8::from(deep);
    for byte in [O::CreateImage as u8, format, 0, 0] {
        setup.u8(byte);
    }
    let mut output = Output::default();
    output.block(&setup.0);
    for context in 0..if threads { 3 } else { 1 } {
        let mut calls = Output::default();
        for (number, picture) in pictures.iter().enumerate() {
            calls.u8(O::Decode as u8);
            calls.u8(at);
            calls.u8(context);
            picture.write(codec, &mut calls);
            if manner == Manner::Waiting {
                continue;
            }
            let surface = picture.target as u8;
            let then: &[u8] = match number % 4 {
                0 => &[O::SyncSurface as u8, surface, 0],
                1 => &[O::GetImage as u8, surface, 0, 0, 0, 0, 0],
                2 => &[O::DeriveImage as u8, surface],
                _ => &[O::QuerySurface as u8, surface],
            };
            then.iter().for_each(|byte| calls.u8(*byte));
        }
        output.block(&calls.0);
    }
    if manner == Manner::Waiting {
        // The other threads have nothing to do.
        output.block(&[]);
        output.block(&[]);
        waiting(pictures, &mut output);
    }
    output.0
}

/// An end with calls for the last pictures: vaSyncSurface, vaSyncSurface2, vaGetImage.
fn waiting(pictures: &[Picture], output: &mut Output) {
    // A number that leaves two when divided by three: one thread, and two more.
    output.u8(WAITING + 2);
    let last = pictures.iter().rev().map(|picture| picture.target as u8).cycle();
    for (how, surface) in [0, 1, 4].into_iter().zip(last) {
        [how, surface, 0].into_iter().for_each(|byte| output.u8(byte));
    }
}

/// One surface in memory of the client's, with nothing wrong.
fn import(deep: bool, output: &mut Output) {
    // Type, width and height, how, length, kind, modifier, changes.
    let right = [0; 8];
    for byte in [O::ImportSurface as u8, deep.into()].into_iter().chain(right) {
        output.u8(byte);
    }
}
