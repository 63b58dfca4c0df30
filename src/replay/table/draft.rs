use std::collections::{HashMap, HashSet};

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{SegmentKey, Table, segment_of};
use crate::replay::{SampleId, StoredSample};

/// Draws per wanted sample before a batch asks for less: with `k` segments of equal size and batches of `k`, the last one takes
/// `k` draws on average.
const DRAWS_PER_SAMPLE: usize = 16;

/// Samples of one segment that begin this far apart may stand in one batch where segments are few: further than this, the
/// trainer's context task takes them for different scenes.
const STRETCH_NS: u64 = 10_000_000_000;

/// Never drawn samples that are looked at, at least, to find some of different segments.
const FRESH_LOOKED_AT: usize = 256;

/// A batch while it is drawn.
#[derive(Default)]
pub(in crate::replay) struct Draft {
    samples: Vec<StoredSample>,
    /// Drawn, or drawn and lost.
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

const ONCE: Most = Most {
    of_segment: 1,
    of_stretch: 1,
};

impl Draft {
    /// What was drawn so far.
    pub fn samples(&self) -> &[StoredSample] {
        &self.samples
    }

    /// There were fewer segments than samples asked for.
    pub fn repeats_segments(&self) -> bool {
        self.of_segment.values().any(|count| *count > 1)
    }

    /// A drawn sample cannot be had: another one is to be drawn in its place.
    pub fn lose(&mut self, id: SampleId) {
        let Some(at) = self.samples.iter().position(|sample| sample.id() == id) else {
            return;
        };
        let lost = self.samples.remove(at);
        let segment = segment_of(&lost);
        if let Some(count) = self.of_segment.get_mut(&segment) {
            *count -= 1;
        }
        if let Some(count) = self.of_stretch.get_mut(&(segment, stretch_of(&lost))) {
            *count -= 1;
        }
    }

    /// Takes the sample if the batch may have it.
    fn offer(&mut self, sample: &StoredSample, most: Most) {
        let segment = segment_of(sample);
        let full = self
            .of_segment
            .get(&segment)
            .is_some_and(|count| *count >= most.of_segment)
            || self
                .of_stretch
                .get(&(segment, stretch_of(sample)))
                .is_some_and(|count| *count >= most.of_stretch);
        if !full && !self.ids.contains(&sample.id()) {
            self.take(sample);
        }
    }

    fn take(&mut self, sample: &StoredSample) {
        let segment = segment_of(sample);
        *self.of_segment.entry(segment.clone()).or_default() += 1;
        *self.of_stretch.entry((segment, stretch_of(sample))).or_default() += 1;
        self.ids.insert(sample.id());
        self.samples.push(sample.clone());
    }
}

/// Which stretch of its segment the sample begins in.
fn stretch_of(sample: &StoredSample) -> u64 {
    sample.begins_ns() / STRETCH_NS
}

impl Table {
    /// Draws different samples until the draft has `size` of them. The caller has seen to it that so many are stored.
    ///
    /// Near-duplicates within a batch hurt contrastive losses most. A batch therefore takes one sample of a segment. Where that
    /// does not fill it, because there are too few segments or because nearly all samples are of a few (a camera's segment lasts
    /// for days), it takes one of each [`STRETCH_NS`] of a segment, then two, then four, and at last whatever is there. Each
    /// time it gives up after [`DRAWS_PER_SAMPLE`] draws a sample: insisting would train on the few samples of short segments in
    /// every batch.
    pub fn draw(&mut self, draft: &mut Draft, size: usize, rng: &mut ChaCha8Rng) {
        let drawn_before = draft.samples.len();
        if draft.ids.is_empty() {
            self.draw_fresh(size, draft);
        }
        let mut most = ONCE;
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
                .filter(|sample| !draft.ids.contains(&sample.id()))
                .collect();
            left.shuffle(rng);
            for sample in left.into_iter().take(size - draft.samples.len()) {
                draft.take(sample);
            }
        }
        for sample in &draft.samples[drawn_before..] {
            let id = sample.id();
            if self.fresh.remove(&id) {
                self.first_draws.insert(id);
            }
            self.eviction.sampled(id);
            self.sampling.sampled(id);
        }
    }

    /// The part of a batch that was never drawn, the oldest first; parts of a sample are owed to the next batch.
    fn draw_fresh(&mut self, size: usize, draft: &mut Draft) {
        self.fresh_owed += self.fresh_share * size as f64;
        let wanted = self.fresh_owed as usize;
        for id in self.fresh.iter().take(FRESH_LOOKED_AT.max(wanted)) {
            if draft.samples.len() >= wanted {
                break;
            }
            draft.offer(&self.samples[id], ONCE);
        }
        // What is not there is not owed.
        self.fresh_owed -= wanted as f64;
    }
}
