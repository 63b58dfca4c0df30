//! CABAC arithmetic decoding engine (clause 9.3.1.2, 9.3.3.2).
//!
//! codIRange and codIOffset are kept at the top of 64-bit words: the comparison needs no alignment, and bits are loaded four
//! bytes at a time. How many are loaded is told by a 1 below the last of them, so that there is no count to keep.

use std::hint::{cold_path, select_unpredictable};

use super::bits::{PADDING, load_be32, load_be64};
use super::cabac_tables::{INIT_0, INIT_1, INIT_2, INIT_I, RANGE_TAB_LPS, TRANS_IDX_LPS};

/// Where the nine bits of codIRange and codIOffset begin.
const ALIGN: u32 = 55;
/// The 1 below the bits loaded may be as high as this before more are loaded: 23 bits are there at least.
const HIGHEST_MARK: u32 = 31;

/// Context states by [`place`]: of each all that DecodeDecision needs, so that the way from one bin to the next has one load
/// and none that depends on codIRange. For qCodIRangeIdx q = 0 to 3 a field of 16 bits begins at bit 48 - 16 * q: three bits of
/// renormalisation shift after the LPS, four others, rangeTabLPS. A shift to the left by 16 * q brings the latter to `ALIGN`.
/// Bit 3 is valMPS; bits 3 to 10, part of which is rangeTabLPS for q = 3, are another number for each state.
pub(crate) type States = [u64; 1024];

/// The words by pStateIdx * 2 + valMPS.
static STATE: [u64; 128] = state_table();
/// The states after the MPS and the LPS, by twice the word's bits 3 to 10, plus 1 for the LPS.
static NEXT: [u64; 512] = next_table();

const fn state_table() -> [u64; 128] {
    let mut table = [0; 128];
    // How many states have each value of the bits 7 to 10, that is of the four lowest bits of rangeTabLPS for q = 3.
    let mut alike = [0; 16];
    let mut state = 0;
    while state < 64 {
        let mut word = 0;
        let mut q = 0;
        while q < 4 {
            let lps = RANGE_TAB_LPS[state][q];
            let field = (lps as u64) << 7 | (lps.leading_zeros() as u64 + 1) & 7;
            word |= field << (48 - 16 * q);
            q += 1;
        }
        let low = (word >> 7 & 15) as usize;
        assert!(alike[low] < 8);
        word |= alike[low] << 4;
        alike[low] += 1;
        table[2 * state] = word;
        table[2 * state + 1] = word | 8;
        state += 1;
    }
    table
}

const fn next_table() -> [u64; 512] {
    let words = state_table();
    let mut table = [0; 512];
    let mut s = 0;
    while s < 128 {
        let (state, mps) = (s / 2, s % 2);
        let after_mps = if state < 62 { state + 1 } else { state };
        let mps_after_lps = if state == 0 { 1 - mps } else { mps };
        let number = (words[s] >> 3 & 255) as usize;
        table[2 * number] = words[after_mps * 2 + mps];
        table[2 * number + 1] = words[TRANS_IDX_LPS[state] as usize * 2 + mps_after_lps];
        s += 1;
    }
    table
}

/// Twice the number of a state, for [`NEXT`].
#[inline(always)]
fn number(word: u64) -> usize {
    usize::from((word >> 3) as u8) * 2
}

/// Runs of contexts of significant_coeff_flag that last_significant_coeff_flag's follow in a run as long: where both begin,
/// and their length. They are kept alternating, in the order in which they are read.
const ALTERNATING: [(usize, usize); 4] = [(105, 61), (277, 61), (484, 88), (776, 88)];

/// Where a context is kept in [`States`].
pub(crate) const fn place(ctx: usize) -> usize {
    let mut run = 0;
    while run < ALTERNATING.len() {
        let (first, length) = ALTERNATING[run];
        if ctx >= first && ctx < first + length {
            return first + 2 * (ctx - first);
        }
        if ctx >= first + length && ctx < first + 2 * length {
            return first + 2 * (ctx - first - length) + 1;
        }
        run += 1;
    }
    ctx
}

/// (m, n) of I slices and of cabac_init_idc 0 to 2, by [`place`].
static INIT: [[(i8, i8); 1024]; 4] = [placed(&INIT_I), placed(&INIT_0), placed(&INIT_1), placed(&INIT_2)];

