//! NAL unit header and emulation prevention (clause 7.3.1, 7.4.1).

use super::bits::PADDING;

/// nal_unit_type values that motion depends on (Table 7-1).
pub(crate) mod nal_unit_type {
    pub(crate) const SLICE: u8 = 1;
    pub(crate) const PARTITION_A: u8 = 2;
    pub(crate) const IDR_SLICE: u8 = 5;
    pub(crate) const SEI: u8 = 6;
    pub(crate) const SPS: u8 = 7;
    pub(crate) const PPS: u8 = 8;
    pub(crate) const ACCESS_UNIT_DELIMITER: u8 = 9;
    pub(crate) const END_OF_SEQUENCE: u8 = 10;
}

/// The first byte of a NAL unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalHeader {
    /// nal_ref_idc: 0 if nothing refers to the content.
    pub nal_ref_idc: u8,
    /// nal_unit_type, Table 7-1.
    pub nal_unit_type: u8,
}

impl NalHeader {
    /// Reads the header byte; `None` for an empty NAL unit or a set forbidden_zero_bit.
    pub fn parse(nal: &[u8]) -> Option<NalHeader> {
        let &first = nal.first()?;
        if first & 0x80 != 0 {
            return None;
        }
        Some(NalHeader {
            nal_ref_idc: first >> 5 & 3,
            nal_unit_type: first & 31,
        })
    }
}

/// Writes the RBSP of a NAL unit (what follows the header byte, less emulation prevention) to `rbsp`, followed
/// by the padding that [`BitReader`](super::bits::BitReader) needs.
pub(crate) fn unescape(nal: &[u8], rbsp: &mut Vec<u8>) {
    rbsp.clear();
    let payload = nal.get(1..).unwrap_or(&[]);
    rbsp.reserve(payload.len() + PADDING);
    let mut from = 0;
    let mut at = 0;
    while let Some(found) = find_emulation_prevention(&payload[at..]) {
        let three = at + found + 2;
        rbsp.extend_from_slice(&payload[from..three]);
        from = three + 1;
        at = from;
    }
    rbsp.extend_from_slice(&payload[from..]);
    rbsp.resize(rbsp.len() + PADDING, 0);
}

/// Position of the first 00 00 03.
fn find_emulation_prevention(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = find_two_zeros(&data[at..]) {
        let zeros = at + found;
        if data.get(zeros + 2) == Some(&3) {
            return Some(zeros);
        }
        at = zeros + 1;
    }
    None
}

/// Position of the first 00 00. Looks at eight bytes at a time.
pub(crate) fn find_two_zeros(data: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(bytes) = data.get(at..).and_then(|d| d.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*bytes);
        let zero_bytes = word.wrapping_sub(ONES) & !word & HIGHS;
        if zero_bytes != 0 {
            // The lowest set bit is exact (borrows only run upwards).
            let zero = at + (zero_bytes.trailing_zeros() / 8) as usize;
            match data.get(zero + 1) {
                Some(0) => return Some(zero),
                Some(_) => at = zero + 2,
                None => return None,
            }
        } else {
            at += 8;
        }
    }
    let tail = data.get(at..)?;
    tail.windows(2).position(|w| w == [0, 0]).map(|found| at + found)
}
