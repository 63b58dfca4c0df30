//! residual_block_cabac() (clause 7.3.5.3.3, 9.3.3.1.3): read for its length; only coded_block_flag is kept.

use super::cabac::{Arith, States, place};
use super::cabac_syntax::Cabac;
use super::entropy::{BLOCK, PLANE, Residual};
use super::error::{Syntax, SyntaxError};

/// ctxIdxOffset + ctxBlockCatOffset of coded_block_flag, by ctxBlockCat (Tables 9-34, 9-40).
const CODED_BLOCK_FLAG: [usize; 14] = [
    85, 89, 93, 97, 101, 1012, 460, 464, 468, 1016, 472, 476, 480, 1020,
];
/// The places of the same of significant_coeff_flag, for frame and field macroblocks. Except for 8x8 blocks (5, 9, 13), the
/// contexts of last_significant_coeff_flag alternate with these.
const SIGNIFICANT: [[usize; 14]; 2] = [
    places([
        105, 120, 134, 149, 152, 402, 484, 499, 513, 660, 528, 543, 557, 718,
    ]),
    places([
        277, 292, 306, 321, 324, 436, 776, 791, 805, 675, 820, 835, 849, 733,
    ]),
];
/// The same of last_significant_coeff_flag.
const LAST: [[usize; 14]; 2] = [
    places([
        166, 181, 195, 210, 213, 417, 572, 587, 601, 690, 616, 631, 645, 748,
    ]),
    places([
        338, 353, 367, 382, 385, 451, 864, 879, 893, 699, 908, 923, 937, 757,
    ]),
];
/// The same of coeff_abs_level_minus1.
const ABS_LEVEL: [usize; 14] = [
    227, 237, 247, 257, 266, 426, 952, 962, 972, 708, 982, 992, 1002, 766,
];

const fn places(mut ctx: [usize; 14]) -> [usize; 14] {
    let mut i = 0;
    while i < 14 {
        ctx[i] = place(ctx[i]);
        i += 1;
    }
    ctx
}

/// ctxIdxInc of significant_coeff_flag in 8x8 blocks, by levelListIdx (Table 9-43), frame and field.
#[rustfmt::skip]
static SIGNIFICANT_8X8: [[u8; 64]; 2] = [
    [
        0, 1, 2, 3, 4, 5, 5, 4, 4, 3, 3, 4, 4, 4, 5, 5, 4, 4, 4, 4, 3, 3, 6, 7, 7, 7, 8, 9, 10, 9, 8, 7,
        7, 6, 11, 12, 13, 11, 6, 7, 8, 9, 14, 10, 9, 8, 6, 11, 12, 13, 11, 6, 9, 14, 10, 9, 11, 12, 13, 11, 14, 10, 12, 0,
    ],
    [
        0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 7, 8, 4, 5, 6, 9, 10, 10, 8, 11, 12, 11, 9, 9, 10, 10, 8, 11, 12, 11,
        9, 9, 10, 10, 8, 11, 12, 11, 9, 9, 10, 10, 8, 13, 13, 9, 9, 10, 10, 8, 13, 13, 9, 9, 10, 10, 14, 14, 14, 14, 14, 0,
    ],
];
/// ctxIdxInc of last_significant_coeff_flag in 8x8 blocks (Table 9-43).
#[rustfmt::skip]
static LAST_8X8: [u8; 64] = [
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 0,
];

/// residual() (7.3.5.3).
pub(crate) fn residual(cabac: &mut Cabac<'_>, r: &mut Residual) -> Syntax<()> {
    let mut arith = cabac.arith;
    let result = planes(&mut arith, &mut cabac.states, r);
    cabac.arith = arith;
    result
}

fn planes(arith: &mut Arith<'_>, states: &mut States, r: &mut Residual) -> Syntax<()> {
    luma(arith, states, r, 0)?;
    match r.chroma_array_type {
        0 => Ok(()),
        3 => {
            luma(arith, states, r, 1)?;
            luma(arith, states, r, 2)
        }
        _ => chroma(arith, states, r),
    }
}

/// residual_luma() (7.3.5.3.1) of one colour plane.
fn luma(arith: &mut Arith<'_>, states: &mut States, r: &mut Residual, plane: usize) -> Syntax<()> {
    let cat = [0, 6, 10][plane];
    let field = usize::from(r.field);
    let at = plane * PLANE;
    if r.intra_16x16 {
        let inc = usize::from(r.dc_a >> plane & 1) + 2 * usize::from(r.dc_b >> plane & 1);
        if arith.decision(states, CODED_BLOCK_FLAG[cat] + inc) != 0 {
            r.dc |= 1 << plane;
            block_4x4(arith, states, SIGNIFICANT[field][cat], ABS_LEVEL[cat], 15)?;
        }
        if r.coded_block_pattern & 15 == 0 {
            return Ok(());
        }
        let cat = cat + 1;
        let (sig, abs) = (SIGNIFICANT[field][cat], ABS_LEVEL[cat]);
        for place in BLOCK {
            coded_4x4(
                arith,
                states,
                r,
                at + place,
                CODED_BLOCK_FLAG[cat],
                (sig, abs, 14),
            )?;
        }
        return Ok(());
    }
    if r.transform_8x8 {
        let cat = [5, 9, 13][plane];
        for b8 in 0..4 {
            if r.coded_block_pattern >> b8 & 1 == 0 {
                continue;
            }
            let place = at + BLOCK[4 * b8];
            let nz = &mut r.non_zero;
            // Without 4:4:4, coded_block_flag of 8x8 blocks is inferred to be 1.
            let coded = r.chroma_array_type != 3 || {
                let inc = usize::from(nz[place - 1] != 0) + 2 * usize::from(nz[place - 8] != 0);
                arith.decision(states, CODED_BLOCK_FLAG[cat] + inc) != 0
            };
            if coded {
                for p in [place, place + 1, place + 8, place + 9] {
                    nz[p] = 1;
                }
                block_8x8(arith, states, field, cat)?;
            }
        }
        return Ok(());
    }
    let cat = cat + 2;
    let (sig, abs) = (SIGNIFICANT[field][cat], ABS_LEVEL[cat]);
    for b8 in 0..4 {
        if r.coded_block_pattern >> b8 & 1 == 0 {
            continue;
        }
        for &place in &BLOCK[4 * b8..4 * b8 + 4] {
            coded_4x4(
                arith,
                states,
                r,
                at + place,
                CODED_BLOCK_FLAG[cat],
                (sig, abs, 15),
            )?;
        }
    }
    Ok(())
}

