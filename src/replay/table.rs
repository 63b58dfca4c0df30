mod content;
mod draft;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::features::Features;
use super::spill::{SpillFolder, SpilledSample};
use super::{Entry, Eviction, Sample, SampleId, Sampling, StoredSample, Victim};
use crate::ingest::StreamName;

pub(super) use draft::Draft;

type SegmentKey = (StreamName, u64);

/// Each so many-th trained sample is compared with all others, for the figure that says how redundant they are.
const REDUNDANCY_EVERY: u32 = 16;

/// Weight of a new comparison in that figure.
const REDUNDANCY_NEWEST: f32 = 0.05;

/// What is kept free of `replay.capacity` for samples that come while others are written to disk: a part, and at most.
const HEADROOM_ONE_IN: usize = 4;
const HEADROOM_BYTES: usize = 64 << 20;

/// Bytes that samples may take, as memory counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// In memory and on disk together: what the eviction policy keeps to.
    pub all: usize,
    /// In memory.
    pub memory: usize,
    /// Above this, the oldest samples in memory are to go to disk.
    pub calm: usize,
}

impl Bounds {
    /// For `memory` bytes, and a folder beside them.
    pub fn new(memory: usize, spill: Option<&SpillFolder>) -> Self {
        let Some(spill) = spill else {
            return Self {
                all: memory,
                memory,
                calm: memory,
            };
        };
        let calm = memory - (memory / HEADROOM_ONE_IN).min(HEADROOM_BYTES);
        let disk = spill.usable_slots().saturating_mul(spill.sample_bytes());
        Self {
            all: calm.saturating_add(disk),
            memory,
            calm,
        }
    }
}

/// The samples themselves, bounded in bytes. No lock, no clock, no limiter.
pub(super) struct Table {
    bounds: Bounds,
    fresh_share: f64,
    fresh_owed: f64,
    /// Trained samples since redundancy was looked at last.
    since_looked: u32,
    redundancy: Option<f32>,
    /// Of all samples.
    bytes: usize,
    /// Of those in memory, which are these.
    memory_bytes: usize,
    in_memory: BTreeSet<SampleId>,
    samples: BTreeMap<SampleId, StoredSample>,
    /// Of samples that were trained on.
    features: Features,
    /// Drawn for the first time, and not yet said to be learned: bounded by the batches under way.
    first_draws: BTreeSet<SampleId>,
    /// Stored, never drawn.
    fresh: BTreeSet<SampleId>,
    streams: BTreeMap<StreamName, BTreeSet<SampleId>>,
    // Ordered, so that a seed gives the same batches in every run.
    segments: BTreeMap<SegmentKey, BTreeSet<SampleId>>,
    eviction: Box<dyn Eviction>,
    sampling: Box<dyn Sampling>,
}

/// What became of a sample offered to the table.
pub(super) enum Stored {
    /// It is in; these went for it.
    Kept { evicted: Vec<StoredSample> },
    /// The eviction policy preferred what was there. Some may have gone before it said so.
    NotKept { evicted: Vec<StoredSample> },
}

impl Table {
    /// `fresh_share` of each batch is taken from what was never drawn.
    pub fn new(
        bounds: Bounds,
        fresh_share: f64,
        eviction: Box<dyn Eviction>,
        sampling: Box<dyn Sampling>,
    ) -> Self {
        Self {
            bounds,
            fresh_share,
            fresh_owed: 0.0,
            since_looked: 0,
            redundancy: None,
            bytes: 0,
            memory_bytes: 0,
            in_memory: BTreeSet::new(),
            samples: BTreeMap::new(),
            features: Features::default(),
            first_draws: BTreeSet::new(),
            fresh: BTreeSet::new(),
            streams: BTreeMap::new(),
            segments: BTreeMap::new(),
            eviction,
            sampling,
        }
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Samples that were never drawn.
    pub fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Memory that samples take.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Samples in memory.
    pub fn in_memory(&self) -> usize {
        self.in_memory.len()
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether a sample of so many bytes can come without another one going to disk first.
    pub fn has_memory_for(&self, bytes: usize) -> bool {
        self.bounds.all == self.bounds.memory || self.memory_bytes + bytes <= self.bounds.memory
    }

    /// The sample that should go to disk now: the oldest in memory, where memory is getting full.
    pub fn to_spill(&self) -> Option<&Arc<Sample>> {
        let is_calm = self.memory_bytes <= self.bounds.calm;
        let oldest = self.in_memory.first().filter(|_| !is_calm)?;
        self.samples.get(oldest)?.in_memory()
    }

    /// A sample has come to disk, and goes from memory; gives the one or the other that is not needed any more.
    pub fn spilled(&mut self, spilled: Arc<SpilledSample>) -> Option<StoredSample> {
        let id = spilled.head().id;
        let Some(stored) = self.samples.get_mut(&id).filter(|_| self.in_memory.remove(&id)) else {
            return Some(StoredSample::Disk(spilled));
        };
        self.memory_bytes -= stored.bytes();
        Some(std::mem::replace(stored, StoredSample::Disk(spilled)))
    }

    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    pub fn oldest(&self) -> Option<&StoredSample> {
        self.samples.first_key_value().map(|(_, sample)| sample)
    }

    pub fn newest(&self) -> Option<&StoredSample> {
        self.samples.last_key_value().map(|(_, sample)| sample)
    }

    /// Every sample, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &StoredSample> {
        self.samples.values().rev()
    }

    /// Whether the sample was trained on, so that its feature is known.
    pub fn has_feature(&self, id: SampleId) -> bool {
        self.features.get(id).is_some()
    }

    /// Stores a sample that is not larger than the table, making room first.
    pub fn insert(&mut self, sample: Sample, rng: &mut ChaCha8Rng) -> Stored {
        let entry = Entry::of(&sample);
        let bytes = entry.bytes;
        let mut evicted = Vec::new();
        while self.bytes + bytes > self.bounds.all {
            match self.eviction.victim(&entry, rng) {
                Victim::Stored(id) => match self.remove(id) {
                    Some(sample) => evicted.push(sample),
                    None => {
                        // A policy that names a stranger would hang the loop; the newcomer goes, the bound holds.
                        tracing::error!(id = id.0, "the eviction policy named a sample that is not stored");
                        return Stored::NotKept { evicted };
                    }
                },
                Victim::Incoming => return Stored::NotKept { evicted },
            }
        }
        // Whoever inserts has waited for memory; where sizes differ, the oldest there pay for it.
        while self.memory_bytes + bytes > self.bounds.memory
            && let Some(oldest) = self.in_memory.first().copied()
        {
            evicted.extend(self.remove(oldest));
        }
        self.store(StoredSample::Memory(Arc::new(sample)));
        Stored::Kept { evicted }
    }

    /// All samples, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &StoredSample> {
        self.samples.values()
    }

