//! Direct prediction of B_Skip, B_Direct_16x16 and B_8x8 (clause 8.4.1.2).

use super::dpb::{BOTTOM, Dpb, FRAME, MAX_REF_FRAMES, StoredMotion, TOP};
use super::entropy::Entropy;
use super::motion::{DIRECT, FIELD, INTRA, LOST, MbRefs, Mv, PictureMotion, SHAPE, SHAPE_8X8, SKIP};
use super::mv_prediction::median_prediction;
use super::neighbours::edge_flags;
use super::ref_lists::{MISSING, RefLists, order_cnt_of};
use super::slice_data::SliceDecoder;

/// vertMvScale.
#[derive(Clone, Copy, PartialEq, Eq)]
enum VertMvScale {
    OneToOne,
    FrameToField,
    FieldToFrame,
}

/// RefPicList1\[ 0 \] as direct prediction uses it, prepared once a slice (8.4.1.2.1).
#[derive(Clone, Copy)]
pub(crate) struct Colocated<'a> {
    /// colPic if it was coded as a frame.
    frame: Option<&'a PictureMotion>,
    /// colPic if it was coded as fields: top, bottom.
    fields: [Option<&'a PictureMotion>; 2],
    /// RefPicList1\[ 0 \] is a short-term reference: colZeroFlag can be 1.
    short_term: bool,
    /// For frame macroblocks and colPic in fields: which of them (0 top, 1 bottom).
    nearer_field: usize,
    /// refIdxL0 of each frame of the DPB, by place; -1 where list 0 does not have it. For fields of a field picture,
    /// by place and parity.
    frame_index: [i8; MAX_REF_FRAMES],
    field_index: [[i8; 2]; MAX_REF_FRAMES],
}

impl<'a> Colocated<'a> {
    /// No direct prediction.
    pub(crate) const NONE: Colocated<'static> = Colocated {
        frame: None,
        fields: [None; 2],
        short_term: false,
        nearer_field: 0,
        frame_index: [-1; MAX_REF_FRAMES],
        field_index: [[-1; 2]; MAX_REF_FRAMES],
    };

    /// For a B slice with these lists. `poc` is PicOrderCnt( CurrPic ).
    pub(crate) fn new(dpb: &'a Dpb, lists: &RefLists, structure: u8, poc: i32) -> Colocated<'a> {
        let mut c = Colocated::NONE;
        let first = lists.entries[1][0];
        if lists.len[1] == 0 || first.code == MISSING {
            return c;
        }
        let Some(frame) = dpb.frames.get(usize::from(first.code >> 2)) else {
            return c;
        };
        c.short_term = !first.long_term;
        match &frame.motion {
            StoredMotion::None => {}
            StoredMotion::Frame(motion) => c.frame = Some(motion),
            StoredMotion::Fields(fields) => c.fields = [fields[0].as_deref(), fields[1].as_deref()],
        }
        let distance = |parity: usize| (i64::from(frame.poc[parity]) - i64::from(poc)).unsigned_abs();
        c.nearer_field = if structure == FRAME {
            usize::from(distance(0) >= distance(1))
        } else {
            usize::from(first.code & FRAME == BOTTOM)
        };
        for (index, entry) in lists.entries[0][..lists.len[0]].iter().enumerate().rev() {
            let place = usize::from(entry.code >> 2);
            if entry.code == MISSING || place >= MAX_REF_FRAMES {
                continue;
            }
            match entry.code & FRAME {
                FRAME => c.frame_index[place] = index as i8,
                parity => c.field_index[place][usize::from(parity == BOTTOM)] = index as i8,
            }
        }
        c
    }
}

/// mvCol, refIdxCol and what they refer to.
struct ColBlock {
    mv: Mv,
    /// Negative for intra blocks.
    ref_idx: i8,
    /// [`Slot::id`](super::motion::Slot) of the frame referred to, and the field mask.
    frame_id: Option<u32>,
    structure: u8,
    scale: VertMvScale,
}

