//! CABAC parsing of the macroblock layer's syntax elements (clause 9.3.2, 9.3.3.1): binarisations and ctxIdx.

use super::cabac::{Arith, States, init_states};
use super::entropy::{Entropy, Residual};
use super::error::{Syntax, SyntaxError};

/// CABAC decoder of a slice's data.
pub(crate) struct Cabac<'a> {
    pub(crate) arith: Arith<'a>,
    pub(crate) states: States,
}

impl<'a> Cabac<'a> {
    /// `at` is the byte where slice_data() begins after cabac_alignment_one_bit.
    pub(crate) fn new(data: &'a [u8], at: usize, init: usize, slice_qp_y: i32) -> Cabac<'a> {
        let mut states = [0; 1024];
        init_states(&mut states, init, slice_qp_y);
        Cabac {
            arith: Arith::new(data, at),
            states,
        }
    }

    #[inline(always)]
    fn bin(&mut self, ctx: usize) -> usize {
        self.arith.decision(&mut self.states, ctx)
    }

    /// mb_type of an I macroblock: the first bin has `first`, the others follow at `rest` (Table 9-36, 9-39).
    fn intra_mb_type(&mut self, first: usize, rest: usize, in_i_slice: bool) -> u32 {
        if self.bin(first) == 0 {
            return 0;
        }
        if self.arith.terminate() {
            return 25;
        }
        let k = usize::from(in_i_slice);
        let mut mb_type = 1 + 12 * self.bin(rest);
        if self.bin(rest + 1) != 0 {
            mb_type += 4 + 4 * self.bin(rest + 1 + k);
        }
        mb_type += 2 * self.bin(rest + 2 + k);
        mb_type += self.bin(rest + 2 + 2 * k);
        mb_type as u32
    }
}

impl Entropy for Cabac<'_> {
    const CABAC: bool = true;

    #[inline]
    fn mb_skip_flag(&mut self, b_slice: bool, inc: usize) -> bool {
        self.bin(if b_slice { 24 } else { 11 } + inc) != 0
    }

    fn mb_field_decoding_flag(&mut self, inc: usize) -> bool {
        self.bin(70 + inc) != 0
    }

    #[inline]
    fn end_of_slice_flag(&mut self) -> bool {
        self.arith.terminate()
    }

    fn mb_type_si_prefix(&mut self, inc: usize) -> bool {
        self.bin(inc) != 0
    }

    fn mb_type_i(&mut self, inc: usize) -> u32 {
        self.intra_mb_type(3 + inc, 3 + 3, true)
    }

    fn mb_type_p(&mut self) -> u32 {
        if self.bin(14) != 0 {
            return 5 + self.intra_mb_type(17, 18, false);
        }
        if self.bin(15) == 0 {
            3 * self.bin(16) as u32
        } else {
            2 - self.bin(17) as u32
        }
    }

    fn mb_type_b(&mut self, inc: usize) -> u32 {
        if self.bin(27 + inc) == 0 {
            return 0;
        }
        if self.bin(27 + 3) == 0 {
            return 1 + self.bin(27 + 5) as u32;
        }
        let mut bits = self.bin(27 + 4) << 3;
        bits |= self.bin(27 + 5) << 2;
        bits |= self.bin(27 + 5) << 1;
        bits |= self.bin(27 + 5);
        match bits {
            0..8 => bits as u32 + 3,
            13 => 23 + self.intra_mb_type(32, 33, false),
            14 => 11,
            15 => 22,
            _ => (bits << 1 | self.bin(27 + 5)) as u32 - 4,
        }
    }

    fn sub_mb_type_p(&mut self) -> u32 {
        if self.bin(21) != 0 {
            0
        } else if self.bin(22) == 0 {
            1
        } else {
            3 - self.bin(23) as u32
        }
    }

    fn sub_mb_type_b(&mut self) -> u32 {
        if self.bin(36) == 0 {
            return 0;
        }
        if self.bin(37) == 0 {
            return 1 + self.bin(39) as u32;
        }
        let mut sub_mb_type = 3;
        if self.bin(38) != 0 {
            if self.bin(39) != 0 {
                return 11 + self.bin(39) as u32;
            }
            sub_mb_type += 4;
        }
        sub_mb_type += 2 * self.bin(39) as u32;
        sub_mb_type + self.bin(39) as u32
    }

