use std::{sync::Arc, time::Duration};

use super::SampleOutcome;
use crate::replay::{ReplayContent, ReplayState, Sample, SpillFolder, StoredSamples};

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

    /// The folder of samples on disk that it writes to, if it has one: snapshots name them where they are.
    fn spill_folder(&self) -> Option<Arc<SpillFolder>> {
        None
    }

    /// Told what steps made of their samples, in order, once a step on a CPU and once a report on a GPU. Answers which of these
    /// uses were the samples' first; whoever does not know says none.
    fn learned(&mut self, outcomes: &[SampleOutcome]) -> Vec<bool> {
        vec![false; outcomes.len()]
    }
}
