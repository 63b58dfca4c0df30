mod arrive;
mod content;
mod draw;
mod forget;
mod place;
mod refusals;
mod spilling;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha8Rng;

use super::arrivals::Arrivals;
use super::shares::Shares;
use super::table::{Bounds, Stored, Table};
use super::{
    Eviction, LimiterState, RateLimiter, ReplayConfig, ReplayConfigError, ReplaySnapshot, Sample, SampleId,
    Sampling, SpillFolder, StoredSample,
};
use crate::ingest::StreamName;
use spilling::Spilling;

pub use content::{PolicyState, ReplayContent, ReplayState, StoredSamples};
pub use place::{Place, Turn};
pub use refusals::{InsertRefused, NoBatch};

/// The store between the decoders and the trainer.
///
/// Shared by reference or [`Arc`]. Streams get a [`Place`] before they have a sample made: files wait for one
/// ([`Self::wait_for_turn`]), live streams are refused ([`Self::promise`]) while training is behind. A sample that is made already comes
/// by [`Self::insert_blocking`] or [`Self::try_insert`]. [`Self::sample_batch`] waits while sources are behind. One mutex guards the
/// tables; nobody holds it while waiting, and samples are freed outside it.
///
/// With a folder beside it ([`Self::with_spill`]), the oldest samples in memory go to disk as newer ones come; the policies see one
/// store. They are written by whoever calls [`Self::keep_spilling`], on a thread of its own, and read, outside the mutex, by
/// whoever draws them.
pub struct Replay {
    inner: Mutex<Inner>,
    /// An insert may have become possible.
    drawn: Condvar,
    /// A batch may have become possible, or a sample should go to disk.
    stored: Condvar,
    largest_batch: usize,
    config: ReplayConfig,
}

/// Told of every sample that is taken.
type SampleObserver = Box<dyn Fn(&Sample) + Send>;

struct Inner {
    table: Table,
    limiter: RateLimiter,
    arrivals: Arrivals,
    shares: Shares,
    /// Places given and not yet filled.
    promised: usize,
    spilling: Option<Spilling>,
    /// Nanoseconds since the Unix epoch: of these streams nothing is kept whose pictures arrived before.
    forgotten_until: BTreeMap<StreamName, u64>,
    observer: Option<SampleObserver>,
    rng: ChaCha8Rng,
    next_id: u64,
    inserted: u64,
    sampled: u64,
    evicted: u64,
    /// The part of `inserted` and `sampled` that an earlier run did.
    resumed: (u64, u64),
    refused: u64,
    refused_by_spill: u64,
    not_kept: u64,
    drawn_age_seconds: f64,
    batches: u64,
    batches_repeating_segments: u64,
    insert_wait: Duration,
    sample_wait: Duration,
    sources_ended: bool,
    closed: bool,
}

impl Replay {
    /// With the policies that the section names. `rng` decides every draw.
    pub fn new(
        config: &ReplayConfig,
        largest_batch: usize,
        rng: ChaCha8Rng,
    ) -> Result<Self, ReplayConfigError> {
        let bounds = Bounds::new(memory_of(config), None);
        let (eviction, sampling) = config.policies(bounds.all);
        Self::with_parts(config, largest_batch, rng, (eviction, sampling), None)
    }

    /// As [`Self::new`], with room on disk for what memory does not hold.
    pub fn with_spill(
        config: &ReplayConfig,
        largest_batch: usize,
        rng: ChaCha8Rng,
        folder: Arc<SpillFolder>,
    ) -> Result<Self, ReplayConfigError> {
        let bounds = Bounds::new(memory_of(config), Some(&folder));
        Self::with_parts(
            config,
            largest_batch,
            rng,
            config.policies(bounds.all),
            Some(folder),
        )
    }

    /// With other policies.
    pub fn with_policies(
        config: &ReplayConfig,
        largest_batch: usize,
        rng: ChaCha8Rng,
        eviction: Box<dyn Eviction>,
        sampling: Box<dyn Sampling>,
    ) -> Result<Self, ReplayConfigError> {
        Self::with_parts(config, largest_batch, rng, (eviction, sampling), None)
    }

