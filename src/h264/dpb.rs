//! Decoded reference picture marking (clause 8.2.5).
//!
//! Pictures are kept only while they are used for reference: without pixels there is nothing to output. So the
//! buffer never holds more than sixteen frames.

use super::motion::PictureMotion;
use super::slice_header::{Mmco, SliceHeader};

/// Bit of a top field in masks of fields.
pub(crate) const TOP: u8 = 1;
/// Bit of a bottom field in masks of fields.
pub(crate) const BOTTOM: u8 = 2;
/// Both fields: a frame.
pub(crate) const FRAME: u8 = 3;
/// Most frames that are ever kept (max_num_ref_frames is at most 16).
pub(crate) const MAX_REF_FRAMES: usize = 16;

/// Motion of a reference frame, as it was coded.
#[derive(Debug, Default)]
pub(crate) enum StoredMotion {
    /// A frame that was inferred.
    #[default]
    None,
    /// One coded frame.
    Frame(Box<PictureMotion>),
    /// Coded fields: top, bottom.
    Fields([Option<Box<PictureMotion>>; 2]),
}

/// A frame, complementary field pair or single field that is used for reference.
#[derive(Debug)]
pub(crate) struct RefFrame {
    /// Never used twice in a stream.
    pub(crate) id: u32,
    pub(crate) frame_num: u32,
    pub(crate) long_term_frame_idx: u32,
    /// Fields that are "used for short-term reference".
    pub(crate) short: u8,
    /// Fields that are "used for long-term reference".
    pub(crate) long: u8,
    /// Fields that were decoded (or inferred).
    pub(crate) coded: u8,
    /// TopFieldOrderCnt, BottomFieldOrderCnt.
    pub(crate) poc: [i32; 2],
    pub(crate) non_existing: bool,
    pub(crate) motion: StoredMotion,
}

impl RefFrame {
    /// The motion of the frame or of its fields.
    fn coded_pictures(&self) -> impl Iterator<Item = &PictureMotion> {
        let coded: [Option<&PictureMotion>; 2] = match &self.motion {
            StoredMotion::None => [None, None],
            StoredMotion::Frame(motion) => [Some(motion), None],
            StoredMotion::Fields([top, bottom]) => [top.as_deref(), bottom.as_deref()],
        };
        coded.into_iter().flatten()
    }

    /// PicOrderCnt() of the frame, or of its only field.
    pub(crate) fn pic_order_cnt(&self) -> i32 {
        match self.coded {
            TOP => self.poc[0],
            BOTTOM => self.poc[1],
            _ => self.poc[0].min(self.poc[1]),
        }
    }

    /// FrameNumWrap (equation 8-27).
    pub(crate) fn frame_num_wrap(&self, frame_num: u32, max_frame_num: u32) -> i32 {
        if self.frame_num > frame_num {
            self.frame_num as i32 - max_frame_num as i32
        } else {
            self.frame_num as i32
        }
    }
}

/// The reference pictures.
#[derive(Debug, Default)]
pub(crate) struct Dpb {
    pub(crate) frames: Vec<RefFrame>,
    /// MaxLongTermFrameIdx + 1; 0 is "no long-term frame indices".
    pub(crate) max_long_term_idx_plus1: u32,
    /// What a frame's motion takes, in bytes.
    pub(crate) frame_bytes: usize,
    /// Buffers of pictures that are no longer used.
    #[allow(clippy::vec_box)] // buffers move between frames and pool without being copied
    pool: Vec<Box<PictureMotion>>,
}

/// What marking needs to know of the current picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marking {
    /// [`RefFrame::id`] of the frame that the picture belongs to.
    pub(crate) id: u32,
    /// [`TOP`], [`BOTTOM`] or [`FRAME`].
    pub(crate) structure: u8,
    pub(crate) frame_num: u32,
    pub(crate) max_frame_num: u32,
    pub(crate) max_num_ref_frames: usize,
    /// Order counts of the fields that this picture consists of.
    pub(crate) poc: [i32; 2],
}

