//! VADecPictureParameterBufferAV1 with its unions opened.

use libva_sys as va;

use crate::{
    codec::{Picture, Plain},
    error::{Error, Result},
};

// SAFETY: integers, arrays of them and a pointer that is never followed: any bytes are a valid value.
unsafe impl Plain for va::VADecPictureParameterBufferAV1 {}
// SAFETY: integers only.
unsafe impl Plain for va::VASliceParameterBufferAV1 {}

type SeqInfo = va::_VADecPictureParameterBufferAV1__bindgen_ty_1__bindgen_ty_1;
type PicInfo = va::_VADecPictureParameterBufferAV1__bindgen_ty_2__bindgen_ty_1;
type LoopFilterInfo = va::_VADecPictureParameterBufferAV1__bindgen_ty_3__bindgen_ty_1;
type QMatrix = va::_VADecPictureParameterBufferAV1__bindgen_ty_4__bindgen_ty_1;
type ModeControl = va::_VADecPictureParameterBufferAV1__bindgen_ty_5__bindgen_ty_1;
type LoopRestoration = va::_VADecPictureParameterBufferAV1__bindgen_ty_6__bindgen_ty_1;
type SegmentInfo = va::_VASegmentationStructAV1__bindgen_ty_1__bindgen_ty_1;
type FilmGrainInfo = va::_VAFilmGrainStructAV1__bindgen_ty_1__bindgen_ty_1;

/// The picture parameters.
pub struct Params {
    /// The buffer as the client sent it.
    pub buffer: va::VADecPictureParameterBufferAV1,
    /// seq_info_fields.
    pub seq: SeqInfo,
    /// pic_info_fields.
    pub pic: PicInfo,
    /// loop_filter_info_fields.
    pub loop_filter: LoopFilterInfo,
    /// qmatrix_fields.
    pub qmatrix: QMatrix,
    /// mode_control_fields.
    pub mode_control: ModeControl,
    /// loop_restoration_fields.
    pub loop_restoration: LoopRestoration,
    /// seg_info.segment_info_fields.
    pub segment: SegmentInfo,
    /// film_grain_info.film_grain_info_fields.
    pub film_grain: FilmGrainInfo,
}

impl Params {
    /// The parameters among a picture's buffers.
    pub fn of(picture: &Picture<'_>) -> Result<Params> {
        let buffer = picture.buffer(va::VAPictureParameterBufferType, "picture parameter")?;
        let params = Params::new(buffer.element()?);
        if params.pic.large_scale_tile() != 0 {
            return Err(Error::InvalidParameter(
                "large scale tile decoding is not supported".into(),
            ));
        }
        Ok(params)
    }

    /// Opens the unions.
    pub fn new(buffer: va::VADecPictureParameterBufferAV1) -> Params {
        // SAFETY: both views of each union are integers of the same size.
        unsafe {
            Params {
                seq: buffer.seq_info_fields.fields,
                pic: buffer.pic_info_fields.bits,
                loop_filter: buffer.loop_filter_info_fields.bits,
                qmatrix: buffer.qmatrix_fields.bits,
                mode_control: buffer.mode_control_fields.bits,
                loop_restoration: buffer.loop_restoration_fields.bits,
                segment: buffer.seg_info.segment_info_fields.bits,
                film_grain: buffer.film_grain_info.film_grain_info_fields.bits,
                buffer,
            }
        }
    }

    /// frame_type.
    pub fn frame_type(&self) -> u32 {
        self.pic.frame_type()
    }

    /// A key frame that is shown, after which no earlier picture is a reference.
    pub fn shown_key(&self) -> bool {
        self.frame_type() == daedalus_uapi::av1::frame_type::KEY && self.pic.show_frame() != 0
    }
}
