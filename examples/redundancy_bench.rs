//! What minimum redundancy costs a training step: `redundancy_bench [SAMPLES] [BATCH]` (50 000 and 16).
//!
//! Fills the policy with random features of 128 values, then does what steps do to it: a new feature for each sample of the batch,
//! and, at 8 samples drawn an insert, a victim for each newcomer. Prints the median and the worst milliseconds of CPU time of a step.

use comove::ingest::StreamName;
use comove::replay::{Entry, Eviction, MinimumRedundancy, SampleId, Victim};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WIDTH: usize = 128;
const STEPS: usize = 200;

/// CPU time of this thread so far: wall clock says little on a busy machine.
fn cpu_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics
        .split(' ')
        .next()
        .and_then(|text| text.parse::<f64>().ok());
    nanoseconds.unwrap_or(f64::NAN) * 1e-9
}

/// A direction near one of 2 000 scenes, as a stream has them.
fn feature(scene: u64, rng: &mut ChaCha8Rng) -> Vec<i16> {
    let mut of_scene = ChaCha8Rng::seed_from_u64(scene);
    let values: Vec<f32> = (0..WIDTH)
        .map(|_| of_scene.random_range(-1.0f32..1.0) + rng.random_range(-0.3f32..0.3))
        .collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values
        .iter()
        .map(|value| (value / length * 32_767.0) as i16)
        .collect()
}

fn main() {
    let argument = |index: usize, default: u64| {
        let given = std::env::args().nth(index);
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (samples, batch) = (argument(1, 50_000), argument(2, 16));
    let stream = StreamName::new("bench").unwrap_or_else(|| unreachable!("it is a legal name"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut policy = MinimumRedundancy::default();
    let began = cpu_seconds();
    for id in 0..samples {
        let row = feature(id % 2000, &mut rng);
        policy.feature(SampleId(id), &row);
    }
    println!(
        "filled with {samples} samples in {:.1} CPU seconds",
        cpu_seconds() - began
    );
    let mut stored: Vec<u64> = (0..samples).collect();
    let mut next = samples;
    let mut milliseconds = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let drawn: Vec<(u64, Vec<i16>)> = (0..batch)
            .map(|_| {
                let id = stored[rng.random_range(0..stored.len())];
                (id, feature(id % 2000, &mut rng))
            })
            .collect();
        let began = cpu_seconds();
        for (id, row) in &drawn {
            policy.feature(SampleId(*id), row);
        }
        let mut gone = Vec::new();
        for _ in 0..batch.div_ceil(8) {
            let incoming = Entry {
                id: SampleId(next),
                stream: &stream,
                segment: 0,
                bytes: 1,
            };
            if let Victim::Stored(victim) = policy.victim(&incoming, &mut rng) {
                policy.removed(victim);
                gone.push(victim.0);
            }
        }
        milliseconds.push((cpu_seconds() - began) * 1e3);
        stored.retain(|id| !gone.contains(id));
        for _ in gone {
            let row = feature(next % 2000, &mut rng);
            policy.feature(SampleId(next), &row);
            stored.push(next);
            next += 1;
        }
    }
    milliseconds.sort_by(f64::total_cmp);
    println!(
        "a step of {batch}: median {:.2} ms, worst {:.2} ms",
        milliseconds[STEPS / 2],
        milliseconds[STEPS - 1]
    );
}
