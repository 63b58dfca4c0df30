use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::dense::DenseIds;
use super::{Entry, Eviction, SampleId, Victim};

/// Reservoir sampling (Vitter 1985, algorithm R): once full, the n-th sample offered is kept with probability k/n and takes the
/// place of any of the k stored, so that at every time each sample that was ever offered is there with equal probability.
///
/// Exact for samples of equal size; where sizes differ, k follows what fits. Samples that a user has forgotten leave a gap that
/// the next newcomers fill without a draw.
#[derive(Debug, Default)]
pub struct Reservoir {
    stored: DenseIds,
    /// Samples offered so far, kept or not.
    offered: u64,
    /// The newcomer that was let in last, while room is made for it.
    accepted: Option<SampleId>,
}

impl Eviction for Reservoir {
    fn inserted(&mut self, entry: &Entry<'_>) {
        // One that needed room was counted when it asked.
        if self.accepted.take() != Some(entry.id) {
            self.offered += 1;
        }
        self.stored.insert(entry.id);
    }

    fn removed(&mut self, id: SampleId) {
        self.stored.remove(id);
    }

    fn victim(&mut self, incoming: &Entry<'_>, rng: &mut ChaCha8Rng) -> Victim {
        if self.accepted != Some(incoming.id) {
            self.accepted = None;
            self.offered += 1;
            if rng.random_range(0..self.offered) >= self.stored.len() as u64 {
                return Victim::Incoming;
            }
            self.accepted = Some(incoming.id);
        }
        self.stored.draw(rng).map_or(Victim::Incoming, Victim::Stored)
    }

    fn export(&self) -> Value {
        json!({"reservoir": self.stored.export(), "offered": self.offered})
    }

    fn import(&mut self, state: Value) -> Result<(), String> {
        let offered = state["offered"].as_u64().ok_or("offered is missing")?;
        self.stored.import(&state["reservoir"])?;
        self.offered = offered;
        self.accepted = None;
        Ok(())
    }
}
