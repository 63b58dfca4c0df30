use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{OptimizerKind, RateSet};

/// `state.json` of a snapshot: what training goes on from beside the tensors. The schedule is a function of `step`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Steps finished, over all runs.
    pub step: u64,
    /// Samples trained on, over all runs.
    pub samples: u64,
    /// Steps skipped because they were not finite, over all runs.
    pub nonfinite_steps: u64,
    /// Whose state `optimizer.safetensors` holds.
    pub optimizer: OptimizerKind,
    /// Draws the augmentation, and seeds libtorch where there is dropout.
    pub rng: ChaCha8Rng,
    /// The learning rate, where it was set while training ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateSet>,
}
