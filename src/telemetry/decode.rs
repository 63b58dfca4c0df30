use std::time::Duration;

use metrics::Histogram;

use super::{Registry, table};

/// What is timed of decoding; the counts are the pool's own.
#[derive(Clone)]
pub struct DecodeMetrics {
    job_seconds: Histogram,
}

impl DecodeMetrics {
    /// Handles of `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            job_seconds: registry.histogram(&table::DECODE_JOB_SECONDS, &[]),
        }
    }

    /// A job was answered, well or badly, `took` after it had been asked for.
    pub fn answered(&self, took: Duration) {
        self.job_seconds.record(took);
    }
}