impl ColBlock {
    /// What colZeroFlag asks of the colocated block: it refers to index 0 and moves by a quarter sample at most.
    #[inline(always)]
    fn is_still(&self) -> bool {
        self.ref_idx == 0 && self.mv.iter().all(|&v| (-1..=1).contains(&v))
    }
}

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    /// B_Skip.
    pub(crate) fn b_skip(&mut self) {
        self.derive_direct([true; 4]);
        self.set_flags(SKIP | DIRECT | self.direct_shape());
        self.store_direct();
        self.put_plain_edges(edge_flags::SKIP | edge_flags::DIRECT);
    }

    /// How a direct macroblock is partitioned: as the colocated one, but where spatial prediction gives all blocks the same
    /// as one 16x16.
    #[inline]
    pub(crate) fn direct_shape(&self) -> u8 {
        if self.direct_is_zero {
            return 0;
        }
        let col = self.c.colocated.frame.and_then(|frame| frame.flags.get(self.pos));
        match col {
            Some(flags) if !MBAFF && self.c.structure == FRAME => {
                let shape = flags & SHAPE;
                if shape != 0
                    && self.c.sh.direct_spatial_mv_pred_flag
                    && self.still_blocks().is_multiple_of(16)
                {
                    0
                } else {
                    shape
                }
            }
            _ => SHAPE_8X8,
        }
    }

    /// How many 4x4 blocks have colZeroFlag 1, whichever the references.
    #[inline(never)]
    fn still_blocks(&self) -> u32 {
        if !self.c.colocated.short_term {
            return 0;
        }
        let inference = self.c.sps.direct_8x8_inference_flag;
        let (subs, weight) = if inference { (1, 4) } else { (4, 1) };
        let blocks = (0..4).flat_map(|quadrant| (0..subs).map(move |sub| (quadrant, sub)));
        let still = blocks.filter(|&(quadrant, sub)| {
            let (column, row) = self.corner(quadrant, sub);
            self.colocated_block(column, row)
                .is_some_and(|col| col.is_still())
        });
        still.count() as u32 * weight
    }

    /// Writes the result for a whole macroblock to the picture.
    pub(crate) fn store_direct(&mut self) {
        self.pic.mv[self.pos] = self.direct_mv;
        let mut refs = MbRefs {
            ref_idx: self.direct_ref,
            ..MbRefs::NONE
        };
        for list in 0..2 {
            let indices = self.direct_ref[list];
            refs.ref_pic[list] = if indices == [indices[0]; 4] {
                [self.ref_pic(list, indices[0]); 4]
            } else {
                indices.map(|index| self.ref_pic(list, index))
            };
        }
        self.pic.refs[self.pos] = refs;
    }

    /// Derives vectors and references of the 8x8 blocks that are `wanted`.
    pub(crate) fn derive_direct(&mut self, wanted: [bool; 4]) {
        if self.c.sh.direct_spatial_mv_pred_flag {
            self.spatial_direct(wanted)
        } else {
            self.temporal_direct(wanted)
        }
    }

    /// The macroblock (position) and row of 4x4 blocks of colPic beside block row `row` (Table 8-6).
    fn colocated_block(&self, column: usize, row: usize) -> Option<ColBlock> {
        let c = &self.c.colocated;
        let (width, x, y) = (self.width, self.mb_x, self.mb_y);
        let field_picture = self.c.structure != FRAME;
        let (pic, pos, row, scale) = if field_picture {
            if let Some(frame) = c.frame {
                let pair = 2 * y * width + x;
                if frame.flags.get(pair)? & FIELD != 0 {
                    // A field macroblock pair of an MBAFF frame.
                    let bottom = usize::from(self.c.structure == BOTTOM);
                    (frame, pair + bottom * width, row, VertMvScale::OneToOne)
                } else {
                    (
                        frame,
                        pair + (row >> 1) * width,
                        (2 * row) & 3,
                        VertMvScale::FrameToField,
                    )
                }
            } else {
                (c.fields[c.nearer_field]?, self.pos, row, VertMvScale::OneToOne)
            }
        } else if let Some(frame) = c.frame {
            let col_field = MBAFF && frame.flags.get(self.pos)? & FIELD != 0;
            if col_field == self.field || !MBAFF {
                (frame, self.pos, row, VertMvScale::OneToOne)
            } else if col_field {
                let pos = ((y & !1) + c.nearer_field) * width + x;
                (frame, pos, 2 * (y & 1) + (row >> 1), VertMvScale::FieldToFrame)
            } else {
                let pos = ((y & !1) + (row >> 1)) * width + x;
                (frame, pos, (2 * row) & 3, VertMvScale::FrameToField)
            }
        } else {
            let pos = (y >> 1) * width + x;
            if MBAFF && self.field {
                (c.fields[y & 1]?, pos, row, VertMvScale::OneToOne)
            } else {
                (
                    c.fields[c.nearer_field]?,
                    pos,
                    2 * (y & 1) + (row >> 1),
                    VertMvScale::FieldToFrame,
                )
            }
        };
        let flags = *pic.flags.get(pos)?;
        let mut col = ColBlock {
            mv: [0; 2],
            ref_idx: -1,
            frame_id: None,
            structure: FRAME,
            scale,
        };
        if flags & (INTRA | LOST) != 0 {
            return Some(col);
        }
        let block = row * 4 + column;
        let quadrant = super::motion::quadrant(block);
        let refs = &pic.refs[pos];
        let list = usize::from(refs.ref_idx[0][quadrant] < 0);
        col.ref_idx = refs.ref_idx[list][quadrant];
        if col.ref_idx >= 0 {
            col.mv = pic.mv[pos][list][block];
            let code = refs.ref_pic[list][quadrant];
            if code != MISSING {
                col.frame_id = pic.slots.get(usize::from(code >> 2)).map(|slot| slot.id);
                col.structure = code & FRAME;
            }
        }
        Some(col)
    }

    /// The blocks of a quadrant that are derived each on its own: all four, or with direct_8x8_inference_flag one
    /// whose colocated block is in the corner. Gives (column, row) of the colocated block.
    #[inline(always)]
    fn corner(&self, quadrant: usize, sub: usize) -> (usize, usize) {
        let (x8, y8) = (quadrant & 1, quadrant >> 1);
        if self.c.sps.direct_8x8_inference_flag {
            (x8 * 3, y8 * 3)
        } else {
            (x8 * 2 + (sub & 1), y8 * 2 + (sub >> 1))
        }
    }

    /// Clause 8.4.1.2.2.
    fn spatial_direct(&mut self, wanted: [bool; 4]) {
        let mut refs = [-1i8; 2];
        let mut mvs = [[0i16; 2]; 2];
        for list in 0..2 {
            let [a, b, c] = self.neighbours_16x16(list);
            // MinPositive: negative values count as larger than all others.
            let least = (a.1 as u8).min(b.1 as u8).min(c.1 as u8) as i8;
            refs[list] = least.max(-1);
            if least >= 0 {
                mvs[list] = median_prediction(a, b, c, least);
            }
        }
        self.direct_is_zero = mvs == [[0; 2]; 2];
        if refs == [-1, -1] {
            self.direct_ref = [[0; 4]; 2];
            self.direct_mv = [[[0; 2]; 16]; 2];
            return;
        }
        self.direct_ref = [[refs[0]; 4], [refs[1]; 4]];
        self.direct_mv = [[mvs[0]; 16], [mvs[1]; 16]];
        // colZeroFlag changes something only where the index is 0 and the vector is not.
        let zeroed = [refs[0] == 0 && mvs[0] != [0; 2], refs[1] == 0 && mvs[1] != [0; 2]];
        if !self.c.colocated.short_term || !(zeroed[0] || zeroed[1]) {
            return;
        }
        let inference = self.c.sps.direct_8x8_inference_flag;
        for quadrant in 0..4 {
            if !wanted[quadrant] {
                continue;
            }
            for sub in 0..if inference { 1 } else { 4 } {
                let (column, row) = self.corner(quadrant, sub);
                let Some(col) = self.colocated_block(column, row) else {
                    continue;
                };
                if !col.is_still() {
                    continue;
                }
                let first = (quadrant >> 1) * 8 + (quadrant & 1) * 2;
                for list in 0..2 {
                    if !zeroed[list] {
                        continue;
                    }
                    if inference {
                        for block in [first, first + 1, first + 4, first + 5] {
                            self.direct_mv[list][block] = [0; 2];
                        }
                    } else {
                        self.direct_mv[list][first + (sub >> 1) * 4 + (sub & 1)] = [0; 2];
                    }
                }
            }
        }
    }

    /// Clause 8.4.1.2.3.
    fn temporal_direct(&mut self, wanted: [bool; 4]) {
        self.direct_is_zero = false;
        let inference = self.c.sps.direct_8x8_inference_flag;
        for quadrant in 0..4 {
            if !wanted[quadrant] {
                continue;
            }
            for sub in 0..if inference { 1 } else { 4 } {
                let (column, row) = self.corner(quadrant, sub);
                let (ref_idx, mv0, mv1) = match self.colocated_block(column, row) {
                    Some(col) => self.temporal_block(&col),
                    None => (0, [0; 2], [0; 2]),
                };
                self.direct_ref[0][quadrant] = ref_idx;
                self.direct_ref[1][quadrant] = 0;
                let first = (quadrant >> 1) * 8 + (quadrant & 1) * 2;
                if inference {
                    for block in [first, first + 1, first + 4, first + 5] {
                        self.direct_mv[0][block] = mv0;
                        self.direct_mv[1][block] = mv1;
                    }
                } else {
                    let block = first + (sub >> 1) * 4 + (sub & 1);
                    self.direct_mv[0][block] = mv0;
                    self.direct_mv[1][block] = mv1;
                }
            }
        }
    }

    /// refIdxL0, mvL0 and mvL1 for a colocated block.
    fn temporal_block(&self, col: &ColBlock) -> (i8, Mv, Mv) {
        let ref_idx = if col.ref_idx < 0 {
            0
        } else {
            self.map_to_list0(col)
        };
        let mut mv_col = col.mv;
        match col.scale {
            VertMvScale::OneToOne => {}
            VertMvScale::FrameToField => mv_col[1] /= 2,
            VertMvScale::FieldToFrame => mv_col[1] = mv_col[1].wrapping_mul(2),
        }
        let in_field = MBAFF && self.field;
        let entry = self.c.lists.entries[0][if in_field {
            (ref_idx >> 1) as usize
        } else {
            ref_idx as usize
        } & 31];
        let current = if in_field {
            self.c.poc[self.mb_y & 1]
        } else {
            order_cnt_of(self.c.structure, self.c.poc)
        };
        let poc0 = self.pic.poc_of(self.ref_pic(0, ref_idx));
        let poc1 = self.pic.poc_of(self.ref_pic(1, 0));
        let (Some(poc0), Some(poc1)) = (poc0, poc1) else {
            return (ref_idx, mv_col, [0; 2]);
        };
        let difference = |a: i32, b: i32| a.wrapping_sub(b).clamp(-128, 127);
        let td = difference(poc1, poc0);
        if entry.long_term || td == 0 {
            return (ref_idx, mv_col, [0; 2]);
        }
        let tb = difference(current, poc0);
        let tx = (16384 + (td / 2).abs()) / td;
        let dist_scale_factor = ((tb * tx + 32) >> 6).clamp(-1024, 1023);
        let scale = |v: i16| ((dist_scale_factor * i32::from(v) + 128) >> 8) as i16;
        let mv0 = [scale(mv_col[0]), scale(mv_col[1])];
        let mv1 = [mv0[0].wrapping_sub(mv_col[0]), mv0[1].wrapping_sub(mv_col[1])];
        (ref_idx, mv0, mv1)
    }

    /// MapColToList0(): the lowest index that refers to what the colocated block refers to; 0 where list 0 does not
    /// have it.
    fn map_to_list0(&self, col: &ColBlock) -> i8 {
        let slots = &self.pic.slots;
        let Some(place) = col
            .frame_id
            .and_then(|id| slots.iter().position(|slot| slot.id == id))
        else {
            return 0;
        };
        let c = &self.c.colocated;
        let index = if self.c.structure != FRAME {
            let parity = match col.scale {
                VertMvScale::OneToOne => col.structure,
                _ => self.c.structure,
            };
            c.field_index[place][usize::from(parity == BOTTOM)]
        } else if MBAFF && self.field {
            let own = if self.mb_y & 1 == 0 { TOP } else { BOTTOM };
            let parity = match col.scale {
                VertMvScale::OneToOne => col.structure,
                _ => own,
            };
            match c.frame_index[place] {
                -1 => -1,
                frame => frame * 2 + i8::from(parity != own),
            }
        } else {
            c.frame_index[place]
        };
        index.max(0)
    }
}
