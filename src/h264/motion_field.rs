//! How a coded picture's motion is read.

use std::collections::BTreeSet;

use super::motion::{
    DIRECT, FIELD, INTRA, LOST, MbFlags, Mv, Partition, PictureMotion, SHAPE, SHAPE_8X8, SHAPE_8X16,
    SHAPE_16X8, SKIP, quadrant,
};
use super::picture_header::PictureHeader;
use super::ref_lists::MISSING;

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
    pub(super) motion: &'a PictureMotion,
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
}

impl std::fmt::Debug for MotionField<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MotionField")
            .field("header", self.header())
            .field("frame_id", &self.frame_id)
            .finish()
    }
}
