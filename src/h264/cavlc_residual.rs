//! residual_block_cavlc() (clause 7.3.5.3.2, 9.2): read for its length; only total_coeff( coeff_token ) is kept.

use super::bits::BitReader;
use super::cavlc_lookup::{
    CoeffToken, FIRST_0, FIRST_0_LESS, FIRST_1_LESS, LEVEL_BITS, LEVELS, RUN_BITS, RUNS, SHORT_TOKEN, TOKEN,
    TOKEN_CHROMA_DC, TOKEN_CHROMA_DC_422, TOTAL_ZEROS, TOTAL_ZEROS_CHROMA_DC, TOTAL_ZEROS_CHROMA_DC_422,
    TokenTable, batch_get, next_suffix_length,
};
use super::entropy::{BLOCK, ORIGIN, PLANE, Residual};
use super::error::{Syntax, SyntaxError};

/// In [`Residual::non_zero`]: the neighbouring block is not available.
pub(crate) const NOT_AVAILABLE: u8 = 64;

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
