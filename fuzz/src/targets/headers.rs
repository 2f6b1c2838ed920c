//! Headers that the driver reads out of the coded bytes.

use daedalus_drv_video::codec::{Picture, Rendered, Translator, vp9::Vp9Translator};
use daedalus_uapi::{
    Controls,
    h264::{Pps, SliceHeader, SliceStart, Sps},
};
use libva_sys as va;

use crate::{controls::control, input::Input};

/// An SPS, a PPS, and a slice NAL unit that refers to them.
pub fn h264(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (sps, pps): (Sps, Pps) = (control(&mut input), control(&mut input));
    let nal = input.rest();
    let start = SliceStart::parse(nal);
    let Ok(header) = SliceHeader::parse(nal, &sps, &pps) else { return };
    assert_eq!(Ok(header.start), start);
    let bits = nal.len() as u64 * 8;
    let counted =
        u64::from(header.pic_order_cnt_bit_size) + u64::from(header.dec_ref_pic_marking_bit_size);
    assert!(counted <= bits, "{counted} of {bits} bits");
}

/// The size that a client says, and frames.
pub fn vp9(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let profile = input.choice(&[va::VAProfileVP9Profile0, va::VAProfileVP9Profile2]);
    // frame_width, frame_height, reference_frames.
    let mut params = vec![0; size_of::<va::VADecPictureParameterBufferVP9>()];
    params[..4].copy_from_slice(&[input.u8(), input.u8(), input.u8(), input.u8()]);
    (0..8).for_each(|slot| params[4 + 4 * slot] = slot as u8);
    let mut translator = Vp9Translator::new(profile);
    let mut surface = 0;
    while !input.is_empty() && surface < 64 {
        let data = input.block().to_vec();
        let length = data.len();
        // slice_data_size.
        let mut slice = vec![0; size_of::<va::VASliceParameterBufferVP9>()];
        slice[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let buffers = [
            rendered(va::VAPictureParameterBufferType, params.clone()),
            rendered(va::VASliceParameterBufferType, slice),
            rendered(va::VASliceDataBufferType, data),
        ];
        let mut ready = Vec::new();
        let target = surface % 8;
        let picture = Picture { target, context_size: (64, 48), buffers: &buffers };
        if translator.picture(&picture, &mut ready).is_ok() {
            let Controls::Vp9(controls) = &ready[0].controls else { panic!("not VP9") };
            let frame = &controls.frame;
            let headers = usize::from(frame.uncompressed_header_size)
                + usize::from(frame.compressed_header_size);
            assert!(headers <= length, "{headers} of {length} bytes");
        }
        surface += 1;
    }
}

fn rendered(kind: va::VABufferType, data: Vec<u8>) -> Rendered {
    Rendered { kind, element_size: data.len(), count: 1, data }
}
