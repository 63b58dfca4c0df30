//! Neighbouring macroblocks and blocks (clause 6.4.8 to 6.4.12), and what is remembered of them.
//!
//! Of the macroblocks above and to the left only the edge that they show is kept for parsing; vectors are read from
//! the picture itself. A neighbour is available if it is in the same slice: its address is not before the slice's
//! first and it is in the same slice group.

use super::entropy::{Entropy, NonZero, ORIGIN, PLANE};
use super::motion::{FIELD, Mv};
use super::slice_data::SliceDecoder;

/// Bits of [`Edge::flags`]. For neighbours that are not available they are what makes ctxIdxInc right.
pub(crate) mod edge_flags {
    /// Any intra macroblock.
    pub(crate) const INTRA: u16 = 1;
    /// P_Skip, B_Skip, or not available.
    pub(crate) const SKIP: u16 = 2;
    /// Field macroblock of an MBAFF frame.
    pub(crate) const FIELD: u16 = 4;
    /// I_NxN, or not available.
    pub(crate) const I_NXN: u16 = 8;
    /// I_PCM.
    pub(crate) const I_PCM: u16 = 16;
    /// SI, or not available.
    pub(crate) const SI: u16 = 32;
    /// B_Skip, B_Direct_16x16, or not available.
    pub(crate) const DIRECT: u16 = 64;
    /// transform_size_8x8_flag.
    pub(crate) const TRANSFORM_8X8: u16 = 128;
    /// intra_chroma_pred_mode is not 0.
    pub(crate) const CHROMA_MODE: u16 = 256;
    /// Not available.
    pub(crate) const NONE: u16 = 512;
}

/// What a macroblock shows to the one below it or to its right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) flags: u16,
    /// coded_block_pattern.
    pub(crate) cbp: u8,
    /// coded_block_flag of the DC blocks.
    pub(crate) dc: u8,
    /// refIdx of the two 8x8 blocks on this edge by list, at most 2; 0 where direct or unused.
    pub(crate) refs: [[u8; 2]; 2],
    /// Total coefficients or coded_block_flag of the four 4x4 blocks on this edge, by colour plane.
    pub(crate) non_zero: [[u8; 4]; 3],
    /// Absolute vector differences of the four 4x4 blocks by list, at most 255.
    pub(crate) mvd: [[[u8; 2]; 4]; 2],
}

impl Edge {
    pub(crate) const UNAVAILABLE: Edge = Edge {
        flags: edge_flags::SKIP | edge_flags::I_NXN | edge_flags::SI | edge_flags::DIRECT | edge_flags::NONE,
        cbp: 0x0f,
        dc: 0,
        refs: [[0; 2]; 2],
        non_zero: [[0; 4]; 3],
        mvd: [[[0; 2]; 4]; 2],
    };

    /// A macroblock without residual, reference beyond the first or vector difference.
    pub(crate) const fn plain(flags: u16) -> Edge {
        Edge {
            flags,
            cbp: 0,
            dc: 0,
            refs: [[0; 2]; 2],
            non_zero: [[0; 4]; 3],
            mvd: [[[0; 2]; 4]; 2],
        }
    }
}

static UNAVAILABLE: Edge = Edge::UNAVAILABLE;

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

/// Neighbours of the current macroblock.
#[derive(Default)]
pub(crate) struct Neighbours {
    pub(crate) a: bool,
    pub(crate) b: bool,
    pub(crate) c: bool,
    pub(crate) d: bool,
    /// Positions of the macroblocks that hold B, C and D.
    pos_b: usize,
    pos_c: usize,
    pos_d: usize,
    /// The row of D that touches the current macroblock.
    row_d: usize,
    /// Which of the top edges is B's.
    edge_b: usize,
    /// In MBAFF frames: which macroblock of the left pair is A, and A's macroblock and row for each row.
    edge_a: usize,
    rows_a: [(u8, u8); 4],
}

