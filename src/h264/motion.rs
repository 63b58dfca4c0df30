//! How the motion of one coded picture is stored.

use super::dpb::{FRAME, MAX_REF_FRAMES};
use super::picture_header::PictureHeader;
use super::ref_lists::{MISSING, order_cnt_of};

/// Horizontal and vertical displacement in quarter luma samples.
pub type Mv = [i16; 2];

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

/// The 8x8 block that a 4x4 block (raster order) is in.
pub(crate) fn quadrant(block: usize) -> usize {
    (block >> 3) * 2 + (block >> 1 & 1)
}
