use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Table;
use crate::replay::features::Features;
use crate::replay::{PolicyState, SampleId, StoredSample};

/// What a checkpoint keeps of the table, and how it comes back.
impl Table {
    /// What the policies keep in a checkpoint.
    pub fn export_policies(&self) -> PolicyState {
        PolicyState {
            eviction: self.eviction.export(),
            sampling: self.sampling.export(),
            uses: self.export_use(),
        }
    }

    /// Puts samples back with the ids that they have, oldest first, then the policies' state. Returns how many were let go
    /// because they do not fit.
    pub fn import(&mut self, samples: Vec<StoredSample>, policies: PolicyState) -> u64 {
        let in_memory = |sample: &StoredSample| sample.in_memory().map_or(0, |sample| sample.bytes());
        let mut all: usize = samples.iter().map(StoredSample::bytes).sum();
        let mut memory: usize = samples.iter().map(in_memory).sum();
        let mut let_go = 0;
        for sample in samples {
            let bytes_in_memory = in_memory(&sample);
            if all > self.bounds.all || (bytes_in_memory > 0 && memory > self.bounds.memory) {
                all -= sample.bytes();
                memory -= bytes_in_memory;
                let_go += 1;
                continue;
            }
            self.store(sample);
        }
        if let Err(reason) = self.import_use(&policies.uses) {
            tracing::warn!(reason, "what training did with the samples is not known any more");
        }
        let anew = |what: &str, imported: Result<(), String>| {
            imported
                .inspect_err(|reason| {
                    tracing::warn!(
                        reason,
                        "the {what} policy begins anew: it is not the one of the checkpoint"
                    );
                })
                .is_err()
        };
        let (eviction, sampling) = (policies.eviction, policies.sampling);
        if let_go > 0 || anew("eviction", self.eviction.import(eviction)) {
            for (id, mean) in self.features.each() {
                self.eviction.feature(id, mean);
            }
        }
        if let_go > 0 || anew("sampling", self.sampling.import(sampling)) {
            for (id, mean) in self.features.each() {
                self.sampling.feature(id, mean);
            }
        }
        let_go
    }

    /// What training did with the samples, beside what the policies know: for a checkpoint.
    fn export_use(&self) -> Value {
        let ids = |ids: &BTreeSet<SampleId>| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        json!({
            "fresh": ids(&self.fresh),
            "first_draws": ids(&self.first_draws),
            "fresh_owed": self.fresh_owed,
            "features": self.features.export(),
        })
    }

    /// Takes over what [`Self::export_use`] gave, after the stored samples were inserted; the policies bring their own state.
    /// Samples that are not there are passed over. An error says what does not fit; nothing has changed then.
    fn import_use(&mut self, state: &Value) -> Result<(), String> {
        let ids = |name: &str| -> Result<BTreeSet<SampleId>, String> {
            let ids: Vec<u64> =
                serde_json::from_value(state[name].clone()).map_err(|error| format!("{name}: {error}"))?;
            Ok(ids.into_iter().map(SampleId).collect())
        };
        let (mut fresh, first_draws) = (ids("fresh")?, ids("first_draws")?);
        let fresh_owed = state["fresh_owed"].as_f64().ok_or("fresh_owed is missing")?;
        let mut features = Features::from_exported(&state["features"])?;
        fresh.retain(|id| self.samples.contains_key(id));
        let strangers: Vec<_> = features
            .ids()
            .filter(|id| !self.samples.contains_key(id))
            .collect();
        strangers.into_iter().for_each(|id| features.remove(id));
        (self.fresh, self.first_draws, self.fresh_owed, self.features) =
            (fresh, first_draws, fresh_owed, features);
        Ok(())
    }
}
