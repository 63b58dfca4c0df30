//! What the macroblock layer asks of an entropy decoder: CAVLC (clause 9.1, 9.2) or CABAC (9.3).

use super::error::Syntax;

/// Total coefficients (CAVLC) or coded_block_flag (CABAC) of the current macroblock's 4x4 blocks and of the
/// neighbouring blocks, for three colour planes of [`PLANE`] entries.
pub(crate) type NonZero = [u8; 3 * PLANE];
/// Entries of a plane in [`NonZero`]: rows of eight, the first row above the macroblock.
pub(crate) const PLANE: usize = 40;
/// Place of block (0, 0) in a grid of rows of eight with one row above and columns to the left.
pub(crate) const ORIGIN: usize = 12;
/// Place in such a grid of each 4x4 block in coding order (6.4.3).
pub(crate) const BLOCK: [usize; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let x = (i >> 2 & 1) * 2 + (i & 1);
        let y = (i >> 3) * 2 + (i >> 1 & 1);
        table[i] = ORIGIN + y * 8 + x;
        i += 1;
    }
    table
};

/// What residual() (7.3.5.3) needs and leaves behind.
pub(crate) struct Residual {
    pub(crate) non_zero: NonZero,
    /// coded_block_flag of the DC blocks: bit 0 luma, 1 Cb, 2 Cr.
    pub(crate) dc: u8,
    pub(crate) dc_a: u8,
    pub(crate) dc_b: u8,
    pub(crate) intra_16x16: bool,
    pub(crate) transform_8x8: bool,
    pub(crate) coded_block_pattern: u32,
    pub(crate) chroma_array_type: u32,
    /// The macroblock is in a field picture or is a field macroblock: other contexts.
    pub(crate) field: bool,
}

impl Residual {
    pub(crate) fn new() -> Residual {
        Residual {
            non_zero: [0; 3 * PLANE],
            dc: 0,
            dc_a: 0,
            dc_b: 0,
            intra_16x16: false,
            transform_8x8: false,
            coded_block_pattern: 0,
            chroma_array_type: 1,
            field: false,
        }
    }
}

/// One syntax element a method. `inc` is ctxIdxInc, which CAVLC ignores.
pub(crate) trait Entropy {
    /// Entropy decoding is CABAC.
    const CABAC: bool;

    fn mb_skip_flag(&mut self, b_slice: bool, inc: usize) -> bool;
    fn mb_field_decoding_flag(&mut self, inc: usize) -> bool;
    fn end_of_slice_flag(&mut self) -> bool;
    fn mb_type_si_prefix(&mut self, inc: usize) -> bool;
    fn mb_type_i(&mut self, inc: usize) -> u32;
    /// 0 to 4, or 5 plus an intra type.
    fn mb_type_p(&mut self) -> u32;
    /// 0 to 22, or 23 plus an intra type.
    fn mb_type_b(&mut self, inc: usize) -> u32;
    fn sub_mb_type_p(&mut self) -> u32;
    fn sub_mb_type_b(&mut self) -> u32;
    fn transform_size_8x8_flag(&mut self, inc: usize) -> bool;
    /// `count` times prev_intra_pred_mode_flag and rem_intra_pred_mode.
    fn intra_pred_modes(&mut self, count: u32);
    fn intra_chroma_pred_mode(&mut self, inc: usize) -> u32;
    /// `a`, `b`: the neighbours' patterns; `b`'s and `a`'s bits where the current macroblock touches them.
    fn coded_block_pattern(&mut self, intra: bool, luma_only: bool, a: u32, b: u32) -> Syntax<u32>;
    fn mb_qp_delta(&mut self, previous_nonzero: bool) -> Syntax<bool>;
    fn ref_idx(&mut self, range: u32, inc: usize) -> u32;
    /// `sum`: of the neighbours' absolute values.
    fn mvd(&mut self, component: usize, sum: u32) -> i32;
    fn residual(&mut self, r: &mut Residual) -> Syntax<()>;
    /// Passes over pcm_alignment_zero_bit and `bits` bits of samples.
    fn pcm_samples(&mut self, bits: u64);
    /// More was read than there is.
    fn overrun(&self) -> bool;
    /// Bits read, for error reports.
    fn position(&self) -> u64;
    /// mb_skip_run (CAVLC only).
    fn mb_skip_run(&mut self) -> u32;
    /// more_rbsp_data() (CAVLC only).
    fn more_rbsp_data(&self) -> bool;
    /// The next bit, without reading it (CAVLC only).
    fn peek_flag(&mut self) -> bool;
}
