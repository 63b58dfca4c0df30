use std::{sync::Arc, time::Duration};

use crate::checkpoint::StoredSamples;
use crate::replay::{NoBatch, Replay, ReplayContent, ReplayState, Sample};

/// Why there is no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoData {
    /// None came in time; there may be one later.
    #[error("no batch yet")]
    NotYet,
    /// There will be no more, as planned.
    #[error("{0}")]
    Ended(String),
    /// There cannot be any: training must end with an error.
    #[error("{0}")]
    Failed(String),
}

/// Where the trainer gets its batches from.
pub trait BatchSource: Send {
    /// `batch_size` different samples, waiting up to `timeout` for them.
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData>;

    /// What a snapshot keeps of the source. `finished`: it has come to its planned end. `beside` is called in between, when
    /// nothing can change.
    fn export(&mut self, _finished: bool, beside: &mut dyn FnMut()) -> Option<ReplayContent> {
        beside();
        None
    }

    /// Goes on from a snapshot, with its samples where it has them.
    ///
    /// # Errors
    /// Why it cannot.
    fn restore(&mut self, _state: ReplayState, _samples: Option<StoredSamples>) -> Result<(), String> {
        Ok(())
    }
}

impl BatchSource for Arc<Replay> {
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        self.sample_batch(batch_size, timeout).map_err(|refusal| {
            let why = refusal.to_string();
            match refusal {
                NoBatch::TimedOut { .. } => NoData::NotYet,
                NoBatch::Exhausted { .. } | NoBatch::Closed => NoData::Ended(why),
                // Not one batch can ever be drawn.
                NoBatch::TooFewSamples { .. }
                | NoBatch::CapacityBelowBatch { .. }
                | NoBatch::WrongBatchSize { .. } => NoData::Failed(why),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::moving_patterns::MovingPatterns;
    use super::*;
    use crate::model::Preset;
    use crate::replay::ReplayConfig;

    fn replay(samples: usize, closed: bool) -> Result<usize, NoData> {
        let config = ReplayConfig {
            min_samples: 1,
            samples_per_insert: 1.0,
            tolerance: Some(100.0),
            final_samples_per_insert: Some(1.0),
            ..ReplayConfig::default()
        };
        let mut replay = Arc::new(Replay::new(&config, 4, ChaCha8Rng::seed_from_u64(1)).unwrap());
        let mut patterns = MovingPatterns::new(Preset::Micro.sample_spec(), 1);
        for _ in 0..samples {
            replay.insert_blocking(patterns.sample()).unwrap();
        }
        if closed {
            replay.sources_ended();
        }
        let first = replay.next_batch(4, Duration::ZERO).map(|batch| batch.len());
        match (closed, first) {
            (true, Ok(_)) => replay.next_batch(4, Duration::ZERO).map(|batch| batch.len()),
            (_, first) => first,
        }
    }

    #[test]
    fn replay_gives_batches_and_says_whether_more_may_come() {
        assert_eq!(replay(6, false), Ok(4));
        assert_eq!(replay(2, false), Err(NoData::NotYet));
        assert!(
            matches!(replay(6, true), Err(NoData::Ended(why)) if why.contains("6 samples were drawn 4 times"))
        );
        assert!(matches!(replay(2, true), Err(NoData::Failed(why)) if why.contains("a batch needs 4")));
    }
}
