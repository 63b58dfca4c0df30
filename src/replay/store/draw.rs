use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::{Inner, NoBatch, Replay, unix_now_ns};
use crate::replay::Sample;
use crate::replay::table::Draft;

/// The trainer's side.
impl Replay {
    /// Draws `batch` different samples, of as many segments, if there are so many.
    ///
    /// Waits up to `patience` while sources are behind. After [`Self::sources_ended`] it never waits: it draws until
    /// `final_samples_per_insert` is reached. What is on disk is read here, with nobody kept waiting; a sample that the disk does not
    /// give is let go, and another one drawn in its place.
    pub fn sample_batch(&self, batch: usize, patience: Duration) -> Result<Vec<Arc<Sample>>, NoBatch> {
        if batch == 0 || batch > self.largest_batch {
            return Err(NoBatch::WrongBatchSize {
                batch,
                largest_batch: self.largest_batch,
            });
        }
        let began = Instant::now();
        let mut draft = Draft::default();
        loop {
            let mut inner = self.wait_for_batch(batch, patience, began)?;
            let this = &mut *inner;
            this.table.draw(&mut draft, batch, &mut this.rng);
            let all_in_memory = draft.samples().iter().map(|sample| sample.in_memory().cloned());
            if let Some(samples) = all_in_memory.collect::<Option<Vec<_>>>() {
                self.give(inner, &draft, &samples);
                return Ok(samples);
            }
            drop(inner);
            let loaded: Vec<_> = draft
                .samples()
                .iter()
                .map(|stored| stored.load().map_err(|error| (stored.id(), error)))
                .collect();
            let mut samples = Vec::with_capacity(batch);
            for loaded in loaded {
                match loaded {
                    Ok(sample) => samples.push(sample),
                    Err((id, error)) => {
                        draft.lose(id);
                        self.lost_on_disk(id, &error);
                    }
                }
            }
            if samples.len() == batch {
                self.give(self.lock(), &draft, &samples);
                return Ok(samples);
            }
        }
    }

    fn wait_for_batch(
        &self,
        batch: usize,
        patience: Duration,
        began: Instant,
    ) -> Result<MutexGuard<'_, Inner>, NoBatch> {
        let waits_since = Instant::now();
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
        inner.sample_wait += waits_since.elapsed();
        outcome.map(|()| inner)
    }

    /// Books a batch.
    fn give(&self, mut inner: MutexGuard<'_, Inner>, draft: &Draft, samples: &[Arc<Sample>]) {
        let this = &mut *inner;
        this.limiter.sampled(samples.len());
        this.sampled += samples.len() as u64;
        let now_ns = unix_now_ns();
        let ages = samples
            .iter()
            .map(|sample| now_ns.saturating_sub(sample.arrival.last_ns) as f64 / 1e9);
        this.drawn_age_seconds += ages.sum::<f64>();
        this.batches += 1;
        this.batches_repeating_segments += u64::from(draft.repeats_segments());
        drop(inner);
        self.drawn.notify_all();
    }

    /// `None`: not now, but more may come.
    fn may_draw(&self, inner: &Inner, batch: usize) -> Option<Result<(), NoBatch>> {
        let stored = inner.table.len();
        if inner.closed {
            return Some(Err(NoBatch::Closed));
        }
        if inner.sources_ended {
            let ratio = inner.limiter.samples_per_insert();
            if stored < batch {
                return Some(Err(NoBatch::TooFewSamples { stored, batch }));
            }
            let inserted = inner.inserted - inner.resumed.0;
            let sampled = inner.sampled - inner.resumed.1;
            if (sampled + batch as u64) as f64 > self.config.final_samples(ratio, inserted, stored as u64) {
                return Some(Err(NoBatch::Exhausted {
                    inserted,
                    stored,
                    sampled,
                    limit: self.config.final_ratio(ratio),
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
                capacity_bytes: inner.table.bounds().memory,
            }));
        }
        Some(Ok(()))
    }
}
