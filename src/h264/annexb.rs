//! Byte stream format (Annex B) and the order of NAL units (clause 7.4.1.2.3, 7.4.1.2.4): cutting a byte stream
//! into NAL units and access units.

use super::bits::BitReader;
use super::nal::{NalHeader, find_two_zeros, nal_unit_type as nut, unescape};

/// Iterates over the NAL units of a byte stream, without start codes and trailing zero bytes.
///
/// Bytes before the first start code are passed over.
#[derive(Debug, Clone)]
pub struct NalUnits<'a> {
    stream: &'a [u8],
    /// First byte after a start code, or the length of the stream.
    at: usize,
}

/// The NAL units of a byte stream (start codes of three or four bytes).
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    let at = next_start_code(stream, 0).map_or(stream.len(), |code| code + 3);
    NalUnits { stream, at }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.at < self.stream.len() {
            let begin = self.at;
            let end = match next_start_code(self.stream, begin) {
                Some(code) => {
                    self.at = code + 3;
                    code
                }
                None => {
                    self.at = self.stream.len();
                    self.stream.len()
                }
            };
            let nal = trim_zeros(&self.stream[begin..end]);
            if !nal.is_empty() {
                return Some(nal);
            }
        }
        None
    }
}

/// Position of the next 00 00 01 at or after `from`.
fn next_start_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = find_two_zeros(stream.get(at..)?) {
        let zeros = at + found;
        match stream.get(zeros + 2) {
            Some(1) => return Some(zeros),
            Some(_) => at = zeros + 1,
            None => return None,
        }
    }
    None
}

/// Without trailing_zero_8bits (and the first byte of a four-byte start code).
fn trim_zeros(nal: &[u8]) -> &[u8] {
    let length = nal.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    &nal[..length]
}

/// Cuts a byte stream that arrives in pieces of any size into access units.
///
/// An access unit here begins at the first NAL unit of types 6 to 9 after the last slice of a primary coded picture
/// (other types that motion does not depend on begin none), or at the first slice of a new primary coded picture (7.4.1.2.3). A slice belongs to a new
/// *access unit* if it differs from the one before as in 7.4.1.2.4, so the two fields of a frame come as two.
/// Its result does not depend on where the pieces were cut.
#[derive(Debug, Default)]
pub struct AccessUnitSplitter {
    /// Bytes from the beginning of the access unit under way, which starts with a start code.
    pending: Vec<u8>,
    /// Up to here, `pending` was searched for start codes.
    searched: usize,
    /// Start of the last NAL unit's start code in `pending`, if it is not yet known where it ends.
    open_nal: Option<usize>,
    boundary: PictureBoundary,
    rbsp: Vec<u8>,
}

impl AccessUnitSplitter {
    /// Begins at the start of a stream.
    pub fn new() -> AccessUnitSplitter {
        AccessUnitSplitter::default()
    }

    /// Takes more bytes and hands every access unit that is now complete to `sink`.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) {
        self.pending.extend_from_slice(bytes);
        while let Some(code) = next_start_code(&self.pending, self.searched) {
            self.nal_ends(code, sink);
        }
        // A start code may straddle the cut: its first two bytes are looked at again.
        let open = self.open_nal.map_or(0, |nal| nal + 3);
        self.searched = self.searched.max(self.pending.len().saturating_sub(2)).max(open);
        if self.open_nal.is_none() {
            // Nothing before the first start code counts.
            let keep = self.pending.len().min(2);
            self.pending.drain(..self.pending.len() - keep);
            self.searched = 0;
        }
    }

    /// Ends the stream: hands out what is left.
    pub fn finish(&mut self, sink: &mut dyn FnMut(&[u8])) {
        if self.open_nal.is_some() {
            let end = self.pending.len();
            self.nal_ends(end, sink);
            if !self.pending.is_empty() {
                sink(&self.pending);
            }
        }
        *self = AccessUnitSplitter::default();
    }

    /// A start code (or the end of the stream) at `code` closes the NAL unit before it.
    fn nal_ends(&mut self, code: usize, sink: &mut dyn FnMut(&[u8])) {
        let mut shift = 0;
        match self.open_nal {
            Some(begin) => {
                let nal = trim_zeros(&self.pending[begin + 3..code]);
                if self.boundary.starts_access_unit(nal, &mut self.rbsp) && begin > 0 {
                    sink(&self.pending[..begin]);
                    self.pending.drain(..begin);
                    shift = begin;
                }
            }
            None => {
                self.pending.drain(..code.min(self.pending.len()));
                shift = code;
            }
        }
        self.open_nal = Some(code - shift);
        self.searched = code - shift + 3;
    }
}

/// The access units of a whole byte stream.
pub fn access_units(stream: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut boundary = PictureBoundary::default();
    let mut rbsp = Vec::new();
    let Some(first) = next_start_code(stream, 0) else {
        return units;
    };
    let mut unit = first;
    let mut code = first;
    loop {
        let next = next_start_code(stream, code + 3);
        let nal = trim_zeros(&stream[code + 3..next.unwrap_or(stream.len())]);
        if boundary.starts_access_unit(nal, &mut rbsp) && code > unit {
            units.push(&stream[unit..code]);
            unit = code;
        }
        match next {
            Some(at) => code = at,
            None => break,
        }
    }
    units.push(&stream[unit..]);
    units
}

