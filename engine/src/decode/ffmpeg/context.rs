//! An open libavcodec decoder: packets in; what it returns is dropped.

use std::{
    ffi::{CStr, c_int},
    ptr::{self, NonNull},
    sync::OnceLock,
};

use daedalus_uapi::Codec;
use ffmpeg_sys_next as av;

use super::{Division, capture::Captures, frame::CodedFrame};
use crate::{Error, Result, host_thread};

/// Added to the level of each message of our contexts, so that it exceeds every level that a host
/// program can ask for (at most `AV_LOG_TRACE`, 56). libavcodec's log callback and level are global and
/// belong to the host. The sum must stay below 256, where the bits that colour a message begin.
const LOG_LEVEL_OFFSET: c_int = 128;

/// What is added in this process. Firefox' callback ends the process at a level that it does not know, and
/// shows messages to nobody but those who ask for them by MOZ_LOG.
fn log_level_offset() -> c_int {
    static OFFSET: OnceLock<c_int> = OnceLock::new();
    *OFFSET.get_or_init(|| if is_loaded(c"libxul.so") { 0 } else { LOG_LEVEL_OFFSET })
}

/// Whether this process has loaded the library.
fn is_loaded(name: &CStr) -> bool {
    // SAFETY: a terminated string; RTLD_NOLOAD runs no code of a library.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    // SAFETY: a handle that was opened just now, and is not used again.
    !handle.is_null() && unsafe { libc::dlclose(handle) } == 0
}

/// How often the decoder may answer one packet before it counts as broken. One packet of a correct
/// stream gives at most a few frames.
const RECEIVE_LIMIT: usize = 256;

/// An open decoder.
pub(super) struct Context {
    raw: NonNull<av::AVCodecContext>,
    packet: Packet,
    /// Where frames that libavcodec returns go before they are dropped.
    returned: CodedFrame,
}

// SAFETY: libavcodec's contexts, packets and frames may move between threads as long as one thread at a
// time uses them, which `&mut self` ensures.
unsafe impl Send for Context {}

impl Context {
    /// Opens a decoder for H.264 or VP9 with so many threads, which reports its buffers to `captures`.
    ///
    /// # Safety
    /// `captures` must stay where it is until the context is dropped.
    pub(super) unsafe fn open(
        codec: Codec,
        threads: usize,
        division: Division,
        captures: &Captures,
    ) -> Result<Context> {
        let setup = |what: &str| Error::Setup { codec, what: what.into() };
        // By name: the list may hold hardware wrappers for the same codec id.
        let name = match codec {
            Codec::H264 => c"h264",
            Codec::Vp9 => c"vp9",
            Codec::Av1 => return Err(setup("libavcodec's AV1 decoder is not used")),
        };
        // SAFETY: the name is a C string; null is handled.
        let decoder = unsafe { av::avcodec_find_decoder_by_name(name.as_ptr()) };
        if decoder.is_null() {
            return Err(setup("libavcodec was built without this decoder"));
        }
        let packet = Packet::new().ok_or_else(|| setup("out of memory"))?;
        let returned = CodedFrame::empty().ok_or_else(|| setup("out of memory"))?;
        // SAFETY: `decoder` is a registered codec; null is handled.
        let context = NonNull::new(unsafe { av::avcodec_alloc_context3(decoder) })
            .map(|raw| Context { raw, packet, returned })
            .ok_or_else(|| setup("out of memory"))?;
        // SAFETY: the context was just allocated and nobody else knows it. `captures` outlives it.
        unsafe {
            let fields = &mut *context.raw.as_ptr();
            fields.thread_count = threads as c_int;
            fields.thread_type = match division {
                Division::Pictures => av::FF_THREAD_FRAME,
                Division::Parts => av::FF_THREAD_SLICE,
            } as c_int;
            fields.log_level_offset = log_level_offset();
            fields.flags |= av::AV_CODEC_FLAG_OUTPUT_CORRUPT as c_int;
            fields.flags2 |= av::AV_CODEC_FLAG2_SHOW_ALL as c_int;
            captures.install(fields);
        }
        // SAFETY: context and codec match; no options.
        let open = || unsafe { av::avcodec_open2(context.raw.as_ptr(), decoder, ptr::null_mut()) };
        // Its threads are started by whoever needs it, which may be the host program's thread.
        let status = host_thread::without_signals(open)
            .map_err(|e| setup(&format!("blocking signals: {e}")))?;
        if status < 0 {
            return Err(setup(&error_text(status)));
        }
        Ok(context)
    }

