//! Vectors, references and vector differences of neighbouring blocks (clause 6.4.12, 8.4.1.3.1).

use super::entropy::{Entropy, ORIGIN, PLANE};
use super::motion::{FIELD, Mv};
use super::neighbours::edge_flags;
use super::slice_data::SliceDecoder;

/// In [`Grid::refs`]: not available.
pub(crate) const NOT_AVAILABLE: i8 = -2;
const UNAVAILABLE_MOTION: (Mv, i8) = ([0; 2], NOT_AVAILABLE);

/// Vectors and references of a macroblock's 4x4 blocks and of its neighbours, in rows of eight: the row above (D, B, C)
/// begins at 3, block (0, 0) is at [`ORIGIN`], its left neighbour before it.
pub(crate) struct Grid {
    pub(crate) mv: [Mv; PLANE],
    pub(crate) refs: [i8; PLANE],
    pub(crate) mvd: [[u8; 2]; PLANE],
    /// In MBAFF frames: the neighbours above and to the left of the first blocks of rows 1 to 3.
    pub(crate) inner_d: [(Mv, i8); 4],
}

impl Grid {
    pub(crate) fn new() -> Grid {
        Grid {
            mv: [[0; 2]; PLANE],
            refs: [NOT_AVAILABLE; PLANE],
            mvd: [[0; 2]; PLANE],
            inner_d: [([0; 2], NOT_AVAILABLE); 4],
        }
    }
}