/// The parameters that a slice's picture is told apart by, as far as they can be read without the SPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SliceKey {
    pic_parameter_set_id: u32,
    idr: bool,
    is_reference: bool,
    /// The bits from frame_num on: enough of them to hold frame_num, the field flags, idr_pic_id and the picture
    /// order count, as far as the parameter sets say how long these are.
    identity: [u32; 7],
}

/// What the splitter needs of an SPS.
#[derive(Debug, Clone, Copy)]
struct SpsFacts {
    log2_max_frame_num: u32,
    separate_colour_plane: bool,
    frame_mbs_only: bool,
    pic_order_cnt_type: u32,
    log2_max_poc_lsb: u32,
    delta_always_zero: bool,
}

/// Finds where access units begin.
#[derive(Debug, Default)]
struct PictureBoundary {
    last_slice: Option<SliceKey>,
    /// A slice was seen since the access unit began.
    has_slice: bool,
    sps: std::collections::BTreeMap<u32, SpsFacts>,
    /// PPS id to SPS id and bottom_field_pic_order_in_frame_present_flag.
    pps: std::collections::BTreeMap<u32, (u32, bool)>,
}

impl PictureBoundary {
    /// Looks at the next NAL unit; true if an access unit begins with it.
    fn starts_access_unit(&mut self, nal: &[u8], rbsp: &mut Vec<u8>) -> bool {
        let Some(header) = NalHeader::parse(nal) else {
            return false;
        };
        match header.nal_unit_type {
            nut::SLICE | nut::PARTITION_A | nut::IDR_SLICE => {
                // The header's first fields are short: sixty bytes hold them all.
                unescape(&nal[..nal.len().min(80)], rbsp);
                let key = self.slice_key(header, rbsp);
                let begins = match (&self.last_slice, &key) {
                    (Some(last), Some(key)) => last != key,
                    _ => false,
                };
                let starts = self.has_slice && begins;
                self.has_slice = true;
                if key.is_some() {
                    self.last_slice = key;
                }
                starts
            }
            nut::SEI | nut::SPS | nut::PPS | nut::ACCESS_UNIT_DELIMITER => {
                if header.nal_unit_type == nut::SPS {
                    self.read_sps(nal, rbsp);
                } else if header.nal_unit_type == nut::PPS {
                    self.read_pps(nal, rbsp);
                }
                let starts = self.has_slice;
                if starts {
                    self.has_slice = false;
                    self.last_slice = None;
                }
                starts
            }
            _ => false,
        }
    }

    fn read_sps(&mut self, nal: &[u8], rbsp: &mut Vec<u8>) {
        unescape(nal, rbsp);
        if let Ok(sps) = super::sps::Sps::parse(&mut BitReader::new(rbsp)) {
            let facts = SpsFacts {
                log2_max_frame_num: sps.log2_max_frame_num,
                separate_colour_plane: sps.separate_colour_plane_flag,
                frame_mbs_only: sps.frame_mbs_only_flag,
                pic_order_cnt_type: sps.pic_order_cnt_type,
                log2_max_poc_lsb: sps.log2_max_pic_order_cnt_lsb,
                delta_always_zero: sps.delta_pic_order_always_zero_flag,
            };
            self.sps.insert(sps.seq_parameter_set_id, facts);
        }
    }

    fn read_pps(&mut self, nal: &[u8], rbsp: &mut Vec<u8>) {
        unescape(nal, rbsp);
        if let Ok(pps) = super::pps::Pps::parse(&mut BitReader::new(rbsp)) {
            let facts = (
                pps.seq_parameter_set_id,
                pps.bottom_field_pic_order_in_frame_present_flag,
            );
            self.pps.insert(pps.pic_parameter_set_id, facts);
        }
    }

    fn slice_key(&self, header: NalHeader, rbsp: &[u8]) -> Option<SliceKey> {
        let mut r = BitReader::new(rbsp);
        let _first_mb_in_slice = r.ue();
        let _slice_type = r.ue();
        let pic_parameter_set_id = r.ue();
        let mut identity = [0; 7];
        let idr = header.nal_unit_type == nut::IDR_SLICE;
        let &(sps_id, bottom_field_poc) = self.pps.get(&pic_parameter_set_id)?;
        let sps = self.sps.get(&sps_id)?;
        if sps.separate_colour_plane {
            r.u(2);
        }
        identity[0] = r.u(sps.log2_max_frame_num);
        let mut field = false;
        if !sps.frame_mbs_only {
            field = r.flag();
            identity[1] = u32::from(field) + if field { 2 * r.u(1) } else { 0 };
        }
        if idr {
            identity[2] = r.ue();
        }
        if sps.pic_order_cnt_type == 0 {
            identity[3] = r.u(sps.log2_max_poc_lsb);
            if bottom_field_poc && !field {
                identity[4] = r.ue();
            }
        } else if sps.pic_order_cnt_type == 1 && !sps.delta_always_zero {
            identity[5] = r.ue();
            if bottom_field_poc && !field {
                identity[6] = r.ue();
            }
        }
        if r.overrun() && rbsp.len() < 40 {
            return None;
        }
        let is_reference = header.nal_ref_idc != 0;
        Some(SliceKey {
            pic_parameter_set_id,
            idr,
            is_reference,
            identity,
        })
    }
}
