//! The reader of the kernel module's messages.

use daedalus_uapi::protocol::{Decode, Frame, FrameFormat, Message};

use crate::{input::Input, messages};

/// Messages, each for itself.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut cookie = 0;
    while !input.is_empty() {
        cookie += 1;
        let message = messages::read(&mut input, cookie);
        let Ok(Message::Decode(Decode { frame, coded, .. })) = Message::read(&message) else {
            continue;
        };
        if let Ok(frame) = frame {
            check(&frame);
        }
        if let Ok((_, data)) = coded {
            assert!(data.len() <= message.len());
        }
    }
}

/// What is written to a frame lies in its dma-bufs: the last byte of the last row of each plane does.
fn check(frame: &Frame) {
    let sample = match frame.format {
        FrameFormat::Nv12 => 1,
        FrameFormat::P010 => 2,
    };
    let chroma_width = u128::from(frame.width).div_ceil(2) * 2;
    let chroma_height = u128::from(frame.height).div_ceil(2);
    let sizes = [(frame.width.into(), frame.height.into()), (chroma_width, chroma_height)];
    for (plane, (width, rows)) in frame.planes.iter().zip(sizes) {
        let end = u128::from(plane.offset) + (rows - 1) * u128::from(plane.pitch) + width * sample;
        let size = frame.buffers[plane.buffer];
        assert!(end <= size.into(), "{plane:?} ends at {end} of {size}");
    }
}
