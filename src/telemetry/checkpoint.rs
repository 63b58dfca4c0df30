use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram};

use super::{Registry, table};

/// What writing checkpoints counts.
#[derive(Clone)]
pub struct CheckpointMetrics {
    written: Counter,
    failed: Counter,
    seconds: Histogram,
    bytes: Gauge,
    replay_bytes: Gauge,
    replay_failed: Counter,
    step: Gauge,
    last_success: Gauge,
}

impl CheckpointMetrics {
    /// Handles of `registry`.
    pub fn new(registry: &Registry) -> Self {
        let metrics = Self {
            written: registry.counter(&table::CHECKPOINTS, &["written"]),
            failed: registry.counter(&table::CHECKPOINTS, &["failed"]),
            seconds: registry.histogram(&table::CHECKPOINT_SECONDS_SPENT, &[]),
            replay_bytes: registry.gauge(&table::CHECKPOINT_REPLAY_BYTES, &[]),
            replay_failed: registry.counter(&table::CHECKPOINT_REPLAY_FAILURES, &[]),
            bytes: registry.gauge(&table::CHECKPOINT_BYTES, &[]),
            step: registry.gauge(&table::CHECKPOINT_STEP, &[]),
            last_success: registry.gauge(&table::CHECKPOINT_LAST_SUCCESS, &[]),
        };
        metrics.last_success.set(0.0);
        metrics
    }

    /// A checkpoint of `step` with `bytes` is in place since `at`.
    pub fn written(&self, step: u64, bytes: u64, took: Duration, at: SystemTime) {
        self.written.increment(1);
        self.seconds.record(took);
        self.bytes.set(bytes as f64);
        self.step.set(step as f64);
        self.last_success
            .set(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    }

    /// Replay's samples take so many bytes in the checkpoint folder.
    pub fn replay_bytes(&self, bytes: u64) {
        self.replay_bytes.set(bytes as f64);
    }

    /// A checkpoint was written without replay's samples, although it should have them.
    pub fn replay_failed(&self) {
        self.replay_failed.increment(1);
    }

    /// A checkpoint could not be written; the one before it still stands.
    pub fn failed(&self) {
        self.failed.increment(1);
    }
}