impl Neighbours {
    #[inline(always)]
    pub(crate) fn edge_a<'e, E: Entropy, const MBAFF: bool>(
        &self,
        s: &'e SliceDecoder<'_, E, MBAFF>,
    ) -> &'e Edge {
        if self.a {
            &s.left[if MBAFF { self.edge_a } else { 0 }]
        } else {
            &UNAVAILABLE
        }
    }

    #[inline(always)]
    pub(crate) fn edge_b<'e, E: Entropy, const MBAFF: bool>(
        &self,
        s: &'e SliceDecoder<'_, E, MBAFF>,
    ) -> &'e Edge {
        if self.b {
            &s.top[if MBAFF { self.edge_b } else { s.mb_x }]
        } else {
            &UNAVAILABLE
        }
    }

    #[inline(always)]
    pub(crate) fn a_flags<E: Entropy, const MBAFF: bool>(&self, s: &SliceDecoder<'_, E, MBAFF>) -> u16 {
        self.edge_a(s).flags
    }

    #[inline(always)]
    pub(crate) fn b_flags<E: Entropy, const MBAFF: bool>(&self, s: &SliceDecoder<'_, E, MBAFF>) -> u16 {
        self.edge_b(s).flags
    }
}

/// Rows of the left pair's macroblocks beside a macroblock (Table 6-4): for each row of `rows` blocks, which
/// macroblock of the pair and which of its rows.
fn left_rows(field: bool, left_field: bool, bottom: bool, rows: usize) -> [(u8, u8); 4] {
    let mut table = [(0, 0); 4];
    for (row, entry) in table.iter_mut().enumerate().take(rows) {
        let (mb, at) = match (field, left_field) {
            (false, true) => (0, (usize::from(bottom) * rows + row) / 2),
            (true, false) => {
                if row < rows / 2 {
                    (0, 2 * row)
                } else {
                    (1, 2 * row - rows)
                }
            }
            _ => (usize::from(bottom), row),
        };
        *entry = (mb as u8, at as u8);
    }
    table
}

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    /// Address `addr` (of a pair in MBAFF frames) is in the current slice group.
    #[inline(always)]
    fn same_group(&self, addr: usize) -> bool {
        self.c.group_map.is_empty() || {
            let current = if MBAFF { self.mb_addr / 2 } else { self.mb_addr };
            self.c.group_map.get(addr) == self.c.group_map.get(current)
        }
    }

    /// Pair `pair` is in this slice.
    fn in_slice(&self, pair: usize, first: usize) -> bool {
        pair >= first && self.same_group(pair)
    }

    /// Finds the current macroblock's neighbours.
    #[inline]
    pub(crate) fn locate(&mut self) {
        if MBAFF {
            self.locate_mbaff();
            return;
        }
        let (addr, first, width, x) = (self.mb_addr, self.first, self.width, self.mb_x);
        // A slice's first address is at least 0, so `addr - n >= first` also says that there is such an address.
        let before = addr - first;
        self.n.a = x > 0 && before >= 1 && self.same_group(addr - 1);
        self.n.b = before >= width && self.same_group(addr - width);
        self.n.c = x + 1 < width && before + 1 >= width && addr >= width && self.same_group(addr + 1 - width);
        self.n.d = x > 0 && before > width && self.same_group(addr - width - 1);
    }

    /// Availability of the pairs around (6.4.10), without what depends on the field mode.
    fn pairs(&self) -> (bool, bool, bool, bool) {
        let (pair, first, width) = (self.mb_addr / 2, self.first / 2, self.width);
        let above = self.mb_y > 1;
        let a = self.mb_x > 0 && self.in_slice(pair - 1, first);
        let b = above && self.in_slice(pair - width, first);
        let c = above && self.mb_x + 1 < width && self.in_slice(pair + 1 - width, first);
        let d = above && self.mb_x > 0 && self.in_slice(pair - width - 1, first);
        (a, b, c, d)
    }

    /// 6.4.12.2, Table 6-4.
    fn locate_mbaff(&mut self) {
        let (a, b, c, d) = self.pairs();
        let width = self.width;
        let bottom = self.mb_y & 1 == 1;
        // Position of the current pair's top macroblock.
        let top = (self.mb_y & !1) * width + self.mb_x;
        let is_field = |pos: usize| self.pic.flags[pos] & FIELD != 0;
        let mut n = Neighbours {
            a,
            b,
            c,
            d,
            row_d: 3,
            ..Neighbours::default()
        };
        let left_field = a && is_field(top - 1);
        n.rows_a = left_rows(self.field, left_field, bottom, 4);
        n.edge_a = if left_field == self.field {
            usize::from(bottom)
        } else {
            0
        };
        // In the pair above, a top field macroblock touches the top macroblock of a field pair.
        let above = |pair: usize| {
            if self.field && !bottom && is_field(pair) {
                pair
            } else {
                pair + width
            }
        };
        if !self.field && bottom {
            n.b = true;
            n.pos_b = top;
            n.edge_b = 2 * self.mb_x;
            n.c = false;
            n.d = a;
            if a {
                (n.pos_d, n.row_d) = if left_field {
                    (top - 1 + width, 1)
                } else {
                    (top - 1, 3)
                };
            }
        } else {
            if b {
                n.pos_b = above(top - 2 * width);
                n.edge_b = 2 * self.mb_x + usize::from(n.pos_b != top - 2 * width);
            }
            if c {
                n.pos_c = above(top - 2 * width + 1);
            }
            if d {
                n.pos_d = above(top - 2 * width - 1);
            }
        }
        self.n = n;
    }

    /// Inferred mb_field_decoding_flag of a pair that does not code it (7.4.4).
    pub(crate) fn inferred_field(&self) -> bool {
        let (a, b, _, _) = self.pairs();
        let top = (self.mb_y & !1) * self.width + self.mb_x;
        if a {
            self.pic.flags[top - 1] & FIELD != 0
        } else if b {
            self.pic.flags[top - 2 * self.width] & FIELD != 0
        } else {
            false
        }
    }

    /// ctxIdxInc of mb_field_decoding_flag (9.3.3.1.1.5).
    pub(crate) fn field_inc(&self) -> usize {
        let (a, b, _, _) = self.pairs();
        let top = (self.mb_y & !1) * self.width + self.mb_x;
        usize::from(a && self.pic.flags[top - 1] & FIELD != 0)
            + usize::from(b && self.pic.flags[top - 2 * self.width] & FIELD != 0)
    }

    /// The left neighbours' coded_block_pattern as the current macroblock's rows see it.
    #[inline]
    pub(crate) fn cbp_a(&self) -> u32 {
        let a = self.n.edge_a(self);
        if !MBAFF || !self.n.a {
            return u32::from(a.cbp);
        }
        let bit = |row: usize| {
            let (mb, at) = self.n.rows_a[row];
            u32::from(self.left[usize::from(mb)].cbp) >> (2 * (at >> 1) + 1) & 1
        };
        u32::from(a.cbp) & !0x0a | bit(0) << 1 | bit(2) << 3
    }

    /// refIdx > 0 of the left 8x8 block in row `row8`, as ctxIdxInc sees it.
    #[inline]
    pub(crate) fn ref_a(&self, list: usize, row8: usize) -> bool {
        if !self.n.a {
            return false;
        }
        if !MBAFF {
            return self.left[0].refs[list][row8] > 0;
        }
        let (mb, at) = self.n.rows_a[2 * row8];
        let edge = &self.left[usize::from(mb)];
        edge.refs[list][usize::from(at >> 1)] > u8::from(!self.field && edge.flags & edge_flags::FIELD != 0)
    }

    /// The same of the 8x8 block above in column `column8`.
    #[inline]
    pub(crate) fn ref_b(&self, list: usize, column8: usize) -> bool {
        let edge = self.n.edge_b(self);
        edge.refs[list][column8] > u8::from(MBAFF && !self.field && edge.flags & edge_flags::FIELD != 0)
    }

    /// Fills the neighbours' places of the residual's grid; `missing` stands for blocks that are not available.
    #[inline]
    pub(crate) fn fill_non_zero(&mut self, missing: u8) {
        let planes = if self.residual.chroma_array_type == 0 {
            1
        } else {
            3
        };
        let mut a = *self.n.edge_a(self);
        let mut b = *self.n.edge_b(self);
        // coded_block_flag of 8x8 blocks (4:4:4 only) counts 8x8 blocks and I_PCM alone (9.3.3.1.1.9).
        let only_8x8 = E::CABAC && self.residual.transform_8x8 && self.residual.chroma_array_type == 3;
        let counts =
            |edge: &Edge| !only_8x8 || edge.flags & (edge_flags::TRANSFORM_8X8 | edge_flags::I_PCM) != 0;
        if !counts(&a) {
            a.non_zero = [[0; 4]; 3];
        }
        if !counts(&b) {
            b.non_zero = [[0; 4]; 3];
        }
        let nz: &mut NonZero = &mut self.residual.non_zero;
        for plane in 0..planes {
            let at = plane * PLANE + ORIGIN;
            let above = if self.n.b { b.non_zero[plane] } else { [missing; 4] };
            nz[at - 8..at - 4].copy_from_slice(&above);
            for row in 0..4 {
                nz[at + 8 * row..at + 8 * row + 4].fill(0);
            }
            if !MBAFF || !self.n.a {
                let beside = if self.n.a { a.non_zero[plane] } else { [missing; 4] };
                for (row, value) in beside.into_iter().enumerate() {
                    nz[at + 8 * row - 1] = value;
                }
            } else {
                let chroma_420 = plane > 0 && self.residual.chroma_array_type == 1;
                let bottom = self.mb_y & 1 == 1;
                let left_field = self.left[0].flags & edge_flags::FIELD != 0;
                let rows = if chroma_420 {
                    left_rows(self.field, left_field, bottom, 2)
                } else {
                    self.n.rows_a
                };
                for (row, &(mb, row_a)) in rows.iter().enumerate() {
                    let edge = &self.left[usize::from(mb)];
                    nz[at + 8 * row - 1] = if counts(edge) {
                        edge.non_zero[plane][usize::from(row_a)]
                    } else {
                        0
                    };
                }
            }
        }
        self.residual.dc_a = if self.n.a {
            a.dc
        } else if missing == 1 {
            7
        } else {
            0
        };
        self.residual.dc_b = if self.n.b {
            b.dc
        } else if missing == 1 {
            7
        } else {
            0
        };
        self.residual.dc = 0;
    }

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

    /// Remembers what the current macroblock shows to those below and to its right.
    #[inline]
    pub(crate) fn put_edges(&mut self, bottom: &Edge, right: &Edge) {
        if MBAFF {
            let k = self.mb_y & 1;
            self.top[2 * self.mb_x + k] = *bottom;
            self.left_next[k] = *right;
        } else {
            self.top[self.mb_x] = *bottom;
            self.left[0] = *right;
        }
    }

    /// Edges of a macroblock without residual, reference beyond the first or vector difference.
    #[inline(always)]
    pub(crate) fn put_plain_edges(&mut self, flags: u16) {
        let edge = Edge::plain(flags | if MBAFF && self.field { edge_flags::FIELD } else { 0 });
        self.put_edges(&edge, &edge);
    }

    /// Edges from the residual's grid; vectors and references are added by the caller.
    #[inline]
    pub(crate) fn residual_edges(&self, flags: u16, cbp: u8) -> (Edge, Edge) {
        let mut bottom = Edge::plain(flags | if MBAFF && self.field { edge_flags::FIELD } else { 0 });
        bottom.cbp = cbp;
        bottom.dc = self.residual.dc;
        let mut right = bottom;
        let nz = &self.residual.non_zero;
        let chroma = self.residual.chroma_array_type;
        for plane in 0..if chroma == 0 { 1 } else { 3 } {
            let at = plane * PLANE + ORIGIN;
            let (last_row, last_column) = match (plane, chroma) {
                (0, _) | (_, 3) => (3, 3),
                (_, 2) => (3, 1),
                _ => (1, 1),
            };
            bottom.non_zero[plane].copy_from_slice(&nz[at + 8 * last_row..at + 8 * last_row + 4]);
            for row in 0..4 {
                right.non_zero[plane][row] = nz[at + 8 * row + last_column];
            }
        }
        (bottom, right)
    }
}
