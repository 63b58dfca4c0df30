mod arrive;
mod content;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha8Rng;

use super::arrivals::Arrivals;
use super::table::{Stored, Table};
use super::{
    Eviction, LimiterState, RateLimiter, ReplayConfig, ReplayConfigError, ReplaySnapshot, Sample, SampleId,
    Sampling,
};
use crate::ingest::StreamName;

pub use content::{PolicyState, ReplayContent, ReplayState};

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertRefused {
    /// The limiter holds inserts back until more is trained. Only [`Replay::try_insert`] says so.
    #[error("training is behind: replay takes no sample now")]
    TrainerBehind,
    /// The eviction policy preferred what is stored.
    #[error("the eviction policy kept the stored samples instead")]
    NotKept,
    /// It would not fit alone.
    #[error("a sample of {bytes} bytes does not fit replay.capacity = {capacity_bytes} bytes")]
    LargerThanReplay {
        /// Memory that the sample holds.
        bytes: usize,
        /// Memory that all samples may hold.
        capacity_bytes: usize,
    },
    /// [`Replay::close`] was called.
    #[error("replay is closed")]
    Closed,
}

/// Why there is no batch.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoBatch {
    /// Sources were behind all the time.
    #[error("no batch within {waited:?}: sources are behind training")]
    TimedOut {
        /// The patience given.
        waited: Duration,
    },
    /// All sources have ended and what they gave was trained on as often as configured.
    #[error(
        "all sources have ended; their {inserted} samples were drawn {sampled} times, and replay.final_samples_per_insert = \
         {limit} allows no further batch of {batch}"
    )]
    Exhausted {
        /// Samples taken.
        inserted: u64,
        /// Samples given out.
        sampled: u64,
        /// The limit in force.
        limit: f64,
        /// Samples asked for.
        batch: usize,
    },
    /// All sources have ended and gave less than a batch.
    #[error("all sources have ended and gave {stored} samples; a batch needs {batch}")]
    TooFewSamples {
        /// Samples stored.
        stored: usize,
        /// Samples asked for.
        batch: usize,
    },
    /// The capacity does not hold one batch.
    #[error("replay.capacity = {capacity_bytes} bytes holds {stored} samples; a batch needs {batch}")]
    CapacityBelowBatch {
        /// Samples that fit.
        stored: usize,
        /// Samples asked for.
        batch: usize,
        /// Memory that all samples may hold.
        capacity_bytes: usize,
    },
    /// More than the limiter was made for.
    #[error("a batch of {batch} was asked for; this replay was made for batches of 1 to {largest_batch}")]
    WrongBatchSize {
        /// Samples asked for.
        batch: usize,
        /// What [`Replay::new`] was told.
        largest_batch: usize,
    },
    /// [`Replay::close`] was called.
    #[error("replay is closed")]
    Closed,
}

