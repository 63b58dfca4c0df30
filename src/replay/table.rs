use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::store::PolicyState;
use super::{Entry, Eviction, Sample, SampleId, Sampling, Victim};
use crate::ingest::StreamName;

type SegmentKey = (StreamName, u64);

/// Draws per wanted sample before the table completes a batch itself: with `k` segments of equal size and batches of `k`,
/// the last one takes `k` draws on average.
const DRAWS_PER_SAMPLE: usize = 16;

/// The samples themselves, bounded in bytes. No lock, no clock, no limiter.
pub(super) struct Table {
    capacity_bytes: usize,
    bytes: usize,
    samples: BTreeMap<SampleId, Arc<Sample>>,
    // Ordered, so that a seed gives the same batches in every run.
    segments: BTreeMap<SegmentKey, BTreeSet<SampleId>>,
    eviction: Box<dyn Eviction>,
    sampling: Box<dyn Sampling>,
}

/// What became of a sample offered to the table.
pub(super) enum Stored {
    /// It is in; these went for it.
    Kept { evicted: Vec<Arc<Sample>> },
    /// The eviction policy preferred what was there. Some may have gone before it said so.
    NotKept { evicted: Vec<Arc<Sample>> },
}

/// A drawn batch.
pub(super) struct Batch {
    pub samples: Vec<Arc<Sample>>,
    /// There were fewer segments than samples asked for.
    pub repeats_segments: bool,
}

impl Table {
    pub fn new(capacity_bytes: usize, eviction: Box<dyn Eviction>, sampling: Box<dyn Sampling>) -> Self {
        Self {
            capacity_bytes,
            bytes: 0,
            samples: BTreeMap::new(),
            segments: BTreeMap::new(),
            eviction,
            sampling,
        }
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    pub fn oldest(&self) -> Option<&Sample> {
        self.samples.first_key_value().map(|(_, sample)| &**sample)
    }

    pub fn newest(&self) -> Option<&Sample> {
        self.samples.last_key_value().map(|(_, sample)| &**sample)
    }

    /// Every sample, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<Sample>> {
        self.samples.values().rev()
    }

    /// Stores a sample that is not larger than the table, making room first.
    pub fn insert(&mut self, sample: Sample, rng: &mut ChaCha8Rng) -> Stored {
        let entry = Entry::of(&sample);
        let bytes = entry.bytes;
        let mut evicted = Vec::new();
        while self.bytes + bytes > self.capacity_bytes {
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
        self.store(Arc::new(sample));
        Stored::Kept { evicted }
    }

    /// All samples, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Sample>> {
        self.samples.values()
    }

    /// What the policies keep in a checkpoint.
    pub fn export_policies(&self) -> PolicyState {
        PolicyState {
            eviction: self.eviction.export(),
            sampling: self.sampling.export(),
        }
    }

    /// Puts samples back with the ids that they have, oldest first, then the policies' state. Returns how many were let go
    /// because they do not fit.
    pub fn import(&mut self, samples: Vec<Arc<Sample>>, policies: PolicyState) -> u64 {
        let mut too_many: usize = samples.iter().map(|sample| sample.bytes()).sum();
        let mut let_go = 0;
        for sample in samples {
            if too_many > self.capacity_bytes {
                too_many -= sample.bytes();
                let_go += 1;
                continue;
            }
            self.store(sample);
        }
        let told = |what: &str, imported: Result<(), String>| {
            if let Err(reason) = imported {
                tracing::warn!(
                    reason,
                    "the {what} policy begins anew: it is not the one of the checkpoint"
                );
            }
        };
        if let_go == 0 {
            told("eviction", self.eviction.import(policies.eviction));
            told("sampling", self.sampling.import(policies.sampling));
        }
        let_go
    }

    /// Removes every sample of a stream.
    pub fn remove_stream(&mut self, stream: &StreamName) -> Vec<Arc<Sample>> {
        let of_stream = |sample: &&Arc<Sample>| sample.stream == *stream;
        let ids: Vec<_> = self
            .samples
            .values()
            .filter(of_stream)
            .map(|sample| sample.id)
            .collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn store(&mut self, sample: Arc<Sample>) {
        let entry = Entry::of(&sample);
        self.eviction.inserted(&entry);
        self.sampling.inserted(&entry);
        self.segments
            .entry(segment_of(&sample))
            .or_default()
            .insert(sample.id);
        self.bytes += entry.bytes;
        self.samples.insert(sample.id, sample);
    }

    fn remove(&mut self, id: SampleId) -> Option<Arc<Sample>> {
        let sample = self.samples.remove(&id)?;
        self.eviction.removed(id);
        self.sampling.removed(id);
        let key = segment_of(&sample);
        if let Some(members) = self.segments.get_mut(&key) {
            members.remove(&id);
            if members.is_empty() {
                self.segments.remove(&key);
            }
        }
        self.bytes -= sample.bytes();
        Some(sample)
    }

    /// Draws `size` different samples, from as many segments as there are: near-duplicates within a batch hurt contrastive
    /// losses most. The caller has seen to it that `size` samples are stored.
    pub fn batch(&mut self, size: usize, rng: &mut ChaCha8Rng) -> Batch {
        let per_segment = self.samples_per_segment(size);
        let mut drawn = BTreeSet::new();
        let mut used: HashMap<SegmentKey, usize> = HashMap::new();
        let mut samples = Vec::with_capacity(size);
        for _ in 0..size * DRAWS_PER_SAMPLE {
            if samples.len() == size {
                break;
            }
            let Some(sample) = self.sampling.draw(rng).and_then(|id| self.samples.get(&id)) else {
                break;
            };
            let used = used.entry(segment_of(sample)).or_default();
            if *used < per_segment && drawn.insert(sample.id) {
                *used += 1;
                samples.push(sample.clone());
            }
        }
        // A few segments hold nearly everything and the policy keeps naming them: take the rest from the others.
        while samples.len() < size {
            let open: Vec<_> = self
                .segments
                .iter()
                .filter(|(key, _)| used.get(*key).copied().unwrap_or(0) < per_segment)
                .map(|(key, members)| (key, members.difference(&drawn).copied().collect::<Vec<_>>()))
                .filter(|(_, members)| !members.is_empty())
                .collect();
            let Some((key, id)) = open
                .choose(rng)
                .and_then(|(key, members)| Some((*key, *members.choose(rng)?)))
            else {
                break;
            };
            *used.entry(key.clone()).or_default() += 1;
            drawn.insert(id);
            samples.push(self.samples[&id].clone());
        }
        for sample in &samples {
            self.eviction.sampled(sample.id);
            self.sampling.sampled(sample.id);
        }
        Batch {
            samples,
            repeats_segments: used.values().any(|count| *count > 1),
        }
    }

    /// The least that lets `size` samples be found: 1 when there are segments enough.
    fn samples_per_segment(&self, size: usize) -> usize {
        if self.segments.len() >= size {
            return 1;
        }
        let at_most = |limit: usize| -> usize {
            self.segments
                .values()
                .map(|members| members.len().min(limit))
                .sum()
        };
        (1..size).find(|limit| at_most(*limit) >= size).unwrap_or(size)
    }

    /// Tells the policies a sample's feature, if the sample is still there.
    pub fn feature(&mut self, id: SampleId, feature: &[f32]) {
        if self.samples.contains_key(&id) {
            self.eviction.feature(id, feature);
            self.sampling.feature(id, feature);
        }
    }
}

fn segment_of(sample: &Sample) -> SegmentKey {
    (sample.stream.clone(), sample.segment)
}
