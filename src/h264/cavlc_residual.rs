//! residual_block_cavlc() (clause 7.3.5.3.2, 9.2): read for its length; only total_coeff( coeff_token ) is kept.

use super::bits::BitReader;
use super::cavlc_tables as codes;
use super::entropy::{BLOCK, ORIGIN, PLANE, Residual};
use super::error::{Syntax, SyntaxError};

/// In [`Residual::non_zero`]: the neighbouring block is not available.
pub(crate) const NOT_AVAILABLE: u8 = 64;

/// A coeff_token: bits 0 to 4 its length and that of the trailing ones' signs, 5 to 9 TotalCoeff, 10 and 11
/// TrailingOnes. 0 is no codeword.
type CoeffToken = u16;

const fn coeff_token(length: usize, total: usize, ones: usize) -> CoeffToken {
    (length + ones) as u16 | (total as u16) << 5 | (ones as u16) << 10
}

/// Codewords have fewer leading zeros than this.
const MAX_ZEROS: usize = 16;
/// By number of leading zeros and the three bits after the first 1.
type TokenTable = [CoeffToken; MAX_ZEROS * 8];
/// By the next eight bits; 0 where the codeword is longer.
type ShortTokenTable = [CoeffToken; 256];

/// Value of a codeword from its character `from` on.
const fn code_value(code: &[u8], from: usize) -> usize {
    let mut value = 0;
    let mut i = from;
    while i < code.len() {
        value = value * 2 + (code[i] - b'0') as usize;
        i += 1;
    }
    value
}

/// Fills in a codeword for all values of the bits after it.
const fn put_token(table: &mut TokenTable, code: &[u8], token: CoeffToken) {
    let mut zeros = 0;
    while zeros < code.len() && code[zeros] == b'0' {
        zeros += 1;
    }
    let (first, last) = if zeros == code.len() {
        // All zeros: whatever follows.
        (zeros * 8, MAX_ZEROS * 8)
    } else {
        let free = 3 - (code.len() - zeros - 1);
        let first = zeros * 8 + (code_value(code, zeros + 1) << free);
        (first, first + (1 << free))
    };
    let mut at = first;
    while at < last {
        table[at] = token;
        at += 1;
    }
}

const fn token_table<const ROWS: usize>(words: &[[&str; 4]; ROWS]) -> TokenTable {
    let mut table = [0; MAX_ZEROS * 8];
    let mut total = 0;
    while total < ROWS {
        let mut ones = 0;
        while ones < 4 {
            let code = words[total][ones].as_bytes();
            if !code.is_empty() {
                put_token(&mut table, code, coeff_token(code.len(), total, ones));
            }
            ones += 1;
        }
        total += 1;
    }
    table
}

const fn short_token_table(words: &[[&str; 4]; 17]) -> ShortTokenTable {
    let mut table = [0; 256];
    let mut total = 0;
    while total < 17 {
        let mut ones = 0;
        while ones < 4 {
            let code = words[total][ones].as_bytes();
            if !code.is_empty() && code.len() <= 8 {
                let free = 8 - code.len();
                let first = code_value(code, 0) << free;
                let mut k = 0;
                while k < 1 << free {
                    table[first + k] = coeff_token(code.len(), total, ones);
                    k += 1;
                }
            }
            ones += 1;
        }
        total += 1;
    }
    table
}

/// Tables by class of nC; the last one's codewords all have six bits.
static SHORT_TOKEN: [ShortTokenTable; 4] = [
    short_token_table(&codes::COEFF_TOKEN_0),
    short_token_table(&codes::COEFF_TOKEN_1),
    short_token_table(&codes::COEFF_TOKEN_2),
    short_token_table(&codes::COEFF_TOKEN_3),
];
static TOKEN: [TokenTable; 3] = [
    token_table(&codes::COEFF_TOKEN_0),
    token_table(&codes::COEFF_TOKEN_1),
    token_table(&codes::COEFF_TOKEN_2),
];
static TOKEN_CHROMA_DC: TokenTable = token_table(&codes::COEFF_TOKEN_CHROMA_DC);
static TOKEN_CHROMA_DC_422: TokenTable = token_table(&codes::COEFF_TOKEN_CHROMA_DC_422);

