//! Derivation of motion vector predictors (clause 8.4.1.1, 8.4.1.3) on a macroblock's [`Grid`].

use super::entropy::{Entropy, ORIGIN};
use super::motion::{MbRefs, Mv, SKIP};
use super::motion_grid::{Grid, NOT_AVAILABLE};
use super::neighbours::edge_flags;
use super::slice_data::SliceDecoder;

#[inline(always)]
fn median(a: i16, b: i16, c: i16) -> i16 {
    a.max(b).min(a.min(b).max(c))
}

#[inline(always)]
fn median_mv(a: Mv, b: Mv, c: Mv) -> Mv {
    [median(a[0], b[0], c[0]), median(a[1], b[1], c[1])]
}

impl Grid {
    /// C of the partition at `place`, `width` blocks wide, or D where C is not available (8.4.1.3.2).
    #[inline(always)]
    pub(crate) fn c_or_d<const MBAFF: bool>(&self, place: usize, width: usize) -> (Mv, i8) {
        let c = place - 8 + width;
        if self.refs[c] != NOT_AVAILABLE {
            return (self.mv[c], self.refs[c]);
        }
        // In MBAFF frames the blocks beside a left neighbour are not those above it.
        if MBAFF && place % 8 == ORIGIN % 8 && place >= ORIGIN + 8 {
            return self.inner_d[place / 8 - 1];
        }
        (self.mv[place - 9], self.refs[place - 9])
    }

    /// Median prediction (8.4.1.3.1).
    #[inline(always)]
    pub(crate) fn predict<const MBAFF: bool>(&self, place: usize, width: usize, ref_idx: i8) -> Mv {
        let (mv_a, ref_a) = (self.mv[place - 1], self.refs[place - 1]);
        let (mv_b, ref_b) = (self.mv[place - 8], self.refs[place - 8]);
        let (mv_c, ref_c) = self.c_or_d::<MBAFF>(place, width);
        median_prediction((mv_a, ref_a), (mv_b, ref_b), (mv_c, ref_c), ref_idx)
    }

    /// Directional prediction of 16x8 partitions (8.4.1.3); `lower` is the second one.
    pub(crate) fn predict_16x8<const MBAFF: bool>(&self, lower: bool, ref_idx: i8) -> Mv {
        let place = if lower { ORIGIN + 16 } else { ORIGIN };
        let from = if lower { place - 1 } else { place - 8 };
        if self.refs[from] == ref_idx {
            self.mv[from]
        } else {
            self.predict::<MBAFF>(place, 4, ref_idx)
        }
    }

    /// Directional prediction of 8x16 partitions; `right` is the second one.
    pub(crate) fn predict_8x16<const MBAFF: bool>(&self, right: bool, ref_idx: i8) -> Mv {
        if right {
            let (mv_c, ref_c) = self.c_or_d::<MBAFF>(ORIGIN + 2, 2);
            if ref_c == ref_idx {
                mv_c
            } else {
                self.predict::<MBAFF>(ORIGIN + 2, 2, ref_idx)
            }
        } else if self.refs[ORIGIN - 1] == ref_idx {
            self.mv[ORIGIN - 1]
        } else {
            self.predict::<MBAFF>(ORIGIN, 2, ref_idx)
        }
    }

    /// No vector difference in a rectangle of blocks.
    #[inline(always)]
    pub(crate) fn clear_mvd(&mut self, place: usize, width: usize, height: usize) {
        for row in 0..height {
            let at = place + 8 * row;
            self.mvd[at..at + width].fill([0; 2]);
        }
    }

    /// Sets a rectangle of blocks.
    #[inline(always)]
    pub(crate) fn set(&mut self, place: usize, width: usize, height: usize, mv: Mv, ref_idx: i8) {
        for row in 0..height {
            let at = place + 8 * row;
            self.mv[at..at + width].fill(mv);
            self.refs[at..at + width].fill(ref_idx);
        }
    }
}

#[inline(always)]
pub(crate) fn median_prediction(a: (Mv, i8), b: (Mv, i8), c: (Mv, i8), ref_idx: i8) -> Mv {
    let (same_a, same_b, same_c) = (a.1 == ref_idx, b.1 == ref_idx, c.1 == ref_idx);
    match (same_a, same_b, same_c) {
        (true, false, false) => a.0,
        (false, true, false) => b.0,
        (false, false, true) => c.0,
        _ => {
            if b.1 == NOT_AVAILABLE && c.1 == NOT_AVAILABLE && a.1 != NOT_AVAILABLE {
                a.0
            } else {
                median_mv(a.0, b.0, c.0)
            }
        }
    }
}

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    /// P_Skip (8.4.1.1).
    #[inline]
    pub(crate) fn p_skip(&mut self) {
        let [a, b, c] = self.neighbours_16x16(0);
        let still = |n: (Mv, i8)| n.1 == NOT_AVAILABLE || (n.1 == 0 && n.0 == [0; 2]);
        let mv = if still(a) || still(b) {
            [0; 2]
        } else {
            median_prediction(a, b, c, 0)
        };
        self.set_flags(SKIP);
        self.pic.mv[self.pos][0] = [mv; 16];
        let mut refs = MbRefs::NONE;
        refs.ref_idx[0] = [0; 4];
        refs.ref_pic[0] = [self.ref_pic(0, 0); 4];
        self.pic.refs[self.pos] = refs;
        self.put_plain_edges(edge_flags::SKIP);
    }
}
