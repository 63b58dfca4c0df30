use std::collections::{BTreeMap, HashMap};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::dense::DenseIds;
use super::{Entry, Eviction, SampleId, Victim};

/// A short-term memory, first in, first out, in front of a long-term reservoir.
///
/// Every newcomer enters the short term. When that outgrows its share of the bytes, its oldest sample is offered to the long
/// term, which decides as [`Reservoir`](super::Reservoir) does: kept with probability k/n, in the place of a random one. While the
/// long term has room, it takes everything. Neither tier ever takes the other's bytes, but for the short term before the
/// long term is full.
#[derive(Debug)]
pub struct TwoTier {
    short_capacity: usize,
    long_capacity: usize,
    /// Oldest first, with their bytes.
    short: BTreeMap<SampleId, usize>,
    short_bytes: usize,
    long: DenseIds,
    long_sizes: HashMap<SampleId, usize>,
    long_bytes: usize,
    /// Samples that left the short term, kept or not.
    offered: u64,
    /// The sample that the long term has decided to take, while room is made for it.
    promoting: Option<SampleId>,
}

impl TwoTier {
    /// For a store of `capacity` bytes, of which the short term gets `short_share`, above 0 and below 1.
    pub fn new(capacity: usize, short_share: f64) -> Self {
        let short_capacity = (capacity as f64 * short_share) as usize;
        Self {
            short_capacity,
            long_capacity: capacity - short_capacity.min(capacity),
            short: BTreeMap::new(),
            short_bytes: 0,
            long: DenseIds::default(),
            long_sizes: HashMap::new(),
            long_bytes: 0,
            offered: 0,
            promoting: None,
        }
    }

    /// Bytes in the short and the long term.
    pub fn bytes(&self) -> (usize, usize) {
        (self.short_bytes, self.long_bytes)
    }

    fn move_to_long(&mut self, id: SampleId) {
        if let Some(bytes) = self.short.remove(&id) {
            self.short_bytes -= bytes;
            self.long_bytes += bytes;
            self.long.insert(id);
            if self.promoting == Some(id) {
                self.promoting = None;
            }
            self.long_sizes.insert(id, bytes);
        }
    }

    /// The short term's oldest goes over while it is too large and the long term has room.
    fn spill(&mut self, short_limit: usize) {
        while self.short_bytes > short_limit
            && let Some((&oldest, &bytes)) = self.short.first_key_value()
            && self.long_bytes + bytes <= self.long_capacity
        {
            // One that was let in already was counted then.
            self.offered += u64::from(self.promoting != Some(oldest));
            self.move_to_long(oldest);
        }
    }
}

impl Eviction for TwoTier {
    fn inserted(&mut self, entry: &Entry<'_>) {
        self.short.insert(entry.id, entry.bytes);
        self.short_bytes += entry.bytes;
        self.spill(self.short_capacity);
    }

    fn removed(&mut self, id: SampleId) {
        if self.promoting == Some(id) {
            self.promoting = None;
        }
        if let Some(bytes) = self.short.remove(&id) {
            self.short_bytes -= bytes;
        }
        if self.long.remove(id) {
            self.long_bytes -= self.long_sizes.remove(&id).unwrap_or(0);
        }
    }

    fn victim(&mut self, incoming: &Entry<'_>, rng: &mut ChaCha8Rng) -> Victim {
        let short_limit = self.short_capacity.saturating_sub(incoming.bytes);
        loop {
            if self.promoting.is_none() {
                self.spill(short_limit);
            }
            let Some((&oldest, &bytes)) = self.short.first_key_value() else {
                // A newcomer larger than the short term's share: the long term makes room.
                return self.long.draw(rng).map_or(Victim::Incoming, Victim::Stored);
            };
            if self.promoting.is_none() {
                self.offered += 1;
                let kept = rng.random_range(0..self.offered) < self.long.len() as u64;
                if !kept || bytes > self.long_capacity {
                    return Victim::Stored(oldest);
                }
                self.promoting = Some(oldest);
            }
            if self.long_bytes + bytes > self.long_capacity {
                return self.long.draw(rng).map_or(Victim::Stored(oldest), Victim::Stored);
            }
            self.move_to_long(oldest);
        }
    }

    fn export(&self) -> Value {
        json!({"long": self.long.export(), "offered": self.offered, "promoting": self.promoting.map(|id| id.0)})
    }

    fn import(&mut self, state: Value) -> Result<(), String> {
        let offered = state["offered"].as_u64().ok_or("offered is missing")?;
        let long = DenseIds::from_exported(&state["long"])?;
        // All are back; which tier each is in is ours to say.
        let mut sizes: BTreeMap<SampleId, usize> = std::mem::take(&mut self.short);
        sizes.extend(self.long_sizes.drain());
        self.long_bytes = 0;
        for id in long.ids() {
            match sizes.remove(&id) {
                Some(bytes) => {
                    self.long_bytes += bytes;
                    self.long_sizes.insert(id, bytes);
                }
                None => {
                    let missing = id.0;
                    self.short = sizes;
                    self.short.extend(self.long_sizes.drain());
                    self.long = DenseIds::default();
                    self.long_bytes = 0;
                    self.short_bytes = self.short.values().sum();
                    return Err(format!("sample {missing} is not stored"));
                }
            }
        }
        self.long = long;
        self.short_bytes = sizes.values().sum();
        self.short = sizes;
        self.offered = offered;
        self.promoting = state["promoting"].as_u64().map(SampleId);
        Ok(())
    }
}
