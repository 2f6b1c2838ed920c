//! Controls and coded bytes → bitstream, request after request of one session.

use daedalus_engine::reconstruct;
use daedalus_uapi::Codec;

use crate::{controls::Request, input::Input};

const MOST_REQUESTS: usize = 32;

/// Requests, whoever made them: the daemon passes on what any V4L2 client says.
pub fn run(codec: Codec, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut writer = reconstruct::writer(codec);
    for _ in 0..MOST_REQUESTS {
        if input.is_empty() {
            break;
        }
        let Request { timestamp, controls, data } = Request::read(codec, &mut input);
        let mut packet = Vec::new();
        let written = writer.write(timestamp, &controls, &data, &mut packet);
        // On an error there is nothing to send.
        assert_eq!(written.is_ok(), !packet.is_empty(), "{written:?}, {} bytes", packet.len());
    }
}
