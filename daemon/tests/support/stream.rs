//! VP9 streams as requests, and what must become of them.

use std::sync::{Arc, Mutex, mpsc};

use daedalus_engine::{FrameLayout, Options, PixelFormat, Reply, Request, Session, Target};
use daedalus_uapi::{
    Codec, Controls, FromZeros,
    protocol::{ControlHead, DecodeMessage},
    vp9,
};
use zerocopy::IntoBytes;

use super::Bench;

/// 64x48, 8 bits, with hidden frames.
pub const ALTREF: &[u8] = include_bytes!("../../../engine/tests/data/altref.ivf");
/// 37x21, 10 bits.
pub const PROFILE2: &[u8] = include_bytes!("../../../engine/tests/data/profile2.ivf");

/// How frames lie in buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Nv12,
    Nv12m,
    P010,
}

/// A VP9 stream.
pub struct Stream {
    pub layout: Layout,
    pub width: u32,
    pub height: u32,
    frames: Vec<&'static [u8]>,
}

impl Stream {
    /// Of an IVF file, without frames that only show another one.
    pub fn new(ivf: &'static [u8], layout: Layout) -> Stream {
        let size = |at: usize| u32::from(u16::from_le_bytes([ivf[at], ivf[at + 1]]));
        let show_existing = if layout == Layout::P010 { 0x98 } else { 0x88 };
        let mut frames = Vec::new();
        let mut rest = &ivf[32..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (frame, after) = after[8..].split_at(u32::from_le_bytes(*length) as usize);
            if frame[0] & 0xf8 != show_existing {
                frames.push(frame);
            }
            rest = after;
        }
        Stream { layout, width: size(12), height: size(14), frames }
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    fn controls(&self) -> vp9::Controls {
        let mut controls = vp9::Controls::new_zeroed();
        // The engine reads the rest from the frame.
        controls.frame.uncompressed_header_size = 1;
        controls.frame.compressed_header_size = 1;
        let ten_bits = self.layout == Layout::P010;
        (controls.frame.profile, controls.frame.bit_depth) =
            if ten_bits { (2, 10) } else { (0, 8) };
        controls
    }

    /// Bytes from one row to the next; more than a row has.
    fn pitch(&self) -> u32 {
        let bytes = if self.layout == Layout::P010 { 2 } else { 1 };
        (self.width * bytes).next_multiple_of(64) + 64
    }

    /// Bytes of each dma-buf: no whole pages.
    pub fn sizes(&self) -> Vec<u32> {
        let (luma, chroma) = (self.pitch() * self.height, self.pitch() * self.height.div_ceil(2));
        match self.layout {
            Layout::Nv12m => vec![luma + 100, chroma],
            _ => vec![luma + 100 + chroma],
        }
    }

    /// Where the planes begin, each in its dma-buf.
    fn offsets(&self) -> [u32; 2] {
        match self.layout {
            Layout::Nv12m => [100, 0],
            _ => [0, self.pitch() * self.height + 100],
        }
    }

    /// Sends frame `index` as a request for `buffer`. Returns its cookie.
    pub fn decode(&self, bench: &mut Bench, session: u64, index: usize, buffer: u64) -> u64 {
        self.decode_edited(bench, session, index, buffer, |_| {})
    }

    /// The same with a message that was tampered with.
    pub fn decode_edited(
        &self,
        bench: &mut Bench,
        session: u64,
        index: usize,
        buffer: u64,
        edit: impl FnOnce(&mut DecodeMessage),
    ) -> u64 {
        let controls = self.controls();
        let mut bytes = Vec::new();
        for (id, value) in [
            (vp9::CID_FRAME, controls.frame.as_bytes()),
            (vp9::CID_COMPRESSED_HDR, controls.compressed_hdr.as_bytes()),
        ] {
            bytes.extend_from_slice(ControlHead { id, size: value.len() as u32 }.as_bytes());
            bytes.extend_from_slice(value);
        }
        bench.decode(session, &bytes, 2, self.frames[index], |message| {
            message.timestamp = 1000 * index as u64;
            message.buffer = buffer;
            message.pixelformat = u32::from_le_bytes(match self.layout {
                Layout::Nv12 => *b"NV12",
                Layout::Nv12m => *b"NM12",
                Layout::P010 => *b"P010",
            });
            (message.width, message.height) = (self.width, self.height);
            let sizes = self.sizes();
            message.num_buffers = sizes.len() as u32;
            message.buffer_size[..sizes.len()].copy_from_slice(&sizes);
            (message.pitch, message.offset) = ([self.pitch(); 2], self.offsets());
            edit(message);
        })
    }

    /// Whether the planes of a buffer hold `picture`, and nothing else was written.
    pub fn shows(&self, bench: &Bench, buffer: u64, picture: &Picture) -> bool {
        let mut expected: Vec<Vec<u8>> =
            self.sizes().iter().map(|size| vec![0xEE; *size as usize]).collect();
        let last = expected.len() - 1;
        for (plane, (rows, row)) in picture.iter().enumerate() {
            let into = &mut expected[plane.min(last)][self.offsets()[plane] as usize..];
            for (to, from) in into.chunks_mut(self.pitch() as usize).zip(rows.chunks(*row)) {
                to[..*row].copy_from_slice(from);
            }
        }
        (0..=last).all(|index| bench.content(buffer, index) == expected[index])
    }

    /// Every picture of the stream, as the engine alone decodes it.
    pub fn pictures(&self) -> Vec<Picture> {
        let session = Session::new(Codec::Vp9, &Options::default()).unwrap();
        let (send, answers) = mpsc::channel();
        let frames = self.frames.iter().map(|data| {
            let frame = Arc::new(Plain::new(self));
            let request = Request {
                timestamp: 1000,
                controls: Controls::Vp9(Box::new(self.controls())),
                data: data.to_vec(),
                hold_capture: false,
                target: Some(frame.clone()),
                ungrained: None,
            };
            let send = send.clone();
            session.submit(request, Reply::new(move |answer| send.send(answer).unwrap()));
            answers.recv().unwrap().unwrap();
            frame.picture()
        });
        frames.collect()
    }
}

/// Luma and chroma: the bytes of all rows, and of one.
pub type Picture = [(Vec<u8>, usize); 2];

/// A frame in plain memory without gaps.
struct Plain {
    layout: FrameLayout,
    memory: Mutex<Vec<u8>>,
}

impl Plain {
    fn new(stream: &Stream) -> Plain {
        let format = match stream.layout {
            Layout::P010 => PixelFormat::P010,
            _ => PixelFormat::Nv12,
        };
        let (width, height) = (stream.width as usize, stream.height as usize);
        let bytes = format.bytes_per_sample();
        let pitch = [width * bytes, width.div_ceil(2) * 2 * bytes];
        let offset = [0, pitch[0] * height];
        let length = offset[1] + pitch[1] * height.div_ceil(2);
        let layout =
            FrameLayout { format, width: stream.width, height: stream.height, pitch, offset };
        Plain { layout, memory: Mutex::new(vec![0; length]) }
    }

    fn picture(&self) -> Picture {
        let memory = self.memory.lock().unwrap();
        let (luma, chroma) = memory.split_at(self.layout.offset[1]);
        [(luma.to_vec(), self.layout.pitch[0]), (chroma.to_vec(), self.layout.pitch[1])]
    }
}

impl Target for Plain {
    fn layout(&self) -> FrameLayout {
        self.layout
    }

    fn fill(&self, write: &mut dyn FnMut(&mut [u8])) {
        write(&mut self.memory.lock().unwrap());
    }
}
