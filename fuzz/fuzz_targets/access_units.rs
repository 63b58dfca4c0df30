//! Any byte string, as access units: no panic, no inconsistent state, bounded memory.
#![no_main]

use comove_fuzz::decode;
use comove_fuzz::h264::{FrameMotion, MotionDecoder, annexb::access_units};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = MotionDecoder::new();
    let mut motion = FrameMotion::default();
    for unit in access_units(data) {
        decode(&mut decoder, unit, &mut motion);
    }
});
