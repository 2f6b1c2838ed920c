//! Marking of reference pictures, ITU-T H.264 section 8.2.5.

use cros_codecs::codec::h264::parser::{MaxLongTermFrameIdx, RefPicMarking};
use daedalus_uapi::{FromZeros, h264 as uapi};

/// What a picture codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coded {
    Frame,
    Top,
    Bottom,
}

impl Coded {
    /// Which of the two fields: top, bottom.
    fn fields(self) -> [bool; 2] {
        [self != Coded::Bottom, self != Coded::Top]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marking {
    Unused,
    Short,
    Long,
}

/// A frame or complementary field pair, or a field alone, of which something is used for reference.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Its number in decode order; `None` for a frame that is missing.
    pub frame: Option<usize>,
    frame_num: i32,
    long_term_frame_idx: u32,
    /// Top field, bottom field.
    marking: [Marking; 2],
    /// TopFieldOrderCnt and BottomFieldOrderCnt.
    counts: [i32; 2],
    coded_as_fields: bool,
}

/// The picture being decoded.
#[derive(Clone, Copy, Debug)]
pub struct Current {
    pub frame: usize,
    pub coded: Coded,
    pub frame_num: i32,
    pub counts: [i32; 2],
    pub idr: bool,
}

impl Current {
    /// CurrPicNum (7.4.3).
    fn pic_num(&self) -> i32 {
        if self.coded == Coded::Frame { self.frame_num } else { 2 * self.frame_num + 1 }
    }
}

/// Everything that is marked, and what the sequence says about it.
#[derive(Debug, Default)]
pub struct References {
    frames: Vec<Reference>,
    /// PrevRefFrameNum (7.4.3).
    pub prev_ref_frame_num: i32,
    pub max_frame_num: i32,
    pub max_num_ref_frames: usize,
}

impl Reference {
    /// One of which nothing but its number is known.
    pub fn named(frame: Option<usize>) -> Self {
        Reference {
            frame,
            frame_num: 0,
            long_term_frame_idx: 0,
            marking: [Marking::Unused; 2],
            counts: [0; 2],
            coded_as_fields: false,
        }
    }

    fn any(&self, marking: Marking) -> bool {
        self.marking.contains(&marking)
    }

    fn used(&self) -> bool {
        self.marking != [Marking::Unused; 2]
    }

    fn unmark(&mut self, marking: Marking) {
        for field in self.marking.iter_mut().filter(|field| **field == marking) {
            *field = Marking::Unused;
        }
    }

    /// FrameNumWrap (8.2.4.1).
    fn frame_num_wrap(&self, current: i32, max_frame_num: i32) -> i32 {
        self.frame_num - if self.frame_num > current { max_frame_num } else { 0 }
    }

    /// The entry of the V4L2 control, without the timestamp. The kernel's documentation has one entry for
    /// both fields; in a field, where each of them has a number, it has that of the current parity, unless
    /// only the other is a reference.
    fn entry(&self, current: &Current, max_frame_num: i32) -> uapi::DpbEntry {
        let long = self.any(Marking::Long);
        let wrapped = self.frame_num_wrap(current.frame_num, max_frame_num);
        let number = if long { self.long_term_frame_idx as i32 } else { wrapped };
        let used = self.marking.map(|marking| marking != Marking::Unused);
        let same_parity = match current.coded {
            Coded::Frame => None,
            Coded::Top => Some(used[0]),
            Coded::Bottom => Some(used[1]),
        };
        let mut entry = uapi::DpbEntry::new_zeroed();
        entry.pic_num = same_parity.map_or(number, |same| 2 * number + i32::from(same)) as u32;
        entry.frame_num =
            if long { self.long_term_frame_idx as u16 } else { self.frame_num as u16 };
        entry.fields =
            super::flags(&[(used[0], uapi::TOP_FIELD_REF), (used[1], uapi::BOTTOM_FIELD_REF)]);
        [entry.top_field_order_cnt, entry.bottom_field_order_cnt] = self.counts;
        entry.flags = super::flags(&[
            (true, uapi::DPB_ENTRY_VALID | uapi::DPB_ENTRY_ACTIVE),
            (long, uapi::DPB_ENTRY_LONG_TERM),
            (self.coded_as_fields, uapi::DPB_ENTRY_FIELD),
        ]);
        entry
    }
}

impl References {
    /// The entries of the V4L2 control for a picture, before it is marked itself.
    pub fn entries(&self, current: &Current) -> Vec<(Reference, uapi::DpbEntry)> {
        let entry = |r: &Reference| (r.clone(), r.entry(current, self.max_frame_num));
        self.frames.iter().map(entry).collect()
    }

    /// Puts in the frames that are missing before one with `frame_num` (8.2.5.2); their frame_num.
    pub fn fill_gap(&mut self, frame_num: i32) -> Vec<i32> {
        let mut missing = Vec::new();
        if frame_num == self.prev_ref_frame_num {
            return missing;
        }
        loop {
            let next = (self.prev_ref_frame_num + 1) % self.max_frame_num;
            if next == frame_num {
                return missing;
            }
            self.slide(next);
            self.frames.push(Reference {
                frame: None,
                frame_num: next,
                long_term_frame_idx: 0,
                marking: [Marking::Short; 2],
                counts: [0; 2],
                coded_as_fields: false,
            });
            self.prev_ref_frame_num = next;
            missing.push(next);
        }
    }