    /// Feeds one packet and takes everything that the decoder returns then. The status of the first call
    /// that failed, 0 if none did.
    pub(super) fn decode(&mut self, pts: i64, bytes: &[u8]) -> c_int {
        let status = self.packet.fill(pts, bytes);
        if status < 0 {
            return status;
        }
        let context = self.raw.as_ptr();
        // SAFETY: an open context and a packet with its own padded buffer, of which libavcodec takes a
        // reference.
        let mut first = unsafe { av::avcodec_send_packet(context, self.packet.0.as_ptr()) }.min(0);
        self.packet.clear();
        for _ in 0..RECEIVE_LIMIT {
            // SAFETY: an open context; the frame is ours and is unreferenced by the call first.
            let status = unsafe { av::avcodec_receive_frame(context, self.returned.as_ptr()) };
            if status == av::AVERROR(libc::EAGAIN) || status == av::AVERROR_EOF {
                self.returned.clear();
                return first;
            }
            if first == 0 {
                first = status.min(0);
            }
        }
        self.returned.clear();
        av::AVERROR_BUG
    }

    /// Waits for the threads and forgets all references.
    pub(super) fn flush(&mut self) {
        // SAFETY: an open context.
        unsafe { av::avcodec_flush_buffers(self.raw.as_ptr()) };
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut context = self.raw.as_ptr();
        // SAFETY: the context is ours and is not used again; the call stops its threads, so that no
        // callback runs afterwards.
        unsafe { av::avcodec_free_context(&mut context) };
    }
}

/// An owned AVPacket.
struct Packet(NonNull<av::AVPacket>);

impl Packet {
    fn new() -> Option<Packet> {
        // SAFETY: no arguments; null is handled.
        NonNull::new(unsafe { av::av_packet_alloc() }).map(Packet)
    }

    /// Copies `data` into a new buffer with the padding that libavcodec reads beyond the end.
    fn fill(&mut self, pts: i64, data: &[u8]) -> c_int {
        let Ok(size) = c_int::try_from(data.len()) else { return av::AVERROR(libc::EINVAL) };
        if size == 0 {
            // libavcodec takes an empty packet for the end of the stream.
            return av::AVERROR_INVALIDDATA;
        }
        // SAFETY: a valid, blank packet; the call checks the size with the padding against overflow.
        let status = unsafe { av::av_new_packet(self.0.as_ptr(), size) };
        if status < 0 {
            return status;
        }
        // SAFETY: av_new_packet made `data` at least `size` bytes long, in memory of its own.
        unsafe {
            let packet = &mut *self.0.as_ptr();
            ptr::copy_nonoverlapping(data.as_ptr(), packet.data, data.len());
            packet.pts = pts;
        }
        0
    }

    fn clear(&mut self) {
        // SAFETY: a valid packet; what libavcodec still needs it has referenced.
        unsafe { av::av_packet_unref(self.0.as_ptr()) };
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut packet = self.0.as_ptr();
        // SAFETY: the packet is ours and is not used again.
        unsafe { av::av_packet_free(&mut packet) };
    }
}

/// libavcodec's words for an error status.
pub(super) fn error_text(status: c_int) -> String {
    let mut text = [0; 64];
    // SAFETY: the buffer has the given size; the call always terminates the string.
    unsafe { av::av_strerror(status, text.as_mut_ptr(), text.len()) };
    // SAFETY: terminated, see above.
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_this_process_are_known() {
        assert!(is_loaded(c"libc.so.6"));
        assert!(!is_loaded(c"libxul.so"));
        assert_eq!(log_level_offset(), LOG_LEVEL_OFFSET);
    }
}
