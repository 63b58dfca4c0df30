//! Macroblock layer (clause 7.3.5, 7.4.5): intra macroblocks and what all macroblocks share.

use super::cavlc_residual::NOT_AVAILABLE;
use super::entropy::{Entropy, PLANE};
use super::error::{Syntax, SyntaxError};
use super::motion::{INTRA, MbRefs};
use super::neighbours::edge_flags;
use super::slice_data::SliceDecoder;
use super::slice_header::SliceType;

impl<E: Entropy, const MBAFF: bool> SliceDecoder<'_, E, MBAFF> {
    /// P_Skip or B_Skip.
    #[inline]
    pub(crate) fn macroblock_skipped(&mut self) {
        self.qp_delta_nonzero = false;
        if self.b_slice {
            self.b_skip()
        } else {
            self.p_skip()
        }
    }

    /// macroblock_layer().
    pub(crate) fn macroblock_layer(&mut self) -> Syntax<()> {
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
        // Neighbours rely on zero vectors where a list of the slice is not used.
        let lists = if self.b_slice { 2 } else { 1 };
        self.pic.mv[self.pos][..lists].fill([[0; 2]; 16]);
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

    pub(crate) fn transform_size_8x8_flag(&mut self) -> bool {
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
        if cbp == 0 && !intra_16x16 {
            self.qp_delta_nonzero = false;
            self.put_plain_edges(flags);
            return Ok(());
        }
        self.coefficients(flags, intra_16x16, cbp)?;
        let (bottom, right) = self.residual_edges(flags, cbp as u8);
        self.put_edges(&bottom, &right);
        Ok(())
    }

    /// mb_qp_delta and residual().
    #[inline]
    pub(crate) fn coefficients(&mut self, flags: u16, intra_16x16: bool, cbp: u32) -> Syntax<()> {
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
}