    fn store(&mut self, sample: StoredSample) {
        let id = sample.id();
        let entry = Entry {
            id,
            stream: sample.stream(),
            segment: sample.segment(),
            bytes: sample.bytes(),
        };
        self.eviction.inserted(&entry);
        self.sampling.inserted(&entry);
        self.bytes += entry.bytes;
        if sample.in_memory().is_some() {
            self.memory_bytes += entry.bytes;
            self.in_memory.insert(id);
        }
        self.segments.entry(segment_of(&sample)).or_default().insert(id);
        self.streams
            .entry(sample.stream().clone())
            .or_default()
            .insert(id);
        self.fresh.insert(id);
        self.samples.insert(id, sample);
    }

    /// Takes a sample out.
    pub fn remove(&mut self, id: SampleId) -> Option<StoredSample> {
        let sample = self.samples.remove(&id)?;
        self.eviction.removed(id);
        self.sampling.removed(id);
        self.features.remove(id);
        self.fresh.remove(&id);
        if let Some(members) = self.streams.get_mut(sample.stream()) {
            members.remove(&id);
            if members.is_empty() {
                self.streams.remove(sample.stream());
            }
        }
        let key = segment_of(&sample);
        if let Some(members) = self.segments.get_mut(&key) {
            members.remove(&id);
            if members.is_empty() {
                self.segments.remove(&key);
            }
        }
        self.bytes -= sample.bytes();
        if self.in_memory.remove(&id) {
            self.memory_bytes -= sample.bytes();
        }
        Some(sample)
    }

    /// A drawn sample was trained on: true if that was for the first time. Whether it is still there does not matter.
    pub fn learned(&mut self, id: SampleId, feature: &[f32]) -> bool {
        self.feature(id, feature);
        self.since_looked += 1;
        if self.since_looked >= REDUNDANCY_EVERY
            && let Some(nearest) = self.features.redundancy(id)
        {
            self.since_looked = 0;
            let before = self.redundancy.unwrap_or(nearest);
            self.redundancy = Some(before + (nearest - before) * REDUNDANCY_NEWEST);
        }
        self.first_draws.remove(&id)
    }

    /// The cosine between a trained sample's feature and the one most like it, a running mean.
    pub fn redundancy(&self) -> Option<f32> {
        self.redundancy
    }

    /// A stored sample.
    pub fn get(&self, id: SampleId) -> Option<&StoredSample> {
        self.samples.get(&id)
    }

    /// The newest sample of a stream.
    pub fn newest_of(&self, stream: &StreamName) -> Option<&StoredSample> {
        self.samples.get(self.streams.get(stream)?.last()?)
    }

    /// The ids of a stream's samples.
    pub fn ids_of(&self, stream: &StreamName) -> Vec<SampleId> {
        self.streams
            .get(stream)
            .map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    /// Samples of each stream.
    pub fn by_stream(&self) -> BTreeMap<StreamName, usize> {
        let count = |(stream, ids): (&StreamName, &BTreeSet<_>)| (stream.clone(), ids.len());
        self.streams.iter().map(count).collect()
    }

    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Takes a sample's feature and tells the policies, if the sample is still there and the feature one.
    pub fn feature(&mut self, id: SampleId, feature: &[f32]) {
        if !self.samples.contains_key(&id) || !self.features.learn(id, feature) {
            return;
        }
        if let Some(mean) = self.features.get(id) {
            self.eviction.feature(id, mean);
            self.sampling.feature(id, mean);
        }
    }
}

fn segment_of(sample: &StoredSample) -> SegmentKey {
    (sample.stream().clone(), sample.segment())
}