impl Dpb {
    /// A buffer for a picture of `size` macroblocks, from the pool where possible.
    pub(crate) fn take_buffer(&mut self, size: usize) -> Box<PictureMotion> {
        self.bound_pool();
        let fitting = self.pool.iter().rposition(|b| b.flags.capacity() == size);
        match fitting {
            Some(at) => self.pool.swap_remove(at),
            None => self.pool.pop().unwrap_or_default(),
        }
    }

    /// Gives a buffer back for later pictures.
    pub(crate) fn recycle(&mut self, buffer: Box<PictureMotion>) {
        if self.pool.len() < 2 * MAX_REF_FRAMES {
            self.pool.push(buffer);
        }
    }

    /// Drops pooled buffers beyond [`MAX_REF_FRAMES`] + 1 frames held in all.
    fn bound_pool(&mut self) {
        let limit = (MAX_REF_FRAMES + 1) * self.frame_bytes;
        let mut held = self.bytes();
        while held > limit {
            match self.pool.pop() {
                Some(buffer) => held -= buffer.bytes(),
                None => return,
            }
        }
    }

    /// Heap memory of all buffers, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let stored = self.frames.iter().flat_map(RefFrame::coded_pictures);
        let pooled = self.pool.iter().map(Box::as_ref);
        stored.chain(pooled).map(PictureMotion::bytes).sum()
    }

    fn recycle_frame(&mut self, frame: RefFrame) {
        match frame.motion {
            StoredMotion::None => {}
            StoredMotion::Frame(motion) => self.recycle(motion),
            StoredMotion::Fields(fields) => fields
                .into_iter()
                .flatten()
                .for_each(|motion| self.recycle(motion)),
        }
    }

    /// Drops all reference pictures.
    pub(crate) fn clear(&mut self) {
        while let Some(frame) = self.frames.pop() {
            self.recycle_frame(frame);
        }
        self.max_long_term_idx_plus1 = 0;
    }

    /// Forgets the pooled buffers too, when the picture size changes.
    pub(crate) fn drop_pool(&mut self) {
        self.pool.clear();
    }

    /// Removes frames of which no field is a reference any more.
    fn remove_unused(&mut self) {
        let mut at = 0;
        while at < self.frames.len() {
            if self.frames[at].short | self.frames[at].long == 0 {
                let frame = self.frames.remove(at);
                self.recycle_frame(frame);
            } else {
                at += 1;
            }
        }
    }

    /// Sliding window (8.2.5.3): makes room for one more frame. `keep` is a frame that must stay.
    fn sliding_window(&mut self, m: &Marking, keep: Option<u32>) {
        let limit = m.max_num_ref_frames.clamp(1, MAX_REF_FRAMES);
        while self.frames.iter().filter(|f| Some(f.id) != keep).count() >= limit {
            let oldest = self
                .frames
                .iter()
                .enumerate()
                .filter(|(_, f)| f.short != 0 && Some(f.id) != keep)
                .min_by_key(|(_, f)| f.frame_num_wrap(m.frame_num, m.max_frame_num))
                .map(|(at, _)| at);
            // A conforming stream always leaves a short-term frame; where only long-term frames are left, the
            // one with the highest index goes, so that the buffer stays bounded.
            let victim = oldest.or_else(|| {
                let others = self.frames.iter().enumerate().filter(|(_, f)| Some(f.id) != keep);
                others
                    .max_by_key(|(_, f)| f.long_term_frame_idx)
                    .map(|(at, _)| at)
            });
            match victim {
                Some(at) => {
                    let frame = self.frames.remove(at);
                    self.recycle_frame(frame);
                }
                None => break,
            }
        }
    }

    /// A frame inferred for a gap in frame_num (8.2.5.2).
    pub(crate) fn insert_non_existing(&mut self, m: &Marking) {
        self.sliding_window(m, None);
        self.frames.push(RefFrame {
            id: m.id,
            frame_num: m.frame_num,
            long_term_frame_idx: 0,
            short: FRAME,
            long: 0,
            coded: FRAME,
            poc: m.poc,
            non_existing: true,
            motion: StoredMotion::None,
        });
    }

    /// Marks a decoded reference picture and stores its motion (8.2.5.1).
    pub(crate) fn store(&mut self, m: &Marking, sh: &SliceHeader, motion: Box<PictureMotion>) {
        let mut long_term = None;
        let mut m = *m;
        let second_field = self.frames.iter().any(|f| f.id == m.id);
        if sh.idr() {
            if !second_field {
                self.clear();
            }
            if sh.long_term_reference_flag {
                long_term = Some(0);
                self.max_long_term_idx_plus1 = 1;
            }
        } else if sh.adaptive_ref_pic_marking_mode_flag {
            for &operation in &sh.mmco {
                self.apply(operation, &m, &mut long_term);
            }
            if sh.has_mmco5() {
                m.frame_num = 0;
            }
            self.remove_unused();
            // Only a stream that breaks max_num_ref_frames has to lose a frame here.
            self.sliding_window(&m, Some(m.id));
        } else {
            let first_is_short = self.frames.iter().any(|f| f.id == m.id && f.short != 0);
            if !first_is_short {
                self.sliding_window(&m, Some(m.id));
            }
        }
        self.insert(&m, long_term, motion);
        self.bound_pool();
    }

    fn insert(&mut self, m: &Marking, long_term: Option<u32>, motion: Box<PictureMotion>) {
        let (short, long) = match long_term {
            Some(_) => (0, m.structure),
            None => (m.structure, 0),
        };
        let Some(frame) = self.frames.iter_mut().find(|f| f.id == m.id) else {
            self.frames.push(RefFrame {
                id: m.id,
                frame_num: m.frame_num,
                long_term_frame_idx: long_term.unwrap_or(0),
                short,
                long,
                coded: m.structure,
                poc: m.poc,
                non_existing: false,
                motion: match m.structure {
                    FRAME => StoredMotion::Frame(motion),
                    TOP => StoredMotion::Fields([Some(motion), None]),
                    _ => StoredMotion::Fields([None, Some(motion)]),
                },
            });
            return;
        };
        frame.short |= short;
        frame.long |= long;
        frame.coded |= m.structure;
        if let Some(idx) = long_term {
            frame.long_term_frame_idx = idx;
        }
        let parity = usize::from(m.structure == BOTTOM);
        frame.poc[parity] = m.poc[parity];
        if let StoredMotion::Fields(fields) = &mut frame.motion
            && let Some(old) = fields[parity].replace(motion)
        {
            self.recycle(old);
        }
    }

    /// Memory management control operation (8.2.5.4).
    fn apply(&mut self, operation: Mmco, m: &Marking, long_term: &mut Option<u32>) {
        match operation {
            Mmco::UnmarkShort(difference) => {
                if let Some((at, fields)) = self.find_short(m, difference) {
                    self.frames[at].short &= !fields;
                }
            }
            Mmco::UnmarkLong(long_term_pic_num) => {
                let (idx, fields) = split_pic_num(long_term_pic_num as i32, m.structure);
                for f in self
                    .frames
                    .iter_mut()
                    .filter(|f| f.long & fields != 0 && f.long_term_frame_idx as i32 == idx)
                {
                    f.long &= !fields;
                }
            }
            Mmco::AssignLong(difference, idx) => {
                if let Some((at, fields)) = self.find_short(m, difference) {
                    let id = self.frames[at].id;
                    self.free_long_term_idx(idx, Some(id));
                    let frame = &mut self.frames[at];
                    frame.short &= !fields;
                    frame.long |= fields;
                    frame.long_term_frame_idx = idx;
                }
            }
            Mmco::MaxLongTermIdx(plus1) => {
                for f in self.frames.iter_mut().filter(|f| f.long_term_frame_idx >= plus1) {
                    f.long = 0;
                }
                self.max_long_term_idx_plus1 = plus1;
            }
            Mmco::Reset => {
                for f in &mut self.frames {
                    f.short = 0;
                    f.long = 0;
                }
                self.max_long_term_idx_plus1 = 0;
            }
            Mmco::CurrentLong(idx) => {
                self.free_long_term_idx(idx, Some(m.id));
                *long_term = Some(idx);
            }
        }
    }

    /// The short-term picture with picNumX = CurrPicNum - `difference` (equation 8-39).
    fn find_short(&self, m: &Marking, difference: u32) -> Option<(usize, u8)> {
        let curr_pic_num = if m.structure == FRAME {
            m.frame_num as i32
        } else {
            2 * m.frame_num as i32 + 1
        };
        let pic_num = curr_pic_num - difference as i32;
        let (wrap, fields) = split_pic_num(pic_num, m.structure);
        let at = self.frames.iter().position(|f| {
            f.frame_num_wrap(m.frame_num, m.max_frame_num) == wrap
                && if m.structure == FRAME {
                    f.short == FRAME
                } else {
                    f.short & fields != 0
                }
        })?;
        Some((at, fields))
    }

    /// LongTermFrameIdx `idx` is about to be given to frame `to`: any other frame that has it loses it.
    fn free_long_term_idx(&mut self, idx: u32, to: Option<u32>) {
        for f in self
            .frames
            .iter_mut()
            .filter(|f| f.long_term_frame_idx == idx && Some(f.id) != to)
        {
            f.long = 0;
        }
        // A frame that had another index before keeps only what is marked anew.
        for f in self
            .frames
            .iter_mut()
            .filter(|f| f.long_term_frame_idx != idx && Some(f.id) == to)
        {
            f.long = 0;
        }
    }

    pub(crate) fn check_invariants(&self) {
        assert!(
            self.frames.len() <= MAX_REF_FRAMES,
            "more reference frames than the standard allows"
        );
        assert!(
            self.bytes() <= (MAX_REF_FRAMES + 1) * self.frame_bytes,
            "{} bytes are held, {} a frame",
            self.bytes(),
            self.frame_bytes
        );
        assert!(self.max_long_term_idx_plus1 <= 32);
        for (i, f) in self.frames.iter().enumerate() {
            for picture in f.coded_pictures() {
                picture.check_invariants();
                let of_frame = match f.motion {
                    StoredMotion::Fields(_) => 2,
                    _ => 1,
                };
                let size = of_frame * picture.flags.len() * super::motion::BYTES_PER_MACROBLOCK;
                assert_eq!(size, self.frame_bytes, "a stored picture has another size");
            }
            assert!(f.long_term_frame_idx < 32);
            assert!(f.short | f.long != 0, "an unused frame is kept");
            assert!(f.short & f.long == 0, "a field is short-term and long-term");
            assert!(
                (f.short | f.long) & !f.coded == 0,
                "a field is a reference but was not decoded"
            );
            assert!(
                self.frames[..i].iter().all(|g| g.id != f.id),
                "two frames share an id"
            );
            match &f.motion {
                StoredMotion::None => assert!(f.non_existing),
                StoredMotion::Frame(_) => assert_eq!(f.coded, FRAME),
                StoredMotion::Fields(fields) => {
                    let have = u8::from(fields[0].is_some()) | u8::from(fields[1].is_some()) << 1;
                    assert_eq!(f.coded, have);
                }
            }
        }
    }
}

/// Splits a PicNum or LongTermPicNum into frame number (or index) and fields (equations 8-28 to 8-33).
pub(crate) fn split_pic_num(pic_num: i32, structure: u8) -> (i32, u8) {
    if structure == FRAME {
        (pic_num, FRAME)
    } else {
        let same_parity = pic_num & 1 == 1;
        (
            pic_num >> 1,
            if same_parity { structure } else { FRAME ^ structure },
        )
    }
}
