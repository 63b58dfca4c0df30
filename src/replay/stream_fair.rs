use std::collections::{BTreeMap, HashMap};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::dense::DenseIds;
use super::{Entry, SampleId, Sampling};
use crate::ingest::StreamName;

/// Every stream that has samples is equally likely, then every sample of it: a busy stream does not crowd out a quiet one. The
/// price: a quiet stream's few samples are drawn more often than others.
#[derive(Debug, Default)]
pub struct StreamFair {
    // Ordered, so that a seed gives the same draws in every run.
    streams: BTreeMap<StreamName, DenseIds>,
    stream_of: HashMap<SampleId, StreamName>,
}

impl Sampling for StreamFair {
    fn inserted(&mut self, entry: &Entry<'_>) {
        self.streams
            .entry(entry.stream.clone())
            .or_default()
            .insert(entry.id);
        self.stream_of.insert(entry.id, entry.stream.clone());
    }

    fn removed(&mut self, id: SampleId) {
        let Some(stream) = self.stream_of.remove(&id) else {
            return;
        };
        if let Some(ids) = self.streams.get_mut(&stream) {
            ids.remove(id);
            if ids.is_empty() {
                self.streams.remove(&stream);
            }
        }
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<SampleId> {
        if self.streams.is_empty() {
            return None;
        }
        let chosen = rng.random_range(0..self.streams.len());
        self.streams.values().nth(chosen)?.draw(rng)
    }

    /// Each stream's ids in the order that a draw's index means.
    fn export(&self) -> Value {
        let order = |(stream, ids): (&StreamName, &DenseIds)| (stream.to_string(), ids.export());
        json!(self.streams.iter().map(order).collect::<BTreeMap<_, _>>())
    }

    fn import(&mut self, state: Value) -> Result<(), String> {
        let mut streams = self.streams.clone();
        for (stream, ids) in &mut streams {
            let order = state
                .get(stream.to_string())
                .ok_or_else(|| format!("stream {stream} is missing"))?;
            ids.import(order)
                .map_err(|reason| format!("stream {stream}: {reason}"))?;
        }
        self.streams = streams;
        Ok(())
    }
}
