//! VA buffers → stateless decode requests, one translator per codec.
//!
//! A translator sees the buffers of one picture at a time and derives complete requests from them. It
//! may keep a picture back until it knows what follows (*commit on successor*): the first field of an
//! H.264 field pair, or an AV1 picture whose reference slot cannot be chosen yet. Whoever needs the
//! pixels earlier calls [`Translator::commit`].

pub mod av1;
pub mod h264;
pub mod vp9;

use std::collections::HashMap;

use daedalus_uapi::{Codec, DecodeRequest};
use libva_sys as va;

use crate::error::{Error, Result};

/// The most bytes of a buffer, and of all buffers of one picture. No coded picture comes near; the limit keeps a
/// hostile client from one huge allocation.
pub const MAX_BYTES: usize = 256 << 20;

/// The content of one buffer that was given to vaRenderPicture, copied at that call.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// `VABufferType`, e.g. `VAPictureParameterBufferType`.
    pub kind: va::VABufferType,
    /// Bytes of one element as the client created the buffer.
    pub element_size: usize,
    /// How many elements.
    pub count: usize,
    /// `element_size * count` bytes.
    pub data: Vec<u8>,
}

/// A C struct from libva's headers without pointers that matter, references or invalid bit patterns:
/// any bytes make a valid value.
///
/// # Safety
/// Every bit pattern must be a valid `Self`.
pub unsafe trait Plain: Copy {}

impl Rendered {
    /// The buffer's elements as `T`. Fails with `InvalidBuffer` if the element size is not `T`'s.
    pub fn elements<T: Plain>(&self) -> Result<Vec<T>> {
        if self.element_size != size_of::<T>() || self.data.len() < self.element_size * self.count {
            return Err(Error::InvalidBuffer(format!(
                "buffer type {} with elements of {} bytes, expected {}",
                self.kind,
                self.element_size,
                size_of::<T>()
            )));
        }
        let elements = self.data.chunks_exact(size_of::<T>()).take(self.count);
        // SAFETY: each chunk has T's size, the read does not ask for alignment, and `Plain` promises
        // that any bytes are a valid T.
        Ok(elements.map(|e| unsafe { e.as_ptr().cast::<T>().read_unaligned() }).collect())
    }

    /// The first element; fails if there is none or the size is wrong.
    pub fn element<T: Plain>(&self) -> Result<T> {
        self.elements()?
            .first()
            .copied()
            .ok_or_else(|| Error::InvalidBuffer(format!("buffer type {} is empty", self.kind)))
    }
}

/// The picture that vaEndPicture completes.
pub struct Picture<'a> {
    /// The surface given to vaBeginPicture.
    pub target: va::VASurfaceID,
    /// Width and height that the context was created with, in samples.
    pub context_size: (u32, u32),
    /// Everything that was rendered, in the client's order.
    pub buffers: &'a [Rendered],
}

impl<'a> Picture<'a> {
    /// The only buffer of a kind; the last one if the client sent several.
    /// Fails with `InvalidBuffer`, naming `what`, if there is none.
    pub fn buffer(&self, kind: va::VABufferType, what: &str) -> Result<&Rendered> {
        self.optional(kind).ok_or_else(|| Error::InvalidBuffer(format!("no {what} buffer")))
    }

    /// Like [`Picture::buffer`] for a buffer that need not be there.
    pub fn optional(&self, kind: va::VABufferType) -> Option<&Rendered> {
        self.buffers.iter().rev().find(|b| b.kind == kind)
    }

    /// Slice parameter elements, each with the bytes of the data buffer that belongs to it. The nth
    /// parameter buffer goes with the nth data buffer, in whatever order the client sent the two kinds.
    /// Fails if the numbers differ.
    pub fn slices<T: Plain>(&self) -> Result<Vec<(T, &'a [u8])>> {
        let params = self.buffers.iter().filter(|b| b.kind == va::VASliceParameterBufferType);
        let data = self.buffers.iter().filter(|b| b.kind == va::VASliceDataBufferType);
        let (params, data): (Vec<_>, Vec<_>) = (params.collect(), data.collect());
        if params.is_empty() || params.len() != data.len() {
            return Err(Error::InvalidBuffer(format!(
                "{} slice parameter buffers with {} slice data buffers",
                params.len(),
                data.len()
            )));
        }
        let mut slices = Vec::new();
        for (params, data) in params.into_iter().zip(data) {
            slices.extend(params.elements::<T>()?.into_iter().map(|p| (p, &data.data[..])));
        }
        Ok(slices)
    }
}

