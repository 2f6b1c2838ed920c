//! Pictures as a VA client renders them, in a fuzzer's bytes.

use std::mem::offset_of;

use daedalus_drv_video::codec::Rendered;
use daedalus_uapi::Codec;
use libva_sys as va;

use crate::input::{Input, Output};

/// The buffer types that a picture may have; an index into this stands for one.
const KINDS: [va::VABufferType; 5] = [
    va::VAPictureParameterBufferType,
    va::VASliceParameterBufferType,
    va::VASliceDataBufferType,
    va::VAIQMatrixBufferType,
    va::VAProbabilityBufferType,
];

/// The buffer has another element size than its type asks for.
const ODD: u8 = 0x80;

/// What is kept back must be decoded before this picture.
const COMMIT: u8 = 0x80;

/// One picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Somebody asks for the pixels of the pictures before it.
    pub commit: bool,
    /// The surface that vaBeginPicture is given.
    pub target: va::VASurfaceID,
    /// The buffers that vaRenderPicture is given.
    pub buffers: Vec<Rendered>,
}

/// What an element of such a buffer is; `None` for plain bytes.
fn element_size(codec: Codec, kind: va::VABufferType) -> Option<usize> {
    Some(match (codec, kind) {
        (Codec::H264, va::VAPictureParameterBufferType) => {
            size_of::<va::VAPictureParameterBufferH264>()
        }
        (Codec::H264, va::VASliceParameterBufferType) => {
            size_of::<va::VASliceParameterBufferH264>()
        }
        (Codec::H264, va::VAIQMatrixBufferType) => size_of::<va::VAIQMatrixBufferH264>(),
        (Codec::Vp9, va::VAPictureParameterBufferType) => {
            size_of::<va::VADecPictureParameterBufferVP9>()
        }
        (Codec::Vp9, va::VASliceParameterBufferType) => size_of::<va::VASliceParameterBufferVP9>(),
        (Codec::Av1, va::VAPictureParameterBufferType) => {
            size_of::<va::VADecPictureParameterBufferAV1>()
        }
        (Codec::Av1, va::VASliceParameterBufferType) => size_of::<va::VASliceParameterBufferAV1>(),
        _ => return None,
    })
}

/// Where in the picture parameters surfaces are named.
fn surfaces(codec: Codec) -> Vec<usize> {
    match codec {
        Codec::H264 => {
            let current = offset_of!(va::VAPictureParameterBufferH264, CurrPic);
            let references = offset_of!(va::VAPictureParameterBufferH264, ReferenceFrames);
            let id = offset_of!(va::VAPictureH264, picture_id);
            let reference = |n| references + n * size_of::<va::VAPictureH264>() + id;
            [current + id].into_iter().chain((0..16).map(reference)).collect()
        }
        Codec::Vp9 => {
            let references = offset_of!(va::VADecPictureParameterBufferVP9, reference_frames);
            (0..8).map(|n| references + 4 * n).collect()
        }
        Codec::Av1 => {
            let current = offset_of!(va::VADecPictureParameterBufferAV1, current_frame);
            let shown = offset_of!(va::VADecPictureParameterBufferAV1, current_display_picture);
            let references = offset_of!(va::VADecPictureParameterBufferAV1, ref_frame_map);
            [current, shown].into_iter().chain((0..8).map(|n| references + 4 * n)).collect()
        }
    }
}

impl Picture {
    /// Whether the picture parameters say that samples have more than eight bits.
    pub fn is_deep(&self, codec: Codec) -> bool {
        let kind = va::VAPictureParameterBufferType;
        let Some(size) = element_size(codec, kind) else { return false };
        // Where the depth stands, and what means eight bits at the most.
        let (at, eight) = match codec {
            Codec::H264 => (offset_of!(va::VAPictureParameterBufferH264, bit_depth_luma_minus8), 0),
            Codec::Vp9 => (offset_of!(va::VADecPictureParameterBufferVP9, bit_depth), 8),
            Codec::Av1 => (offset_of!(va::VADecPictureParameterBufferAV1, bit_depth_idx), 0),
        };
        let mut params = self.buffers.iter().filter(|buffer| buffer.kind == kind);
        params.any(|buffer| buffer.data.len() >= size && buffer.data[at] > eight)
    }

    /// The next picture.
    pub fn read(codec: Codec, input: &mut Input<'_>) -> Picture {
        let head = input.u8();
        let target = input.u32();
        let mut buffers = Vec::new();
        for _ in 0..head & !COMMIT {
            if input.is_empty() {
                break;
            }
            buffers.push(read_buffer(codec, input));
        }
        Picture { commit: head & COMMIT != 0, target, buffers }
    }

    /// Writes what [`Picture::read`] reads.
    pub fn write(&self, codec: Codec, output: &mut Output) {
        let count = self.buffers.len().min(0x7f);
        output.u8(count as u8 | if self.commit { COMMIT } else { 0 });
        output.u32(self.target);
        self.buffers[..count].iter().for_each(|buffer| write_buffer(codec, buffer, output));
    }

