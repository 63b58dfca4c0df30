use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::StoredSamples;
use crate::replay::{NoBatch, Replay, ReplayContent, ReplayState, Sample};
use crate::telemetry::Heartbeat;
use crate::train::{BatchSource, NoData};

/// Replay as the trainer's source of batches. Beats whenever the trainer asks: one that hangs inside a step stops asking.
pub(super) struct WatchedReplay {
    pub replay: Arc<Replay>,
    pub heartbeat: Heartbeat,
    /// Without its samples a run cannot go on.
    pub deterministic: bool,
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

    fn export(&mut self, finished: bool, beside: &mut dyn FnMut()) -> Option<ReplayContent> {
        Some(Replay::export(&self.replay, finished, beside))
    }

    fn restore(&mut self, state: ReplayState, samples: Option<StoredSamples>) -> Result<(), String> {
        if samples.is_none() {
            if self.deterministic {
                return Err(
                    "run.deterministic is true, and the checkpoint comes without the samples of replay: what would have been \
                     drawn from them is lost. Go on from the newest checkpoint of its folder, with checkpoint.keep_replay above \
                     0, or with run.deterministic = false"
                        .to_owned(),
                );
            }
            tracing::warn!("the checkpoint comes without the samples of replay, which is filled anew");
        }
        Replay::import(&self.replay, state, samples);
        Ok(())
    }
}
