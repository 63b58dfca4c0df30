use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Replay;
use crate::replay::Sample;

/// What replay knows of its samples beside the samples themselves; opaque, and of no use without them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyState {
    /// Of [`Eviction`](crate::replay::Eviction).
    pub eviction: Value,
    /// Of [`Sampling`](crate::replay::Sampling).
    pub sampling: Value,
    /// Which samples were never drawn, and the features of those that were.
    pub uses: Value,
}

impl Replay {
    /// The stored samples, oldest first, and what is known of them: both at one instant.
    pub fn stored(&self) -> (Vec<Arc<Sample>>, PolicyState) {
        let inner = self.lock();
        let (eviction, sampling) = inner.table.export_policies();
        let uses = inner.table.export_use();
        let samples = inner.table.all().cloned().collect();
        let state = PolicyState {
            eviction,
            sampling,
            uses,
        };
        (samples, state)
    }

    /// Puts back what [`Self::stored`] gave, into a replay that is still empty. What does not fit its capacity any more is let
    /// go, the oldest first.
    ///
    /// # Errors
    /// A state of other policies: the samples are back, and the policies know them by the order of their ids only.
    pub fn restore(&self, samples: Vec<Arc<Sample>>, state: &PolicyState) -> Result<(), String> {
        let mut inner = self.lock();
        let mut too_many: usize = samples.iter().map(|sample| sample.bytes()).sum();
        let mut complete = true;
        for sample in samples {
            if too_many > inner.table.capacity_bytes() {
                too_many -= sample.bytes();
                complete = false;
                continue;
            }
            inner.next_id = inner.next_id.max(sample.id.0 + 1);
            inner.table.restore(sample);
        }
        if complete {
            inner
                .table
                .import_policies(state.eviction.clone(), state.sampling.clone())?;
        }
        inner.table.import_use(&state.uses)
    }
}
