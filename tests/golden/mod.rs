//! Golden motion data: a coded picture's line and digests, as the format of `shared/h264` defines them.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fmt::Write as _;

use comove::h264::{DecodeError, MotionDecoder, MotionField, PictureStructure, annexb};
use sha2::{Digest, Sha256};

/// The columns that a decoder can fill.
pub const COLUMNS: [&str; 20] = [
    "decode_index",
    "structure",
    "idr",
    "nal_ref_idc",
    "slice_types",
    "poc",
    "poc_top",
    "poc_bottom",
    "frame_num",
    "mb_width",
    "mb_height",
    "slices",
    "intra_mbs",
    "skip_mbs",
    "field_mbs",
    "blocks_l0",
    "blocks_l1",
    "digest_mv",
    "digest_ref",
    "digest_mb",
];

/// First eight bytes of a digest, in hexadecimal.
fn short_hex(hash: Sha256) -> String {
    let mut hex = String::new();
    for byte in &hash.finalize()[..8] {
        write!(hex, "{byte:02x}").expect("a string takes all that is written");
    }
    hex
}

/// The fields of a picture's line, in the order of [`COLUMNS`].
pub fn line(decode_index: usize, field: &MotionField<'_>) -> Vec<String> {
    let h = field.header();
    let (width, height) = (h.width_mbs as usize, h.height_mbs as usize);
    let (mut digest_mv, mut digest_ref, mut digest_mb) = (Sha256::new(), Sha256::new(), Sha256::new());
    let (mut intra, mut skip, mut field_mbs, mut blocks) = (0u32, 0u32, 0u32, [0u32; 2]);
    let (mut mv_bytes, mut ref_bytes) = (Vec::new(), Vec::new());
    for position in 0..width * height {
        let flags = field.mb_flags(position);
        intra += u32::from(flags.intra);
        skip += u32::from(flags.skip);
        field_mbs += u32::from(flags.field);
        digest_mb.update([flags.bits()]);
        mv_bytes.clear();
        ref_bytes.clear();
        for block in 0..16 {
            let (x4, y4) = (position % width * 4 + block % 4, position / width * 4 + block / 4);
            for (list, blocks) in blocks.iter_mut().enumerate() {
                let ref_idx = field.ref_idx(list, x4, y4);
                let mv = field.mv(list, x4, y4).map(i16::to_le_bytes);
                let poc = field.ref_poc(list, x4, y4).unwrap_or(i32::MIN);
                *blocks += u32::from(ref_idx >= 0);
                mv_bytes.extend(ref_idx.to_le_bytes());
                mv_bytes.extend(mv.as_flattened());
                ref_bytes.extend(poc.to_le_bytes());
                ref_bytes.extend(mv.as_flattened());
            }
        }
        digest_mv.update(&mv_bytes);
        digest_ref.update(&ref_bytes);
    }
    let structure = match h.structure {
        PictureStructure::Frame => "frame",
        PictureStructure::Mbaff => "mbaff",
        PictureStructure::TopField => "top",
        PictureStructure::BottomField => "bottom",
    };
    let order = |poc: Option<i32>| poc.map_or("-".to_owned(), |p| p.to_string());
    vec![
        decode_index.to_string(),
        structure.to_owned(),
        u8::from(h.idr).to_string(),
        h.nal_ref_idc.to_string(),
        h.slice_types.to_string(),
        h.poc.to_string(),
        order(h.poc_top),
        order(h.poc_bottom),
        h.frame_num.to_string(),
        width.to_string(),
        height.to_string(),
        h.slices.to_string(),
        intra.to_string(),
        skip.to_string(),
        field_mbs.to_string(),
        blocks[0].to_string(),
        blocks[1].to_string(),
        short_hex(digest_mv),
        short_hex(digest_ref),
        short_hex(digest_mb),
    ]
}

/// Lines of all pictures of a stream's access units, by decode_index; `None` for a picture that was skipped because the
/// decoder waited for a random access point. The errors come with the number of the access unit.
#[allow(clippy::type_complexity)]
pub fn lines<'a>(
    access_units: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Option<Vec<String>>>, Vec<(usize, DecodeError)>) {
    let mut decoder = MotionDecoder::new();
    let mut lines: Vec<Option<Vec<String>>> = Vec::new();
    let mut errors = Vec::new();
    for (number, access_unit) in access_units.into_iter().enumerate() {
        let result = decoder.decode(access_unit, &mut |field| {
            let next = line(lines.len(), field);
            lines.push(Some(next));
        });
        if let Err(error) = result {
            if let DecodeError::AwaitingRandomAccess { pictures } = error {
                lines.extend((0..pictures).map(|_| None));
            }
            errors.push((number, error));
        }
        decoder.check_invariants();
    }
    (lines, errors)
}

/// How a stream compares with its golden lines.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Trusted lines that are equal in every column.
    pub exact: usize,
    /// Lines that no test may fail on.
    pub untrusted: usize,
    /// What differs: picture, column, got, expected.
    pub differences: Vec<String>,
}

/// Compares a byte stream with the text of a golden file.
pub fn compare(stream: &[u8], golden: &str) -> Comparison {
    let (lines, errors) = lines(annexb::access_units(stream));
    let mut result = Comparison::default();
    let mut expected = 0;
    for (picture, wanted) in golden.lines().skip(1).enumerate() {
        expected += 1;
        let wanted: Vec<&str> = wanted.split('\t').collect();
        if wanted.last() != Some(&"ok") {
            result.untrusted += 1;
            continue;
        }
        let Some(Some(got)) = lines.get(picture) else {
            result.differences.push(format!("picture {picture}: not decoded"));
            continue;
        };
        let unequal = (0..COLUMNS.len()).find(|&column| {
            // A digest or count that is not known is "-"; so is the order count of the field that a field is not.
            let known = wanted[column] != "-" || COLUMNS[column].starts_with("poc_");
            known && wanted[column] != got[column]
        });
        match unequal {
            None => result.exact += 1,
            Some(column) => result.differences.push(format!(
                "picture {picture} ({} {}): {} is {}, expected {}",
                got[1], got[4], COLUMNS[column], got[column], wanted[column]
            )),
        }
    }
    if lines.len() != expected {
        result
            .differences
            .push(format!("{} pictures, expected {expected}", lines.len()));
    }
    if let (false, Some((unit, error))) = (result.differences.is_empty(), errors.first()) {
        result
            .differences
            .push(format!("first error, in access unit {unit}: {error}"));
    }
    result
}
