use std::time::Duration;

use metrics::Histogram;

use super::{Exposition, Registry, table};
use crate::decode::DecodeSnapshot;

/// What is timed of decoding; the counts are the pool's own ([`collect_decode`]).
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

/// Writes what the pool counts.
pub fn collect_decode(page: &mut Exposition, pool: &DecodeSnapshot) {
    page.put(&table::DECODE_JOBS, &["done"], pool.jobs_done as f64);
    page.put(&table::DECODE_JOBS, &["failed"], pool.jobs_failed as f64);
    page.put(&table::DECODE_QUEUED, &[], pool.queued as f64);
    page.put(&table::DECODE_QUEUE_CAPACITY, &[], pool.queue_capacity as f64);
    page.put(&table::DECODE_THREADS, &[], pool.threads as f64);
    page.put(&table::DECODE_BUSY, &[], pool.busy.as_secs_f64());
    page.put(&table::DECODE_FED, &[], pool.units_fed as f64);
    page.put(
        &table::DECODE_PICTURES,
        &["decoded"],
        pool.pictures_decoded as f64,
    );
    page.put(&table::DECODE_PICTURES, &["given"], pool.pictures_given as f64);
    page.put(&table::DECODE_ABANDONED, &[], pool.abandoned as f64);
}
