//! One frame's motion on its 4x4 grid.

use super::plan::Grid;
use crate::h264::{MotionField, Mv, PictureStructure};

/// In [`FrameArrays::reference_distance`]: the list is not used, or the picture is missing.
pub const NO_REFERENCE: i16 = i16::MIN;

/// What is written of a frame. All arrays are row by row of the grid.
pub struct FrameArrays {
    grid: Grid,
    /// `[H, W, 2]`: displacement to the right and downwards since the frame before, in luma samples per frame; 0 where there
    /// is no motion.
    pub motion: Vec<f32>,
    /// `[H, W, 2, 2]`: by list, the vector in quarter luma samples of the frame.
    pub vectors: Vec<i16>,
    /// `[H, W, 2]`: by list, the frame's picture order count less the referenced picture's.
    pub reference_distance: Vec<i16>,
    /// `[H, W]`: 1 where there is no motion: the block is intra coded or lost, or its reference is missing.
    pub intra: Vec<u8>,
}

impl FrameArrays {
    pub fn new(grid: Grid) -> FrameArrays {
        let blocks = grid.columns * grid.rows;
        FrameArrays {
            grid,
            motion: vec![0.0; 2 * blocks],
            vectors: vec![0; 4 * blocks],
            reference_distance: vec![NO_REFERENCE; 2 * blocks],
            intra: vec![1; blocks],
        }
    }

    /// Fills in a frame or one field of it. A field covers every other line of a frame, so its block covers two blocks of the
    /// frame's grid, one below the other; what the first field has no motion for, the second one fills in. Vertical
    /// displacements of fields are doubled.
    pub fn add(&mut self, picture: &MotionField<'_>, poc_per_frame: i32) {
        let header = picture.header();
        let width = header.width_mbs as usize;
        let field_picture = matches!(
            header.structure,
            PictureStructure::TopField | PictureStructure::BottomField
        );
        for position in 0..picture.macroblocks() {
            let flags = picture.mb_flags(position);
            if flags.intra || flags.lost {
                continue;
            }
            let (mb_x, mb_y) = (position % width, position / width);
            let order = match (flags.field, mb_y & 1) {
                (true, 0) => header.poc_top.unwrap_or(header.poc),
                (true, _) => header.poc_bottom.unwrap_or(header.poc),
                _ => header.poc,
            };
            for row in 0..4 {
                // The first row of the grid, and how many.
                let (first, rows) = if field_picture {
                    (mb_y * 8 + row * 2, 2)
                } else if flags.field {
                    (mb_y / 2 * 8 + row * 2 + (mb_y & 1), 1)
                } else {
                    (mb_y * 4 + row, 1)
                };
                for column in 4 * mb_x..4 * mb_x + 4 {
                    let block = Block::of(
                        picture,
                        column,
                        mb_y * 4 + row,
                        order,
                        field_picture || flags.field,
                    );
                    for to in first..first + rows {
                        self.set(column, to, &block, poc_per_frame);
                    }
                }
            }
        }
    }

    fn set(&mut self, column: usize, row: usize, block: &Block, poc_per_frame: i32) {
        if column >= self.grid.columns || row >= self.grid.rows {
            return;
        }
        let at = row * self.grid.columns + column;
        if self.intra[at] == 0 {
            return;
        }
        for list in 0..2 {
            self.vectors[4 * at + 2 * list..4 * at + 2 * list + 2].copy_from_slice(&block.vectors[list]);
            self.reference_distance[2 * at + list] = block.distances[list];
        }
        if let Some(motion) = block.motion(poc_per_frame) {
            self.motion[2 * at..2 * at + 2].copy_from_slice(&motion);
            self.intra[at] = 0;
        }
    }
}

/// One block's vectors and distances by list.
struct Block {
    vectors: [Mv; 2],
    distances: [i16; 2],
}

impl Block {
    fn of(picture: &MotionField<'_>, column: usize, row: usize, order: i32, in_field: bool) -> Block {
        let mut block = Block {
            vectors: [[0; 2]; 2],
            distances: [NO_REFERENCE; 2],
        };
        for list in 0..2 {
            if picture.ref_idx(list, column, row) < 0 {
                continue;
            }
            let [x, y] = picture.mv(list, column, row);
            block.vectors[list] = [x, if in_field { y.saturating_mul(2) } else { y }];
            if let Some(reference) = picture.ref_poc(list, column, row) {
                let distance = i64::from(order) - i64::from(reference);
                let least = i64::from(NO_REFERENCE) + 1;
                block.distances[list] = distance.clamp(least, i64::from(i16::MAX)) as i16;
            }
        }
        block
    }

    /// Displacement since the frame before, of list 0 where it is used. A vector points from a block to where its content is
    /// in the reference picture, so the content moved the other way.
    fn motion(&self, poc_per_frame: i32) -> Option<[f32; 2]> {
        let list = (0..2).find(|&list| self.distances[list] != NO_REFERENCE && self.distances[list] != 0)?;
        let frames = f32::from(self.distances[list]) / poc_per_frame as f32;
        // Not -0.0 where nothing moves.
        Some(self.vectors[list].map(|component| 0.0 - f32::from(component) / 4.0 / frames))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_moves_against_its_vector_and_by_frames_whichever_the_list() {
        let past = Block {
            vectors: [[-32, 8], [0; 2]],
            distances: [4, NO_REFERENCE],
        };
        assert_eq!(past.motion(2), Some([4.0, -1.0]));
        let future = Block {
            vectors: [[0; 2], [32, -8]],
            distances: [NO_REFERENCE, -4],
        };
        assert_eq!(future.motion(2), past.motion(2));
        let still = Block {
            vectors: [[0; 2]; 2],
            distances: [2, 2],
        };
        assert!(still.motion(2).is_some_and(|m| m[0].is_sign_positive()));
    }

    #[test]
    fn a_block_of_the_other_field_at_the_same_time_has_no_motion() {
        let block = Block {
            vectors: [[4, 4], [0; 2]],
            distances: [0, NO_REFERENCE],
        };
        assert_eq!(block.motion(2), None);
    }
}
