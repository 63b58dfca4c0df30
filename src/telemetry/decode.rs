use super::{Exposition, table};
use crate::decode::DecodeSnapshot;

/// Writes what the decode pool counts.
pub fn collect_decode(page: &mut Exposition, pool: &DecodeSnapshot) {
    page.put(&table::DECODE_JOBS, &["done"], pool.jobs_done as f64);
    page.put(&table::DECODE_JOBS, &["failed"], pool.jobs_failed as f64);
    page.put(&table::DECODE_QUEUED, &[], pool.queued as f64);
    page.put(&table::DECODE_QUEUE_CAPACITY, &[], pool.queue_capacity as f64);
    page.put(&table::DECODE_THREADS, &[], pool.threads as f64);
    page.put(&table::DECODE_BUSY, &[], pool.busy.as_secs_f64());
    page.put_histogram(
        &table::DECODE_JOB_SECONDS,
        &[],
        &pool.jobs_by_seconds,
        pool.busy.as_secs_f64(),
    );
    page.put(&table::DECODE_FED, &[], pool.units_fed as f64);
    page.put(
        &table::DECODE_PICTURES,
        &["decoded"],
        pool.pictures_decoded as f64,
    );
    page.put(&table::DECODE_PICTURES, &["given"], pool.pictures_given as f64);
    page.put(&table::DECODE_ABANDONED, &[], pool.abandoned as f64);
}