const fn placed(by_ctx: &[(i8, i8); 1024]) -> [(i8, i8); 1024] {
    let mut table = [(0, 0); 1024];
    let mut ctx = 0;
    while ctx < 1024 {
        table[place(ctx)] = by_ctx[ctx];
        ctx += 1;
    }
    table
}

/// The engine's registers. Copied to locals in hot loops.
#[derive(Clone, Copy)]
pub(crate) struct Arith<'a> {
    data: &'a [u8],
    /// codIRange << ALIGN.
    range: u64,
    /// codIOffset << ALIGN, followed by bits not yet used, a 1, and zeros.
    value: u64,
    /// Next byte to load.
    next: usize,
}

impl<'a> Arith<'a> {
    /// Initialisation (9.3.1.2) at byte `at` of a padded buffer.
    pub(crate) fn new(data: &'a [u8], at: usize) -> Arith<'a> {
        Arith {
            data,
            range: 510 << ALIGN,
            value: load_be64(data, at) & !0xff | 0x80,
            next: at + 7,
        }
    }

    /// Bits of the buffer used so far, including the nine of initialisation.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        let ahead = ALIGN - 1 - self.value.trailing_zeros().min(ALIGN - 1);
        self.next as u64 * 8 - u64::from(ahead)
    }

    /// True once more bytes were used than the RBSP holds.
    #[inline(always)]
    pub(crate) fn overrun(&self) -> bool {
        // The bits ahead are at most 55, so this is exact only when `next` is past the end.
        self.next > self.data.len() - PADDING && self.position() > (self.data.len() - PADDING) as u64 * 8
    }

    /// At least 23 bits are ahead afterwards.
    #[inline(always)]
    fn refill(&mut self) {
        if self.value as u32 == 0 {
            cold_path();
            let mark = self.value.trailing_zeros() & 63;
            let more = u64::from(load_be32(self.data, self.next)) << 1 | 1;
            self.value ^= 1 << mark;
            self.value |= more << (mark - HIGHEST_MARK - 1);
            self.next += 4;
        }
    }

    /// DecodeDecision (9.3.3.2.1) without branches and without loading bits, of which it takes six at most: the bin and the
    /// state after it.
    #[inline(always)]
    fn step(&mut self, word: u64) -> (usize, u64) {
        let q = (self.range >> (ALIGN + 2)) as u32 & 48;
        let field = word << q;
        let lps = field & (0xff << ALIGN);
        let mps_range = self.range - lps;
        let is_lps = self.value >= mps_range;
        let rest = self.value.wrapping_sub(mps_range);
        // The MPS renormalises by one bit at most.
        let shift = select_unpredictable(is_lps, field >> 48 & 7, !mps_range >> 63) as u32;
        self.range = select_unpredictable(is_lps, lps, mps_range) << shift;
        self.value = select_unpredictable(is_lps, rest, self.value) << shift;
        let is_lps = usize::from(is_lps);
        ((word >> 3) as usize & 1 ^ is_lps, NEXT[number(word) + is_lps])
    }

    /// DecodeDecision with a branch, for bins that a branch depends on anyway: where the branch is foreseen, nothing has to
    /// wait for the comparison.
    #[inline(always)]
    pub(crate) fn decision(&mut self, states: &mut States, place: usize) -> usize {
        let state = &mut states[place & 1023];
        let word = *state;
        let q = (self.range >> (ALIGN + 2)) as u32 & 48;
        let field = word << q;
        let lps = field & (0xff << ALIGN);
        let mps_range = self.range - lps;
        let bin = (word >> 3) as usize & 1;
        if self.value < mps_range {
            // The MPS renormalises by one bit at most.
            let shift = (!mps_range >> 63) as u32;
            self.range = mps_range << shift;
            self.value <<= shift;
            *state = NEXT[number(word)];
            self.refill();
            bin
        } else {
            let shift = (field >> 48) as u32 & 7;
            self.range = lps << shift;
            self.value = (self.value - mps_range) << shift;
            *state = NEXT[number(word) + 1];
            self.refill();
            bin ^ 1
        }
    }

