//! Where the content of each 4×4 block moved. Pure.

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

impl Displacements {
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