/// A value and the length of its codeword, by the next bits.
const fn value_table<const COLUMNS: usize, const SIZE: usize>(words: &[&str; COLUMNS]) -> [(u8, u8); SIZE] {
    let mut table = [(0, 0); SIZE];
    let bits = SIZE.trailing_zeros() as usize;
    let mut value = 0;
    while value < COLUMNS {
        let code = words[value].as_bytes();
        if !code.is_empty() && code.len() <= bits {
            let mut at = 0;
            let mut i = 0;
            while i < code.len() {
                at = at * 2 + (code[i] - b'0') as usize;
                i += 1;
            }
            at <<= bits - code.len();
            let mut k = 0;
            while k < 1 << (bits - code.len()) {
                table[at + k] = (value as u8, code.len() as u8);
                k += 1;
            }
        }
        value += 1;
    }
    table
}

const fn value_tables<const ROWS: usize, const COLUMNS: usize, const SIZE: usize>(
    words: &[[&str; COLUMNS]; ROWS],
) -> [[(u8, u8); SIZE]; ROWS] {
    let mut tables = [[(0, 0); SIZE]; ROWS];
    let mut row = 0;
    while row < ROWS {
        tables[row] = value_table(&words[row]);
        row += 1;
    }
    tables
}

static TOTAL_ZEROS: [[(u8, u8); 512]; 15] = value_tables(&codes::TOTAL_ZEROS);
static TOTAL_ZEROS_CHROMA_DC: [[(u8, u8); 8]; 3] = value_tables(&codes::TOTAL_ZEROS_CHROMA_DC);
static TOTAL_ZEROS_CHROMA_DC_422: [[(u8, u8); 32]; 7] = value_tables(&codes::TOTAL_ZEROS_CHROMA_DC_422);
/// run_before for zerosLeft 1 to 6, and its three-bit codewords for more.
const RUN_BEFORE: [[(u8, u8); 8]; 7] = value_tables(&codes::RUN_BEFORE);

/// Kinds of blocks, for coeff_token and total_zeros: 4x4 blocks, and chroma DC of 4:2:0 and 4:2:2.
const BLOCK_4X4: u8 = 0;
const CHROMA_DC: u8 = 1;
const CHROMA_DC_422: u8 = 2;

/// residual() (7.3.5.3).
pub(crate) fn residual(reader: &mut BitReader<'_>, r: &mut Residual) -> Syntax<()> {
    // A copy, so that its words stay in registers.
    let mut bits = reader.clone();
    let result = planes(&mut bits, r);
    *reader = bits;
    result
}

#[inline(always)]
fn planes(bits: &mut BitReader<'_>, r: &mut Residual) -> Syntax<()> {
    luma(bits, r, 0)?;
    match r.chroma_array_type {
        0 => Ok(()),
        3 => {
            for plane in 1..3 {
                let mut copy = bits.clone();
                luma(&mut copy, r, plane * PLANE)?;
                *bits = copy;
            }
            Ok(())
        }
        _ => chroma(bits, r),
    }
}

#[inline(always)]
fn luma(bits: &mut BitReader<'_>, r: &mut Residual, at: usize) -> Syntax<()> {
    let nz = &mut r.non_zero;
    let mut max = 16;
    if r.intra_16x16 {
        let n_c = n_c(nz, at + ORIGIN);
        let mut copy = bits.clone();
        block_out_of_line(&mut copy, n_c, 16)?;
        *bits = copy;
        max = 15;
    }
    for b8 in 0..4 {
        if r.coded_block_pattern >> b8 & 1 == 0 {
            continue;
        }
        for place in &BLOCK[4 * b8..4 * b8 + 4] {
            let n_c = n_c(nz, at + place);
            nz[at + place] = block::<BLOCK_4X4>(bits, n_c, max)?;
        }
    }
    Ok(())
}

fn block_out_of_line(bits: &mut BitReader<'_>, n_c: usize, max: usize) -> Syntax<u8> {
    block::<BLOCK_4X4>(bits, n_c, max)
}

