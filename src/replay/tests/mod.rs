//! Replay from outside, by subject.

mod arrivals;
mod batches;
mod bounds;
mod disk;
mod policies;
mod waiting;

use std::time::Duration;

use bytesize::ByteSize;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Never holds anyone back, and takes everything in.
fn unlimited() -> ReplayConfig {
    ReplayConfig {
        eviction: EvictionKind::Fifo,
        min_samples: 1,
        tolerance: Some(1e12),
        ..ReplayConfig::default()
    }
}

/// A replay that never holds anyone back and draws all alike, for `capacity` samples of `Sample::small("a", _, 10)`.
fn roomy(capacity: usize, batch: usize) -> Replay {
    let config = ReplayConfig {
        capacity: ByteSize((capacity * Sample::small("a", 0, 10).bytes()) as u64),
        fresh_share: 0.0,
        ..unlimited()
    };
    Replay::new(&config, batch, rng(1)).unwrap()
}

fn limited(samples_per_insert: f64, min_samples: usize, batch: usize) -> Replay {
    let config = ReplayConfig {
        samples_per_insert,
        final_samples_per_insert: Some(samples_per_insert),
        min_samples,
        ..ReplayConfig::default()
    };
    Replay::new(&config, batch, rng(1)).unwrap()
}
