//! The motion of one coded picture: how it is stored, and how it is read.

use std::collections::BTreeSet;

use super::dpb::{BOTTOM, FRAME, MAX_REF_FRAMES, TOP};
use super::ref_lists::{MISSING, order_cnt_of};
use super::slice_header::SliceType;

/// Horizontal and vertical displacement in quarter luma samples.
pub type Mv = [i16; 2];

/// How a coded picture covers its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PictureStructure {
    /// A frame without field macroblocks.
    #[default]
    Frame,
    /// A frame with MbaffFrameFlag 1: macroblock pairs may be field pairs.
    Mbaff,
    /// A top field.
    TopField,
    /// A bottom field.
    BottomField,
}

/// Coded type of a picture: the most general of its slices' types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PictureType {
    /// All slices are I or SI.
    I,
    /// There are P or SP slices, and none is B.
    P,
    /// There are B slices.
    B,
}

/// The slice types that occur in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SliceTypes(u8);

impl SliceTypes {
    pub(crate) fn insert(&mut self, slice_type: SliceType) {
        self.0 |= 1 << slice_type as u8;
    }

    /// True if a slice of this type occurs.
    pub fn has(self, slice_type: SliceType) -> bool {
        self.0 & 1 << slice_type as u8 != 0
    }

    /// The most general type.
    pub fn coded_type(self) -> PictureType {
        if self.has(SliceType::B) {
            PictureType::B
        } else if self.has(SliceType::P) || self.has(SliceType::SP) {
            PictureType::P
        } else {
            PictureType::I
        }
    }
}

impl std::fmt::Display for SliceTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let order = [
            SliceType::I,
            SliceType::P,
            SliceType::B,
            SliceType::SI,
            SliceType::SP,
        ];
        let mut separator = "";
        for slice_type in order.into_iter().filter(|&t| self.has(t)) {
            write!(f, "{separator}{slice_type:?}")?;
            separator = "+";
        }
        Ok(())
    }
}

/// Frame timing of the VUI; zeros if the stream does not give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// num_units_in_tick.
    pub num_units_in_tick: u32,
    /// time_scale: a frame lasts 2 * num_units_in_tick / time_scale seconds if the rate is fixed.
    pub time_scale: u32,
    /// fixed_frame_rate_flag.
    pub fixed_frame_rate: bool,
}

/// What is known of a coded picture besides its motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureHeader {
    /// Frame or field.
    pub structure: PictureStructure,
    /// nal_unit_type 5.
    pub idr: bool,
    /// recovery_frame_cnt of a recovery point SEI message in this access unit.
    pub recovery_point: Option<u32>,
    /// memory_management_control_operation 5: after it, order counts start anew and all before it has been output (C.4.4).
    pub mmco5: bool,
    /// nal_ref_idc of the first slice: 0 if no picture refers to this one.
    pub nal_ref_idc: u8,
    /// The types of the picture's slices.
    pub slice_types: SliceTypes,
    /// PicOrderCnt() as the picture was decoded: of a frame the lesser of its fields'.
    pub poc: i32,
    /// TopFieldOrderCnt, unless this is a bottom field.
    pub poc_top: Option<i32>,
    /// BottomFieldOrderCnt, unless this is a top field.
    pub poc_bottom: Option<i32>,
    /// frame_num as coded.
    pub frame_num: u32,
    /// Number of slices, redundant ones not counted.
    pub slices: u32,
    /// Macroblocks in a row.
    pub width_mbs: u32,
    /// Rows of macroblocks of this structure: half the frame's for a field.
    pub height_mbs: u32,
    /// Luma samples in a row of the frame, before cropping.
    pub width: u32,
    /// Luma rows of the frame, before cropping.
    pub height: u32,
    /// Luma samples of the frame to crop: left, top, right, bottom.
    pub crop: [u32; 4],
    /// profile_idc.
    pub profile_idc: u8,
    /// level_idc.
    pub level_idc: u8,
    /// How many frames may precede a picture in decoding order and follow it in output order:
    /// max_num_reorder_frames of the VUI, else the DPB's size.
    pub max_num_reorder_frames: u32,
    /// pic_order_cnt_type; 2 means that output order is decoding order.
    pub pic_order_cnt_type: u32,
    /// Frame timing.
    pub timing: Timing,
}

