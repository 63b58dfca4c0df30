use std::sync::Arc;

use super::FrameSize;
use crate::replay::{MASKED, MOTION_UNITS_PER_PIXEL};

/// Motion of every 4×4 block of a frame, row by row.
#[derive(Clone, Copy, Debug)]
pub struct BlockMotion<'a> {
    /// Blocks in a row.
    pub width4: usize,
    /// Rows of blocks.
    pub height4: usize,
    /// Where each block's content was, relative to the block, in quarter samples.
    pub mv: &'a [[i16; 2]],
    /// So many picture order counts before this picture. Negative for a vector into the future as it was coded: the quotient
    /// of both is the same motion.
    pub poc_delta: &'a [i16],
    /// Blocks without motion.
    pub intra: &'a [bool],
}

/// The part of the coded frame that is shown, in luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropRect {
    /// Columns cut off on the left.
    pub x: u32,
    /// Rows cut off at the top.
    pub y: u32,
    /// Columns shown.
    pub width: u32,
    /// Rows shown.
    pub height: u32,
}

/// One picture's motion, averaged to the sample's grid. Cheap to clone.
///
/// A cell holds the area-weighted mean of the vectors of its inter blocks, each divided by its distance in picture order
/// counts: like the vectors themselves it points to where the content came from. It is masked where more than half of its
/// area has no motion. Dividing by distances in *frames* waits until the sample is made, because the step of the counts
/// from frame to frame is only learned from the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionMap {
    /// `[2, h, w]` in 1/128 pixel per picture order count, [`MASKED`] where unknown; absent where all cells are masked.
    cells: Option<Arc<[i16]>>,
    known_cells: u32,
    moving_cells: u32,
}

/// Units of [`MotionMap`]'s cells in a pixel: twice the sample's, as the usual step is 2.
const CELL_UNITS_PER_PIXEL: f32 = 2.0 * MOTION_UNITS_PER_PIXEL as f32;
/// A cell moves when one component is at least this, 1/16 pixel per picture order count.
const MOVING_CELL_UNITS: u16 = 8;

impl MotionMap {
    /// The map of a picture without any motion vector.
    pub fn masked() -> Self {
        Self {
            cells: None,
            known_cells: 0,
            moving_cells: 0,
        }
    }

    /// Cells that are not masked.
    pub fn known_cells(&self) -> u32 {
        self.known_cells
    }

    /// Cells that are not masked and move.
    pub fn moving_cells(&self) -> u32 {
        self.moving_cells
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.cells.as_ref().map_or(0, |cells| size_of_val(&**cells))
    }

    /// Appends `[2, h, w]` in 1/64 pixel per frame, with the frame distance `poc_per_frame`.
    pub fn append_per_frame(&self, size: FrameSize, poc_per_frame: i32, out: &mut Vec<i16>) {
        // ±511 pixels, the range that `Sample` promises.
        let most = 511 * i32::from(MOTION_UNITS_PER_PIXEL);
        match &self.cells {
            None => out.resize(out.len() + 2 * size.area(), MASKED),
            Some(cells) => out.extend(cells.iter().map(|cell| match *cell {
                MASKED => MASKED,
                cell => {
                    let doubled = i32::from(cell).saturating_mul(poc_per_frame);
                    (doubled / 2).clamp(-most, most) as i16
                }
            })),
        }
    }
}

/// Averages block motion to the sample's grid. Holds what does not change from picture to picture.
#[derive(Debug)]
pub struct MotionGrid {
    size: FrameSize,
    crop: CropRect,
    width4: usize,
    height4: usize,
    columns: Vec<Span>,
    rows: Vec<Span>,
    // One row of blocks as it is, and summed over the rows of a cell; kept to spare allocations.
    blocks: BlockRow,
    summed: BlockRow,
}

/// A row of blocks: vectors per picture order count in cell units, and 1 where they are known. Apart, so that loops over
/// them become vector instructions.
#[derive(Debug)]
struct BlockRow {
    x: Vec<f32>,
    y: Vec<f32>,
    known: Vec<f32>,
}

/// The blocks that a cell covers along one axis.
#[derive(Clone, Debug)]
struct Span {
    first_block: usize,
    /// Covered length of each block, as a share of the cell's.
    shares: Vec<f32>,
}