/// The part of a slice data buffer that a slice parameter element names.
/// Fails with `InvalidBuffer` if it does not lie inside.
pub fn slice_bytes(data: &[u8], offset: u32, size: u32) -> Result<&[u8]> {
    let end = (offset as usize).checked_add(size as usize);
    end.and_then(|end| data.get(offset as usize..end)).ok_or_else(|| {
        Error::InvalidBuffer(format!("slice data {offset}+{size} in a buffer of {}", data.len()))
    })
}

/// Counts the coded bytes of one picture. Slices may name the same bytes again and again, and are copied each time.
#[derive(Default)]
pub struct CodedBytes(usize);

impl CodedBytes {
    /// Fails with `InvalidBuffer` if these are more than a picture's buffers can have.
    pub fn add(&mut self, slice: &[u8]) -> Result<()> {
        self.0 += slice.len();
        if self.0 > MAX_BYTES {
            return Err(Error::InvalidBuffer(format!(
                "{} bytes of slices for one picture",
                self.0
            )));
        }
        Ok(())
    }
}

/// A request whose targets are still surface ids.
pub type Draft = DecodeRequest<va::VASurfaceID>;

/// Turns the pictures of one stream into requests.
pub trait Translator: Send {
    /// Translates the picture that vaEndPicture completes. Requests that are ready, in decode order, are
    /// appended to `ready`: none, the one kept back before, this one, or both. On an error the picture
    /// itself produces no request, but what was kept back before is in `ready` if it had to go.
    fn picture(&mut self, picture: &Picture<'_>, ready: &mut Vec<Draft>) -> Result<()>;

    /// Releases a picture that is kept back, because somebody needs its pixels or nothing will follow.
    fn commit(&mut self, ready: &mut Vec<Draft>);
}

/// What a picture says about the pictures it builds on, read before translation. It decides whether a
/// new context carries on an older context's stream (a VP9 client may make a new context when the frame
/// size changes between key frames).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ancestry {
    /// The picture starts a stream: nothing before it matters.
    pub key: bool,
    /// The surfaces that it names as references.
    pub references: Vec<va::VASurfaceID>,
}

/// `VAProfileH264High10`, which va.h has only from libva 2.18 on.
pub const PROFILE_H264_HIGH10: va::VAProfile = 36;

/// Which codec a profile is, or `None` for a profile that the driver does not decode.
pub fn codec_of(profile: va::VAProfile) -> Option<Codec> {
    match profile {
        va::VAProfileH264ConstrainedBaseline
        | va::VAProfileH264Main
        | va::VAProfileH264High
        | PROFILE_H264_HIGH10 => Some(Codec::H264),
        va::VAProfileVP9Profile0 | va::VAProfileVP9Profile2 => Some(Codec::Vp9),
        va::VAProfileAV1Profile0 => Some(Codec::Av1),
        _ => None,
    }
}

/// The translator for a profile that [`codec_of`] knows.
pub fn translator(profile: va::VAProfile) -> Option<Box<dyn Translator>> {
    Some(match codec_of(profile)? {
        Codec::H264 => Box::new(h264::H264Translator::new(profile)),
        Codec::Vp9 => Box::new(vp9::Vp9Translator::new(profile)),
        Codec::Av1 => Box::new(av1::Av1Translator::new()),
    })
}

/// What the picture's buffers say about its references. Fails if the picture parameters are missing or
/// have the wrong size.
pub fn ancestry(codec: Codec, picture: &Picture<'_>) -> Result<Ancestry> {
    match codec {
        Codec::H264 => h264::ancestry(picture),
        Codec::Vp9 => vp9::ancestry(picture),
        Codec::Av1 => av1::ancestry(picture),
    }
}

/// What a translator remembers about the pictures that surfaces hold, by surface id.
#[derive(Debug)]
pub(crate) struct Pictures<I>(HashMap<va::VASurfaceID, I>);

impl<I> Default for Pictures<I> {
    fn default() -> Self {
        Pictures(HashMap::new())
    }
}

impl<I> Pictures<I> {
    pub(crate) fn get(&self, surface: va::VASurfaceID) -> Option<&I> {
        self.0.get(&surface)
    }

    pub(crate) fn insert(&mut self, surface: va::VASurfaceID, picture: I) {
        self.0.insert(surface, picture);
    }

    /// Forgets what no surface in `live` holds, so that the map never outgrows the client's references.
    pub(crate) fn retain(&mut self, live: impl Fn(va::VASurfaceID) -> bool) {
        self.0.retain(|surface, _| live(*surface));
    }
}
