//! Where the content of each 4×4 block moved. Pure.

use crate::h264::FrameMotion;

/// Motion of one frame in pictures' own terms: for every 4×4 block of the coded frame, how far its content moved since the
/// frame before, in luma samples per frame. To the right and downwards is positive.
///
/// A motion vector points the other way, from a block to where its content is in the reference picture, and spans as many
/// frames as lie between.
#[derive(Clone, Debug, PartialEq)]
pub struct Displacements {
    /// Blocks in a row.
    pub columns: usize,
    /// Rows of blocks.
    pub rows: usize,
    /// Row by row; `None` where the block is intra coded or lost: its motion is not known.
    pub blocks: Vec<Option<[f32; 2]>>,
}

/// Side of a block, in luma samples.
pub const BLOCK: usize = 4;

/// Motion vectors are in quarter samples.
const QUARTERS: f32 = 4.0;

impl Displacements {
    /// Turns vectors into displacements. From one frame to the next the picture order count rises by `poc_per_frame`.
    ///
    /// Blocks that refer to their own frame's other field have no distance in time to speak of; their motion is not known.
    pub fn of(motion: &FrameMotion, poc_per_frame: i32) -> Self {
        let block = |at: usize| {
            let distance = f32::from(motion.poc_delta[at]) / poc_per_frame as f32;
            let known = !motion.intra[at] && distance > 0.0;
            known.then(|| motion.mv[at].map(|component| -f32::from(component) / QUARTERS / distance))
        };
        Self {
            columns: motion.width4,
            rows: motion.height4,
            blocks: (0..motion.width4 * motion.height4).map(block).collect(),
        }
    }

    /// The block in this column and row.
    pub fn at(&self, column: usize, row: usize) -> Option<[f32; 2]> {
        self.blocks[row * self.columns + column]
    }

    /// Mean displacement of the blocks in a rectangle, and how many of them have one.
    pub fn mean(
        &self,
        columns: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
    ) -> (Option<[f32; 2]>, usize) {
        let mut sum = [0.0, 0.0];
        let mut known = 0;
        for row in rows {
            for column in columns.clone() {
                if let Some([x, y]) = self.at(column, row) {
                    sum[0] += x;
                    sum[1] += y;
                    known += 1;
                }
            }
        }
        let mean = (known > 0).then(|| sum.map(|component| component / known as f32));
        (mean, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_moves_against_its_vector_and_by_frames() {
        let motion = FrameMotion {
            width4: 2,
            height4: 2,
            // Eight samples to the left in the frame before last; one sample below in the last; intra; the other field.
            mv: vec![[-32, 0], [0, 4], [0, 0], [4, 4]],
            poc_delta: vec![4, 2, 0, 0],
            intra: vec![false, false, true, false],
        };
        let displacements = Displacements::of(&motion, 2);
        assert_eq!(displacements.at(0, 0), Some([4.0, 0.0]), "to the right");
        assert_eq!(displacements.at(1, 0), Some([0.0, -1.0]), "upwards");
        assert_eq!((displacements.at(0, 1), displacements.at(1, 1)), (None, None));
        assert_eq!(Displacements::of(&motion, 1).at(0, 0), Some([2.0, 0.0]));
    }

    #[test]
    fn the_mean_leaves_unknown_blocks_out() {
        let motion = Displacements {
            columns: 2,
            rows: 2,
            blocks: vec![Some([1.0, 2.0]), None, Some([3.0, -4.0]), None],
        };
        assert_eq!(motion.mean(0..2, 0..2), (Some([2.0, -1.0]), 2));
        assert_eq!(motion.mean(1..2, 0..2), (None, 0));
    }
}