/// The store between the decoders and the trainer.
///
/// Shared by reference or [`Arc`]. Inserting blocks ([`Self::insert_blocking`], files) or refuses ([`Self::try_insert`],
/// live streams) while training is behind; [`Self::sample_batch`] waits while sources are behind. One mutex guards the
/// tables; nobody holds it while waiting, and samples are freed outside it. Waiters are served in no particular order.
pub struct Replay {
    inner: Mutex<Inner>,
    /// An insert may have become possible.
    drawn: Condvar,
    /// A batch may have become possible.
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
    observer: Option<SampleObserver>,
    rng: ChaCha8Rng,
    next_id: u64,
    inserted: u64,
    sampled: u64,
    evicted: u64,
    /// The part of `inserted` and `sampled` that an earlier run did.
    resumed: (u64, u64),
    refused: u64,
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
        let (eviction, sampling) = config.policies();
        Self::with_policies(config, largest_batch, rng, eviction, sampling)
    }

    /// With other policies.
    pub fn with_policies(
        config: &ReplayConfig,
        largest_batch: usize,
        rng: ChaCha8Rng,
        eviction: Box<dyn Eviction>,
        sampling: Box<dyn Sampling>,
    ) -> Result<Self, ReplayConfigError> {
        config.check(largest_batch)?;
        let capacity_bytes = usize::try_from(config.capacity.as_u64()).unwrap_or(usize::MAX);
        Ok(Self {
            inner: Mutex::new(Inner {
                table: Table::new(capacity_bytes, config.fresh_share, eviction, sampling),
                limiter: RateLimiter::new(config, largest_batch),
                arrivals: Arrivals::default(),
                observer: None,
                rng,
                next_id: 1,
                inserted: 0,
                sampled: 0,
                evicted: 0,
                resumed: (0, 0),
                refused: 0,
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

    /// Whether [`Self::try_insert`] would take a sample now. A live stream asks before it has a window decoded.
    pub fn wants_samples(&self) -> bool {
        let inner = self.lock();
        !inner.closed && inner.limiter.may_insert()
    }

    /// Waits until [`Self::try_insert`] would take a sample; false when replay is closed. A file source waits here before
    /// it has a window decoded, so that it holds up no decoder. Others may be quicker: this reserves nothing.
    pub fn wait_until_wanted(&self) -> bool {
        let mut inner = self.lock();
        while !inner.closed && !inner.limiter.may_insert() {
            inner = self.drawn.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        !inner.closed
    }

    /// Takes the sample now or not at all.
    pub fn try_insert(&self, sample: Sample) -> Result<SampleId, InsertRefused> {
        let mut inner = self.lock();
        if !inner.closed && !inner.limiter.may_insert() {
            inner.refused += 1;
            return Err(InsertRefused::TrainerBehind);
        }
        self.insert(inner, sample)
    }

    /// Takes the sample, waiting while training is behind; [`Self::close`] ends the wait.
    pub fn insert_blocking(&self, sample: Sample) -> Result<SampleId, InsertRefused> {
        let began = Instant::now();
        let mut inner = self.lock();
        while !inner.closed && !inner.limiter.may_insert() {
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

    /// Draws `batch` different samples, of as many segments, if there are so many.
    ///
    /// Waits up to `patience` while sources are behind. After [`Self::sources_ended`] it never waits: it draws until
    /// `final_samples_per_insert` is reached.
    pub fn sample_batch(&self, batch: usize, patience: Duration) -> Result<Vec<Arc<Sample>>, NoBatch> {
        if batch == 0 || batch > self.largest_batch {
            return Err(NoBatch::WrongBatchSize {
                batch,
                largest_batch: self.largest_batch,
            });
        }
        let began = Instant::now();
        let mut inner = self.lock();
        let outcome = loop {
            self.take_in_turn(&mut inner);
            match self.may_draw(&inner, batch) {
                Some(Ok(())) => break Ok(()),
                Some(Err(refusal)) => break Err(refusal),
                None => {}
            }
            let Some(left) = patience
                .checked_sub(began.elapsed())
                .filter(|left| !left.is_zero())
            else {
                break Err(NoBatch::TimedOut { waited: patience });
            };
            inner = match self.stored.wait_timeout(inner, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        };
        inner.sample_wait += began.elapsed();
        outcome?;
        let this = &mut *inner;
        let drawn = this.table.batch(batch, &mut this.rng);
        this.limiter.sampled(drawn.samples.len());
        this.sampled += drawn.samples.len() as u64;
        let now_ns = unix_now_ns();
        let ages = drawn
            .samples
            .iter()
            .map(|sample| now_ns.saturating_sub(sample.arrival.last_ns) as f64 / 1e9);
        this.drawn_age_seconds += ages.sum::<f64>();
        this.batches += 1;
        this.batches_repeating_segments += u64::from(drawn.repeats_segments);
        drop(inner);
        self.drawn.notify_all();
        Ok(drawn.samples)
    }

    /// `None`: not now, but more may come.
    fn may_draw(&self, inner: &Inner, batch: usize) -> Option<Result<(), NoBatch>> {
        let stored = inner.table.len();
        if inner.closed {
            return Some(Err(NoBatch::Closed));
        }
        if inner.sources_ended {
            let limit = self
                .config
                .final_samples_per_insert
                .unwrap_or(inner.limiter.samples_per_insert());
            if stored < batch {
                return Some(Err(NoBatch::TooFewSamples { stored, batch }));
            }
            let inserted = inner.inserted - inner.resumed.0;
            let sampled = inner.sampled - inner.resumed.1;
            if (sampled + batch as u64) as f64 > limit * inserted as f64 {
                return Some(Err(NoBatch::Exhausted {
                    inserted,
                    sampled,
                    limit,
                    batch,
                }));
            }
            return Some(Ok(()));
        }
        // In a fixed order inserting goes first, so that draws too come at fixed places among the inserts.
        let inserts_first = inner.arrivals.has_fixed_order() && inner.limiter.may_insert();
        if inserts_first || !inner.limiter.may_sample(batch) {
            return None;
        }
        if stored < batch {
            return Some(Err(NoBatch::CapacityBelowBatch {
                stored,
                batch,
                capacity_bytes: inner.table.capacity_bytes(),
            }));
        }
        Some(Ok(()))
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

    /// A stored sample.
    pub fn get(&self, id: SampleId) -> Option<Arc<Sample>> {
        self.lock().table.get(id).cloned()
    }

    /// The newest stored sample of a stream.
    pub fn newest(&self, stream: &StreamName) -> Option<Arc<Sample>> {
        self.lock().table.newest_of(stream).cloned()
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
            bytes: inner.table.bytes(),
            capacity_bytes: inner.table.capacity_bytes(),
            segments: inner.table.segments(),
            inserted: inner.inserted,
            sampled: inner.sampled,
            evicted: inner.evicted,
            refused: inner.refused,
            not_kept: inner.not_kept,
            drawn_age_seconds: inner.drawn_age_seconds,
            redundancy: inner.table.redundancy(),
            batches: inner.batches,
            batches_repeating_segments: inner.batches_repeating_segments,
            oldest_arrival_unix_ns: inner.table.oldest().map(|sample| sample.arrival.last_ns),
            newest_arrival_unix_ns: inner.table.newest().map(|sample| sample.arrival.last_ns),
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
    fn take(&mut self, mut sample: Sample) -> (Result<SampleId, InsertRefused>, Vec<Arc<Sample>>) {
        if self.closed {
            return (Err(InsertRefused::Closed), Vec::new());
        }
        let (bytes, capacity_bytes) = (sample.bytes(), self.table.capacity_bytes());
        if bytes > capacity_bytes {
            let refused = InsertRefused::LargerThanReplay {
                bytes,
                capacity_bytes,
            };
            return (Err(refused), Vec::new());
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

fn unix_now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