    /// Marks a reference picture and what it says about others. Returns its order counts afterwards.
    pub fn mark(&mut self, current: &Current, marking: &RefPicMarking) -> [i32; 2] {
        let mut own = Marking::Short;
        let mut long_term_frame_idx = 0;
        let mut mmco5 = false;
        let first_field_is_short =
            self.frames.iter().any(|r| r.frame == Some(current.frame) && r.any(Marking::Short));
        if current.idr {
            self.frames.clear();
            if marking.long_term_reference_flag {
                own = Marking::Long;
            }
        } else if marking.adaptive_ref_pic_marking_mode_flag {
            for operation in &marking.inner {
                let difference = operation.difference_of_pic_nums_minus1 as i32 + 1;
                let pic_num = current.pic_num() - difference;
                match operation.memory_management_control_operation {
                    1 => {
                        self.find(current, Marking::Short, pic_num, |field| {
                            *field = Marking::Unused;
                        });
                    }
                    2 => {
                        let pic_num = operation.long_term_pic_num as i32;
                        self.find(current, Marking::Long, pic_num, |field| {
                            *field = Marking::Unused;
                        });
                    }
                    3 => {
                        let index = operation.long_term_frame_idx;
                        let found = self.find(current, Marking::Short, pic_num, |_| ());
                        if let Some(found) = found {
                            self.free_long_term(index, Some(found));
                            self.find(current, Marking::Short, pic_num, |field| {
                                *field = Marking::Long;
                            });
                            self.frames[found].long_term_frame_idx = index;
                        }
                    }
                    4 => {
                        let kept = |index: u32| match operation.max_long_term_frame_idx {
                            MaxLongTermFrameIdx::NoLongTermFrameIndices => false,
                            MaxLongTermFrameIdx::Idx(max) => index <= max,
                        };
                        for r in self.frames.iter_mut().filter(|r| !kept(r.long_term_frame_idx)) {
                            r.unmark(Marking::Long);
                        }
                    }
                    5 => {
                        self.frames.clear();
                        mmco5 = true;
                    }
                    6 => {
                        long_term_frame_idx = operation.long_term_frame_idx;
                        own = Marking::Long;
                        let own = self.frames.iter().position(|r| r.frame == Some(current.frame));
                        self.free_long_term(long_term_frame_idx, own);
                    }
                    _ => {}
                }
            }
        } else if current.coded == Coded::Frame || !first_field_is_short {
            self.slide(current.frame_num);
        }
        self.frames.retain(Reference::used);
        self.prev_ref_frame_num = if mmco5 { 0 } else { current.frame_num };
        let counts = if mmco5 { after_mmco5(current) } else { current.counts };
        let fields = current.coded.fields();
        let mut frame = match self.frames.iter().position(|r| r.frame == Some(current.frame)) {
            Some(first_field) => self.frames.remove(first_field),
            None => Reference {
                frame: Some(current.frame),
                frame_num: self.prev_ref_frame_num,
                long_term_frame_idx,
                marking: [Marking::Unused; 2],
                counts: [0; 2],
                coded_as_fields: current.coded != Coded::Frame,
            },
        };
        for i in (0..2).filter(|i| fields[*i]) {
            frame.marking[i] = own;
            frame.counts[i] = counts[i];
        }
        if own == Marking::Long {
            frame.long_term_frame_idx = long_term_frame_idx;
        }
        self.frames.push(frame);
        counts
    }

    /// Sliding window (8.2.5.3) before a frame with `frame_num` comes in.
    fn slide(&mut self, frame_num: i32) {
        let max_frame_num = self.max_frame_num;
        while self.frames.len() >= self.max_num_ref_frames.max(1) {
            let short = self.frames.iter_mut().filter(|r| r.any(Marking::Short));
            let Some(oldest) = short.min_by_key(|r| r.frame_num_wrap(frame_num, max_frame_num))
            else {
                return;
            };
            oldest.unmark(Marking::Short);
            self.frames.retain(Reference::used);
        }
    }

    /// Finds the picture with a PicNum or LongTermPicNum (8.2.4.1) and does something with the marking of
    /// what it consists of: both fields in a frame, one in a field.
    fn find(
        &mut self,
        current: &Current,
        marking: Marking,
        pic_num: i32,
        mut change: impl FnMut(&mut Marking),
    ) -> Option<usize> {
        let max_frame_num = self.max_frame_num;
        for (i, r) in self.frames.iter_mut().enumerate() {
            let number = match marking {
                Marking::Long => r.long_term_frame_idx as i32,
                _ => r.frame_num_wrap(current.frame_num, max_frame_num),
            };
            for (field, same_parity) in current.coded.fields().into_iter().enumerate() {
                let number = match current.coded {
                    Coded::Frame => number,
                    _ => 2 * number + i32::from(same_parity),
                };
                if r.marking[field] == marking && number == pic_num {
                    match current.coded {
                        Coded::Frame => r.marking.iter_mut().for_each(&mut change),
                        _ => change(&mut r.marking[field]),
                    }
                    return Some(i);
                }
            }
        }
        None
    }

    /// Nothing but the frame at `except` keeps this LongTermFrameIdx.
    fn free_long_term(&mut self, index: u32, except: Option<usize>) {
        let others = self.frames.iter_mut().enumerate().filter(|(i, _)| Some(*i) != except);
        for (_, r) in others.filter(|(_, r)| r.long_term_frame_idx == index) {
            r.unmark(Marking::Long);
        }
    }
}

/// The order counts of a picture with operation 5 once it is decoded (8.2.1).
fn after_mmco5(current: &Current) -> [i32; 2] {
    match current.coded {
        Coded::Frame => {
            let least = current.counts[0].min(current.counts[1]);
            current.counts.map(|count| count - least)
        }
        _ => [0; 2],
    }
}
