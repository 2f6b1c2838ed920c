//! The callbacks by which the frame buffers of a libavcodec context become ours.

use std::{
    ffi::c_int,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use daedalus_uapi::Codec;
use ffmpeg_sys_next as av;

use super::frame::{CodedFrame, CodedPicture, Samples};
use crate::reconstruct::Parity;

/// The least rows that [`Captures::more_rows`] waits for, if there are as many.
const LEAST_ROWS: usize = 64;

/// `AVFrame`s in flight, by the id of the packet that they were allocated for. libavcodec calls back
/// from the thread that decodes, which need not be the one that sends.
pub(super) struct Captures {
    /// Whether libavcodec tells which rows it has decoded. Its VP9 decoder does not: it fails as a whole.
    pub(super) tracks_rows: bool,
    /// Luma samples of the largest picture that gets a buffer.
    largest: AtomicU64,
    list: Mutex<List>,
    /// What is watched has come.
    progress: Condvar,
}

#[derive(Default)]
struct List {
    captures: Vec<Capture>,
    /// The picture that somebody waits for: for this row, or for its buffer.
    watched: Option<(i64, Option<usize>)>,
}

/// The buffer that was allocated last for a packet.
struct Capture {
    pts: i64,
    /// The buffer, or the reason why the picture cannot be delivered.
    picture: Result<CodedPicture, Flaw>,
    /// Rows decoded so far: top field's, bottom field's. None of what has no buffer.
    drawn: [Vec<bool>; 2],
}

/// Why a picture cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It has this `AVPixelFormat`.
    Format(c_int),
    /// It has more luma samples than are allowed, and got no buffer.
    Size { width: u32, height: u32, largest: u64 },
}

/// What became of a packet.
pub(super) enum Taken {
    /// Its picture.
    Picture {
        /// The samples.
        frame: CodedPicture,
        /// What is known about damage.
        damage: Option<String>,
    },
    /// A picture that is not delivered.
    Flawed(Flaw),
    /// No buffer was allocated.
    Nothing,
}

impl Captures {
    pub(super) fn new(codec: Codec) -> Captures {
        Captures {
            tracks_rows: codec == Codec::H264,
            largest: AtomicU64::new(0),
            list: Mutex::default(),
            progress: Condvar::new(),
        }
    }

    /// Lets pictures have so many luma samples from now on, unless more were allowed already. libavcodec's
    /// threads ask for their buffers later: a packet's picture may have what was allowed for those after it.
    pub(super) fn allow(&self, largest: u64) {
        self.largest.fetch_max(largest, Relaxed);
    }

    /// Makes `context` report to this object, which must outlive it and not move.
    pub(super) fn install(&self, context: &mut av::AVCodecContext) {
        context.opaque = std::ptr::from_ref(self).cast_mut().cast();
        context.get_buffer2 = Some(get_buffer);
        if self.tracks_rows {
            context.draw_horiz_band = Some(draw_band);
            context.slice_flags =
                (av::SLICE_FLAG_CODED_ORDER | av::SLICE_FLAG_ALLOW_FIELD) as c_int;
        }
    }

    /// The picture of a packet that has been decoded, as are all before it. It is remembered until the
    /// next one, because a second field sent under the same id decodes into the buffer of the first.
    pub(super) fn take(&self, pts: i64, first_field: Option<Parity>) -> Taken {
        let captures = &mut self.list().captures;
        captures.retain(|capture| capture.pts >= pts);
        match captures.iter().find(|capture| capture.pts == pts) {
            None => Taken::Nothing,
            Some(Capture { picture: Err(flaw), .. }) => Taken::Flawed(*flaw),
            Some(Capture { picture: Ok(frame), drawn, .. }) => Taken::Picture {
                frame: frame.clone(),
                damage: if self.tracks_rows { undrawn(drawn, first_field) } else { None },
            },
        }
    }

    /// Waits until all rows of a picture are decoded, those of the one field if it has only that. False if
    /// no row comes for as long as `patience`: the picture is damaged, or there is none, or time is short.
    pub(super) fn wait(&self, pts: i64, first_field: Option<Parity>, patience: Duration) -> bool {
        self.wait_for(pts, usize::MAX, first_field, patience).is_some()
    }

