//! Pictures that are too large for the frames that the client has.

use bitstream_io::{BigEndian, BitWrite, BitWriter};

use super::*;

/// An NV12 frame in plain memory.
struct Frame {
    width: u32,
    height: u32,
    memory: Mutex<Vec<u8>>,
}

impl Frame {
    fn new(width: u32, height: u32) -> Arc<Frame> {
        let memory = Mutex::new(vec![0; (width * height * 3 / 2) as usize]);
        Arc::new(Frame { width, height, memory })
    }
}

impl Target for Frame {
    fn layout(&self) -> FrameLayout {
        let Frame { width, height, .. } = *self;
        let (pitch, offset) = ([width as usize; 2], [0, (width * height) as usize]);
        FrameLayout { format: PixelFormat::Nv12, width, height, pitch, offset }
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        write(&mut self.memory.lock().unwrap());
    }
}

/// Sends a request and waits for its answer.
fn decode(session: &Session, controls: vp9::Controls, data: &[u8], target: Targets) -> Answer {
    let request = Request {
        timestamp: 1000,
        controls: Controls::Vp9(Box::new(controls)),
        data: data.into(),
        hold_capture: false,
        target: target[0].clone().map(|frame| frame as Arc<dyn Target>),
        ungrained: target[1].clone().map(|frame| frame as Arc<dyn Target>),
    };
    let (tell, told) = mpsc::channel();
    session.submit(request, Reply::new(move |answer| tell.send(answer).unwrap()));
    told.recv().unwrap()
}

/// `target` and `ungrained`.
type Targets = [Option<Arc<Frame>>; 2];

/// Controls that say no size, as far as they are needed.
fn sizeless() -> vp9::Controls {
    let mut controls = vp9::Controls::new_zeroed();
    controls.frame.uncompressed_header_size = 1;
    controls.frame.compressed_header_size = 1;
    controls.frame.bit_depth = 8;
    controls.frame.flags = vp9::FRAME_KEY_FRAME;
    controls
}

fn sized(width: u16, height: u16) -> vp9::Controls {
    let mut controls = sizeless();
    controls.frame.frame_width_minus_1 = width - 1;
    controls.frame.frame_height_minus_1 = height - 1;
    controls
}

/// A VP9 key frame of 2048x1024 (section 6.2) whose headers are right and whose tile is zeros.
fn large_key_frame() -> Vec<u8> {
    const COMPRESSED: usize = 32;
    let mut header = BitWriter::endian(Vec::new(), BigEndian);
    let fields = [
        (2, 2),         // frame_marker
        (4, 0),         // profile bits, show_existing_frame, frame_type
        (2, 0b11),      // show_frame, error_resilient_mode
        (24, 0x498342), // frame_sync_code
        (4, 0b0100),    // color_space, color_range
        (16, 2047),     // frame_width_minus_1
        (16, 1023),     // frame_height_minus_1
        (1, 0),         // render_and_frame_size_different
        (2, 0),         // frame_context_idx
        (10, 0),        // loop_filter_level, loop_filter_sharpness, loop_filter_delta_enabled
        (8, 60),        // base_q_idx
        (4, 0),         // no deltas, no segmentation
        (2, 0),         // increment_tile_cols_log2, tile_rows_log2
        (16, COMPRESSED as u32),
    ];
    for (bits, value) in fields {
        header.write_var(bits, value).unwrap();
    }
    header.byte_align().unwrap();
    [header.into_writer(), vec![0; COMPRESSED + 256]].concat()
}

/// The first frame of a clip of 64x48.
fn small_key_frame() -> &'static [u8] {
    let ivf = include_bytes!("../../../tests/data/altref.ivf");
    let length = u32::from_le_bytes(ivf[32..36].try_into().unwrap());
    &ivf[44..][..length as usize]
}

fn options(threads: usize) -> Options {
    Options { threads, ..Options::default() }
}

#[test]
fn a_picture_that_is_larger_than_its_controls_say_is_refused_and_the_next_key_frame_is_right() {
    let (good, large) = (small_key_frame(), large_key_frame());
    for threads in [1, 2, 4] {
        let session = Session::new(Codec::Vp9, &options(threads)).unwrap();
        let frame = || Frame::new(64, 48);
        let first = frame();
        let targets = [Some(first.clone()), None];
        assert_eq!(decode(&session, sizeless(), good, targets), Ok(()));
        assert!(first.memory.lock().unwrap().iter().any(|sample| *sample != 0));
        let refused =
            Error::TooLarge { codec: Codec::Vp9, width: 2048, height: 1024, largest: 1 << 20 };
        for targets in [[Some(frame()), None], [None, None]] {
            assert_eq!(decode(&session, sizeless(), &large, targets), Err(refused.clone()));
        }
        let again = frame();
        let targets = [Some(again.clone()), None];
        assert_eq!(decode(&session, sizeless(), good, targets), Ok(()), "{threads} threads");
        assert_eq!(*again.memory.lock().unwrap(), *first.memory.lock().unwrap());
        // The same bytes for a client that has a frame for them, or for a quarter of them.
        let targets = [None, Some(Frame::new(1024, 512))];
        let answer = decode(&session, sizeless(), &large, targets);
        assert!(!matches!(answer, Err(Error::TooLarge { .. })), "{answer:?}");
        let targets = [Some(frame()), None];
        assert_eq!(decode(&session, sizeless(), good, targets), Ok(()), "{threads} threads");
    }
}

/// Tells of what it is asked to write.
struct Told(mpsc::Sender<String>);

impl Writer for Told {
    fn write(
        &mut self,
        timestamp: u64,
        controls: &Controls,
        data: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<Step> {
        self.0.send(String::from_utf8_lossy(data).into_owned()).unwrap();
        CopyWriter.write(timestamp, controls, data, packet)
    }
}

#[test]
fn a_picture_whose_controls_say_that_it_is_too_large_leaves_no_trace() {
    let (tell, seen) = mpsc::channel();
    let decoder = Box::new(LateDecoder { seen: tell, late: None });
    let (tell, written) = mpsc::channel();
    let session = Session::of(Codec::Vp9, Box::new(Told(tell)), decoder, usize::MAX).unwrap();
    let decode =
        |controls, data: &str, targets| decode(&session, controls, data.as_bytes(), targets);
    let frame = |width, height| Some(Frame::new(width, height));
    let (large, small) = (sized(1920, 1080), sized(64, 48));
    assert_eq!(decode(small.clone(), "a", [frame(64, 48), None]), Ok(()));
    // Also where nobody sees the picture.
    for targets in [[frame(64, 48), frame(16, 16)], [None, None]] {
        let answer = decode(large.clone(), "b", targets);
        assert!(
            matches!(answer, Err(Error::TooLarge { width: 1920, height: 1080, .. })),
            "{answer:?}"
        );
    }
    assert_eq!(decode(small, "c", [None, None]), Ok(()));
    // Once there was a frame, of either kind, later pictures may do without.
    assert_eq!(decode(large.clone(), "d", [None, frame(960, 544)]), Ok(()));
    assert_eq!(decode(large, "e", [None, None]), Ok(()));
    drop(session);
    assert_eq!(written.iter().collect::<Vec<_>>(), ["a", "c", "d", "e"]);
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["1:a", "2:c", "3:d", "4:e"]);
}
