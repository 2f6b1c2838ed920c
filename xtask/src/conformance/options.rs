//! The command line of `./x conformance`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use daedalus_tests::catalogue::Kind;
use daedalus_tests::clients::Client;
use daedalus_tests::stream::Codec;

/// What to run.
#[derive(Args, Debug)]
pub struct Options {
    /// Catalogues (folders with a catalogue.tsv), other folders, or files, which are compared with what
    /// ffmpeg decodes in software; default: ../shared/vectors
    pub paths: Vec<PathBuf>,
    /// Only this codec
    #[arg(long)]
    pub codec: Vec<CodecName>,
    /// The clients to decode with
    #[arg(long, default_value = "ffmpeg")]
    pub client: Vec<ClientName>,
    /// What decodes: in the client's process
    #[arg(long, default_value = "embedded")]
    pub transport: Transport,
    /// Only rows of this kind: must be exact, damaged, or not supported
    #[arg(long)]
    pub kind: Vec<KindName>,
    /// Only the rows that every test run includes
    #[arg(long)]
    pub core: bool,
    /// Only streams whose name contains this
    #[arg(long)]
    pub filter: Option<String>,
    /// Write what becomes of the streams into the pin files
    #[arg(long)]
    pub pin: bool,
    /// Run ffmpeg under valgrind and look for misused and lost memory instead of comparing frames
    #[arg(long)]
    pub valgrind: bool,
    /// Write a JUnit report here
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How many clients run at a time; default: one for each core
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Seconds after which a client counts as hung
    #[arg(long, default_value_t = 180)]
    pub limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CodecName {
    H264,
    Vp9,
    Av1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientName {
    /// ffmpeg, frames fetched with hwdownload
    Ffmpeg,
    /// ffmpeg, frames mapped with hwmap
    FfmpegHwmap,
    /// mpv --hwdec=vaapi-copy
    Mpv,
    /// gstreamer1.0-vaapi
    GstVaapi,
    /// GStreamer's newer va plugin (needs a DRM render node)
    GstVa,
    /// GStreamer's v4l2codecs plugin, on the kernel's device (needs one: ./x uml)
    GstV4l2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindName {
    Ok,
    Invalid,
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    Embedded,
}

impl CodecName {
    /// As the tests call it.
    pub fn codec(self) -> Codec {
        match self {
            CodecName::H264 => Codec::H264,
            CodecName::Vp9 => Codec::Vp9,
            CodecName::Av1 => Codec::Av1,
        }
    }
}

impl ClientName {
    /// As the tests call it.
    pub fn client(self) -> Client {
        match self {
            ClientName::Ffmpeg => Client::FfmpegDownload,
            ClientName::FfmpegHwmap => Client::FfmpegMap,
            ClientName::Mpv => Client::Mpv,
            ClientName::GstVaapi => Client::Gstreamer,
            ClientName::GstVa => Client::GstreamerVa,
            ClientName::GstV4l2 => Client::GstreamerV4l2,
        }
    }
}

impl KindName {
    /// As the tests call it.
    pub fn kind(self) -> Kind {
        match self {
            KindName::Ok => Kind::Ok,
            KindName::Invalid => Kind::Invalid,
            KindName::Unsupported => Kind::Unsupported,
        }
    }
}
