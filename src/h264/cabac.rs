//! CABAC arithmetic decoding engine (clause 9.3.1.2, 9.3.3.2).
//!
//! codIRange and codIOffset are kept at the top of 64-bit words, so that renormalisation is a shift by the number of
//! leading zeros, the comparison needs no alignment and bits are loaded up to seven bytes at a time.

use std::hint::select_unpredictable;

use super::bits::load_be64;
use super::cabac_tables::{INIT_0, INIT_1, INIT_2, INIT_I, RANGE_TAB_LPS, TRANS_IDX_LPS};

/// Where the nine bits of codIRange and codIOffset begin.
const ALIGN: u32 = 55;

/// Context states: pStateIdx * 2 + valMPS.
pub(crate) type States = [u8; 1024];

/// What DecodeDecision needs of a context state, by codIRange's two bits qCodIRangeIdx, in one word:
/// * rangeTabLPS: a shift to the left by 8 * qCodIRangeIdx brings it to bits `ALIGN..ALIGN + 8`,
/// * the renormalisation shift after the LPS: a shift to the right by as much brings it to bits 0 to 2.
///
/// So neither is a load that depends on codIRange: the way from one codIRange to the next is what limits the speed.
static STATE: [u64; 256] = state_table();
/// The states after the MPS (bits 0 to 7) and the LPS (bits 8 to 15).
static NEXT: [u16; 256] = next_table();

const fn state_table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut s = 0;
    while s < 128 {
        let mut q = 0;
        while q < 4 {
            let lps = RANGE_TAB_LPS[s / 2][q];
            table[s] |= (lps as u64) << (ALIGN - 8 * q as u32);
            table[s] |= (lps.leading_zeros() as u64 + 1) << (8 * q);
            q += 1;
        }
        s += 1;
    }
    table
}

const fn next_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut s = 0;
    while s < 128 {
        let (state, mps) = (s / 2, s % 2);
        let after_mps = if state < 62 { (state + 1) * 2 } else { state * 2 } + mps;
        let mps_after_lps = if state == 0 { 1 - mps } else { mps };
        let after_lps = TRANS_IDX_LPS[state] as usize * 2 + mps_after_lps;
        table[s] = (after_mps | after_lps << 8) as u16;
        s += 1;
    }
    table
}

/// The engine's registers. Copied to locals in hot loops.
#[derive(Clone, Copy)]
pub(crate) struct Arith<'a> {
    data: &'a [u8],
    /// codIRange << ALIGN.
    range: u64,
    /// codIOffset << ALIGN, followed by bits not yet used.
    value: u64,
    /// How many bits of `value` below `ALIGN` are loaded; more are loaded while this is small.
    ahead: u32,
    /// Next byte to load.
    next: usize,
}

impl<'a> Arith<'a> {
    /// Initialisation (9.3.1.2) at byte `at` of a padded buffer.
    pub(crate) fn new(data: &'a [u8], at: usize) -> Arith<'a> {
        let value = load_be64(data, at);
        Arith {
            data,
            range: 510 << ALIGN,
            value,
            ahead: 47,
            next: at + 7,
        }
    }

    /// Bits of the buffer used so far, including the nine of initialisation.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.ahead)
    }

    /// True once more bytes were used than the RBSP holds.
    #[inline(always)]
    pub(crate) fn overrun(&self) -> bool {
        // `ahead` is at most 55 bits, so this is exact only when `next` is past the end.
        self.next > self.data.len() - super::bits::PADDING
            && self.position() > (self.data.len() - super::bits::PADDING) as u64 * 8
    }

    #[inline(always)]
    fn refill(&mut self) {
        if self.ahead < 16 {
            self.value |= load_be64(self.data, self.next) >> (9 + self.ahead);
            let bytes = (ALIGN - self.ahead) >> 3;
            self.next += bytes as usize;
            self.ahead += bytes * 8;
        }
    }

