//! Neighbouring macroblocks and blocks (clause 6.4.8 to 6.4.12), and what is remembered of them.
//!
//! Of the macroblocks above and to the left only the edge that they show is kept for parsing; vectors are read from
//! the picture itself. A neighbour is available if it is in the same slice: its address is not before the slice's
//! first and it is in the same slice group.

use super::entropy::{Entropy, NonZero, ORIGIN, PLANE};
use super::motion::FIELD;
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

/// Neighbours of the current macroblock.
#[derive(Default)]
pub(crate) struct Neighbours {
    pub(crate) a: bool,
    pub(crate) b: bool,
    pub(crate) c: bool,
    pub(crate) d: bool,
    /// Positions of the macroblocks that hold B, C and D.
    pub(crate) pos_b: usize,
    pub(crate) pos_c: usize,
    pub(crate) pos_d: usize,
    /// The row of D that touches the current macroblock.
    pub(crate) row_d: usize,
    /// Which of the top edges is B's.
    pub(crate) edge_b: usize,
    /// In MBAFF frames: which macroblock of the left pair is A, and A's macroblock and row for each row.
    pub(crate) edge_a: usize,
    pub(crate) rows_a: [(u8, u8); 4],
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
