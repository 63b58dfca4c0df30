use std::collections::HashMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

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

    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<SampleId> {
        if self.stored.is_empty() {
            return None;
        }
        Some(self.stored[rng.random_range(0..self.stored.len())])
    }
}
