use std::collections::HashMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{Entry, SampleId, Sampling};

/// Every stored sample is equally likely.
#[derive(Debug, Default)]
pub struct Uniform {
    // Dense, so that a draw is one random index; `place` finds an id in it.
    stored: Vec<SampleId>,
    place: HashMap<SampleId, usize>,
}

impl Sampling for Uniform {
    fn inserted(&mut self, entry: &Entry<'_>) {
        self.place.insert(entry.id, self.stored.len());
        self.stored.push(entry.id);
    }

    fn removed(&mut self, id: SampleId) {
        let Some(hole) = self.place.remove(&id) else {
            return;
        };
        self.stored.swap_remove(hole);
        if let Some(moved) = self.stored.get(hole) {
            self.place.insert(*moved, hole);
        }
    }

    /// The order of the ids, which a draw's index means.
    fn export(&self) -> Value {
        json!(self.stored.iter().map(|id| id.0).collect::<Vec<_>>())
    }

    fn import(&mut self, state: Value) -> Result<(), String> {
        let ids: Vec<u64> = serde_json::from_value(state).map_err(|error| error.to_string())?;
        let place: HashMap<_, _> = ids.iter().map(|id| SampleId(*id)).zip(0..).collect();
        if place.len() != ids.len() || place.len() != self.stored.len() {
            return Err(format!("{} ids for {} samples", ids.len(), self.stored.len()));
        }
        if let Some(stranger) = place.keys().find(|id| !self.place.contains_key(id)) {
            return Err(format!("sample {} is not stored", stranger.0));
        }
        self.stored = ids.into_iter().map(SampleId).collect();
        self.place = place;
        Ok(())
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<SampleId> {
        if self.stored.is_empty() {
            return None;
        }
        Some(self.stored[rng.random_range(0..self.stored.len())])
    }
}
