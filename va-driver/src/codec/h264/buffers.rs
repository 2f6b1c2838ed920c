//! The buffers of one picture as the client rendered them.

use std::borrow::Cow;

use daedalus_uapi::h264::{NAL_IDR_SLICE, ScalingMatrix};
use libva_sys as va;

use super::{
    super::{CodedBytes, Picture, Plain, slice_bytes},
    parameter_sets,
};
use crate::error::{Error, Result};

// SAFETY: integers, bit fields in integers, and arrays of such.
unsafe impl Plain for va::VAPictureParameterBufferH264 {}
// SAFETY: arrays of integers.
unsafe impl Plain for va::VAIQMatrixBufferH264 {}
// SAFETY: integers and arrays of integers.
unsafe impl Plain for va::VASliceParameterBufferH264 {}

/// What the client said about a picture.
pub(super) struct Buffers<'a> {
    pub params: va::VAPictureParameterBufferH264,
    /// `None` for flat lists, said or unsaid.
    pub scaling_matrix: Option<ScalingMatrix>,
    /// At least one.
    pub slices: Vec<Slice<'a>>,
}

/// One slice: VA's parameters and the whole NAL unit, header byte included, without a start code.
pub(super) struct Slice<'a> {
    pub params: va::VASliceParameterBufferH264,
    pub nal: Cow<'a, [u8]>,
}

impl<'a> Buffers<'a> {
    /// Fails if a buffer is missing or malformed, or says what no request can express.
    pub(super) fn read(picture: &'a Picture<'a>) -> Result<Self> {
        let params: va::VAPictureParameterBufferH264 = picture
            .buffer(va::VAPictureParameterBufferType, "H.264 picture parameter")?
            .element()?;
        parameter_sets::check(&params)?;
        let scaling_matrix = match picture.optional(va::VAIQMatrixBufferType) {
            Some(buffer) => parameter_sets::scaling_matrix(&params, &buffer.element()?)?,
            None => None,
        };
        let slices = join(picture.slices()?)?;
        Ok(Buffers { params, scaling_matrix, slices })
    }

    /// True for an IDR picture: its slices say so.
    pub(super) fn idr(&self) -> bool {
        self.slices.iter().any(|slice| slice.nal.first().is_some_and(|b| b & 31 == NAL_IDR_SLICE))
    }

    /// nal_ref_idc of the first slice.
    pub(super) fn nal_ref_idc(&self) -> u16 {
        self.slices[0].nal.first().map_or(0, |byte| u16::from(byte >> 5 & 3))
    }

    /// The slices as a byte stream, a start code before each. Zeros behind a slice are no part of it
    /// (trailing_zero_8bits, section B.1): clients that look for start codes of three bytes (ffmpeg) take
    /// the first byte of one of four for the end of the slice before.
    pub(super) fn annex_b(&self) -> Vec<u8> {
        let size = self.slices.iter().map(|slice| slice.nal.len() + 3).sum();
        let mut stream = Vec::with_capacity(size);
        for slice in &self.slices {
            stream.extend_from_slice(&[0, 0, 1]);
            let end = slice.nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            stream.extend_from_slice(&slice.nal[..end]);
        }
        stream
    }
}

/// Finds each slice's bytes; joins slices whose data comes in parts (`VA_SLICE_DATA_FLAG_*`).
fn join<'a>(parts: Vec<(va::VASliceParameterBufferH264, &'a [u8])>) -> Result<Vec<Slice<'a>>> {
    let mut slices: Vec<Slice<'a>> = Vec::new();
    let mut open = false;
    let mut coded = CodedBytes::default();
    for (params, data) in parts {
        let bytes = slice_bytes(data, params.slice_data_offset, params.slice_data_size)?;
        coded.add(bytes)?;
        match (params.slice_data_flag, open) {
            (va::VA_SLICE_DATA_FLAG_ALL | va::VA_SLICE_DATA_FLAG_BEGIN, false) => {
                slices.push(Slice { params, nal: Cow::Borrowed(without_start_code(bytes)) });
            }
            (va::VA_SLICE_DATA_FLAG_MIDDLE | va::VA_SLICE_DATA_FLAG_END, true) => {
                // `open` is only ever set behind a push.
                if let Some(slice) = slices.last_mut() {
                    slice.nal.to_mut().extend_from_slice(bytes);
                }
            }
            (flag, _) => {
                return Err(Error::InvalidParameter(format!(
                    "slice_data_flag {flag:#x} with {} slice open",
                    if open { "a" } else { "no" }
                )));
            }
        }
        open = matches!(
            params.slice_data_flag,
            va::VA_SLICE_DATA_FLAG_BEGIN | va::VA_SLICE_DATA_FLAG_MIDDLE
        );
    }
    if open || slices.is_empty() {
        return Err(Error::InvalidBuffer("slice data that ends within a slice".into()));
    }
    Ok(slices)
}

/// The NAL unit without a start code, which VA does not ask for but some clients send. No NAL unit of a
/// slice begins with a zero byte.
fn without_start_code(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match bytes.get(zeros) {
        Some(1) if zeros >= 2 => &bytes[zeros + 1..],
        _ => bytes,
    }
}
