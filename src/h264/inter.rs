//! Inter macroblocks: mb_pred() and sub_mb_pred() (clause 7.3.5.1, 7.3.5.2) and the vectors of their partitions.

use super::entropy::{Entropy, ORIGIN};
use super::error::{Syntax, SyntaxError};
use super::motion::{DIRECT, MbRefs, Mv, SHAPE_8X8, SHAPE_8X16, SHAPE_16X8};
use super::mv_prediction::median_prediction;
use super::neighbours::{Edge, edge_flags};
use super::slice_data::SliceDecoder;

/// Prediction from list 0, list 1 or both, as a bit mask.
type PredMode = u8;
const L0: PredMode = 1;
const L1: PredMode = 2;
const BI: PredMode = 3;

/// B macroblock types 4 to 21 (Table 7-14): prediction of the two partitions; even types are 16x8, odd ones 8x16.
const B_PARTITIONS: [[PredMode; 2]; 9] = [
    [L0, L0],
    [L1, L1],
    [L0, L1],
    [L1, L0],
    [L0, BI],
    [L1, BI],
    [BI, L0],
    [BI, L1],
    [BI, BI],
];

/// Sub-macroblock types of B macroblocks (Table 7-18): prediction and shape.
const B_SUB: [(PredMode, SubShape); 13] = [
    (0, SubShape::Direct),
    (L0, SubShape::S8x8),
    (L1, SubShape::S8x8),
    (BI, SubShape::S8x8),
    (L0, SubShape::S8x4),
    (L0, SubShape::S4x8),
    (L1, SubShape::S8x4),
    (L1, SubShape::S4x8),
    (BI, SubShape::S8x4),
    (BI, SubShape::S4x8),
    (L0, SubShape::S4x4),
    (L1, SubShape::S4x4),
    (BI, SubShape::S4x4),
];

/// Sub-macroblock types of P macroblocks (Table 7-17).
const P_SUB: [SubShape; 4] = [SubShape::S8x8, SubShape::S8x4, SubShape::S4x8, SubShape::S4x4];

#[derive(Clone, Copy, PartialEq, Eq)]
enum SubShape {
    Direct,
    S8x8,
    S8x4,
    S4x8,
    S4x4,
}

/// Place of each 8x8 block in a grid.
const QUADRANT: [usize; 4] = [ORIGIN, ORIGIN + 2, ORIGIN + 16, ORIGIN + 18];

/// refIdx of 8x8 blocks as ctxIdxInc of ref_idx sees them; 0 where direct or unused.
type RefContext = [[u8; 4]; 2];

/// What the edges of an Inter macroblock show besides its residual.
enum Shown<'r> {
    /// Nothing: direct.
    Nothing,
    /// One reference and one vector difference for each list.
    Whole { refs: [u8; 2], mvd: [[u8; 2]; 2] },
    /// The grids' vector differences.
    Grid(&'r RefContext),
}

