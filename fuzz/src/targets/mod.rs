//! What can be fuzzed.

pub mod buffers;
pub mod calls;
pub mod daemon;
mod headers;
mod protocol;
mod writers;

use std::collections::HashSet;

use daedalus_uapi::Codec;

/// A function that must stand any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As in `targets.tsv`.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TABLE: [Target; 11] = [
    Target { name: "h264-buffers", run: |bytes| buffers::run(Codec::H264, bytes) },
    Target { name: "vp9-buffers", run: |bytes| buffers::run(Codec::Vp9, bytes) },
    Target { name: "av1-buffers", run: |bytes| buffers::run(Codec::Av1, bytes) },
    Target { name: "h264-writer", run: |bytes| writers::run(Codec::H264, bytes) },
    Target { name: "vp9-writer", run: |bytes| writers::run(Codec::Vp9, bytes) },
    Target { name: "av1-writer", run: |bytes| writers::run(Codec::Av1, bytes) },
    Target { name: "h264-headers", run: headers::h264 },
    Target { name: "vp9-headers", run: headers::vp9 },
    Target { name: "protocol", run: protocol::run },
    Target { name: "daemon", run: daemon::run },
    Target { name: "va-calls", run: calls::run },
];

/// A target whose inputs decode.
#[derive(Clone, Copy)]
pub struct Decoding {
    /// The target's name.
    pub target: &'static str,
    /// The codecs of which an input decodes a picture, whole.
    pub decoded: fn(&[u8]) -> HashSet<Codec>,
}

/// All targets that decode.
pub const DECODING: [Decoding; 2] = [
    Decoding { target: "daemon", decoded: daemon::decoded },
    Decoding { target: "va-calls", decoded: calls::decoded },
];

/// The target of that name.
pub fn find(name: &str) -> Option<Target> {
    TABLE.into_iter().find(|target| target.name == name)
}