    /// DecodeDecision (9.3.3.2.1) for a state and its word of [`STATE`], without branches: the bin and the new state.
    #[inline(always)]
    fn step(&mut self, state: u8, word: u64) -> (usize, u8) {
        let q = (self.range >> 58) & 24;
        let lps = (word << q) & (0xff << ALIGN);
        let lps_shift = (word >> q) as u32 & 7;
        let mps_range = self.range - lps;
        let is_lps = self.value >= mps_range;
        // The MPS renormalises by one bit at most.
        let shift = select_unpredictable(is_lps, lps_shift, (!mps_range >> 63) as u32);
        self.range = select_unpredictable(is_lps, lps, mps_range) << shift;
        self.value = (self.value - select_unpredictable(is_lps, mps_range, 0)) << shift;
        self.ahead -= shift;
        self.refill();
        let next = NEXT[usize::from(state)] >> (8 * u32::from(is_lps));
        (usize::from(state & 1) ^ usize::from(is_lps), next as u8)
    }

    /// DecodeDecision (9.3.3.2.1).
    #[inline(always)]
    pub(crate) fn decision(&mut self, states: &mut States, ctx: usize) -> usize {
        let state = &mut states[ctx & 1023];
        let (bin, next) = self.step(*state, STATE[usize::from(*state)]);
        *state = next;
        bin
    }

    /// significant_coeff_flag and last_significant_coeff_flag of a block whose contexts follow each other: the number
    /// of significant coefficients. Which flag comes next is a matter of data, not of branches: these bins are the
    /// least predictable ones of a stream.
    #[inline(always)]
    pub(crate) fn significance(&mut self, states: &mut States, sig: usize, last: usize, num: usize) -> u32 {
        let mut ctx = sig & 1023;
        let mut state = states[ctx];
        let mut word = STATE[usize::from(state)];
        let mut i = 0;
        // 1 while the next bin is last_significant_coeff_flag.
        let mut phase = 0usize;
        let mut count = 0u32;
        loop {
            let after_0 = (sig + i + 1) & 1023;
            let after_1 = (last + i) & 1023;
            let (state_0, state_1) = (states[after_0], states[after_1]);
            let (word_0, word_1) = (STATE[usize::from(state_0)], STATE[usize::from(state_1)]);
            let (bin, next) = self.step(state, word);
            states[ctx] = next;
            if phase & bin != 0 {
                return count;
            }
            phase = bin;
            count += bin as u32;
            i += 1 - bin;
            if i == num {
                // The last coefficient is inferred to be significant.
                return count + 1;
            }
            ctx = select_unpredictable(bin != 0, after_1, after_0);
            state = select_unpredictable(bin != 0, state_1, state_0);
            word = select_unpredictable(bin != 0, word_1, word_0);
        }
    }

    /// DecodeBypass (9.3.3.2.3).
    #[inline(always)]
    pub(crate) fn bypass(&mut self) -> usize {
        let half = self.range >> 1;
        let bit = self.value >= half;
        self.value = (self.value - if bit { half } else { 0 }) << 1;
        self.ahead -= 1;
        self.refill();
        bit as usize
    }

    /// DecodeTerminate (9.3.3.2.2.3), with the renormalisation that follows it in either case.
    #[inline(always)]
    pub(crate) fn terminate(&mut self) -> bool {
        self.range -= 2 << ALIGN;
        let bit = self.value >= self.range;
        if bit {
            self.value -= self.range;
            self.range = 2 << ALIGN;
        }
        let shift = self.range.leading_zeros();
        self.range <<= shift;
        self.value <<= shift;
        self.ahead -= shift;
        self.refill();
        bit
    }

    /// After a terminating bin: where the bytes after it begin. The seven bits of the last renormalisation were not
    /// written by the encoder (9.3.4.5).
    pub(crate) fn aligned_byte(&self) -> usize {
        (self.position() - 7).div_ceil(8) as usize
    }

    pub(crate) fn data(&self) -> &'a [u8] {
        self.data
    }
}

/// Initialises all context states (9.3.1.1). `init` is 0 for I slices, else cabac_init_idc + 1.
pub(crate) fn init_states(states: &mut States, init: usize, slice_qp_y: i32) {
    let table = [&INIT_I, &INIT_0, &INIT_1, &INIT_2][init & 3];
    let qp = slice_qp_y.clamp(0, 51) as i16;
    for (state, &(m, n)) in states.iter_mut().zip(table.iter()) {
        let pre = (((i16::from(m) * qp) >> 4) + i16::from(n)).clamp(1, 126);
        *state = if pre <= 63 {
            (63 - pre) * 2
        } else {
            (pre - 64) * 2 + 1
        } as u8;
    }
}