fn spans(cells: u32, offset: u32, length: u32, blocks: usize) -> Vec<Span> {
    // In units of 1/cells sample, so that every boundary is whole.
    let (cells, offset, length) = (u64::from(cells), u64::from(offset), u64::from(length));
    let block = 4 * cells;
    (0..cells)
        .map(|cell| {
            let begin = offset * cells + cell * length;
            let end = begin + length;
            let first = (begin / block).min(blocks.saturating_sub(1) as u64);
            let last = (end.div_ceil(block)).min(blocks as u64).max(first + 1);
            let covered = |b: u64| end.min((b + 1) * block).saturating_sub(begin.max(b * block));
            Span {
                first_block: first as usize,
                shares: (first..last).map(|b| covered(b) as f32 / length as f32).collect(),
            }
        })
        .collect()
}

impl MotionGrid {
    /// A grid of `size` cells over the shown part of a frame of `width4 × height4` blocks.
    pub fn new(size: FrameSize, crop: CropRect, width4: usize, height4: usize) -> Self {
        Self {
            size,
            crop,
            width4,
            height4,
            columns: spans(size.width, crop.x, crop.width.max(1), width4),
            rows: spans(size.height, crop.y, crop.height.max(1), height4),
            blocks: BlockRow::new(width4),
            summed: BlockRow::new(width4),
        }
    }

    /// Whether the grid is the one for such frames.
    pub fn fits(&self, crop: CropRect, width4: usize, height4: usize) -> bool {
        (self.crop, self.width4, self.height4) == (crop, width4, height4)
    }

    /// The picture's map. `motion` must have the grid's size in blocks.
    pub fn average(&mut self, motion: &BlockMotion<'_>) -> MotionMap {
        let area = self.size.area();
        let mut cells = vec![MASKED; 2 * area];
        let (xs, ys) = cells.split_at_mut(area);
        let width = self.size.width as usize;
        let (mut known_cells, mut moving_cells) = (0, 0);
        let mut loaded = None;
        let rows = xs.chunks_mut(width).zip(ys.chunks_mut(width));
        for (span, (xs, ys)) in self.rows.iter().zip(rows) {
            self.summed.clear();
            for (share, y4) in span.shares.iter().zip(span.first_block..) {
                // Neighbouring rows of cells share a row of blocks.
                if loaded != Some(y4) {
                    self.blocks.load(motion, y4);
                    loaded = Some(y4);
                }
                self.summed.add(&self.blocks, *share);
            }
            for ((column, x), y) in self.columns.iter().zip(xs).zip(ys) {
                let sum = self.summed.over(column);
                // Sums of shares are not exact; half is half within rounding.
                if sum.known < 0.5 - 1e-4 {
                    continue;
                }
                *x = component(sum.x / sum.known);
                *y = component(sum.y / sum.known);
                known_cells += 1;
                let largest = x.unsigned_abs().max(y.unsigned_abs());
                moving_cells += u32::from(largest >= MOVING_CELL_UNITS);
            }
        }
        if known_cells == 0 {
            return MotionMap::masked();
        }
        MotionMap {
            cells: Some(cells.into()),
            known_cells,
            moving_cells,
        }
    }
}

struct Sum {
    x: f32,
    y: f32,
    known: f32,
}

fn component(mean: f32) -> i16 {
    let most = f32::from(i16::MAX);
    // Rounded by hand: `round` is a call into libm where SSE4.1 is not assumed.
    (mean.clamp(-most, most) + 0.5f32.copysign(mean)) as i16
}

impl BlockRow {
    fn new(width4: usize) -> Self {
        Self {
            x: vec![0.0; width4],
            y: vec![0.0; width4],
            known: vec![0.0; width4],
        }
    }

    fn clear(&mut self) {
        for values in [&mut self.x, &mut self.y, &mut self.known] {
            values.fill(0.0);
        }
    }