#[inline(always)]
fn chroma(bits: &mut BitReader<'_>, r: &mut Residual) -> Syntax<()> {
    let pattern = r.coded_block_pattern >> 4;
    if pattern == 0 {
        return Ok(());
    }
    for _ in 0..2 {
        if r.chroma_array_type == 1 {
            block::<CHROMA_DC>(bits, 0, 4)?;
        } else {
            let mut copy = bits.clone();
            chroma_dc_422(&mut copy)?;
            *bits = copy;
        }
    }
    if pattern & 2 == 0 {
        return Ok(());
    }
    let nz = &mut r.non_zero;
    for plane in 1..3 {
        for i in 0..4 * r.chroma_array_type as usize {
            let place = plane * PLANE + ORIGIN + (i >> 1) * 8 + (i & 1);
            let n_c = n_c(nz, place);
            nz[place] = block::<BLOCK_4X4>(bits, n_c, 15)?;
        }
    }
    Ok(())
}

fn chroma_dc_422(bits: &mut BitReader<'_>) -> Syntax<u8> {
    block::<CHROMA_DC_422>(bits, 0, 8)
}

/// nC (9.2.1): the average of the neighbours that are available.
#[inline(always)]
fn n_c(nz: &[u8], place: usize) -> usize {
    let sum = usize::from(nz[place - 1]) + usize::from(nz[place - 8]);
    let n_c = if sum < usize::from(NOT_AVAILABLE) {
        (sum + 1) >> 1
    } else {
        sum
    };
    n_c & 31
}

/// The token table of each nC.
static TOKEN_CLASS: [u8; 32] = {
    let mut table = [3; 32];
    let mut n_c = 0;
    while n_c < 8 {
        table[n_c] = if n_c < 2 {
            0
        } else if n_c < 4 {
            1
        } else {
            2
        };
        n_c += 1;
    }
    table
};

#[inline(always)]
fn by_leading_zeros(table: &TokenTable, window: u64) -> CoeffToken {
    // The guard bit keeps the count within the table.
    let zeros = (window | 1 << 48).leading_zeros();
    table[(zeros as usize) << 3 | ((window << zeros) >> 60 & 7) as usize]
}

/// residual_block_cavlc() of at most `max` coefficients: gives total_coeff( coeff_token ).
#[inline(always)]
fn block<const KIND: u8>(bits: &mut BitReader<'_>, n_c: usize, max: usize) -> Syntax<u8> {
    bits.refill();
    let window = bits.peek();
    let token = match KIND {
        CHROMA_DC => by_leading_zeros(&TOKEN_CHROMA_DC, window),
        CHROMA_DC_422 => by_leading_zeros(&TOKEN_CHROMA_DC_422, window),
        _ => {
            let class = usize::from(TOKEN_CLASS[n_c & 31]);
            match SHORT_TOKEN[class & 3][(window >> 56) as usize] {
                0 => by_leading_zeros(&TOKEN[class.min(2)], window),
                token => token,
            }
        }
    };
    let total = usize::from(token >> 5 & 31);
    if token == 0 || total > max {
        return Err(SyntaxError::invalid("coeff_token", (window >> 48) as u32));
    }
    bits.consume(u32::from(token & 31));
    if total != 0 {
        let ones = usize::from(token >> 10);
        if total > ones {
            levels(bits, total, ones)?;
        }
        if total < max {
            zeros::<KIND>(bits, total, max)?;
        }
    }
    Ok(total as u8)
}

/// total_zeros and run_before.
#[inline(always)]
fn zeros<const KIND: u8>(bits: &mut BitReader<'_>, total: usize, max: usize) -> Syntax<()> {
    bits.refill();
    let window = bits.peek();
    let (zeros, length) = match KIND {
        CHROMA_DC => TOTAL_ZEROS_CHROMA_DC[(total - 1).min(2)][(window >> 61) as usize],
        CHROMA_DC_422 => TOTAL_ZEROS_CHROMA_DC_422[(total - 1).min(6)][(window >> 59) as usize],
        _ => TOTAL_ZEROS[(total - 1).min(14)][(window >> 55) as usize],
    };
    let zeros = usize::from(zeros);
    if length == 0 || zeros + total > max {
        return Err(SyntaxError::invalid("total_zeros", zeros as u32));
    }
    bits.consume(u32::from(length));
    runs(bits, total - 1, zeros)
}

/// Most symbols that one look-up takes.
const BATCH: usize = 4;
/// Bits that a look-up of levels sees.
const LEVEL_BITS: u32 = 9;
/// Bits that a look-up of runs sees.
const RUN_BITS: u32 = 8;

