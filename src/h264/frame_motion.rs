//! A picture's motion as maps of its frame, for learning.

use super::dpb::{BOTTOM, FRAME, TOP};
use super::motion::{FIELD, Mv, quadrant};
use super::motion_field::MotionField;
use super::picture_header::PictureStructure;

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

impl MotionField<'_> {
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