    fn with_parts(
        config: &ReplayConfig,
        largest_batch: usize,
        rng: ChaCha8Rng,
        (eviction, sampling): (Box<dyn Eviction>, Box<dyn Sampling>),
        spill: Option<Arc<SpillFolder>>,
    ) -> Result<Self, ReplayConfigError> {
        config.check(largest_batch)?;
        let bounds = Bounds::new(memory_of(config), spill.as_deref());
        Ok(Self {
            inner: Mutex::new(Inner {
                table: Table::new(bounds, config.fresh_share, eviction, sampling),
                limiter: RateLimiter::new(config, largest_batch),
                arrivals: Arrivals::default(),
                shares: Shares::default(),
                promised: 0,
                spilling: spill.map(Spilling::new),
                forgotten_until: BTreeMap::new(),
                observer: None,
                rng,
                next_id: 1,
                inserted: 0,
                sampled: 0,
                evicted: 0,
                resumed: (0, 0),
                refused: 0,
                refused_by_spill: 0,
                not_kept: 0,
                drawn_age_seconds: 0.0,
                batches: 0,
                batches_repeating_segments: 0,
                insert_wait: Duration::ZERO,
                sample_wait: Duration::ZERO,
                sources_ended: false,
                closed: false,
            }),
            drawn: Condvar::new(),
            stored: Condvar::new(),
            largest_batch,
            config: config.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the stored samples with the lock held: `look` must be quick.
    pub(super) fn looking<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.lock().table)
    }

    /// Whether [`Self::try_insert`] would take a sample now.
    pub fn wants_samples(&self) -> bool {
        let inner = self.lock();
        !inner.closed && inner.may_take()
    }

    /// Takes the sample now or not at all.
    pub fn try_insert(&self, sample: Sample) -> Result<SampleId, InsertRefused> {
        let mut inner = self.lock();
        inner.refuse(0)?;
        self.insert(inner, sample)
    }

    /// Takes the sample, waiting while training is behind; [`Self::close`] ends the wait.
    pub fn insert_blocking(&self, sample: Sample) -> Result<SampleId, InsertRefused> {
        let began = Instant::now();
        let mut inner = self.lock();
        while !inner.closed && !inner.may_take() {
            inner = self.drawn.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.insert_wait += began.elapsed();
        self.insert(inner, sample)
    }

    fn insert(&self, mut inner: MutexGuard<'_, Inner>, sample: Sample) -> Result<SampleId, InsertRefused> {
        let (result, evicted) = inner.take(sample);
        drop(inner);
        self.stored.notify_all();
        // Freed outside the lock.
        drop(evicted);
        result
    }

    /// Trained samples' pooled feature: the running mean of its direction decides about redundancy and neighbours. Unknown ids
    /// (evicted since) and features without direction are passed over.
    pub fn feature(&self, id: SampleId, feature: &[f32]) {
        self.lock().table.feature(id, feature);
    }

    /// As [`Self::feature`], of a sample that [`Self::sample_batch`] gave and that was trained on: true if that was its first use,
    /// even if it is gone by now.
    pub fn learned(&self, id: SampleId, feature: &[f32]) -> bool {
        self.lock().table.learned(id, feature)
    }

    /// The `count` stored samples whose features are most like this one's, with the cosines, the most alike first. Empty where
    /// the sample is gone or was never trained on. Compares with all of them: milliseconds where there are tens of thousands.
    pub fn neighbours(&self, id: SampleId, count: usize) -> Vec<(SampleId, f32)> {
        self.lock().table.features().neighbours(id, count)
    }

    /// Stored samples of each stream; streams without any are not named.
    pub fn by_stream(&self) -> BTreeMap<StreamName, usize> {
        self.lock().table.by_stream()
    }

    /// Changes how often a sample is trained on, from now on; a tolerance configured for less grows as far as it must.
    ///
    /// # Errors
    /// A ratio that is not a number above 0.
    pub fn set_samples_per_insert(&self, ratio: f64) -> Result<(), ReplayConfigError> {
        let changed = self.config.with_samples_per_insert(ratio, self.largest_batch);
        changed.check(self.largest_batch)?;
        self.lock().limiter.set_samples_per_insert(&changed);
        self.stored.notify_all();
        self.drawn.notify_all();
        Ok(())
    }

    /// No source will insert any more: sampling need not wait for one.
    pub fn sources_ended(&self) {
        let mut inner = self.lock();
        // In a fixed order the last samples may still wait for their turn; it is known then when none is left.
        if !inner.arrivals.has_fixed_order() {
            inner.sources_ended = true;
        }
        drop(inner);
        self.stored.notify_all();
    }

    /// A source was added after all others had ended.
    pub fn sources_started(&self) {
        self.lock().sources_ended = false;
    }

    /// Refuses everything from now on and ends every wait.
    pub fn close(&self) {
        self.lock().closed = true;
        self.stored.notify_all();
        self.drawn.notify_all();
    }

    /// All figures at one instant.
    pub fn snapshot(&self) -> ReplaySnapshot {
        let inner = self.lock();
        ReplaySnapshot {
            samples: inner.table.len(),
            fresh: inner.table.fresh(),
            with_feature: inner.table.features().len(),
            bytes: inner.table.memory_bytes(),
            capacity_bytes: inner.table.bounds().memory,
            spill: inner.spill_snapshot(),
            segments: inner.table.segments(),
            inserted: inner.inserted,
            sampled: inner.sampled,
            evicted: inner.evicted,
            refused: inner.refused,
            refused_by_spill: inner.refused_by_spill,
            not_kept: inner.not_kept,
            drawn_age_seconds: inner.drawn_age_seconds,
            redundancy: inner.table.redundancy(),
            batches: inner.batches,
            batches_repeating_segments: inner.batches_repeating_segments,
            oldest_arrival_unix_ns: inner.table.oldest().map(|sample| sample.arrival().last_ns),
            newest_arrival_unix_ns: inner.table.newest().map(|sample| sample.arrival().last_ns),
            samples_per_insert_wanted: inner.limiter.samples_per_insert(),
            balance: inner.limiter.balance(),
            limiter: self.limiter_state(&inner),
            insert_wait: inner.insert_wait,
            sample_wait: inner.sample_wait,
        }
    }

    fn limiter_state(&self, inner: &Inner) -> LimiterState {
        if inner.closed {
            LimiterState::Closed
        } else if inner.sources_ended {
            LimiterState::SourcesEnded
        } else if !inner.limiter.started() {
            LimiterState::WarmingUp {
                stored: inner.table.len(),
                needed: inner.limiter.min_samples(),
            }
        } else if !inner.limiter.may_insert() {
            LimiterState::TrainerBehind
        } else if !inner.limiter.may_sample(self.largest_batch) {
            LimiterState::SourcesBehind
        } else {
            LimiterState::Balanced
        }
    }
}

impl Inner {
    /// Stores the sample, or says why not; and gives back what went for it.
    fn take(&mut self, mut sample: Sample) -> (Result<SampleId, InsertRefused>, Vec<StoredSample>) {
        if self.closed {
            return (Err(InsertRefused::Closed), Vec::new());
        }
        let (bytes, capacity_bytes) = (sample.bytes(), self.table.bounds().memory);
        if bytes > capacity_bytes {
            let refused = InsertRefused::LargerThanReplay {
                bytes,
                capacity_bytes,
            };
            return (Err(refused), Vec::new());
        }
        let until = self.forgotten_until.get(&sample.stream);
        if until.is_some_and(|until| sample.arrival.first_ns <= *until) {
            self.not_kept += 1;
            return (Err(InsertRefused::NotKept), Vec::new());
        }
        let id = SampleId(self.next_id);
        self.next_id += 1;
        sample.id = id;
        self.arrivals.took(&sample.stream, sample.segment);
        if let Some(observer) = &self.observer {
            observer(&sample);
        }
        let (evicted, result) = match self.table.insert(sample, &mut self.rng) {
            Stored::Kept { evicted } => (evicted, Ok(id)),
            Stored::NotKept { evicted } => (evicted, Err(InsertRefused::NotKept)),
        };
        match result {
            Ok(_) => self.inserted += 1,
            Err(_) => self.not_kept += 1,
        }
        self.evicted += evicted.len() as u64;
        let full = !evicted.is_empty() || result.is_err();
        self.limiter.inserted(self.table.len(), full);
        (result, evicted)
    }
}

/// `replay.capacity`.
fn memory_of(config: &ReplayConfig) -> usize {
    usize::try_from(config.capacity.as_u64()).unwrap_or(usize::MAX)
}

fn unix_now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