    fn transform_size_8x8_flag(&mut self, inc: usize) -> bool {
        self.bin(399 + inc) != 0
    }

    fn intra_pred_modes(&mut self, count: u32) {
        for _ in 0..count {
            if self.bin(68) == 0 {
                for _ in 0..3 {
                    self.bin(69);
                }
            }
        }
    }

    fn intra_chroma_pred_mode(&mut self, inc: usize) -> u32 {
        if self.bin(64 + inc) == 0 {
            0
        } else if self.bin(67) == 0 {
            1
        } else {
            2 + self.bin(67) as u32
        }
    }

    fn coded_block_pattern(&mut self, _intra: bool, luma_only: bool, a: u32, b: u32) -> Syntax<u32> {
        let zero = |bits: u32, bit: u32| (!bits >> bit & 1) as usize;
        let b0 = self.bin(73 + zero(a, 1) + 2 * zero(b, 2)) as u32;
        let b1 = self.bin(73 + zero(b0, 0) + 2 * zero(b, 3)) as u32;
        let b2 = self.bin(73 + zero(a, 3) + 2 * zero(b0, 0)) as u32;
        let b3 = self.bin(73 + zero(b2, 0) + 2 * zero(b1, 0)) as u32;
        let luma = b0 | b1 << 1 | b2 << 2 | b3 << 3;
        if luma_only {
            return Ok(luma);
        }
        let (a, b) = (a >> 4, b >> 4);
        if self.bin(77 + usize::from(a != 0) + 2 * usize::from(b != 0)) == 0 {
            return Ok(luma);
        }
        let ac = self.bin(77 + 4 + usize::from(a == 2) + 2 * usize::from(b == 2)) as u32;
        Ok(luma | (1 + ac) << 4)
    }

    fn mb_qp_delta(&mut self, previous_nonzero: bool) -> Syntax<bool> {
        if self.bin(60 + usize::from(previous_nonzero)) == 0 {
            return Ok(false);
        }
        let mut ctx = 62;
        let mut value = 1u32;
        while self.bin(ctx) != 0 {
            ctx = 63;
            value += 1;
            // 2 * (26 + QpBdOffset / 2) is the largest mapped value.
            if value > 2 * (26 + 18) + 1 {
                return Err(SyntaxError::invalid("mb_qp_delta", value));
            }
        }
        Ok(true)
    }

    #[inline]
    fn ref_idx(&mut self, _range: u32, inc: usize) -> u32 {
        let mut ctx = 54 + inc;
        let mut value = 0;
        while self.bin(ctx) != 0 {
            value += 1;
            ctx = if value == 1 { 54 + 4 } else { 54 + 5 };
            if value >= 32 {
                break;
            }
        }
        value
    }

    #[inline]
    fn mvd(&mut self, component: usize, sum: u32) -> i32 {
        let base = 40 + 7 * component;
        let mut arith = self.arith;
        let states = &mut self.states;
        let inc = usize::from(sum > 2) + usize::from(sum > 32);
        if arith.decision(states, base + inc) == 0 {
            self.arith = arith;
            return 0;
        }
        let mut value = 1i32;
        let mut ctx = base + 3;
        while value < 9 && arith.decision(states, ctx) != 0 {
            if value < 4 {
                ctx += 1;
            }
            value += 1;
        }
        if value == 9 {
            // Suffix: Exp-Golomb of order 3.
            let mut k = 3;
            while k < 24 && arith.bypass() != 0 {
                value += 1 << k;
                k += 1;
            }
            while k > 0 {
                k -= 1;
                value += (arith.bypass() as i32) << k;
            }
        }
        let negative = arith.bypass() != 0;
        self.arith = arith;
        if negative { -value } else { value }
    }

    fn residual(&mut self, r: &mut Residual) -> Syntax<()> {
        super::cabac_residual::residual(self, r)
    }

    fn pcm_samples(&mut self, bits: u64) {
        let at = self.arith.aligned_byte() + (bits / 8) as usize;
        let data = self.arith.data();
        self.arith = Arith::new(data, at.min(data.len()));
    }

    #[inline]
    fn overrun(&self) -> bool {
        self.arith.overrun()
    }

    fn position(&self) -> u64 {
        self.arith.position()
    }

    fn mb_skip_run(&mut self) -> u32 {
        0
    }

    fn more_rbsp_data(&self) -> bool {
        true
    }

    fn peek_flag(&mut self) -> bool {
        false
    }
}