/// Flags of a macroblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MbFlags {
    /// Any intra type, I_PCM and SI included.
    pub intra: bool,
    /// P_Skip or B_Skip.
    pub skip: bool,
    /// A field macroblock of an MBAFF frame.
    pub field: bool,
    /// Not decoded.
    pub lost: bool,
}

impl MbFlags {
    /// FORMAT: intra 1, skip 2, field 4, lost 8.
    pub fn bits(self) -> u8 {
        u8::from(self.intra) | u8::from(self.skip) << 1 | u8::from(self.field) << 2 | u8::from(self.lost) << 3
    }
}

pub(crate) const INTRA: u8 = 1;
pub(crate) const SKIP: u8 = 2;
pub(crate) const FIELD: u8 = 4;
pub(crate) const LOST: u8 = 8;
/// How an Inter macroblock is partitioned: [`Partition`] in two bits.
pub(crate) const SHAPE: u8 = 0x30;
pub(crate) const SHAPE_16X8: u8 = 0x10;
pub(crate) const SHAPE_8X16: u8 = 0x20;
pub(crate) const SHAPE_8X8: u8 = 0x30;
/// B_Skip or B_Direct_16x16.
pub(crate) const DIRECT: u8 = 0x40;

/// How an Inter macroblock is partitioned (Tables 7-13, 7-14).
///
/// Direct macroblocks (B_Skip, B_Direct_16x16) code no partition: theirs is that of the colocated macroblock, from which
/// their motion comes, or one 16x16 where the prediction is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// One of 16x16.
    Whole,
    /// Two of 16x8: upper, lower.
    Rows,
    /// Two of 8x16: left, right.
    Columns,
    /// Four of 8x8, each with parts of its own.
    Quarters,
}

/// References of a macroblock's 8x8 blocks in both lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MbRefs {
    /// refIdxLX, or -1.
    pub(crate) ref_idx: [[i8; 4]; 2],
    /// The referenced picture: place of its frame in [`PictureMotion::slots`] times four plus the field mask.
    pub(crate) ref_pic: [[u8; 4]; 2],
}

impl MbRefs {
    pub(crate) const NONE: MbRefs = MbRefs {
        ref_idx: [[-1; 4]; 2],
        ref_pic: [[MISSING; 4]; 2],
    };
}

/// A reference frame as it was when the picture was decoded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot {
    pub(crate) id: u32,
    pub(crate) poc: [i32; 2],
}

/// What a picture's motion takes: vectors of 16 blocks in two lists, references, flags.
pub const BYTES_PER_MACROBLOCK: usize = size_of::<[[Mv; 16]; 2]>() + size_of::<MbRefs>() + 1;

/// Motion of a coded picture. Macroblocks are in raster order of the picture's own structure; a macroblock pair's
/// top macroblock is above its bottom macroblock even if they are field macroblocks.
#[derive(Debug, Default)]
pub(crate) struct PictureMotion {
    pub(crate) header: PictureHeader,
    pub(crate) width_mbs: usize,
    pub(crate) height_mbs: usize,
    /// Vectors of the 4x4 blocks in raster order, by list. Means something only where there is a reference.
    pub(crate) mv: Vec<[[Mv; 16]; 2]>,
    pub(crate) refs: Vec<MbRefs>,
    pub(crate) flags: Vec<u8>,
    pub(crate) slots: [Slot; MAX_REF_FRAMES],
}

impl PictureMotion {
    /// Prepares for a picture of this size: all macroblocks are lost until they are decoded.
    pub(crate) fn reset(&mut self, width_mbs: usize, height_mbs: usize) {
        let size = width_mbs * height_mbs;
        if self.flags.capacity() > size {
            // A frame's buffer would stay as large for a field: memory is bounded by what pictures need.
            *self = PictureMotion::default();
        }
        self.mv.reserve_exact(size.saturating_sub(self.mv.len()));
        self.refs.reserve_exact(size.saturating_sub(self.refs.len()));
        self.flags.reserve_exact(size.saturating_sub(self.flags.len()));
        self.width_mbs = width_mbs;
        self.height_mbs = height_mbs;
        self.mv.resize(size, [[[0; 2]; 16]; 2]);
        self.refs.resize(size, MbRefs::NONE);
        self.flags.clear();
        self.flags.resize(size, LOST);
    }

