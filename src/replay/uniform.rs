use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::dense::DenseIds;
use super::{Entry, SampleId, Sampling};

/// Every stored sample is equally likely.
#[derive(Debug, Default)]
pub struct Uniform {
    stored: DenseIds,
}

impl Sampling for Uniform {
    fn inserted(&mut self, entry: &Entry<'_>) {
        self.stored.insert(entry.id);
    }

    fn removed(&mut self, id: SampleId) {
        self.stored.remove(id);
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<SampleId> {
        self.stored.draw(rng)
    }

    /// The order of the ids, which a draw's index means.
    fn export(&self) -> Value {
        self.stored.export()
    }

    fn import(&mut self, state: Value) -> Result<(), String> {
        self.stored.import(&state)
    }
}