    fn load(&mut self, motion: &BlockMotion<'_>, y4: usize) {
        let row = y4 * motion.width4..(y4 + 1) * motion.width4;
        let known = motion.intra[row.clone()]
            .iter()
            .zip(&motion.poc_delta[row.clone()]);
        for (out, (intra, delta)) in self.known.iter_mut().zip(known) {
            // A block that refers to its own frame's other field has no frame distance.
            *out = f32::from(u8::from(!*intra & (*delta != 0)));
        }
        let vectors = motion.mv[row.clone()].iter().zip(&motion.poc_delta[row]);
        let out = self.x.iter_mut().zip(&mut self.y).zip(&self.known);
        for (((x, y), known), (mv, delta)) in out.zip(vectors) {
            // An unknown block counts nothing, and must not be divided by 0.
            let distance = known * f32::from(*delta) + (1.0 - known);
            let scale = known * (CELL_UNITS_PER_PIXEL / 4.0) / distance;
            *x = f32::from(mv[0]) * scale;
            *y = f32::from(mv[1]) * scale;
        }
    }

    fn add(&mut self, row: &Self, share: f32) {
        let pairs = [
            (&mut self.x, &row.x),
            (&mut self.y, &row.y),
            (&mut self.known, &row.known),
        ];
        for (sums, values) in pairs {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += share * value;
            }
        }
    }

    fn over(&self, column: &Span) -> Sum {
        let blocks = column.first_block..column.first_block + column.shares.len();
        let (xs, ys) = (&self.x[blocks.clone()], &self.y[blocks.clone()]);
        let values = xs.iter().zip(ys).zip(&self.known[blocks]);
        let nothing = Sum {
            x: 0.0,
            y: 0.0,
            known: 0.0,
        };
        column
            .shares
            .iter()
            .zip(values)
            .fold(nothing, |sum, (share, ((x, y), known))| Sum {
                x: sum.x + share * x,
                y: sum.y + share * y,
                known: sum.known + share * known,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Blocks {
        width4: usize,
        height4: usize,
        mv: Vec<[i16; 2]>,
        poc_delta: Vec<i16>,
        intra: Vec<bool>,
    }

    impl Blocks {
        fn all(width4: usize, height4: usize, mv: [i16; 2], poc_delta: i16) -> Self {
            let count = width4 * height4;
            Self {
                width4,
                height4,
                mv: vec![mv; count],
                poc_delta: vec![poc_delta; count],
                intra: vec![false; count],
            }
        }

        fn view(&self) -> BlockMotion<'_> {
            BlockMotion {
                width4: self.width4,
                height4: self.height4,
                mv: &self.mv,
                poc_delta: &self.poc_delta,
                intra: &self.intra,
            }
        }

        fn whole(&self) -> CropRect {
            CropRect {
                x: 0,
                y: 0,
                width: 4 * self.width4 as u32,
                height: 4 * self.height4 as u32,
            }
        }
    }

    fn map_of(blocks: &Blocks, size: FrameSize, crop: CropRect) -> MotionMap {
        MotionGrid::new(size, crop, blocks.width4, blocks.height4).average(&blocks.view())
    }

    fn per_frame(map: &MotionMap, size: FrameSize, step: i32) -> Vec<i16> {
        let mut out = Vec::new();
        map.append_per_frame(size, step, &mut out);
        out
    }

    #[test]
    fn motion_is_pixels_per_frame_whatever_the_distance_and_direction_of_the_reference() {
        let size = FrameSize { width: 3, height: 2 };
        // 2 pixels right and 1 up per frame, counts rising by 2 a frame: 3 frames back, then 1 frame ahead.
        for (mv, delta) in [([24, -12], 6), ([-8, 4], -2)] {
            let blocks = Blocks::all(8, 6, mv, delta);
            let map = map_of(&blocks, size, blocks.whole());
            let cells = per_frame(&map, size, 2);
            assert_eq!(cells[..6], [128; 6], "{mv:?}");
            assert_eq!(cells[6..], [-64; 6], "{mv:?}");
            assert_eq!((map.known_cells(), map.moving_cells()), (6, 6));
        }
    }

    #[test]
    fn motion_saturates_at_the_range_that_a_sample_promises() {
        let blocks = Blocks::all(4, 4, [i16::MAX, i16::MIN], 1);
        let size = FrameSize { width: 1, height: 1 };
        let map = map_of(&blocks, size, blocks.whole());
        assert_eq!(per_frame(&map, size, i32::MAX), [511 * 64, -511 * 64]);
    }

    #[test]
    fn a_cell_is_masked_when_more_than_half_of_it_is_intra() {
        let size = FrameSize { width: 1, height: 1 };
        let mut blocks = Blocks::all(2, 2, [4, 0], 1);
        blocks.intra[0] = true;
        blocks.intra[1] = true;
        let half = map_of(&blocks, size, blocks.whole());
        assert_eq!(per_frame(&half, size, 1), [64, 0]);
        blocks.intra[2] = true;
        let more = map_of(&blocks, size, blocks.whole());
        assert_eq!(per_frame(&more, size, 1), [MASKED; 2]);
        assert_eq!(more, MotionMap::masked());
    }

    #[test]
    fn cropped_columns_and_rows_do_not_count() {
        let size = FrameSize { width: 1, height: 1 };
        let mut blocks = Blocks::all(3, 2, [400, 400], 1);
        blocks.mv[1] = [4, 8];
        let crop = CropRect {
            x: 4,
            y: 0,
            width: 4,
            height: 4,
        };
        assert_eq!(per_frame(&map_of(&blocks, size, crop), size, 1), [64, 128]);
    }

    proptest! {
        /// Against the definition: every sample of the shown picture votes in the cell that it lies in. Grids finer and
        /// coarser than the blocks, with boundaries inside blocks.
        #[test]
        fn each_cell_is_the_mean_over_its_samples(
            (width4, height4) in (1usize..12, 1usize..12),
            (cells_x, cells_y) in (1u32..16, 1u32..16),
            cut in (0u32..4, 0u32..4, 0u32..4, 0u32..4),
            seed in any::<u64>(),
        ) {
            use rand::{Rng, SeedableRng};
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut blocks = Blocks::all(width4, height4, [0, 0], 1);
            for b in 0..width4 * height4 {
                blocks.mv[b] = [rng.random_range(-64..64), rng.random_range(-64..64)];
                blocks.poc_delta[b] = [-4, -2, 2, 4, 6][rng.random_range(0..5)];
                blocks.intra[b] = rng.random_bool(0.3);
            }
            let whole = blocks.whole();
            let crop = CropRect {
                x: cut.0.min(whole.width - 1),
                y: cut.1.min(whole.height - 1),
                width: (whole.width - cut.0.min(whole.width - 1)).saturating_sub(cut.2).max(1),
                height: (whole.height - cut.1.min(whole.height - 1)).saturating_sub(cut.3).max(1),
            };
            let size = FrameSize { width: cells_x, height: cells_y };
            let map = map_of(&blocks, size, crop);
            // Each sample is divided into cells_x × cells_y parts, which lie in one cell each.
            let area = size.area();
            let mut sums = vec![(0f64, 0f64, 0f64); area];
            for part_y in 0..crop.height * cells_y {
                let block_row = (crop.y + part_y / cells_y) as usize / 4;
                let cell_row = (part_y / crop.height) as usize;
                for part_x in 0..crop.width * cells_x {
                    let block = block_row * width4 + (crop.x + part_x / cells_x) as usize / 4;
                    let cell = cell_row * cells_x as usize + (part_x / crop.width) as usize;
                    if !blocks.intra[block] {
                        let delta = f64::from(blocks.poc_delta[block]);
                        sums[cell].0 += f64::from(blocks.mv[block][0]) / delta;
                        sums[cell].1 += f64::from(blocks.mv[block][1]) / delta;
                        sums[cell].2 += 1.0;
                    }
                }
            }
            let cells = per_frame(&map, size, 2);
            let cell_parts = f64::from(crop.width * crop.height);
            for (cell, (x, y, known)) in sums.into_iter().enumerate() {
                let share = known / cell_parts;
                if (share - 0.5).abs() > 1e-3 {
                    prop_assert_eq!(cells[cell] == MASKED, share < 0.5, "cell {} share {}", cell, share);
                }
                if cells[cell] != MASKED {
                    // Quarter samples per count → 1/64 pixel per frame.
                    prop_assert!((f64::from(cells[cell]) - x / known * 32.0).abs() <= 0.51);
                    prop_assert!((f64::from(cells[area + cell]) - y / known * 32.0).abs() <= 0.51);
                }
            }
        }
    }
}
