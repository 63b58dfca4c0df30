//! Any RBSPs as parameter sets and SEI messages, with slices that use them. A piece is a byte for the kind, two for the
//! length, and the RBSP; emulation prevention is added here, so that every mutation reaches the parsers.
#![no_main]

use comove_fuzz::bit_writer::append_nal;
use comove_fuzz::decode;
use comove_fuzz::h264::{FrameMotion, MotionDecoder};
use libfuzzer_sys::fuzz_target;

/// SPS, PPS, SEI, IDR slice, slice, partition A, end of sequence, subset SPS.
const HEADERS: [u8; 8] = [0x67, 0x68, 0x06, 0x65, 0x41, 0x42, 0x0a, 0x6f];

fuzz_target!(|data: &[u8]| {
    let mut decoder = MotionDecoder::new();
    let mut motion = FrameMotion::default();
    let mut unit = Vec::new();
    let mut rest = data;
    while let [kind, high, low, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        let (rbsp, after) = tail.split_at(length);
        append_nal(HEADERS[usize::from(kind & 7)], rbsp, &mut unit);
        rest = after;
        // A set bit 3 keeps the access unit open.
        if kind & 8 == 0 {
            decode(&mut decoder, &unit, &mut motion);
            unit.clear();
        }
    }
    decode(&mut decoder, &unit, &mut motion);
});
