//! What the fuzz targets share: the decoder itself, and a writer of NAL units.

#[path = "../../src/h264/mod.rs"]
pub mod h264;

pub mod bit_writer;

use h264::{FrameMotion, MotionDecoder};

/// Decodes one unit, uses what a caller can use, and checks the decoder's state.
pub fn decode(decoder: &mut MotionDecoder, unit: &[u8], motion: &mut FrameMotion) {
    let result = decoder.decode(unit, &mut |field| {
        // Maps of the largest pictures take most of the time and show nothing that small ones don't.
        if field.macroblocks() <= 1024 {
            field.frame_motion(motion);
            assert_eq!(motion.mv.len(), motion.width4 * motion.height4);
        }
        std::hint::black_box(field.refers_to());
    });
    if let Err(error) = result {
        std::hint::black_box((error.recovery(), error.to_string()));
    }
    decoder.check_invariants();
}
