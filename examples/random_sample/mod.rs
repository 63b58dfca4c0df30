//! What the measurements fill replay with.

use comove::ingest::StreamName;
use comove::model::Preset;
use comove::replay::{Sample, SampleId, TimeRange};
use rand::RngCore;
use rand_chacha::ChaCha8Rng;

/// A sample of the micro preset full of noise; each is a segment of its own.
pub fn sample(random: &mut ChaCha8Rng, number: u64, stream: &StreamName) -> Sample {
    let spec = Preset::Micro.sample_spec();
    let pixels = 3 * spec.frame_size.area();
    let cells = 2 * spec.target_frames as usize * spec.motion_size.area();
    let mut bytes = |count: usize| {
        let mut bytes = vec![0; count];
        random.fill_bytes(&mut bytes);
        bytes
    };
    let motion = |bytes: Vec<u8>| bytes.into_iter().map(i16::from).collect();
    let at = TimeRange {
        first_ns: number,
        last_ns: number,
    };
    Sample {
        id: SampleId(0),
        stream: stream.clone(),
        segment: number,
        spec,
        source_width: 320,
        source_height: 240,
        key_frame: bytes(pixels),
        clip: bytes(pixels * spec.clip_frames as usize),
        target: motion(bytes(cells)),
        negatives: motion(bytes(cells * spec.hard_negatives as usize)),
        pts: None,
        arrival: at,
        frame_rate: None,
    }
}
