//! residual_block_cavlc() (clause 7.3.5.3.2, 9.2): read for its length; only total_coeff( coeff_token ) is kept.

use super::bits::BitReader;
use super::cavlc_tables as codes;
use super::entropy::{BLOCK, ORIGIN, PLANE, Residual};
use super::error::{Syntax, SyntaxError};

/// In [`Residual::non_zero`]: the neighbouring block is not available.
pub(crate) const NOT_AVAILABLE: u8 = 64;

/// A coeff_token: its length, TotalCoeff and TrailingOnes; length 0 is no codeword.
#[derive(Clone, Copy)]
struct CoeffToken {
    length: u8,
    total: u8,
    trailing_ones: u8,
}

const NO_TOKEN: CoeffToken = CoeffToken {
    length: 0,
    total: 0,
    trailing_ones: 0,
};

/// Codewords have at most this many leading zeros.
const MAX_ZEROS: usize = 16;
/// By number of leading zeros and the three bits after the first 1.
type TokenTable = [CoeffToken; MAX_ZEROS * 8];

/// Fills in a codeword for all values of the bits after it.
const fn put_token(table: &mut TokenTable, code: &str, total: usize, trailing_ones: usize) {
    let code = code.as_bytes();
    if code.is_empty() {
        return;
    }
    let mut zeros = 0;
    while zeros < code.len() && code[zeros] == b'0' {
        zeros += 1;
    }
    let rest = if zeros < code.len() {
        code.len() - zeros - 1
    } else {
        0
    };
    let mut bits = 0;
    let mut i = 0;
    while i < rest {
        bits = bits * 2 + (code[zeros + 1 + i] - b'0') as usize;
        i += 1;
    }
    let token = CoeffToken {
        length: code.len() as u8,
        total: total as u8,
        trailing_ones: trailing_ones as u8,
    };
    let free = 3 - rest;
    let mut k = 0;
    // A codeword of zeros only ends where the table does.
    if zeros == code.len() {
        let mut z = zeros;
        while z < MAX_ZEROS {
            let mut i = 0;
            while i < 8 {
                table[z * 8 + i] = token;
                i += 1;
            }
            z += 1;
        }
        return;
    }
    while k < 1 << free {
        table[zeros * 8 + (bits << free) + k] = token;
        k += 1;
    }
}

const fn token_table<const ROWS: usize>(words: &[[&str; 4]; ROWS]) -> TokenTable {
    let mut table = [NO_TOKEN; MAX_ZEROS * 8];
    let mut total = 0;
    while total < ROWS {
        let mut ones = 0;
        while ones < 4 {
            put_token(&mut table, words[total][ones], total, ones);
            ones += 1;
        }
        total += 1;
    }
    table
}

/// The last column of Table 9-5 has codewords of six bits: by their value.
const fn fixed_table() -> [CoeffToken; 64] {
    let mut table = [NO_TOKEN; 64];
    let mut total = 0;
    while total < 17 {
        let mut ones = 0;
        while ones < 4 {
            let code = codes::COEFF_TOKEN_3[total][ones].as_bytes();
            if !code.is_empty() {
                let mut value = 0;
                let mut i = 0;
                while i < code.len() {
                    value = value * 2 + (code[i] - b'0') as usize;
                    i += 1;
                }
                table[value] = CoeffToken {
                    length: 6,
                    total: total as u8,
                    trailing_ones: ones as u8,
                };
            }
            ones += 1;
        }
        total += 1;
    }
    table
}

static TOKEN: [TokenTable; 3] = [
    token_table(&codes::COEFF_TOKEN_0),
    token_table(&codes::COEFF_TOKEN_1),
    token_table(&codes::COEFF_TOKEN_2),
];
static TOKEN_FIXED: [CoeffToken; 64] = fixed_table();
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
static RUN_BEFORE: [[(u8, u8); 8]; 7] = value_tables(&codes::RUN_BEFORE);

/// Kind of block, for coeff_token and total_zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// 16 coefficients at most.
    Luma,
    /// 15 coefficients at most.
    Ac,
    ChromaDc,
    ChromaDc422,
}

/// residual() (7.3.5.3).
pub(crate) fn residual(bits: &mut BitReader<'_>, r: &mut Residual) -> Syntax<()> {
    luma(bits, r, 0)?;
    match r.chroma_array_type {
        0 => Ok(()),
        3 => {
            luma(bits, r, PLANE)?;
            luma(bits, r, 2 * PLANE)
        }
        _ => chroma(bits, r),
    }
}

fn luma(bits: &mut BitReader<'_>, r: &mut Residual, at: usize) -> Syntax<()> {
    let nz = &mut r.non_zero;
    if r.intra_16x16 {
        let n_c = n_c(nz, at + ORIGIN);
        block(bits, Block::Luma, n_c)?;
    }
    let kind = if r.intra_16x16 { Block::Ac } else { Block::Luma };
    for b8 in 0..4 {
        if r.coded_block_pattern >> b8 & 1 == 0 {
            continue;
        }
        for place in &BLOCK[4 * b8..4 * b8 + 4] {
            let n_c = n_c(nz, at + place);
            nz[at + place] = block(bits, kind, n_c)?;
        }
    }
    Ok(())
}