/// Chroma of 4:2:0 and 4:2:2.
fn chroma(arith: &mut Arith<'_>, states: &mut States, r: &mut Residual) -> Syntax<()> {
    let pattern = r.coded_block_pattern >> 4;
    if pattern == 0 {
        return Ok(());
    }
    let field = usize::from(r.field);
    let num_c8x8 = r.chroma_array_type as usize;
    for plane in 1..3 {
        let inc = usize::from(r.dc_a >> plane & 1) + 2 * usize::from(r.dc_b >> plane & 1);
        if arith.decision(states, CODED_BLOCK_FLAG[3] + inc) != 0 {
            r.dc |= 1 << plane;
            chroma_dc(arith, states, field, num_c8x8)?;
        }
    }
    if pattern & 2 == 0 {
        return Ok(());
    }
    let (sig, abs) = (SIGNIFICANT[field][4], ABS_LEVEL[4]);
    for plane in 1..3 {
        for i in 0..4 * num_c8x8 {
            let place = plane * PLANE + super::entropy::ORIGIN + (i >> 1) * 8 + (i & 1);
            coded_4x4(arith, states, r, place, CODED_BLOCK_FLAG[4], (sig, abs, 14))?;
        }
    }
    Ok(())
}

#[inline(always)]
fn coded_4x4(
    arith: &mut Arith<'_>,
    states: &mut States,
    r: &mut Residual,
    place: usize,
    coded_block_flag: usize,
    (sig, abs, num): (usize, usize, usize),
) -> Syntax<()> {
    let nz = &mut r.non_zero;
    let inc = usize::from(nz[place - 1] != 0) + 2 * usize::from(nz[place - 8] != 0);
    if arith.decision(states, coded_block_flag + inc) != 0 {
        nz[place] = 1;
        block_4x4(arith, states, sig, abs, num)?;
    }
    Ok(())
}

/// One block of `num` + 1 coefficients whose ctxIdxInc is levelListIdx.
#[inline]
fn block_4x4(
    arith_ref: &mut Arith<'_>,
    states: &mut States,
    sig: usize,
    abs: usize,
    num: usize,
) -> Syntax<()> {
    let mut arith = *arith_ref;
    let count = arith.significance(states, sig, num);
    let within = arith.levels(states, abs, count, 4);
    *arith_ref = arith;
    check(within)
}

fn block_8x8(arith_ref: &mut Arith<'_>, states: &mut States, field: usize, cat: usize) -> Syntax<()> {
    let mut arith = *arith_ref;
    let (sig, last) = (SIGNIFICANT[field][cat], LAST[field][cat]);
    let sig_inc = &SIGNIFICANT_8X8[field];
    let mut count = 0;
    let mut i = 0;
    loop {
        if i == 63 {
            count += 1;
            break;
        }
        if arith.decision(states, sig + usize::from(sig_inc[i])) != 0 {
            count += 1;
            if arith.decision(states, last + usize::from(LAST_8X8[i])) != 0 {
                break;
            }
        }
        i += 1;
    }
    let within = arith.levels(states, ABS_LEVEL[cat], count, 4);
    *arith_ref = arith;
    check(within)
}

/// Chroma DC: ctxIdxInc is Min( numDecod / NumC8x8, 2 ).
fn chroma_dc(arith_ref: &mut Arith<'_>, states: &mut States, field: usize, num_c8x8: usize) -> Syntax<()> {
    let mut arith = *arith_ref;
    let (sig, last) = (SIGNIFICANT[field][3], LAST[field][3]);
    let count = if num_c8x8 == 1 {
        arith.significance(states, sig, 3)
    } else {
        let num = 4 * num_c8x8 - 1;
        let mut count = 0;
        let mut i = 0;
        loop {
            if i == num {
                count += 1;
                break;
            }
            let inc = 2 * (i / num_c8x8).min(2);
            if arith.decision(states, sig + inc) != 0 {
                count += 1;
                if arith.decision(states, last + inc) != 0 {
                    break;
                }
            }
            i += 1;
        }
        count
    };
    let within = arith.levels(states, ABS_LEVEL[3], count, 3);
    *arith_ref = arith;
    check(within)
}

#[inline(always)]
fn check(within_bounds: bool) -> Syntax<()> {
    if within_bounds {
        Ok(())
    } else {
        Err(SyntaxError::invalid("coeff_abs_level_minus1", i64::MAX))
    }
}