/// absMvdComp as it is kept for ctxIdxInc.
fn clipped(mvd: [i32; 2]) -> [u8; 2] {
    mvd.map(|v| v.unsigned_abs().min(255) as u8)
}

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    pub(crate) fn p_macroblock(&mut self, mb_type: u32) -> Syntax<()> {
        match mb_type {
            0 => self.whole(L0),
            1 => self.halves::<true>([L0, L0]),
            2 => self.halves::<false>([L0, L0]),
            _ => {
                let mut sub = [(L0, SubShape::S8x8); 4];
                for entry in &mut sub {
                    let sub_mb_type = self.e.sub_mb_type_p();
                    match P_SUB.get(sub_mb_type as usize) {
                        Some(&shape) => entry.1 = shape,
                        None => return Err(SyntaxError::invalid("sub_mb_type", sub_mb_type)),
                    }
                }
                self.sub_macroblocks(sub, mb_type == 4)
            }
        }
    }

    pub(crate) fn b_macroblock(&mut self, mb_type: u32) -> Syntax<()> {
        match mb_type {
            0 => self.direct_16x16(),
            1..=3 => self.whole(mb_type as PredMode),
            4..=21 => {
                let modes = B_PARTITIONS[(mb_type as usize - 4) / 2];
                if mb_type & 1 == 0 {
                    self.halves::<true>(modes)
                } else {
                    self.halves::<false>(modes)
                }
            }
            _ => {
                let mut sub = [(0, SubShape::Direct); 4];
                for entry in &mut sub {
                    let sub_mb_type = self.e.sub_mb_type_b();
                    match B_SUB.get(sub_mb_type as usize) {
                        Some(&found) => *entry = found,
                        None => return Err(SyntaxError::invalid("sub_mb_type", sub_mb_type)),
                    }
                }
                self.sub_macroblocks(sub, false)
            }
        }
    }

    /// B_Direct_16x16.
    fn direct_16x16(&mut self) -> Syntax<()> {
        self.derive_direct([true; 4]);
        self.set_flags(DIRECT | self.direct_shape());
        self.store_direct();
        let transform_allowed = self.c.sps.direct_8x8_inference_flag;
        self.finish_inter(edge_flags::DIRECT, transform_allowed, Shown::Nothing)
    }

    /// coded_block_pattern, transform_size_8x8_flag, mb_qp_delta, residual() and the edges of an Inter macroblock.
    #[inline]
    fn finish_inter(&mut self, flags: u16, transform_allowed: bool, shown: Shown<'_>) -> Syntax<()> {
        let luma_only = matches!(self.residual.chroma_array_type, 0 | 3);
        let (a, b) = if E::CABAC {
            (self.cbp_a(), u32::from(self.n.edge_b(self).cbp))
        } else {
            (0, 0)
        };
        let cbp = self.e.coded_block_pattern(false, luma_only, a, b)?;
        let (mut bottom, mut right);
        if cbp == 0 {
            self.qp_delta_nonzero = false;
            bottom = Edge::plain(flags | if MBAFF && self.field { edge_flags::FIELD } else { 0 });
            right = bottom;
        } else {
            let mut flags = flags;
            if cbp & 15 != 0
                && transform_allowed
                && self.c.pps.transform_8x8_mode_flag
                && self.transform_size_8x8_flag()
            {
                flags |= edge_flags::TRANSFORM_8X8;
            }
            self.coefficients(flags, false, cbp)?;
            (bottom, right) = self.residual_edges(flags, cbp as u8);
        }
        if E::CABAC {
            match shown {
                Shown::Nothing => {}
                Shown::Whole { refs, mvd } => {
                    for edge in [&mut bottom, &mut right] {
                        edge.refs = refs.map(|r| [r; 2]);
                        edge.mvd = mvd.map(|m| [m; 4]);
                    }
                }
                Shown::Grid(refs) => {
                    for list in 0..if self.b_slice { 2 } else { 1 } {
                        bottom.refs[list] = [refs[list][2], refs[list][3]];
                        right.refs[list] = [refs[list][1], refs[list][3]];
                        let mvd = &self.grid[list].mvd;
                        bottom.mvd[list].copy_from_slice(&mvd[ORIGIN + 24..ORIGIN + 28]);
                        for row in 0..4 {
                            right.mvd[list][row] = mvd[ORIGIN + 8 * row + 3];
                        }
                    }
                }
            }
        }
        self.put_edges(&bottom, &right);
        Ok(())
    }

    /// Reads ref_idx_l0 or ref_idx_l1 of the 8x8 block `quadrant`.
    #[inline]
    fn ref_idx(&mut self, list: usize, quadrant: usize, refs: &RefContext) -> Syntax<i8> {
        let active = self.c.sh.num_ref_idx_active[list] << u32::from(MBAFF && self.field);
        if active <= 1 {
            return Ok(0);
        }
        let mut inc = 0;
        if E::CABAC {
            // Within the macroblock both are of the same mode: any index above 0 counts.
            let a = if quadrant & 1 == 1 {
                refs[list][quadrant - 1] > 0
            } else {
                self.ref_a(list, quadrant >> 1)
            };
            let b = if quadrant & 2 == 2 {
                refs[list][quadrant - 2] > 0
            } else {
                self.ref_b(list, quadrant & 1)
            };
            inc = usize::from(a) + 2 * usize::from(b);
        }
        let ref_idx = self.e.ref_idx(active - 1, inc);
        if ref_idx >= active {
            return Err(SyntaxError::invalid(
                if list == 0 { "ref_idx_l0" } else { "ref_idx_l1" },
                ref_idx,
            ));
        }
        Ok(ref_idx as i8)
    }

    /// Reads a vector difference; `a` and `b` are those of the neighbours.
    #[inline]
    fn mvd(&mut self, a: [u8; 2], b: [u8; 2]) -> [i32; 2] {
        let sum = |component: usize| u32::from(a[component]) + u32::from(b[component]);
        [self.e.mvd(0, sum(0)), self.e.mvd(1, sum(1))]
    }

    /// Reads a vector difference for the partition at `place` and adds it to its prediction.
    #[inline]
    fn vector(&mut self, list: usize, place: usize, width: usize, height: usize, prediction: Mv) -> Mv {
        let grid = &self.grid[list].mvd;
        let mvd = self.mvd(grid[place - 1], grid[place - 8]);
        if E::CABAC {
            let kept = clipped(mvd);
            for row in 0..height {
                let at = place + 8 * row;
                self.grid[list].mvd[at..at + width].fill(kept);
            }
        }
        [
            prediction[0].wrapping_add(mvd[0] as i16),
            prediction[1].wrapping_add(mvd[1] as i16),
        ]
    }

    /// A macroblock of one partition.
    fn whole(&mut self, mode: PredMode) -> Syntax<()> {
        let lists = if self.b_slice { 2 } else { 1 };
        let mut refs = MbRefs::NONE;
        let mut ref_idx = [-1i8; 2];
        for list in 0..lists {
            if mode >> list & 1 != 0 {
                ref_idx[list] = self.ref_idx(list, 0, &[[0; 4]; 2])?;
                refs.ref_idx[list] = [ref_idx[list]; 4];
                refs.ref_pic[list] = [self.ref_pic(list, ref_idx[list]); 4];
            }
        }
        let mut shown = [[0; 2]; 2];
        for list in 0..lists {
            let mut mv = [0; 2];
            if mode >> list & 1 != 0 {
                let [a, b, c] = self.neighbours_16x16(list);
                let prediction = median_prediction(a, b, c, ref_idx[list]);
                let (mvd_a, mvd_b) = if E::CABAC {
                    self.mvd_neighbours(list)
                } else {
                    ([0; 2], [0; 2])
                };
                let mvd = self.mvd(mvd_a, mvd_b);
                shown[list] = clipped(mvd);
                mv = [
                    prediction[0].wrapping_add(mvd[0] as i16),
                    prediction[1].wrapping_add(mvd[1] as i16),
                ];
            }
            self.pic.mv[self.pos][list] = [mv; 16];
        }
        self.set_flags(0);
        self.pic.refs[self.pos] = refs;
        let refs = ref_idx.map(|r| r.clamp(0, 2) as u8);
        self.finish_inter(0, true, Shown::Whole { refs, mvd: shown })
    }

    /// A macroblock of two partitions: 16x8 if `HORIZONTAL`, else 8x16.
    fn halves<const HORIZONTAL: bool>(&mut self, modes: [PredMode; 2]) -> Syntax<()> {
        let lists = if self.b_slice { 2 } else { 1 };
        // The 8x8 blocks of each partition.
        let blocks = if HORIZONTAL {
            [[0, 1], [2, 3]]
        } else {
            [[0, 2], [1, 3]]
        };
        let mut context: RefContext = [[0; 4]; 2];
        let mut refs = MbRefs::NONE;
        for list in 0..lists {
            for part in 0..2 {
                if modes[part] >> list & 1 == 0 {
                    continue;
                }
                let ref_idx = self.ref_idx(list, blocks[part][0], &context)?;
                let pic = self.ref_pic(list, ref_idx);
                for quadrant in blocks[part] {
                    refs.ref_idx[list][quadrant] = ref_idx;
                    refs.ref_pic[list][quadrant] = pic;
                    context[list][quadrant] = ref_idx.min(2) as u8;
                }
            }
        }
        let (width, height) = if HORIZONTAL { (4, 2) } else { (2, 4) };
        for list in 0..lists {
            if (modes[0] | modes[1]) >> list & 1 == 0 {
                self.unused_list(list);
                continue;
            }
            self.fill_motion(list);
            if E::CABAC {
                self.fill_mvd(list);
            }
            for part in 0..2 {
                let place = QUADRANT[blocks[part][0]];
                if modes[part] >> list & 1 == 0 {
                    self.grid[list].set(place, width, height, [0; 2], -1);
                    if E::CABAC {
                        self.grid[list].clear_mvd(place, width, height);
                    }
                    continue;
                }
                let ref_idx = refs.ref_idx[list][blocks[part][0]];
                let grid = &self.grid[list];
                let prediction = if HORIZONTAL {
                    grid.predict_16x8::<MBAFF>(part == 1, ref_idx)
                } else {
                    grid.predict_8x16::<MBAFF>(part == 1, ref_idx)
                };
                let mv = self.vector(list, place, width, height, prediction);
                self.grid[list].set(place, width, height, mv, ref_idx);
            }
            self.store_grid(list);
        }
        self.set_flags(if HORIZONTAL { SHAPE_16X8 } else { SHAPE_8X16 });
        self.pic.refs[self.pos] = refs;
        self.finish_inter(0, true, Shown::Grid(&context))
    }

    /// No partition uses this list.
    fn unused_list(&mut self, list: usize) {
        self.pic.mv[self.pos][list] = [[0; 2]; 16];
        if E::CABAC {
            self.grid[list].clear_mvd(ORIGIN, 4, 4);
        }
    }

    /// Writes a grid's vectors to the picture.
    #[inline]
    fn store_grid(&mut self, list: usize) {
        let out = &mut self.pic.mv[self.pos][list];
        let grid = &self.grid[list].mv;
        for row in 0..4 {
            let at = ORIGIN + 8 * row;
            out[4 * row..4 * row + 4].copy_from_slice(&grid[at..at + 4]);
        }
    }

    /// sub_mb_pred() of P_8x8, P_8x8ref0 and B_8x8.
    fn sub_macroblocks(&mut self, sub: [(PredMode, SubShape); 4], ref0: bool) -> Syntax<()> {
        let lists = if self.b_slice { 2 } else { 1 };
        let mut context: RefContext = [[0; 4]; 2];
        let mut refs = MbRefs::NONE;
        let direct = sub.map(|s| s.1 == SubShape::Direct);
        if direct != [false; 4] {
            self.derive_direct(direct);
        }
        for list in 0..lists {
            for quadrant in 0..4 {
                let ref_idx = if direct[quadrant] {
                    self.direct_ref[list][quadrant]
                } else if sub[quadrant].0 >> list & 1 == 0 {
                    continue;
                } else {
                    let ref_idx = if ref0 {
                        0
                    } else {
                        self.ref_idx(list, quadrant, &context)?
                    };
                    context[list][quadrant] = ref_idx.min(2) as u8;
                    ref_idx
                };
                refs.ref_idx[list][quadrant] = ref_idx;
                refs.ref_pic[list][quadrant] = self.ref_pic(list, ref_idx);
            }
        }
        for list in 0..lists {
            self.fill_motion(list);
            if E::CABAC {
                self.fill_mvd(list);
                self.grid[list].clear_mvd(ORIGIN, 4, 4);
            }
            for quadrant in 0..4 {
                self.sub_macroblock(list, quadrant, sub[quadrant], refs.ref_idx[list][quadrant]);
            }
            self.store_grid(list);
        }
        self.set_flags(SHAPE_8X8);
        self.pic.refs[self.pos] = refs;
        let whole = |shape: SubShape| match shape {
            SubShape::S8x8 => true,
            SubShape::Direct => self.c.sps.direct_8x8_inference_flag,
            _ => false,
        };
        let transform_allowed = sub.iter().all(|s| whole(s.1));
        self.finish_inter(0, transform_allowed, Shown::Grid(&context))
    }

    #[inline]
    fn sub_macroblock(
        &mut self,
        list: usize,
        quadrant: usize,
        (mode, shape): (PredMode, SubShape),
        ref_idx: i8,
    ) {
        let place = QUADRANT[quadrant];
        if shape == SubShape::Direct {
            let first = (quadrant >> 1) * 8 + (quadrant & 1) * 2;
            for (offset, block) in [(0, 0), (1, 1), (8, 4), (9, 5)] {
                let mv = self.direct_mv[list][first + block];
                self.grid[list].set(place + offset, 1, 1, mv, ref_idx);
            }
            return;
        }
        if mode >> list & 1 == 0 {
            self.grid[list].set(place, 2, 2, [0; 2], -1);
            return;
        }
        match shape {
            SubShape::S8x4 => self.sub_partitions::<2, 1>(list, place, ref_idx),
            SubShape::S4x8 => self.sub_partitions::<1, 2>(list, place, ref_idx),
            SubShape::S4x4 => self.sub_partitions::<1, 1>(list, place, ref_idx),
            SubShape::S8x8 | SubShape::Direct => self.sub_partitions::<2, 2>(list, place, ref_idx),
        }
    }

    #[inline]
    fn sub_partitions<const WIDTH: usize, const HEIGHT: usize>(
        &mut self,
        list: usize,
        place: usize,
        ref_idx: i8,
    ) {
        for y in (0..2).step_by(HEIGHT) {
            for x in (0..2).step_by(WIDTH) {
                let at = place + 8 * y + x;
                let prediction = self.grid[list].predict::<MBAFF>(at, WIDTH, ref_idx);
                let mv = self.vector(list, at, WIDTH, HEIGHT, prediction);
                self.grid[list].set(at, WIDTH, HEIGHT, mv, ref_idx);
            }
        }
    }
}