/// Up to [`BATCH`] symbols that begin in a window: by number of symbols the bits they take together and the state
/// after them.
///
/// Bits 0 to 2: how many whole symbols the window holds. Then seven bits for 1, 2, 3, 4 symbols: four of length, three
/// (levels) or four (runs) of state.
type Batch = u64;

const fn batch_set(batch: Batch, count: usize, length: u32, state: u32) -> Batch {
    let at = 3 + 8 * (count - 1);
    (batch & !7) | count as u64 | ((length as u64) | (state as u64) << 4) << at
}

/// Length of `count` >= 1 symbols and the state after them.
#[inline(always)]
fn batch_get(batch: Batch, count: usize) -> (u32, usize) {
    let entry = (batch >> (3 + 8 * (count - 1))) as u32;
    (entry & 15, (entry >> 4 & 15) as usize)
}

/// States of [`LEVELS`]: suffixLength 1 to 6 after the first level, and before it:
const FIRST_0: usize = 0; // suffixLength 0, three trailing ones
const FIRST_0_LESS: usize = 7; // suffixLength 0, the level is coded less 1
const FIRST_1_LESS: usize = 8; // suffixLength 1, the level is coded less 1

/// suffixLength after a level (9.2.2.1).
#[inline(always)]
const fn next_suffix_length(suffix_length: u32, level_code: u32) -> u32 {
    let magnitude = (level_code >> 1) + 1;
    let length = if suffix_length == 0 { 1 } else { suffix_length };
    if magnitude > 3 << (length - 1) && length < 6 {
        length + 1
    } else {
        length
    }
}

/// Levels without escape by state and the next [`LEVEL_BITS`] bits.
static LEVELS: [[Batch; 1 << LEVEL_BITS]; 9] = level_tables();

const fn level_tables() -> [[Batch; 1 << LEVEL_BITS]; 9] {
    let mut tables = [[0; 1 << LEVEL_BITS]; 9];
    let mut state = 0;
    while state < 9 {
        let mut bits = 0;
        while bits < 1 << LEVEL_BITS {
            let mut batch = 0;
            let mut used = 0;
            let mut count = 0;
            let (mut suffix_length, mut less) = match state {
                FIRST_0_LESS => (0, 2),
                FIRST_1_LESS => (1, 2),
                _ => (state as u32, 0),
            };
            while count < BATCH {
                // Zeros, a one, and the suffix.
                let rest = ((bits as u32) << used) & ((1 << LEVEL_BITS) - 1);
                let zeros = rest.leading_zeros() - (32 - LEVEL_BITS);
                let length = zeros + 1 + suffix_length;
                if rest == 0 || used + length > LEVEL_BITS {
                    break;
                }
                let suffix = (rest >> (LEVEL_BITS - length)) & ((1 << suffix_length) - 1);
                let level_code = (zeros << suffix_length) + suffix + less;
                less = 0;
                suffix_length = next_suffix_length(suffix_length, level_code);
                used += length;
                count += 1;
                batch = batch_set(batch, count, used, suffix_length);
            }
            tables[state][bits] = batch;
            bits += 1;
        }
        state += 1;
    }
    tables
}

/// level_prefix and level_suffix (9.2.2).
#[inline(always)]
fn levels(bits: &mut BitReader<'_>, total: usize, ones: usize) -> Syntax<()> {
    let mut state = if ones == 3 {
        FIRST_0
    } else if total > 10 {
        FIRST_1_LESS
    } else {
        FIRST_0_LESS
    };
    let mut left = total - ones;
    loop {
        if bits.valid() < 44 {
            bits.refill();
        }
        let window = bits.peek();
        let batch = LEVELS[state.min(8)][(window >> (64 - LEVEL_BITS)) as usize];
        let count = left.min(batch as usize & 7);
        if count == 0 {
            state = long_level(bits, window, state)?;
            left -= 1;
        } else {
            let (length, after) = batch_get(batch, count);
            bits.consume(length);
            state = after;
            left -= count;
        }
        if left == 0 {
            return Ok(());
        }
    }
}