    /// Heap memory, in bytes: [`BYTES_PER_MACROBLOCK`] a macroblock.
    pub(crate) fn bytes(&self) -> usize {
        self.mv.capacity() * size_of::<[[Mv; 16]; 2]>()
            + self.refs.capacity() * size_of::<MbRefs>()
            + self.flags.capacity()
    }

    pub(crate) fn check_invariants(&self) {
        let size = self.width_mbs * self.height_mbs;
        assert!(
            self.mv.len() == size && self.refs.len() == size && self.flags.len() == size,
            "a picture of {}x{} macroblocks holds {} vectors, {} references, {} flags",
            self.width_mbs,
            self.height_mbs,
            self.mv.len(),
            self.refs.len(),
            self.flags.len()
        );
        assert!(self.bytes() <= size * BYTES_PER_MACROBLOCK);
        for refs in self.refs.iter() {
            for (&idx, &pic) in refs.ref_idx.iter().flatten().zip(refs.ref_pic.iter().flatten()) {
                assert!((-1..32).contains(&idx), "refIdx {idx}");
                assert!(
                    pic == MISSING || (usize::from(pic >> 2) < MAX_REF_FRAMES && pic & FRAME != 0),
                    "code {pic} of a reference"
                );
            }
        }
    }

    /// Gives lost macroblocks defined content; returns how many there are.
    pub(crate) fn conceal_lost(&mut self) -> u32 {
        let mut lost = 0;
        for (flags, refs) in self.flags.iter().zip(&mut self.refs) {
            if flags & LOST != 0 {
                *refs = MbRefs::NONE;
                lost += 1;
            }
        }
        lost
    }

    /// PicOrderCnt() of a referenced picture; `None` if it was missing.
    pub(crate) fn poc_of(&self, ref_pic: u8) -> Option<i32> {
        if ref_pic == MISSING {
            return None;
        }
        let slot = self.slots[usize::from(ref_pic >> 2) % MAX_REF_FRAMES];
        Some(order_cnt_of(ref_pic & FRAME, slot.poc))
    }
}

/// A picture that the current one refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The frame; unique in the stream. The fields of a frame share it.
    pub frame_id: u32,
    /// PicOrderCnt() of the referenced frame or field.
    pub poc: i32,
}

/// One coded picture's motion, borrowed from the decoder.
#[derive(Clone, Copy)]
pub struct MotionField<'a> {
    motion: &'a PictureMotion,
    frame_id: u32,
}

impl<'a> MotionField<'a> {
    pub(crate) fn new(motion: &'a PictureMotion, frame_id: u32) -> MotionField<'a> {
        MotionField { motion, frame_id }
    }

    /// What is known of the picture besides its motion.
    pub fn header(&self) -> &'a PictureHeader {
        &self.motion.header
    }

    /// Identifies the frame that the picture is or belongs to; unique in the stream.
    pub fn frame_id(&self) -> u32 {
        self.frame_id
    }

    /// Number of macroblock positions.
    pub fn macroblocks(&self) -> usize {
        self.motion.flags.len()
    }

    /// Flags of the macroblock at position `mb_pos` (raster order of this structure).
    ///
    /// # Panics
    /// If there is no such position.
    pub fn mb_flags(&self, mb_pos: usize) -> MbFlags {
        let flags = self.motion.flags[mb_pos];
        MbFlags {
            intra: flags & INTRA != 0,
            skip: flags & SKIP != 0,
            field: flags & FIELD != 0,
            lost: flags & LOST != 0,
        }
    }

