use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::replay::{NoBatch, Replay, Sample};
use crate::telemetry::Heartbeat;
use crate::train::{BatchSource, NoData};

/// Replay as the trainer's source of batches. Beats whenever the trainer asks: one that hangs inside a step stops asking.
pub(super) struct WatchedReplay {
    pub replay: Arc<Replay>,
    pub heartbeat: Heartbeat,
}

impl BatchSource for WatchedReplay {
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        self.heartbeat.beat(Instant::now());
        self.replay
            .sample_batch(batch_size, timeout)
            .map_err(|none| match none {
                NoBatch::TimedOut { .. } => NoData::NotYet,
                NoBatch::Exhausted { .. } | NoBatch::TooFewSamples { .. } | NoBatch::Closed => {
                    NoData::Ended(none.to_string())
                }
                NoBatch::CapacityBelowBatch { .. } | NoBatch::WrongBatchSize { .. } => {
                    NoData::Failed(none.to_string())
                }
            })
    }
}