fn chroma(bits: &mut BitReader<'_>, r: &mut Residual) -> Syntax<()> {
    let pattern = r.coded_block_pattern >> 4;
    if pattern == 0 {
        return Ok(());
    }
    let dc = if r.chroma_array_type == 1 {
        Block::ChromaDc
    } else {
        Block::ChromaDc422
    };
    block(bits, dc, 0)?;
    block(bits, dc, 0)?;
    if pattern & 2 == 0 {
        return Ok(());
    }
    let nz = &mut r.non_zero;
    for plane in 1..3 {
        for i in 0..4 * r.chroma_array_type as usize {
            let place = plane * PLANE + ORIGIN + (i >> 1) * 8 + (i & 1);
            let n_c = n_c(nz, place);
            nz[place] = block(bits, Block::Ac, n_c)?;
        }
    }
    Ok(())
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

/// residual_block_cavlc(): gives total_coeff( coeff_token ).
#[inline]
fn block(bits: &mut BitReader<'_>, kind: Block, n_c: usize) -> Syntax<u8> {
    bits.refill();
    let window = bits.peek();
    let token = match kind {
        Block::ChromaDc => by_leading_zeros(&TOKEN_CHROMA_DC, window),
        Block::ChromaDc422 => by_leading_zeros(&TOKEN_CHROMA_DC_422, window),
        Block::Luma | Block::Ac => match TOKEN_CLASS[n_c & 31] {
            3 => TOKEN_FIXED[(window >> 58) as usize],
            class => by_leading_zeros(&TOKEN[class as usize], window),
        },
    };
    if token.length == 0 {
        return Err(SyntaxError::invalid("coeff_token", (window >> 48) as u32));
    }
    bits.consume(u32::from(token.length));
    if token.total == 0 {
        return Ok(0);
    }
    let max = match kind {
        Block::Luma => 16,
        Block::Ac => 15,
        Block::ChromaDc => 4,
        Block::ChromaDc422 => 8,
    };
    if token.total > max {
        return Err(SyntaxError::invalid("coeff_token", token.total));
    }
    coefficients(bits, kind, token, max)?;
    Ok(token.total)
}

/// Signs and levels, total_zeros and run_before.
#[inline]
fn coefficients(bits: &mut BitReader<'_>, kind: Block, token: CoeffToken, max: u8) -> Syntax<()> {
    let total = usize::from(token.total);
    let ones = usize::from(token.trailing_ones);
    bits.consume(ones as u32);
    if total > ones {
        levels(bits, total, ones)?;
    }
    if token.total < max {
        if bits.valid() < 16 {
            bits.refill();
        }
        let window = bits.peek();
        let (zeros, length) = match kind {
            Block::Luma | Block::Ac => TOTAL_ZEROS[(total - 1) & 15][(window >> 55) as usize],
            Block::ChromaDc => TOTAL_ZEROS_CHROMA_DC[(total - 1) & 3][(window >> 61) as usize],
            Block::ChromaDc422 => TOTAL_ZEROS_CHROMA_DC_422[(total - 1) & 7][(window >> 59) as usize],
        };
        if length == 0 || zeros + token.total > max {
            return Err(SyntaxError::invalid("total_zeros", zeros));
        }
        bits.consume(u32::from(length));
        runs(bits, total, usize::from(zeros))?;
    }
    Ok(())
}

/// level_prefix and level_suffix (9.2.2).
#[inline]
fn levels(bits: &mut BitReader<'_>, total: usize, ones: usize) -> Syntax<()> {
    let mut suffix_length = u32::from(total > 10 && ones < 3);
    // A first level that cannot be 1 is coded less 1: it grows sooner.
    let mut less = if ones < 3 { 2 } else { 0 };
    for _ in ones..total {
        if bits.valid() < 44 {
            bits.refill();
        }
        let window = bits.peek();
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
        let magnitude = ((level_code + less) >> 1) + 1;
        less = 0;
        suffix_length = suffix_length.max(1);
        if magnitude > 3 << (suffix_length - 1) && suffix_length < 6 {
            suffix_length += 1;
        }
    }
    Ok(())
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

/// run_before (9.2.3) of all coefficients but the last.
#[inline]
fn runs(bits: &mut BitReader<'_>, total: usize, zeros: usize) -> Syntax<()> {
    let mut zeros_left = zeros;
    let mut coefficients = total - 1;
    // Fifteen runs of at most three bits, or fewer and longer ones that add up to less: 56 bits hold them all.
    bits.refill();
    while zeros_left > 0 && coefficients > 0 {
        let window = bits.peek();
        let (run, length) = if zeros_left <= 6 {
            RUN_BEFORE[zeros_left - 1][(window >> 61) as usize]
        } else {
            let (run, length) = RUN_BEFORE[6][(window >> 61) as usize];
            if length != 0 {
                (run, length)
            } else {
                let prefix = window.leading_zeros().min(20) as u8;
                (prefix + 4, prefix + 1)
            }
        };
        if usize::from(run) > zeros_left || length == 0 {
            return Err(SyntaxError::invalid("run_before", run));
        }
        bits.consume(u32::from(length));
        zeros_left -= usize::from(run);
        coefficients -= 1;
    }
    Ok(())
}