    /// Waits for the next rows of a frame whose first `top` rows are known. Returns the picture and how many
    /// rows are complete; `None` if no more will come.
    pub(super) fn more_rows(
        &self,
        pts: i64,
        top: usize,
        patience: Duration,
    ) -> Option<(CodedPicture, usize)> {
        let (_, height) = self.wait_for(pts, 0, None, patience)?;
        let bottom = height.min(top + (height / 4).next_multiple_of(2).max(LEAST_ROWS));
        if top >= height {
            return None;
        }
        // It may be another by then: of frames that are missing before it no row is ever drawn.
        let (picture, now) = self.wait_for(pts, bottom, None, patience)?;
        (now == height).then_some((picture, bottom))
    }

    /// Waits for the rows above `bottom`, as [`Self::wait`] does. Returns the picture and its height.
    fn wait_for(
        &self,
        pts: i64,
        bottom: usize,
        first_field: Option<Parity>,
        patience: Duration,
    ) -> Option<(CodedPicture, usize)> {
        let mut list = self.list();
        let mut before = 0;
        loop {
            let capture = list.captures.iter().find(|capture| capture.pts == pts);
            let missing = capture.map(|capture| missing(&capture.drawn, bottom, first_field));
            if let (Some(None), Some(capture)) = (missing, capture) {
                let picture = capture.picture.as_ref().ok()?.clone();
                return Some((picture, capture.drawn.iter().map(Vec::len).sum()));
            }
            let drawn = capture.map_or(0, |capture| {
                1 + capture.drawn.iter().flatten().filter(|drawn| **drawn).count()
            });
            list.watched = Some((pts, missing.flatten()));
            let waited = self.progress.wait_timeout(list, patience);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            list = guard;
            list.watched = None;
            if timeout.timed_out() {
                if drawn == before {
                    return None;
                }
                before = drawn;
            }
        }
    }

