//! Macroblock layer (clause 7.3.5, 7.4.5).

use super::cavlc_residual::NOT_AVAILABLE;
use super::entropy::{Entropy, ORIGIN, PLANE};
use super::error::{Syntax, SyntaxError};
use super::motion::{INTRA, MbRefs, Mv};
use super::neighbours::edge_flags;
use super::slice_data::SliceDecoder;
use super::slice_header::SliceType;

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

/// Partitions of a macroblock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    S16x16,
    S16x8,
    S8x16,
}

/// Place of each 8x8 block in a grid.
const QUADRANT: [usize; 4] = [ORIGIN, ORIGIN + 2, ORIGIN + 16, ORIGIN + 18];

/// refIdx of 8x8 blocks as ctxIdxInc of ref_idx sees them; 0 where direct or unused.
type RefContext = [[u8; 4]; 2];

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    /// P_Skip or B_Skip.
    pub(crate) fn macroblock_skipped(&mut self) -> Syntax<()> {
        self.locate();
        self.qp_delta_nonzero = false;
        if self.b_slice {
            self.b_skip()
        } else {
            self.p_skip()
        }
        Ok(())
    }

    /// macroblock_layer().
    pub(crate) fn macroblock_layer(&mut self) -> Syntax<()> {
        self.locate();
        match self.c.sh.slice_type {
            SliceType::P | SliceType::SP => {
                let mb_type = self.e.mb_type_p();
                if mb_type < 5 {
                    self.p_macroblock(mb_type)
                } else {
                    self.intra_macroblock(mb_type - 5)
                }
            }
            SliceType::B => {
                let inc = usize::from(self.n.a_flags(self) & edge_flags::DIRECT == 0)
                    + usize::from(self.n.b_flags(self) & edge_flags::DIRECT == 0);
                let mb_type = self.e.mb_type_b(inc);
                if mb_type < 23 {
                    self.b_macroblock(mb_type)
                } else {
                    self.intra_macroblock(mb_type - 23)
                }
            }
            SliceType::I => {
                let mb_type = self.i_slice_mb_type();
                self.intra_macroblock(mb_type)
            }
            SliceType::SI => {
                let inc = usize::from(self.n.a_flags(self) & edge_flags::SI == 0)
                    + usize::from(self.n.b_flags(self) & edge_flags::SI == 0);
                if self.e.mb_type_si_prefix(inc) {
                    let mb_type = if E::CABAC {
                        self.i_slice_mb_type()
                    } else {
                        // mb_type is one codeword: 0 is SI, the others are one more than in I slices.
                        match self.e.mb_type_i(0) {
                            0 => return Err(SyntaxError::invalid("mb_type", 0)),
                            t => t - 1,
                        }
                    };
                    self.intra_macroblock(mb_type)
                } else {
                    self.si_macroblock()
                }
            }
        }
    }

    fn i_slice_mb_type(&mut self) -> u32 {
        let inc = usize::from(self.n.a_flags(self) & edge_flags::I_NXN == 0)
            + usize::from(self.n.b_flags(self) & edge_flags::I_NXN == 0);
        self.e.mb_type_i(inc)
    }

    /// An intra macroblock refers to nothing.
    fn no_motion(&mut self) {
        self.set_flags(INTRA);
        self.pic.refs[self.pos] = MbRefs::NONE;
    }

    /// mb_type of Table 7-11.
    fn intra_macroblock(&mut self, mb_type: u32) -> Syntax<()> {
        if mb_type > 25 {
            return Err(SyntaxError::invalid("mb_type", mb_type));
        }
        self.no_motion();
        if mb_type == 25 {
            self.pcm_macroblock();
            return Ok(());
        }
        let mut flags = edge_flags::INTRA;
        let mut transform_8x8 = false;
        if mb_type == 0 {
            flags |= edge_flags::I_NXN;
            if self.c.pps.transform_8x8_mode_flag {
                transform_8x8 = self.transform_size_8x8_flag();
            }
            self.e.intra_pred_modes(if transform_8x8 { 4 } else { 16 });
        }
        flags |= self.chroma_mode()?;
        let chroma = self.residual.chroma_array_type;
        let cbp = if mb_type == 0 {
            let (a, b) = (self.cbp_a(), u32::from(self.n.edge_b(self).cbp));
            self.e
                .coded_block_pattern(true, chroma == 0 || chroma == 3, a, b)?
        } else {
            // Intra_16x16: the pattern is in mb_type.
            let luma = if mb_type > 12 { 15 } else { 0 };
            let chroma_pattern = (mb_type - 1) / 4 % 3;
            luma | chroma_pattern << 4
        };
        self.finish(flags, transform_8x8, mb_type != 0, cbp)
    }

    /// mb_type SI (Table 7-12): prediction mode Intra_4x4.
    fn si_macroblock(&mut self) -> Syntax<()> {
        self.no_motion();
        self.e.intra_pred_modes(16);
        let flags = edge_flags::INTRA | edge_flags::SI | self.chroma_mode()?;
        let chroma = self.residual.chroma_array_type;
        let (a, b) = (self.cbp_a(), u32::from(self.n.edge_b(self).cbp));
        let cbp = self
            .e
            .coded_block_pattern(true, chroma == 0 || chroma == 3, a, b)?;
        self.finish(flags, false, false, cbp)
    }

    fn transform_size_8x8_flag(&mut self) -> bool {
        let inc = usize::from(self.n.a_flags(self) & edge_flags::TRANSFORM_8X8 != 0)
            + usize::from(self.n.b_flags(self) & edge_flags::TRANSFORM_8X8 != 0);
        self.e.transform_size_8x8_flag(inc)
    }

    fn chroma_mode(&mut self) -> Syntax<u16> {
        if !matches!(self.residual.chroma_array_type, 1 | 2) {
            return Ok(0);
        }
        let inc = usize::from(self.n.a_flags(self) & edge_flags::CHROMA_MODE != 0)
            + usize::from(self.n.b_flags(self) & edge_flags::CHROMA_MODE != 0);
        match self.e.intra_chroma_pred_mode(inc) {
            0 => Ok(0),
            1..=3 => Ok(edge_flags::CHROMA_MODE),
            mode => Err(SyntaxError::invalid("intra_chroma_pred_mode", mode)),
        }
    }

    fn pcm_macroblock(&mut self) {
        let sps = self.c.sps;
        let chroma_samples = [0, 64, 128, 256][self.residual.chroma_array_type as usize & 3];
        let bits = 256 * sps.bit_depth_luma + 2 * chroma_samples * sps.bit_depth_chroma;
        self.e.pcm_samples(u64::from(bits));
        self.qp_delta_nonzero = false;
        self.residual.non_zero = [if E::CABAC { 1 } else { 16 }; 3 * PLANE];
        self.residual.dc = 7;
        let (bottom, right) = self.residual_edges(edge_flags::INTRA | edge_flags::I_PCM, 0x2f);
        self.put_edges(&bottom, &right);
    }

    /// mb_qp_delta and residual() of an intra macroblock, and its edges.
    fn finish(&mut self, flags: u16, transform_8x8: bool, intra_16x16: bool, cbp: u32) -> Syntax<()> {
        let flags = flags
            | if transform_8x8 {
                edge_flags::TRANSFORM_8X8
            } else {
                0
            };
        self.coefficients(flags, intra_16x16, cbp)?;
        let (bottom, right) = self.residual_edges(flags, cbp as u8);
        self.put_edges(&bottom, &right);
        Ok(())
    }

    /// mb_qp_delta and residual(), if there are any.
    #[inline]
    fn coefficients(&mut self, flags: u16, intra_16x16: bool, cbp: u32) -> Syntax<()> {
        if cbp == 0 && !intra_16x16 {
            self.qp_delta_nonzero = false;
            for plane in 0..3 {
                for row in 0..4 {
                    let at = plane * PLANE + ORIGIN + 8 * row;
                    self.residual.non_zero[at..at + 4].fill(0);
                }
            }
            self.residual.dc = 0;
            return Ok(());
        }
        self.qp_delta_nonzero = self.e.mb_qp_delta(self.qp_delta_nonzero)?;
        let intra = flags & edge_flags::INTRA != 0;
        let missing = if E::CABAC { u8::from(intra) } else { NOT_AVAILABLE };
        self.residual.intra_16x16 = intra_16x16;
        self.residual.transform_8x8 = flags & edge_flags::TRANSFORM_8X8 != 0;
        self.fill_non_zero(missing);
        self.residual.coded_block_pattern = cbp;
        self.residual.field = self.c.sh.field_pic_flag || (MBAFF && self.field);
        self.e.residual(&mut self.residual)
    }

    fn p_macroblock(&mut self, mb_type: u32) -> Syntax<()> {
        match mb_type {
            0 => self.partitions(Shape::S16x16, [L0, L0]),
            1 => self.partitions(Shape::S16x8, [L0, L0]),
            2 => self.partitions(Shape::S8x16, [L0, L0]),
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

    fn b_macroblock(&mut self, mb_type: u32) -> Syntax<()> {
        match mb_type {
            0 => self.direct_16x16(),
            1..=3 => self.partitions(Shape::S16x16, [mb_type as PredMode; 2]),
            4..=21 => {
                let shape = if mb_type & 1 == 0 {
                    Shape::S16x8
                } else {
                    Shape::S8x16
                };
                self.partitions(shape, B_PARTITIONS[(mb_type as usize - 4) / 2])
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
        self.derive_direct();
        self.set_flags(0);
        self.store_direct();
        let transform_allowed = self.c.sps.direct_8x8_inference_flag;
        self.finish_inter(edge_flags::DIRECT, transform_allowed, None)
    }

    /// coded_block_pattern, transform_size_8x8_flag, mb_qp_delta, residual() and the edges of an Inter macroblock.
    fn finish_inter(&mut self, flags: u16, transform_allowed: bool, refs: Option<&RefContext>) -> Syntax<()> {
        let chroma = self.residual.chroma_array_type;
        let (a, b) = if E::CABAC {
            (self.cbp_a(), u32::from(self.n.edge_b(self).cbp))
        } else {
            (0, 0)
        };
        let cbp = self
            .e
            .coded_block_pattern(false, chroma == 0 || chroma == 3, a, b)?;
        let mut flags = flags;
        if cbp & 15 != 0
            && transform_allowed
            && self.c.pps.transform_8x8_mode_flag
            && self.transform_size_8x8_flag()
        {
            flags |= edge_flags::TRANSFORM_8X8;
        }
        self.coefficients(flags, false, cbp)?;
        let (mut bottom, mut right) = self.residual_edges(flags, cbp as u8);
        if E::CABAC
            && let Some(refs) = refs
        {
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

    /// Reads a vector difference for the partition at `place` and adds it to its prediction.
    #[inline]
    fn vector(&mut self, list: usize, place: usize, width: usize, height: usize, prediction: Mv) -> Mv {
        let mut sums = [0, 0];
        if E::CABAC {
            let mvd = &self.grid[list].mvd;
            let (a, b) = (mvd[place - 1], mvd[place - 8]);
            sums = [
                u32::from(a[0]) + u32::from(b[0]),
                u32::from(a[1]) + u32::from(b[1]),
            ];
        }
        let x = self.e.mvd(0, sums[0]);
        let y = self.e.mvd(1, sums[1]);
        if E::CABAC {
            let mvd = [x.unsigned_abs().min(255) as u8, y.unsigned_abs().min(255) as u8];
            for row in 0..height {
                let at = place + 8 * row;
                self.grid[list].mvd[at..at + width].fill(mvd);
            }
        }
        [
            prediction[0].wrapping_add(x as i16),
            prediction[1].wrapping_add(y as i16),
        ]
    }

    /// mb_pred() of an Inter macroblock of one or two partitions.
    fn partitions(&mut self, shape: Shape, modes: [PredMode; 2]) -> Syntax<()> {
        let lists = if self.b_slice { 2 } else { 1 };
        let mut context: RefContext = [[0; 4]; 2];
        let mut refs = MbRefs::NONE;
        // The 8x8 blocks of the second partition.
        let second: [bool; 4] = match shape {
            Shape::S16x16 => [false; 4],
            Shape::S16x8 => [false, false, true, true],
            Shape::S8x16 => [false, true, false, true],
        };
        let parts = if shape == Shape::S16x16 { 1 } else { 2 };
        let first_block = [0, second.iter().position(|&s| s).unwrap_or(0)];
        for list in 0..lists {
            for part in 0..parts {
                if modes[part] >> list & 1 == 0 {
                    continue;
                }
                let ref_idx = self.ref_idx(list, first_block[part], &context)?;
                let pic = self.ref_pic(list, ref_idx);
                for quadrant in 0..4 {
                    if second[quadrant] == (part == 1) {
                        refs.ref_idx[list][quadrant] = ref_idx;
                        refs.ref_pic[list][quadrant] = pic;
                        context[list][quadrant] = ref_idx.min(2) as u8;
                    }
                }
            }
        }
        for list in 0..lists {
            self.fill_motion(list);
            if E::CABAC {
                self.fill_mvd(list);
            }
            for part in 0..parts {
                let (place, width, height) = match (shape, part) {
                    (Shape::S16x16, _) => (ORIGIN, 4, 4),
                    (Shape::S16x8, 0) => (ORIGIN, 4, 2),
                    (Shape::S16x8, _) => (ORIGIN + 16, 4, 2),
                    (Shape::S8x16, 0) => (ORIGIN, 2, 4),
                    (Shape::S8x16, _) => (ORIGIN + 2, 2, 4),
                };
                if modes[part] >> list & 1 == 0 {
                    self.grid[list].set(place, width, height, [0; 2], -1);
                    if E::CABAC {
                        self.clear_mvd(list, place, width, height);
                    }
                    continue;
                }
                let ref_idx = refs.ref_idx[list][first_block[part]];
                let grid = &self.grid[list];
                let prediction = match shape {
                    Shape::S16x16 => grid.predict::<MBAFF>(ORIGIN, 4, ref_idx),
                    Shape::S16x8 => grid.predict_16x8::<MBAFF>(part == 1, ref_idx),
                    Shape::S8x16 => grid.predict_8x16::<MBAFF>(part == 1, ref_idx),
                };
                let mv = self.vector(list, place, width, height, prediction);
                self.grid[list].set(place, width, height, mv, ref_idx);
            }
        }
        self.set_flags(0);
        self.store_grid(lists, refs);
        self.finish_inter(0, true, Some(&context))
    }

    fn clear_mvd(&mut self, list: usize, place: usize, width: usize, height: usize) {
        for row in 0..height {
            let at = place + 8 * row;
            self.grid[list].mvd[at..at + width].fill([0; 2]);
        }
    }

    /// Writes the grids' vectors to the picture.
    fn store_grid(&mut self, lists: usize, refs: MbRefs) {
        self.pic.refs[self.pos] = refs;
        let out = &mut self.pic.mv[self.pos];
        for list in 0..lists {
            let grid = &self.grid[list].mv;
            for row in 0..4 {
                let at = ORIGIN + 8 * row;
                out[list][4 * row..4 * row + 4].copy_from_slice(&grid[at..at + 4]);
            }
        }
    }

    /// sub_mb_pred() of P_8x8, P_8x8ref0 and B_8x8.
    fn sub_macroblocks(&mut self, sub: [(PredMode, SubShape); 4], ref0: bool) -> Syntax<()> {
        let lists = if self.b_slice { 2 } else { 1 };
        let mut context: RefContext = [[0; 4]; 2];
        let mut refs = MbRefs::NONE;
        if sub.iter().any(|s| s.1 == SubShape::Direct) {
            self.derive_direct();
        }
        for list in 0..lists {
            for quadrant in 0..4 {
                let (mode, shape) = sub[quadrant];
                let ref_idx = if shape == SubShape::Direct {
                    self.direct_ref[list][quadrant]
                } else if mode >> list & 1 == 0 {
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
                self.clear_mvd(list, ORIGIN, 4, 4);
            }
            for quadrant in 0..4 {
                self.sub_macroblock(list, quadrant, sub[quadrant], refs.ref_idx[list][quadrant]);
            }
        }
        self.set_flags(0);
        self.store_grid(lists, refs);
        let whole = |shape: SubShape| match shape {
            SubShape::S8x8 => true,
            SubShape::Direct => self.c.sps.direct_8x8_inference_flag,
            _ => false,
        };
        let transform_allowed = sub.iter().all(|s| whole(s.1));
        self.finish_inter(0, transform_allowed, Some(&context))
    }

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
        let (width, height) = match shape {
            SubShape::S8x4 => (2, 1),
            SubShape::S4x8 => (1, 2),
            SubShape::S4x4 => (1, 1),
            SubShape::S8x8 | SubShape::Direct => (2, 2),
        };
        for y in (0..2).step_by(height) {
            for x in (0..2).step_by(width) {
                let at = place + 8 * y + x;
                let prediction = self.grid[list].predict::<MBAFF>(at, width, ref_idx);
                let mv = self.vector(list, at, width, height, prediction);
                self.grid[list].set(at, width, height, mv, ref_idx);
            }
        }
    }
}
