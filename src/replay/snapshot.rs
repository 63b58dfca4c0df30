use std::time::Duration;

use super::SpillSnapshot;

/// Who waits for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimiterState {
    /// Too few samples are stored for the first batch.
    WarmingUp {
        /// Samples stored.
        stored: usize,
        /// Samples needed.
        needed: usize,
    },
    /// Both inserting and drawing a batch may go on.
    Balanced,
    /// Training is behind: files wait, live streams shed.
    TrainerBehind,
    /// Sources are behind: training waits.
    SourcesBehind,
    /// No source will give more; training goes on with what is stored, to its limit.
    SourcesEnded,
    /// Closed.
    Closed,
}

/// Replay at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplaySnapshot {
    /// Samples stored.
    pub samples: usize,
    /// Those of them that were never drawn.
    pub fresh: usize,
    /// Those of them whose feature is known, because they were trained on.
    pub with_feature: usize,
    /// Memory that those in memory hold.
    pub bytes: usize,
    /// Memory that they may hold.
    pub capacity_bytes: usize,
    /// The part on disk, where there is one.
    pub spill: Option<SpillSnapshot>,
    /// Segments that they come from.
    pub segments: usize,
    /// Samples taken since the start (of the first run, if this one resumed).
    pub inserted: u64,
    /// Samples given out in batches, repeats counted.
    pub sampled: u64,
    /// Samples that made room for others.
    pub evicted: u64,
    /// Places that a live stream asked for while training was behind.
    pub refused: u64,
    /// Places that a live stream asked for while memory waited for the disk.
    pub refused_by_spill: u64,
    /// Samples that the eviction policy did not keep.
    pub not_kept: u64,
    /// Age of the samples given out, since their last picture arrived: seconds, all draws together.
    pub drawn_age_seconds: f64,
    /// How alike samples are: the cosine between a trained sample's feature and the one most like it, a running mean.
    pub redundancy: Option<f32>,
    /// Batches given out.
    pub batches: u64,
    /// Batches with two samples of one segment, because there were fewer segments than a batch has samples.
    pub batches_repeating_segments: u64,
    /// Arrival of the last picture of the oldest sample, nanoseconds since the Unix epoch.
    pub oldest_arrival_unix_ns: Option<u64>,
    /// The same of the newest sample.
    pub newest_arrival_unix_ns: Option<u64>,
    /// The ratio that the limiter keeps.
    pub samples_per_insert_wanted: f64,
    /// Samples that inserts have paid for and training has not drawn.
    pub balance: f64,
    /// Who waits for whom.
    pub limiter: LimiterState,
    /// Time that files waited for a place, all together.
    pub insert_wait: Duration,
    /// Time that training waited for samples.
    pub sample_wait: Duration,
}

impl ReplaySnapshot {
    /// Samples drawn per sample taken, over the whole time.
    pub fn samples_per_insert(&self) -> Option<f64> {
        (self.inserted > 0).then(|| self.sampled as f64 / self.inserted as f64)
    }
}
