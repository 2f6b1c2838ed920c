//! What `recorder/` writes down: pictures, each with the context that it belongs to.

use daedalus_drv_video::codec::codec_of;
use daedalus_uapi::Codec;
use libva_sys as va;

use crate::{
    input::{Input, Output},
    pictures::Picture,
};

/// Names the file that pictures are added to.
pub const VARIABLE: &str = "DAEDALUS_RECORDING";

/// A context, as vaCreateContext and vaCreateConfig were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its id.
    pub id: va::VAContextID,
    /// What it decodes.
    pub profile: va::VAProfile,
    /// In samples.
    pub size: (u16, u16),
}

impl Context {
    /// Its codec. Recordings hold none but those that the driver decodes.
    pub fn codec(&self) -> Codec {
        codec_of(self.profile).unwrap_or(Codec::H264)
    }
}

/// Adds a picture to a recording.
pub fn write(context: &Context, picture: &Picture, output: &mut Output) {
    output.u32(context.id);
    output.u32(context.profile as u32);
    output.u16(context.size.0);
    output.u16(context.size.1);
    picture.write(context.codec(), output);
}

/// The pictures of a recording, by context.
pub fn read(bytes: &[u8]) -> Vec<(Context, Vec<Picture>)> {
    let mut input = Input::new(bytes);
    let mut streams: Vec<(Context, Vec<Picture>)> = Vec::new();
    while !input.is_empty() {
        let id = input.u32();
        let profile = input.u32() as va::VAProfile;
        let context = Context { id, profile, size: (input.u16(), input.u16()) };
        let picture = Picture::read(context.codec(), &mut input);
        match streams.iter_mut().find(|(known, _)| *known == context) {
            Some((_, pictures)) => pictures.push(picture),
            None => streams.push((context, vec![picture])),
        }
    }
    streams
}
