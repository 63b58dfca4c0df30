//! Access units do not depend on how the stream was cut. The first byte is the size of the pieces.
//!
//! `cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run splitter ../tests/vectors`
#![no_main]

#[path = "../../src/h264/mod.rs"]
mod h264;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, stream)) = data.split_first() else {
        return;
    };
    let mut splitter = h264::annexb::AccessUnitSplitter::new();
    let mut units = Vec::new();
    for piece in stream.chunks(usize::from(size).max(1)) {
        splitter.push(piece, &mut |unit| units.push(unit.to_vec()));
    }
    splitter.finish(&mut |unit| units.push(unit.to_vec()));
    assert_eq!(units, h264::annexb::access_units(stream));
});