    /// How the macroblock at position `mb_pos` is partitioned; [`Partition::Whole`] for intra and lost ones.
    ///
    /// # Panics
    /// If there is no such position.
    pub fn partition(&self, mb_pos: usize) -> Partition {
        match self.motion.flags[mb_pos] & SHAPE {
            SHAPE_16X8 => Partition::Rows,
            SHAPE_8X16 => Partition::Columns,
            SHAPE_8X8 => Partition::Quarters,
            _ => Partition::Whole,
        }
    }

    /// The macroblock at position `mb_pos` is B_Skip or B_Direct_16x16.
    ///
    /// # Panics
    /// If there is no such position.
    pub fn is_direct(&self, mb_pos: usize) -> bool {
        self.motion.flags[mb_pos] & DIRECT != 0
    }

    fn block(&self, x4: usize, y4: usize) -> (usize, usize) {
        assert!(
            x4 < self.motion.width_mbs * 4 && y4 < self.motion.height_mbs * 4,
            "block outside the picture"
        );
        ((y4 / 4) * self.motion.width_mbs + x4 / 4, (y4 % 4) * 4 + x4 % 4)
    }

    /// Vector of a 4x4 block in list 0 or 1, in quarter luma samples of this structure (of fields in field
    /// macroblocks); zero where the list is not used.
    ///
    /// # Panics
    /// If the block is outside the picture or `list` is not 0 or 1.
    pub fn mv(&self, list: usize, x4: usize, y4: usize) -> Mv {
        let (mb, block) = self.block(x4, y4);
        if self.motion.refs[mb].ref_idx[list][quadrant(block)] < 0 {
            [0; 2]
        } else {
            self.motion.mv[mb][list][block]
        }
    }

    /// refIdxLX of a 4x4 block; -1 where the list is not used.
    ///
    /// # Panics
    /// If the block is outside the picture or `list` is not 0 or 1.
    pub fn ref_idx(&self, list: usize, x4: usize, y4: usize) -> i8 {
        let (mb, block) = self.block(x4, y4);
        self.motion.refs[mb].ref_idx[list][quadrant(block)]
    }

    /// Order count of the picture that a 4x4 block refers to; `None` where the list is not used or the picture was
    /// missing.
    ///
    /// # Panics
    /// If the block is outside the picture or `list` is not 0 or 1.
    pub fn ref_poc(&self, list: usize, x4: usize, y4: usize) -> Option<i32> {
        let (mb, block) = self.block(x4, y4);
        let refs = &self.motion.refs[mb];
        let quadrant = quadrant(block);
        if refs.ref_idx[list][quadrant] < 0 {
            None
        } else {
            self.motion.poc_of(refs.ref_pic[list][quadrant])
        }
    }

    /// The pictures that blocks of this picture refer to, in ascending order.
    pub fn refers_to(&self) -> Vec<Reference> {
        let mut seen = [false; 256];
        for refs in &self.motion.refs {
            for list in 0..2 {
                for quadrant in 0..4 {
                    if refs.ref_idx[list][quadrant] >= 0 {
                        seen[usize::from(refs.ref_pic[list][quadrant])] = true;
                    }
                }
            }
        }
        let codes = (0..MISSING).filter(|&code| seen[usize::from(code)]);
        let found: BTreeSet<Reference> = codes
            .filter_map(|code| {
                let frame_id = self.motion.slots.get(usize::from(code >> 2))?.id;
                Some(Reference {
                    frame_id,
                    poc: self.motion.poc_of(code)?,
                })
            })
            .collect();
        found.into_iter().collect()
    }