    /// Forgets all buffers.
    pub(super) fn clear(&self) {
        self.list().captures.clear();
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the buffer of a frame. An earlier one under the same id gives way: for a gap in
    /// frame_num libavcodec allocates the missing frames before the picture itself.
    fn add(&self, frame: CodedFrame, pts: i64, format: c_int) {
        let height = frame.height();
        let picture = match Samples::of(format) {
            Some(samples) => Ok(CodedPicture { frame: Arc::new(frame), samples }),
            None => Err(Flaw::Format(format)),
        };
        let drawn = [vec![false; height.div_ceil(2)], vec![false; height / 2]];
        self.insert(Capture { pts, picture, drawn });
    }

    /// Remembers why a frame of this size in luma samples gets no buffer, if that is so.
    fn refuses(&self, pts: i64, width: c_int, height: c_int) -> bool {
        let [width, height] = [width, height].map(|size| u32::try_from(size).unwrap_or(0));
        let largest = self.largest.load(Relaxed);
        let refused = u64::from(width) * u64::from(height) > largest;
        if refused {
            let picture = Err(Flaw::Size { width, height, largest });
            self.insert(Capture { pts, picture, drawn: Default::default() });
        }
        refused
    }

    fn insert(&self, capture: Capture) {
        let pts = capture.pts;
        let mut list = self.list();
        list.captures.retain(|capture| capture.pts != pts);
        list.captures.push(capture);
        if list.watched == Some((pts, None)) {
            self.progress.notify_all();
        }
    }

    fn mark(&self, frame: &av::AVFrame, y: c_int, height: c_int, structure: c_int) {
        let mut list = self.list();
        let List { captures, watched } = &mut *list;
        let capture = captures.iter_mut().find(|capture| {
            capture.pts == frame.pts
                && capture.picture.as_ref().is_ok_and(|picture| picture.frame.shares(frame))
        });
        let Some(capture) = capture else { return };
        let (Ok(first), Ok(count)) = (usize::try_from(y), usize::try_from(height)) else { return };
        for row in first..first.saturating_add(count).min(2 * capture.drawn[0].len()) {
            for (parity, rows) in capture.drawn.iter_mut().enumerate() {
                // A field's band counts frame rows, two per field row; picture structures are 1 (top
                // field), 2 (bottom field) and 3 (frame).
                let wanted =
                    structure & (1 << parity) != 0 && (structure != 3 || row % 2 == parity);
                if let (true, Some(drawn)) = (wanted, rows.get_mut(row / 2)) {
                    *drawn = true;
                }
            }
        }
        if let Some((pts, Some(row))) = *watched {
            if pts == frame.pts && capture.drawn[row % 2].get(row / 2).is_none_or(|drawn| *drawn) {
                self.progress.notify_all();
            }
        }
    }
}

/// The last row above `bottom` that is not decoded; of one field only if there is only that. Rows come
/// from the top, so that hardly one is missing when this has come.
fn missing(drawn: &[Vec<bool>; 2], bottom: usize, first_field: Option<Parity>) -> Option<usize> {
    let height: usize = drawn.iter().map(Vec::len).sum();
    (0..height.min(bottom)).rev().find(|row| {
        let parity = if row % 2 == 0 { Parity::Top } else { Parity::Bottom };
        first_field.is_none_or(|only| only == parity) && !drawn[row % 2][row / 2]
    })
}

/// The rows of a picture's fields, or of the one that it has so far.
fn fields(
    drawn: &[Vec<bool>; 2],
    first_field: Option<Parity>,
) -> impl Iterator<Item = &Vec<bool>> + Clone {
    drawn.iter().zip([Parity::Top, Parity::Bottom]).filter_map(move |(rows, parity)| {
        first_field.is_none_or(|only| only == parity).then_some(rows)
    })
}

/// What is missing of a picture, or of the one field that it has so far.
fn undrawn(drawn: &[Vec<bool>; 2], first_field: Option<Parity>) -> Option<String> {
    let missing = |rows: &Vec<bool>| rows.iter().filter(|drawn| !**drawn).count();
    let (missing, total) = fields(drawn, first_field)
        .fold((0, 0), |(some, all), rows| (some + missing(rows), all + rows.len()));
    match (missing, total) {
        _ if missing == total => Some("no macroblock row was decoded".into()),
        (0, _) => None,
        _ => Some(format!("{missing} of {total} rows were not decoded")),
    }
}

/// `AVCodecContext.get_buffer2`: libavcodec's own buffers, of which we keep a reference, unless they would be
/// too large.
///
/// libavcodec calls it with the frame's size set to the coded size and pts to the packet's.
extern "C" fn get_buffer(
    context: *mut av::AVCodecContext,
    frame: *mut av::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: `opaque` is the `Captures` that `install` put there, also in the copies of the context that
    // libavcodec's threads use, and outlives the context.
    let captures = unsafe { &*(*context).opaque.cast::<Captures>().cast_const() };
    // SAFETY: libavcodec's frame, which is valid.
    let (pts, width, height) = unsafe { ((*frame).pts, (*frame).width, (*frame).height) };
    // The size that the bytes have: VP9's controls need not say the same.
    if captures.refuses(pts, width, height) {
        return av::AVERROR(libc::ENOMEM);
    }
    // SAFETY: libavcodec passes on its own arguments.
    let status = unsafe { av::avcodec_default_get_buffer2(context, frame, flags) };
    if status < 0 {
        return status;
    }
    // SAFETY: the frame now has buffers.
    let (format, kept) = unsafe { ((*frame).format, CodedFrame::of(frame)) };
    let Some(kept) = kept else {
        // SAFETY: a valid frame, which goes back without buffers as libavcodec expects of a failure.
        unsafe { av::av_frame_unref(frame) };
        return av::AVERROR(libc::ENOMEM);
    };
    captures.add(kept, pts, format);
    0
}

/// `AVCodecContext.draw_horiz_band`: rows that are decoded and deblocked. Concealed rows are not drawn.
extern "C" fn draw_band(
    context: *mut av::AVCodecContext,
    frame: *const av::AVFrame,
    _offset: *mut c_int,
    y: c_int,
    structure: c_int,
    height: c_int,
) {
    // SAFETY: as in `get_buffer`; the frame is the one being decoded.
    let (captures, frame) =
        unsafe { (&*(*context).opaque.cast::<Captures>().cast_const(), frame.as_ref()) };
    if let Some(frame) = frame {
        captures.mark(frame, y, height, structure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_was_sent_and_not_decoded_is_missing() {
        let drawn = [vec![true; 8], vec![false; 8]];
        assert_eq!(undrawn(&drawn, None).as_deref(), Some("8 of 16 rows were not decoded"));
        assert_eq!(undrawn(&drawn, Some(Parity::Top)), None, "the other one is still to come");
        let none = Some("no macroblock row was decoded");
        assert_eq!(undrawn(&drawn, Some(Parity::Bottom)).as_deref(), none);
        assert_eq!(undrawn(&[vec![false; 8], vec![false; 8]], None).as_deref(), none);
        assert_eq!(undrawn(&[vec![true; 8], vec![true; 8]], None), None);
    }
}
