//! Any byte string, as access units: no panic, no inconsistent state, bounded memory.
//!
//! `cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run motion ../tests/vectors`
#![no_main]

#[path = "../../src/h264/mod.rs"]
mod h264;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = h264::MotionDecoder::new();
    let mut motion = h264::FrameMotion::default();
    for unit in h264::annexb::access_units(data) {
        let result = decoder.decode(unit, &mut |field| {
            field.frame_motion(&mut motion);
            std::hint::black_box(field.refers_to());
        });
        if let Err(error) = result {
            std::hint::black_box(error.to_string());
        }
        decoder.check_invariants();
    }
});