    /// All vectors as maps of the frame at 4x4 luma resolution, for learning; see [`FrameMotion`].
    pub fn frame_motion(&self, out: &mut FrameMotion) {
        let motion = self.motion;
        let header = &motion.header;
        let field_picture = matches!(
            header.structure,
            PictureStructure::TopField | PictureStructure::BottomField
        );
        out.width4 = motion.width_mbs * 4;
        out.height4 = motion.height_mbs * if field_picture { 8 } else { 4 };
        let size = out.width4 * out.height4;
        out.mv.resize(size, [0; 2]);
        out.poc_delta.resize(size, 0);
        out.intra.resize(size, true);
        let frame_orders = [TOP, BOTTOM, FRAME].map(|s| match s {
            TOP => header.poc_top.unwrap_or(header.poc),
            BOTTOM => header.poc_bottom.unwrap_or(header.poc),
            _ => header.poc,
        });
        for mb_y in 0..motion.height_mbs {
            for mb_x in 0..motion.width_mbs {
                let mb = mb_y * motion.width_mbs + mb_x;
                let flags = motion.flags[mb];
                let in_field = field_picture || flags & FIELD != 0;
                // The order count that distances are taken from.
                let current = if flags & FIELD != 0 {
                    frame_orders[mb_y & 1]
                } else {
                    header.poc
                };
                for row in 0..4 {
                    let (first, rows) = if field_picture {
                        (mb_y * 8 + row * 2, 2)
                    } else if in_field {
                        (mb_y / 2 * 8 + row * 2 + (mb_y & 1), 1)
                    } else {
                        (mb_y * 4 + row, 1)
                    };
                    let at = first * out.width4 + mb_x * 4;
                    for column in 0..4 {
                        let (mv, delta, masked) = self.learnable(mb, row * 4 + column, current, in_field);
                        out.mv[at + column] = mv;
                        out.poc_delta[at + column] = delta;
                        out.intra[at + column] = masked;
                    }
                    if rows == 2 {
                        out.mv.copy_within(at..at + 4, at + out.width4);
                        out.poc_delta.copy_within(at..at + 4, at + out.width4);
                        out.intra.copy_within(at..at + 4, at + out.width4);
                    }
                }
            }
        }
    }

    fn learnable(&self, mb: usize, block: usize, current: i32, in_field: bool) -> (Mv, i16, bool) {
        let refs = &self.motion.refs[mb];
        let quadrant = quadrant(block);
        let list = if refs.ref_idx[0][quadrant] >= 0 {
            0
        } else if refs.ref_idx[1][quadrant] >= 0 {
            1
        } else {
            return ([0; 2], 0, true);
        };
        let [x, y] = self.motion.mv[mb][list][block];
        let y = if in_field { y.saturating_mul(2) } else { y };
        let Some(reference) = self.motion.poc_of(refs.ref_pic[list][quadrant]) else {
            return ([0; 2], 0, true);
        };
        let delta = i64::from(current) - i64::from(reference);
        let mv = if delta < 0 {
            [x.saturating_neg(), y.saturating_neg()]
        } else {
            [x, y]
        };
        (mv, delta.unsigned_abs().min(i16::MAX as u64) as i16, false)
    }
}

impl std::fmt::Debug for MotionField<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MotionField")
            .field("header", self.header())
            .field("frame_id", &self.frame_id)
            .finish()
    }
}

/// The 8x8 block that a 4x4 block (raster order) is in.
pub(crate) fn quadrant(block: usize) -> usize {
    (block >> 3) * 2 + (block >> 1 & 1)
}

/// Motion of a picture as maps at 4x4 luma resolution of the *frame*, row by row. Its buffers are reused.
///
/// * A field picture fills the whole map: field row `r` is written to map rows `2r` and `2r + 1`.
/// * In a field macroblock pair of an MBAFF frame, row `r` of the top field macroblock is written to row `2r` of the
///   pair and row `r` of the bottom field macroblock to row `2r + 1`.
/// * Vertical components of fields are doubled: all vectors are in quarter samples of the frame.
///
/// A vector is where the block's content was, relative to the block, `poc_delta` order counts *before* the
/// picture: list 0's vector where list 0 is used, else list 1's; the sign is turned if the reference follows the
/// picture in output order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameMotion {
    /// Blocks in a row.
    pub width4: usize,
    /// Rows of blocks.
    pub height4: usize,
    /// Displacement in quarter frame samples; zero where `intra`.
    pub mv: Vec<Mv>,
    /// Distance to the reference in order counts (2 a frame in most streams; can be 0 or 1 between fields).
    pub poc_delta: Vec<i16>,
    /// The block has no motion: it is intra, lost, or its reference is missing.
    pub intra: Vec<bool>,
}
