use std::{sync::Arc, time::Duration};

use crate::replay::Sample;

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
}
