//! CAVLC parsing of the macroblock layer (clause 9.1: Exp-Golomb codes and their mappings).

use super::bits::BitReader;
use super::cavlc_tables::{CBP_INTER, CBP_INTER_LUMA_ONLY, CBP_INTRA, CBP_INTRA_LUMA_ONLY};
use super::entropy::{Entropy, Residual};
use super::error::{Syntax, SyntaxError};

/// CAVLC decoder of a slice's data.
pub(crate) struct Cavlc<'a> {
    pub(crate) bits: BitReader<'a>,
    /// Data partition A: residuals are elsewhere, and no motion depends on them.
    partitioned: bool,
}

impl<'a> Cavlc<'a> {
    pub(crate) fn new(bits: BitReader<'a>, partitioned: bool) -> Cavlc<'a> {
        Cavlc { bits, partitioned }
    }
}

impl Entropy for Cavlc<'_> {
    const CABAC: bool = false;

    fn mb_skip_flag(&mut self, _b_slice: bool, _inc: usize) -> bool {
        false
    }

    fn mb_field_decoding_flag(&mut self, _inc: usize) -> bool {
        self.bits.flag()
    }

    fn end_of_slice_flag(&mut self) -> bool {
        false
    }

    fn mb_type_si_prefix(&mut self, _inc: usize) -> bool {
        // mb_type 0 is SI; the others are those of I slices plus 1 (Table 7-12).
        self.bits.refill();
        if self.bits.peek() >> 63 != 0 {
            self.bits.consume(1);
            return false;
        }
        true
    }

    #[inline]
    fn mb_type_i(&mut self, _inc: usize) -> u32 {
        self.bits.ue()
    }

    #[inline]
    fn mb_type_p(&mut self) -> u32 {
        self.bits.ue()
    }

    #[inline]
    fn mb_type_b(&mut self, _inc: usize) -> u32 {
        self.bits.ue()
    }

    #[inline]
    fn sub_mb_type_p(&mut self) -> u32 {
        self.bits.ue()
    }

    #[inline]
    fn sub_mb_type_b(&mut self) -> u32 {
        self.bits.ue()
    }

    fn transform_size_8x8_flag(&mut self, _inc: usize) -> bool {
        self.bits.flag()
    }

    fn intra_pred_modes(&mut self, count: u32) {
        for _ in 0..count {
            if self.bits.valid() < 8 {
                self.bits.refill();
            }
            // A flag of 1, or 0 and three bits.
            let length = if self.bits.peek() >> 63 != 0 { 1 } else { 4 };
            self.bits.consume(length);
        }
    }

    fn intra_chroma_pred_mode(&mut self, _inc: usize) -> u32 {
        self.bits.ue()
    }

    #[inline]
    fn coded_block_pattern(&mut self, intra: bool, luma_only: bool, _a: u32, _b: u32) -> Syntax<u32> {
        let code = self.bits.ue();
        let entry = match (luma_only, intra) {
            (false, false) => CBP_INTER.get(code as usize),
            (false, true) => CBP_INTRA.get(code as usize),
            (true, false) => CBP_INTER_LUMA_ONLY.get(code as usize),
            (true, true) => CBP_INTRA_LUMA_ONLY.get(code as usize),
        };
        match entry {
            Some(&pattern) => Ok(u32::from(pattern)),
            None => Err(SyntaxError::invalid("coded_block_pattern", code)),
        }
    }

    #[inline]
    fn mb_qp_delta(&mut self, _previous_nonzero: bool) -> Syntax<bool> {
        let delta = self.bits.se();
        if !(-(26 + 18)..=25 + 18).contains(&delta) {
            return Err(SyntaxError::invalid("mb_qp_delta", delta));
        }
        Ok(delta != 0)
    }

    #[inline]
    fn ref_idx(&mut self, range: u32, _inc: usize) -> u32 {
        self.bits.te(range)
    }

    #[inline]
    fn mvd(&mut self, _component: usize, _sum: u32) -> i32 {
        self.bits.se()
    }

    #[inline]
    fn residual(&mut self, r: &mut Residual) -> Syntax<()> {
        if self.partitioned {
            Ok(())
        } else {
            super::cavlc_residual::residual(&mut self.bits, r)
        }
    }

    fn pcm_samples(&mut self, bits: u64) {
        self.bits.align();
        self.bits.skip(bits);
    }

    #[inline]
    fn overrun(&self) -> bool {
        self.bits.overrun()
    }

    fn position(&self) -> u64 {
        self.bits.position()
    }

    #[inline]
    fn mb_skip_run(&mut self) -> u32 {
        self.bits.ue()
    }

    #[inline]
    fn more_rbsp_data(&self) -> bool {
        self.bits.more_rbsp_data()
    }

    fn peek_flag(&mut self) -> bool {
        self.bits.refill();
        self.bits.peek() >> 63 != 0
    }
}
