use std::collections::HashMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::SampleId;

/// Ids side by side, so that drawing one is one random index. Removing one moves the last into its place: the order, which
/// decides what an index means, is part of a policy's state.
#[derive(Clone, Debug, Default)]
pub(super) struct DenseIds {
    ids: Vec<SampleId>,
    place: HashMap<SampleId, usize>,
}

impl DenseIds {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn contains(&self, id: SampleId) -> bool {
        self.place.contains_key(&id)
    }

    /// Adds an id that is not there yet.
    pub fn insert(&mut self, id: SampleId) {
        self.place.insert(id, self.ids.len());
        self.ids.push(id);
    }

    /// Removes an id; false if it was not there.
    pub fn remove(&mut self, id: SampleId) -> bool {
        let Some(hole) = self.place.remove(&id) else {
            return false;
        };
        self.ids.swap_remove(hole);
        if let Some(moved) = self.ids.get(hole) {
            self.place.insert(*moved, hole);
        }
        true
    }

    /// Any of them, each equally likely.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Option<SampleId> {
        (!self.is_empty()).then(|| self.ids[rng.random_range(0..self.ids.len())])
    }

    /// The ids in their order.
    pub fn ids(&self) -> impl Iterator<Item = SampleId> {
        self.ids.iter().copied()
    }

    /// The ids in their order, for a checkpoint.
    pub fn export(&self) -> Value {
        json!(self.ids.iter().map(|id| id.0).collect::<Vec<_>>())
    }

    /// The order that [`Self::export`] gave.
    pub fn from_exported(state: &Value) -> Result<Self, String> {
        let mut dense = Self::default();
        for id in state.as_array().ok_or("no list of ids")? {
            let id = SampleId(id.as_u64().ok_or_else(|| format!("{id} is no id"))?);
            if dense.contains(id) {
                return Err(format!("sample {} occurs twice", id.0));
            }
            dense.insert(id);
        }
        Ok(dense)
    }

    /// Takes over the order that [`Self::export`] gave, of the same ids.
    pub fn import(&mut self, state: &Value) -> Result<(), String> {
        let given = Self::from_exported(state)?;
        if given.len() != self.len() {
            return Err(format!("{} ids for {} samples", given.len(), self.len()));
        }
        match given.ids.iter().find(|id| !self.contains(**id)) {
            Some(stranger) => Err(format!("sample {} is not stored", stranger.0)),
            None => {
                *self = given;
                Ok(())
            }
        }
    }
}