    /// significant_coeff_flag and last_significant_coeff_flag of a block of `num` + 1 coefficients whose contexts
    /// alternate from `first` on: the number of significant coefficients. Which flag comes next is a matter of data, not of
    /// branches: these bins are the least predictable ones of a stream.
    #[inline(always)]
    pub(crate) fn significance(&mut self, states: &mut States, first: usize, num: usize) -> u32 {
        let end = first + 2 * num;
        let mut at = first;
        let mut word = states[at & 1023];
        // 1 while the next bin is last_significant_coeff_flag.
        let mut phase = 0usize;
        let mut count = 0u32;
        loop {
            let (one_on, two_on) = (states[(at + 1) & 1023], states[(at + 2) & 1023]);
            let (bin, next) = self.step(word);
            states[at & 1023] = next;
            self.refill();
            if phase & bin != 0 {
                return count;
            }
            count += bin as u32;
            // After a significant_coeff_flag of 0 the next coefficient's follows.
            let one = phase | bin;
            phase = bin;
            at += 2 - one;
            if at >= end {
                // The last coefficient is inferred to be significant.
                return count + 1;
            }
            word = select_unpredictable(one != 0, one_on, two_on);
        }
    }

    /// coeff_abs_level_minus1 and coeff_sign_flag of `count` coefficients; `first` is the place of the first context, `most`
    /// limits the context of greater levels (4, or 3 for chroma DC). False if a level is beyond all bounds.
    #[inline(always)]
    pub(crate) fn levels(&mut self, states: &mut States, first: usize, count: u32, most: usize) -> bool {
        // Of the first bin: 1 + numDecodAbsLevelEq1, at most 4, while no level was greater than 1.
        let mut is_greater = first + 1;
        let mut one_more = 1;
        // Of the others: 5 + numDecodAbsLevelGt1.
        let mut prefix = first + 5;
        for _ in 0..count {
            if self.decision(states, is_greater) == 0 {
                is_greater = (is_greater + one_more).min(first + 4);
            } else {
                let state = &mut states[prefix & 1023];
                let mut now = *state;
                let mut left = 13;
                loop {
                    let (bin, next) = self.step(now);
                    now = next;
                    self.refill();
                    if bin == 0 {
                        *state = now;
                        break;
                    }
                    left -= 1;
                    if left == 0 {
                        cold_path();
                        *state = now;
                        if !self.level_suffix() {
                            return false;
                        }
                        break;
                    }
                }
                (is_greater, one_more) = (first, 0);
                prefix = (prefix + 1).min(first + 5 + most);
            }
            self.bypass();
        }
        true
    }

    /// The Exp-Golomb suffix of coeff_abs_level_minus1.
    #[inline(always)]
    fn level_suffix(&mut self) -> bool {
        cold_path();
        let mut k = 0;
        while self.bypass() != 0 {
            k += 1;
            if k > 24 {
                return false;
            }
        }
        for _ in 0..k {
            self.bypass();
        }
        true
    }

    /// DecodeBypass (9.3.3.2.3).
    #[inline(always)]
    pub(crate) fn bypass(&mut self) -> usize {
        let half = self.range >> 1;
        let bit = self.value >= half;
        let rest = self.value.wrapping_sub(half);
        self.value = select_unpredictable(bit, rest, self.value) << 1;
        self.refill();
        usize::from(bit)
    }

    /// DecodeTerminate (9.3.3.2.2.3), with the renormalisation that follows it in either case.
    #[inline(always)]
    pub(crate) fn terminate(&mut self) -> bool {
        self.range -= 2 << ALIGN;
        let shift = if self.value >= self.range {
            cold_path();
            self.value -= self.range;
            self.range = 2 << ALIGN;
            7
        } else {
            !self.range >> 63
        };
        self.range <<= shift;
        self.value <<= shift;
        self.refill();
        shift == 7
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

/// Initialises the context states (9.3.1.1). `init` is 0 for I slices, else cabac_init_idc + 1.
pub(crate) fn init_states(states: &mut States, init: usize, slice_qp_y: i32) {
    let qp = slice_qp_y.clamp(0, 51) as i16;
    for (state, &(m, n)) in states.iter_mut().zip(&INIT[init & 3]) {
        let pre = (((i16::from(m) * qp) >> 4) + i16::from(n)).clamp(1, 126);
        let index = if pre <= 63 {
            (63 - pre) * 2
        } else {
            (pre - 64) * 2 + 1
        };
        *state = STATE[index as usize & 127];
    }
}
