use std::time::Duration;

use metrics::{Counter, Histogram};

use super::{Registry, table};

/// What the decode pool counts.
#[derive(Clone)]
pub struct DecodeMetrics {
    done: Counter,
    failed: Counter,
    seconds: Histogram,
    fed: Counter,
    wanted: Counter,
}

impl DecodeMetrics {
    /// Handles of `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            done: registry.counter(&table::DECODE_JOBS, &["done"]),
            failed: registry.counter(&table::DECODE_JOBS, &["failed"]),
            seconds: registry.histogram(&table::DECODE_SECONDS_SPENT, &[]),
            fed: registry.counter(&table::DECODE_PICTURES, &["fed"]),
            wanted: registry.counter(&table::DECODE_PICTURES, &["wanted"]),
        }
    }

    /// A job gave its pictures: `fed` went into the decoder, `wanted` came out for the sample.
    pub fn done(&self, took: Duration, fed: usize, wanted: usize) {
        self.done.increment(1);
        self.seconds.record(took);
        self.fed.increment(fed as u64);
        self.wanted.increment(wanted as u64);
    }

    /// A job ended without all of its pictures.
    pub fn failed(&self, took: Duration) {
        self.failed.increment(1);
        self.seconds.record(took);
    }
}