    /// Gives every surface that the picture parameters name another name, except those that name none.
    pub fn rename(&mut self, codec: Codec, name: impl Fn(va::VASurfaceID) -> va::VASurfaceID) {
        let Some(size) = element_size(codec, va::VAPictureParameterBufferType) else { return };
        let params = |buffer: &&mut Rendered| {
            buffer.kind == va::VAPictureParameterBufferType && buffer.data.len() >= size
        };
        for buffer in self.buffers.iter_mut().filter(params) {
            for at in surfaces(codec) {
                let field = &mut buffer.data[at..at + 4];
                let old = u32::from_ne_bytes([field[0], field[1], field[2], field[3]]);
                if old != va::VA_INVALID_SURFACE {
                    field.copy_from_slice(&name(old).to_ne_bytes());
                }
            }
        }
    }

    /// Cuts coded data to `most` bytes a slice and has the parameters say so. Of H.264's slice parameters
    /// the reference lists and weights go as well: the driver reads those in the slice's own header.
    pub fn shorten(&mut self, codec: Codec, most: u32) {
        for buffer in &mut self.buffers {
            if buffer.kind == va::VASliceDataBufferType {
                buffer.data.truncate(most as usize);
                (buffer.element_size, buffer.count) = (buffer.data.len(), 1);
            }
            if buffer.kind != va::VASliceParameterBufferType {
                continue;
            }
            let Some(size) = element_size(codec, buffer.kind) else { continue };
            for element in buffer.data.chunks_exact_mut(size) {
                // slice_data_size, slice_data_offset: all three codecs' structs begin with them.
                let word =
                    |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| element[at + byte]));
                let size = word(0).min(most.saturating_sub(word(4)));
                element[..4].copy_from_slice(&size.to_le_bytes());
                if codec == Codec::H264 {
                    element[offset_of!(va::VASliceParameterBufferH264, RefPicList0)..].fill(0);
                }
            }
        }
    }
}

fn read_buffer(codec: Codec, input: &mut Input<'_>) -> Rendered {
    let head = input.u8();
    let kind = KINDS[usize::from(head & !ODD) % KINDS.len()];
    if head & ODD != 0 {
        let (element_size, count) = (usize::from(input.u16()), usize::from(input.u8()));
        return Rendered { kind, element_size, count, data: input.padded(element_size * count) };
    }
    match element_size(codec, kind) {
        Some(element_size) => {
            let count = usize::from(input.u8()).max(1);
            Rendered { kind, element_size, count, data: input.padded(element_size * count) }
        }
        None => {
            let data = input.block().to_vec();
            Rendered { kind, element_size: data.len(), count: 1, data }
        }
    }
}

fn write_buffer(codec: Codec, buffer: &Rendered, output: &mut Output) {
    let kind = KINDS.iter().position(|kind| *kind == buffer.kind).unwrap_or(4) as u8;
    match element_size(codec, buffer.kind) {
        Some(size) if size == buffer.element_size && (1..256).contains(&buffer.count) => {
            output.u8(kind);
            output.u8(buffer.count as u8);
            output.padded(&buffer.data);
        }
        None => {
            output.u8(kind);
            output.block(&buffer.data);
        }
        Some(_) => {
            output.u8(kind | ODD);
            output.u16(buffer.element_size.min(u16::MAX.into()) as u16);
            output.u8(buffer.count.min(255) as u8);
            output.padded(&buffer.data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_being_written_and_read() {
        let buffer = |kind, element_size: usize, count: usize, last| {
            let mut data = vec![0; element_size * count];
            data.extend(last);
            data.drain(..data.len() - element_size * count);
            Rendered { kind, element_size, count, data }
        };
        let slice = size_of::<va::VASliceParameterBufferH264>();
        let picture = Picture {
            commit: true,
            target: 0x3000_0001,
            buffers: vec![
                buffer(va::VASliceParameterBufferType, slice, 2, Some(9)),
                buffer(va::VASliceParameterBufferType, slice - 1, 3, Some(8)),
                buffer(va::VASliceDataBufferType, 5, 1, None),
            ],
        };
        let mut output = Output::default();
        picture.write(Codec::H264, &mut output);
        let again = Picture::read(Codec::H264, &mut Input::new(&output.0));
        assert_eq!(format!("{again:?}"), format!("{picture:?}"));
    }

    #[test]
    fn a_depth_is_that_of_the_parameters() {
        let kind = va::VAPictureParameterBufferType;
        let picture = |codec, at: usize, depth| {
            let element_size = element_size(codec, kind).unwrap_or_default();
            let mut data = vec![0; element_size];
            data[at] = depth;
            let buffers = vec![Rendered { kind, element_size, count: 1, data }];
            Picture { commit: false, target: 0, buffers }.is_deep(codec)
        };
        let h264 = offset_of!(va::VAPictureParameterBufferH264, bit_depth_luma_minus8);
        let vp9 = offset_of!(va::VADecPictureParameterBufferVP9, bit_depth);
        let av1 = offset_of!(va::VADecPictureParameterBufferAV1, bit_depth_idx);
        assert_eq!([0, 2].map(|depth| picture(Codec::H264, h264, depth)), [false, true]);
        assert_eq!([8, 10].map(|depth| picture(Codec::Vp9, vp9, depth)), [false, true]);
        assert_eq!([0, 1].map(|depth| picture(Codec::Av1, av1, depth)), [false, true]);
        assert!(!Picture { commit: false, target: 0, buffers: Vec::new() }.is_deep(Codec::Vp9));
    }
}