/// One level that [`LEVELS`] does not hold; gives the state after it.
#[cold]
fn long_level(bits: &mut BitReader<'_>, window: u64, state: usize) -> Syntax<usize> {
    let (suffix_length, less) = match state {
        FIRST_0_LESS => (0, 2),
        FIRST_1_LESS => (1, 2),
        _ => (state as u32, 0),
    };
    let level_prefix = window.leading_zeros();
    let (level_code, length) = if level_prefix < 14 || (level_prefix == 14 && suffix_length > 0) {
        let suffix = ((window << (level_prefix + 1)) >> 1 >> (63 - suffix_length)) as u32;
        (
            (level_prefix << suffix_length) + suffix,
            level_prefix + 1 + suffix_length,
        )
    } else {
        escape(window, level_prefix, suffix_length)?
    };
    bits.consume(length);
    Ok(next_suffix_length(suffix_length, level_code + less) as usize)
}

/// levelCode and the number of bits of a level_prefix of 14 without suffix, or of 15 and more.
#[cold]
fn escape(window: u64, level_prefix: u32, suffix_length: u32) -> Syntax<(u32, u32)> {
    let size = if level_prefix == 14 {
        4
    } else {
        level_prefix.saturating_sub(3)
    };
    // Levels of 14-bit samples fit in a level_prefix of 22; more does not fit in the window.
    if level_prefix > 22 {
        return Err(SyntaxError::invalid("level_prefix", level_prefix));
    }
    let suffix = ((window << (level_prefix + 1)) >> (64 - size)) as u32;
    let mut level_code = (level_prefix.min(15) << suffix_length) + suffix;
    if level_prefix >= 15 && suffix_length == 0 {
        level_code += 15;
    }
    if level_prefix >= 16 {
        level_code += (1 << (level_prefix - 3)) - 4096;
    }
    Ok((level_code, level_prefix + 1 + size))
}

/// Runs by zerosLeft (less 1) and the next [`RUN_BITS`] bits; the state after them is zerosLeft.
static RUNS: [[Batch; 1 << RUN_BITS]; 15] = run_tables();

const fn run_tables() -> [[Batch; 1 << RUN_BITS]; 15] {
    let mut tables = [[0; 1 << RUN_BITS]; 15];
    let mut zeros = 1;
    while zeros <= 15 {
        let mut bits = 0;
        while bits < 1 << RUN_BITS {
            let mut batch = 0;
            let mut used = 0;
            let mut count = 0;
            let mut left = zeros;
            while count < BATCH && left > 0 {
                let rest = ((bits as u32) << used) & ((1 << RUN_BITS) - 1);
                let row = if left > 6 { 6 } else { left - 1 };
                let (mut run, mut length) = RUN_BEFORE[row][(rest >> (RUN_BITS - 3)) as usize];
                if length == 0 {
                    // Four and more zeros, then a one.
                    let prefix = rest.leading_zeros() - (32 - RUN_BITS);
                    (run, length) = if rest == 0 {
                        (0, 0xff)
                    } else {
                        (prefix as u8 + 4, prefix as u8 + 1)
                    };
                }
                if used + length as u32 > RUN_BITS || run as usize > left {
                    break;
                }
                used += length as u32;
                left -= run as usize;
                count += 1;
                batch = batch_set(batch, count, used, left as u32);
            }
            tables[zeros - 1][bits] = batch;
            bits += 1;
        }
        zeros += 1;
    }
    tables
}

/// `left` times run_before (9.2.3), while zeros are left.
#[inline(always)]
fn runs(bits: &mut BitReader<'_>, mut left: usize, mut zeros_left: usize) -> Syntax<()> {
    // Fifteen runs of at most three bits, or fewer and longer ones that add up to less: what is in the window after
    // total_zeros (47 bits or more) holds them all.
    while zeros_left != 0 && left != 0 {
        let window = bits.peek();
        let batch = RUNS[(zeros_left - 1).min(14)][(window >> (64 - RUN_BITS)) as usize];
        let count = left.min(batch as usize & 7);
        if count == 0 {
            // A run too long for the table, or no codeword at all.
            let prefix = window.leading_zeros().min(20);
            let run = prefix as usize + 4;
            if zeros_left <= 6 || run > zeros_left {
                return Err(SyntaxError::invalid("run_before", run as u32));
            }
            bits.consume(prefix + 1);
            zeros_left -= run;
            left -= 1;
        } else {
            let (length, after) = batch_get(batch, count);
            bits.consume(length);
            zeros_left = after;
            left -= count;
        }
    }
    Ok(())
}
