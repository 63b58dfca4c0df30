//! Look-up tables of clause 9.2, built at compile time from the codewords in `cavlc_tables`.

use super::cavlc_tables as codes;

/// A coeff_token: bits 0 to 4 its length and that of the trailing ones' signs, 5 to 9 TotalCoeff, 10 and 11
/// TrailingOnes. 0 is no codeword.
pub(crate) type CoeffToken = u16;

const fn coeff_token(length: usize, total: usize, ones: usize) -> CoeffToken {
    (length + ones) as u16 | (total as u16) << 5 | (ones as u16) << 10
}

/// Codewords have fewer leading zeros than this.
pub(crate) const MAX_ZEROS: usize = 16;
/// By number of leading zeros and the three bits after the first 1.
pub(crate) type TokenTable = [CoeffToken; MAX_ZEROS * 8];
/// By the next eight bits; 0 where the codeword is longer.
pub(crate) type ShortTokenTable = [CoeffToken; 256];

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
pub(crate) static SHORT_TOKEN: [ShortTokenTable; 4] = [
    short_token_table(&codes::COEFF_TOKEN_0),
    short_token_table(&codes::COEFF_TOKEN_1),
    short_token_table(&codes::COEFF_TOKEN_2),
    short_token_table(&codes::COEFF_TOKEN_3),
];
pub(crate) static TOKEN: [TokenTable; 3] = [
    token_table(&codes::COEFF_TOKEN_0),
    token_table(&codes::COEFF_TOKEN_1),
    token_table(&codes::COEFF_TOKEN_2),
];
pub(crate) static TOKEN_CHROMA_DC: TokenTable = token_table(&codes::COEFF_TOKEN_CHROMA_DC);
pub(crate) static TOKEN_CHROMA_DC_422: TokenTable = token_table(&codes::COEFF_TOKEN_CHROMA_DC_422);

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

pub(crate) static TOTAL_ZEROS: [[(u8, u8); 512]; 15] = value_tables(&codes::TOTAL_ZEROS);
pub(crate) static TOTAL_ZEROS_CHROMA_DC: [[(u8, u8); 8]; 3] = value_tables(&codes::TOTAL_ZEROS_CHROMA_DC);
pub(crate) static TOTAL_ZEROS_CHROMA_DC_422: [[(u8, u8); 32]; 7] =
    value_tables(&codes::TOTAL_ZEROS_CHROMA_DC_422);
/// run_before for zerosLeft 1 to 6, and its three-bit codewords for more.
pub(crate) const RUN_BEFORE: [[(u8, u8); 8]; 7] = value_tables(&codes::RUN_BEFORE);

/// Most symbols that one look-up takes.
pub(crate) const BATCH: usize = 4;
/// Bits that a look-up of levels sees.
pub(crate) const LEVEL_BITS: u32 = 9;
/// Bits that a look-up of runs sees.
pub(crate) const RUN_BITS: u32 = 8;

/// Up to [`BATCH`] symbols that begin in a window: by number of symbols the bits they take together and the state
/// after them.
///
/// Bits 0 to 2: how many whole symbols the window holds. Then seven bits for 1, 2, 3, 4 symbols: four of length, three
/// (levels) or four (runs) of state.
pub(crate) type Batch = u64;

const fn batch_set(batch: Batch, count: usize, length: u32, state: u32) -> Batch {
    let at = 3 + 8 * (count - 1);
    (batch & !7) | count as u64 | ((length as u64) | (state as u64) << 4) << at
}

/// Length of `count` >= 1 symbols and the state after them.
#[inline(always)]
pub(crate) fn batch_get(batch: Batch, count: usize) -> (u32, usize) {
    let entry = (batch >> (3 + 8 * (count - 1))) as u32;
    (entry & 15, (entry >> 4 & 15) as usize)
}

/// States of [`LEVELS`]: suffixLength 1 to 6 after the first level, and before it:
pub(crate) const FIRST_0: usize = 0; // suffixLength 0, three trailing ones
pub(crate) const FIRST_0_LESS: usize = 7; // suffixLength 0, the level is coded less 1
pub(crate) const FIRST_1_LESS: usize = 8; // suffixLength 1, the level is coded less 1

/// suffixLength after a level (9.2.2.1).
#[inline(always)]
pub(crate) const fn next_suffix_length(suffix_length: u32, level_code: u32) -> u32 {
    let magnitude = (level_code >> 1) + 1;
    let length = if suffix_length == 0 { 1 } else { suffix_length };
    if magnitude > 3 << (length - 1) && length < 6 {
        length + 1
    } else {
        length
    }
}

/// Levels without escape by state and the next [`LEVEL_BITS`] bits.
pub(crate) static LEVELS: [[Batch; 1 << LEVEL_BITS]; 9] = level_tables();

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

/// Runs by zerosLeft (less 1) and the next [`RUN_BITS`] bits; the state after them is zerosLeft.
pub(crate) static RUNS: [[Batch; 1 << RUN_BITS]; 15] = run_tables();

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
