//! Access units do not depend on how the stream was cut. The first byte is the size of the pieces.
#![no_main]

use comove_fuzz::h264::annexb::{AccessUnitSplitter, access_units};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, stream)) = data.split_first() else {
        return;
    };
    let mut splitter = AccessUnitSplitter::new();
    let mut units = Vec::new();
    for piece in stream.chunks(usize::from(size).max(1)) {
        splitter.push(piece, &mut |unit| units.push(unit.to_vec()));
    }
    splitter.finish(&mut |unit| units.push(unit.to_vec()));
    assert_eq!(units, access_units(stream));
});