/// Where a neighbouring 4x4 block is: position of its macroblock, block in raster order.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    pos: usize,
    block: usize,
}

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    /// Vector and reference of a neighbouring block, as the current macroblock sees it (8.4.1.3.1). Where the list is
    /// not used, the vector is stored as zero.
    #[inline(always)]
    fn neighbour(&self, list: usize, at: Place) -> (Mv, i8) {
        let block = at.block & 15;
        let ref_idx = self.pic.refs[at.pos].ref_idx[list][super::motion::quadrant(block)];
        let mut mv = self.pic.mv[at.pos][list][block];
        if MBAFF && ref_idx >= 0 {
            let field = self.pic.flags[at.pos] & FIELD != 0;
            if field && !self.field {
                mv[1] = mv[1].wrapping_mul(2);
                return (mv, ref_idx >> 1);
            }
            if !field && self.field {
                mv[1] /= 2;
                return (mv, ref_idx << 1);
            }
        }
        (mv, ref_idx)
    }

    #[inline(always)]
    fn place_b(&self, column: usize) -> Place {
        Place {
            pos: if MBAFF {
                self.n.pos_b
            } else {
                self.pos - self.width
            },
            block: 12 + column,
        }
    }

    #[inline(always)]
    fn place_c(&self) -> Place {
        Place {
            pos: if MBAFF {
                self.n.pos_c
            } else {
                self.pos - self.width + 1
            },
            block: 12,
        }
    }

    #[inline(always)]
    fn place_d(&self) -> Place {
        if MBAFF {
            Place {
                pos: self.n.pos_d,
                block: self.n.row_d * 4 + 3,
            }
        } else {
            Place {
                pos: self.pos - self.width - 1,
                block: 15,
            }
        }
    }

    /// A, B and C (or D in its place) of the whole macroblock (8.4.1.3.2).
    #[inline(always)]
    pub(crate) fn neighbours_16x16(&self, list: usize) -> [(Mv, i8); 3] {
        let n = &self.n;
        let a = if n.a {
            self.neighbour(list, self.place_a(0))
        } else {
            UNAVAILABLE_MOTION
        };
        let b = if n.b {
            self.neighbour(list, self.place_b(0))
        } else {
            UNAVAILABLE_MOTION
        };
        let c = if n.c {
            self.neighbour(list, self.place_c())
        } else if n.d {
            self.neighbour(list, self.place_d())
        } else {
            UNAVAILABLE_MOTION
        };
        [a, b, c]
    }

    /// Fills the neighbours' places of a list's grid, and marks the macroblock's own as not yet available.
    #[inline]
    pub(crate) fn fill_motion(&mut self, list: usize) {
        let c = if self.n.c {
            self.neighbour(list, self.place_c())
        } else {
            UNAVAILABLE_MOTION
        };
        let d = if self.n.d {
            self.neighbour(list, self.place_d())
        } else {
            UNAVAILABLE_MOTION
        };
        let grid = &mut self.grid[list];
        (grid.mv[ORIGIN - 4], grid.refs[ORIGIN - 4]) = c;
        (grid.mv[ORIGIN - 9], grid.refs[ORIGIN - 9]) = d;
        for row in 0..4 {
            let at = ORIGIN + 8 * row;
            grid.refs[at..at + 4].copy_from_slice(&[NOT_AVAILABLE; 4]);
        }
        if MBAFF {
            self.fill_sides_mbaff(list);
            return;
        }
        if self.n.b {
            let pos = self.pos - self.width;
            let refs = self.pic.refs[pos].ref_idx[list];
            grid.mv[ORIGIN - 8..ORIGIN - 4].copy_from_slice(&self.pic.mv[pos][list][12..16]);
            grid.refs[ORIGIN - 8..ORIGIN - 4].copy_from_slice(&[refs[2], refs[2], refs[3], refs[3]]);
        } else {
            grid.mv[ORIGIN - 8..ORIGIN - 4].fill([0; 2]);
            grid.refs[ORIGIN - 8..ORIGIN - 4].copy_from_slice(&[NOT_AVAILABLE; 4]);
        }
        if self.n.a {
            let refs = self.pic.refs[self.pos - 1].ref_idx[list];
            let mv = &self.pic.mv[self.pos - 1][list];
            for row in 0..4 {
                let at = ORIGIN + 8 * row - 1;
                grid.mv[at] = mv[4 * row + 3];
                grid.refs[at] = refs[(row & 2) + 1];
            }
        } else {
            for row in 0..4 {
                let at = ORIGIN + 8 * row - 1;
                grid.mv[at] = [0; 2];
                grid.refs[at] = NOT_AVAILABLE;
            }
        }
    }

    /// The rows above and the columns to the left in MBAFF frames.
    fn fill_sides_mbaff(&mut self, list: usize) {
        for column in 0..4 {
            let (mv, ref_idx) = if self.n.b {
                self.neighbour(list, self.place_b(column))
            } else {
                UNAVAILABLE_MOTION
            };
            self.grid[list].mv[ORIGIN - 8 + column] = mv;
            self.grid[list].refs[ORIGIN - 8 + column] = ref_idx;
        }
        for row in 0..4 {
            let (mut a, mut inner_d) = (UNAVAILABLE_MOTION, UNAVAILABLE_MOTION);
            if self.n.a {
                a = self.neighbour(list, self.place_a(row));
                if row > 0 {
                    inner_d = self.neighbour(list, self.place_inner_d(row));
                }
            }
            let at = ORIGIN + 8 * row - 1;
            (self.grid[list].mv[at], self.grid[list].refs[at]) = a;
            self.grid[list].inner_d[row] = inner_d;
        }
    }

    /// The block to the left of row `row`.
    #[inline(always)]
    fn place_a(&self, row: usize) -> Place {
        if !MBAFF {
            return Place {
                pos: self.pos - 1,
                block: row * 4 + 3,
            };
        }
        let (mb, at) = self.n.rows_a[row];
        Place {
            pos: self.left_pos(usize::from(mb)),
            block: usize::from(at) * 4 + 3,
        }
    }

    fn left_pos(&self, mb: usize) -> usize {
        ((self.mb_y & !1) + mb) * self.width + self.mb_x - 1
    }

    /// The block above and to the left of row `row` > 0: it holds luma row 4 * `row` - 1 (Table 6-4).
    fn place_inner_d(&self, row: usize) -> Place {
        let y = 4 * row - 1;
        let bottom = self.mb_y & 1;
        let left_field = self.pic.flags[self.left_pos(0)] & FIELD != 0;
        let (mb, y) = match (self.field, left_field) {
            (false, true) => (y & 1, (y + 16 * bottom) / 2),
            (true, false) => {
                if y < 8 {
                    (0, 2 * y + bottom)
                } else {
                    (1, 2 * y - 16 + bottom)
                }
            }
            _ => (bottom, y),
        };
        Place {
            pos: self.left_pos(mb),
            block: y / 4 * 4 + 3,
        }
    }

    /// Fills the neighbours' vector differences (CABAC).
    #[inline]
    pub(crate) fn fill_mvd(&mut self, list: usize) {
        let b = self.n.edge_b(self);
        let above = b.mvd[list].map(|mvd| self.scaled_mvd(mvd, b.flags));
        let mut beside = [[0; 2]; 4];
        if self.n.a {
            for (row, entry) in beside.iter_mut().enumerate() {
                let (mb, at) = if MBAFF { self.n.rows_a[row] } else { (0, row as u8) };
                let edge = &self.left[usize::from(mb)];
                *entry = self.scaled_mvd(edge.mvd[list][usize::from(at)], edge.flags);
            }
        }
        let grid = &mut self.grid[list];
        grid.mvd[ORIGIN - 8..ORIGIN - 4].copy_from_slice(&above);
        for (row, mvd) in beside.into_iter().enumerate() {
            grid.mvd[ORIGIN + 8 * row - 1] = mvd;
        }
    }

    /// Vector differences of A and B of the whole macroblock.
    #[inline(always)]
    pub(crate) fn mvd_neighbours(&self, list: usize) -> ([u8; 2], [u8; 2]) {
        let b = self.n.edge_b(self);
        let b = self.scaled_mvd(b.mvd[list][0], b.flags);
        if !self.n.a {
            return ([0; 2], b);
        }
        let (mb, at) = if MBAFF { self.n.rows_a[0] } else { (0, 0) };
        let edge = &self.left[usize::from(mb)];
        (self.scaled_mvd(edge.mvd[list][usize::from(at)], edge.flags), b)
    }

    /// absMvdComp of a neighbour as the current macroblock sees it (9.3.3.1.1.7).
    #[inline(always)]
    fn scaled_mvd(&self, mvd: [u8; 2], flags: u16) -> [u8; 2] {
        if !MBAFF {
            return mvd;
        }
        let field = flags & edge_flags::FIELD != 0;
        match (self.field, field) {
            (false, true) => [mvd[0], mvd[1].saturating_mul(2)],
            (true, false) => [mvd[0], mvd[1] / 2],
            _ => mvd,
        }
    }
}
