use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::features::Features;
use super::store::PolicyState;
use super::{Entry, Eviction, Sample, SampleId, Sampling, Victim};
use crate::ingest::StreamName;

type SegmentKey = (StreamName, u64);

/// Draws per wanted sample before a batch asks for less: with `k` segments of equal size and batches of `k`, the last one takes
/// `k` draws on average.
const DRAWS_PER_SAMPLE: usize = 16;

/// Samples of one segment that begin this far apart may stand in one batch where segments are few: further than this, the
/// trainer's context task takes them for different scenes.
const STRETCH_NS: u64 = 10_000_000_000;

/// Each so many-th trained sample is compared with all others, for the figure that says how redundant they are.
const REDUNDANCY_EVERY: u32 = 16;

/// Weight of a new comparison in that figure.
const REDUNDANCY_NEWEST: f32 = 0.05;

/// Never drawn samples that are looked at, at least, to find some of different segments.
const FRESH_LOOKED_AT: usize = 256;

/// The samples themselves, bounded in bytes. No lock, no clock, no limiter.
pub(super) struct Table {
    capacity_bytes: usize,
    fresh_share: f64,
    fresh_owed: f64,
    /// Trained samples since redundancy was looked at last.
    since_looked: u32,
    redundancy: Option<f32>,
    bytes: usize,
    samples: BTreeMap<SampleId, Arc<Sample>>,
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
    /// `fresh_share` of each batch is taken from what was never drawn.
    pub fn new(
        capacity_bytes: usize,
        fresh_share: f64,
        eviction: Box<dyn Eviction>,
        sampling: Box<dyn Sampling>,
    ) -> Self {
        Self {
            capacity_bytes,
            fresh_share,
            fresh_owed: 0.0,
            since_looked: 0,
            redundancy: None,
            bytes: 0,
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

    /// Whether the sample was trained on, so that its feature is known.
    pub fn has_feature(&self, id: SampleId) -> bool {
        self.features.get(id).is_some()
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
            uses: self.export_use(),
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

    fn store(&mut self, sample: Arc<Sample>) {
        let entry = Entry::of(&sample);
        self.eviction.inserted(&entry);
        self.sampling.inserted(&entry);
        self.segments
            .entry(segment_of(&sample))
            .or_default()
            .insert(sample.id);
        self.streams
            .entry(sample.stream.clone())
            .or_default()
            .insert(sample.id);
        self.fresh.insert(sample.id);
        self.bytes += entry.bytes;
        self.samples.insert(sample.id, sample);
    }

    fn remove(&mut self, id: SampleId) -> Option<Arc<Sample>> {
        let sample = self.samples.remove(&id)?;
        self.eviction.removed(id);
        self.sampling.removed(id);
        self.features.remove(id);
        self.fresh.remove(&id);
        if let Some(members) = self.streams.get_mut(&sample.stream) {
            members.remove(&id);
            if members.is_empty() {
                self.streams.remove(&sample.stream);
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
        Some(sample)
    }

    /// Draws `size` different samples. The caller has seen to it that so many are stored.
    ///
    /// Near-duplicates within a batch hurt contrastive losses most. A batch therefore takes one sample of a segment. Where that
    /// does not fill it, because there are too few segments or because nearly all samples are of a few (a camera's segment lasts
    /// for days), it takes one of each [`STRETCH_NS`] of a segment, then two, then four, and at last whatever is there. Each
    /// time it gives up after [`DRAWS_PER_SAMPLE`] draws a sample: insisting would train on the few samples of short segments in
    /// every batch.
    pub fn batch(&mut self, size: usize, rng: &mut ChaCha8Rng) -> Batch {
        let mut draft = Draft::default();
        self.draw_fresh(size, &mut draft);
        let mut most = Most {
            of_segment: 1,
            of_stretch: 1,
        };
        loop {
            for _ in 0..size * DRAWS_PER_SAMPLE {
                if draft.samples.len() == size {
                    break;
                }
                let drawn = self.sampling.draw(rng);
                let Some(sample) = drawn.and_then(|id| self.samples.get(&id)) else {
                    break;
                };
                draft.offer(sample, most);
            }
            let is_last = most.of_segment > 1 && most.of_stretch >= size;
            if is_last || draft.samples.len() == size {
                break;
            }
            most = Most {
                of_segment: usize::MAX,
                of_stretch: match most.of_segment {
                    1 => 1,
                    _ => 2 * most.of_stretch,
                },
            };
        }
        if draft.samples.len() < size {
            let mut left: Vec<_> = self
                .samples
                .values()
                .filter(|sample| !draft.ids.contains(&sample.id))
                .collect();
            left.shuffle(rng);
            for sample in left.into_iter().take(size - draft.samples.len()) {
                draft.take(sample);
            }
        }
        for sample in &draft.samples {
            if self.fresh.remove(&sample.id) {
                self.first_draws.insert(sample.id);
            }
            self.eviction.sampled(sample.id);
            self.sampling.sampled(sample.id);
        }
        Batch {
            repeats_segments: draft.of_segment.values().any(|count| *count > 1),
            samples: draft.samples,
        }
    }

    /// The part of a batch that was never drawn, the oldest first; parts of a sample are owed to the next batch.
    fn draw_fresh(&mut self, size: usize, draft: &mut Draft) {
        self.fresh_owed += self.fresh_share * size as f64;
        let wanted = self.fresh_owed as usize;
        let once = Most {
            of_segment: 1,
            of_stretch: 1,
        };
        for id in self.fresh.iter().take(FRESH_LOOKED_AT.max(wanted)) {
            if draft.samples.len() >= wanted {
                break;
            }
            draft.offer(&self.samples[id], once);
        }
        // What is not there is not owed.
        self.fresh_owed -= wanted as f64;
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
    pub fn get(&self, id: SampleId) -> Option<&Arc<Sample>> {
        self.samples.get(&id)
    }

    /// The newest sample of a stream.
    pub fn newest_of(&self, stream: &StreamName) -> Option<&Arc<Sample>> {
        self.samples.get(self.streams.get(stream)?.last()?)
    }

    /// Samples of each stream.
    pub fn by_stream(&self) -> BTreeMap<StreamName, usize> {
        let count = |(stream, ids): (&StreamName, &BTreeSet<_>)| (stream.clone(), ids.len());
        self.streams.iter().map(count).collect()
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

/// A batch while it is drawn.
#[derive(Default)]
struct Draft {
    samples: Vec<Arc<Sample>>,
    ids: HashSet<SampleId>,
    of_segment: HashMap<SegmentKey, usize>,
    of_stretch: HashMap<(SegmentKey, u64), usize>,
}

/// Samples that a batch may have.
#[derive(Clone, Copy)]
struct Most {
    of_segment: usize,
    of_stretch: usize,
}

impl Draft {
    /// Takes the sample if the batch may have it.
    fn offer(&mut self, sample: &Arc<Sample>, most: Most) {
        let segment = segment_of(sample);
        let full = self
            .of_segment
            .get(&segment)
            .is_some_and(|count| *count >= most.of_segment)
            || self
                .of_stretch
                .get(&(segment, stretch_of(sample)))
                .is_some_and(|count| *count >= most.of_stretch);
        if !full && !self.ids.contains(&sample.id) {
            self.take(sample);
        }
    }

    fn take(&mut self, sample: &Arc<Sample>) {
        let segment = segment_of(sample);
        *self.of_segment.entry(segment.clone()).or_default() += 1;
        *self.of_stretch.entry((segment, stretch_of(sample))).or_default() += 1;
        self.ids.insert(sample.id);
        self.samples.push(sample.clone());
    }
}

/// Which stretch of its segment the sample begins in.
fn stretch_of(sample: &Sample) -> u64 {
    sample.pts.unwrap_or(sample.arrival).first_ns / STRETCH_NS
}

fn segment_of(sample: &Sample) -> SegmentKey {
    (sample.stream.clone(), sample.segment)
}
