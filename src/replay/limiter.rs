use serde::{Deserialize, Serialize};

use super::ReplayConfig;

/// Keeps inserting and sampling in step (after Reverb, arXiv 2102.04736, section 3.3).
///
/// Once `min_samples` are stored, it counts `balance = samples_per_insert · inserts − samples drawn`, both since then, and
/// keeps it within ± `tolerance`: above, inserts wait; below, sampling waits. The tolerance is at least
/// `(samples_per_insert + batch) / 2`, so one of the two may always go on.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimiter {
    /// The ratio at the start; `samples_per_insert` may have been set since.
    configured: f64,
    samples_per_insert: f64,
    min_samples: usize,
    tolerance: f64,
    largest_batch: usize,
    since_start: Option<Counts>,
}

/// A limiter's state in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimiterRecord {
    configured: f64,
    samples_per_insert: f64,
    since_start: Option<Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    /// The balance when the ratio was set; 0 at first.
    brought: f64,
    inserted: u64,
    sampled: u64,
}

impl RateLimiter {
    /// A limiter before its first insert, for batches of up to `largest_batch` samples.
    pub fn new(config: &ReplayConfig, largest_batch: usize) -> Self {
        Self {
            configured: config.samples_per_insert,
            samples_per_insert: config.samples_per_insert,
            min_samples: config.min_samples.max(largest_batch),
            tolerance: config.tolerance_for(largest_batch),
            largest_batch,
            since_start: None,
        }
    }

    /// Samples that inserts have paid for and nobody has drawn yet; 0 before sampling may start.
    pub fn balance(&self) -> f64 {
        self.since_start.map_or(0.0, |counts| {
            counts.brought + self.samples_per_insert * counts.inserted as f64 - counts.sampled as f64
        })
    }

    /// The ratio that is kept.
    pub fn samples_per_insert(&self) -> f64 {
        self.samples_per_insert
    }

    /// Keeps another ratio from now on, as `config` has it. What is owed stays owed, as far as the new tolerance allows.
    pub fn set_samples_per_insert(&mut self, config: &ReplayConfig) {
        self.tolerance = config.tolerance_for(self.largest_batch);
        let brought = self.balance().clamp(-self.tolerance, self.tolerance);
        self.samples_per_insert = config.samples_per_insert;
        if let Some(counts) = &mut self.since_start {
            *counts = Counts {
                brought,
                ..Counts::default()
            };
        }
    }

    /// For a checkpoint.
    pub(super) fn export(&self) -> LimiterRecord {
        LimiterRecord {
            configured: self.configured,
            samples_per_insert: self.samples_per_insert,
            since_start: self.since_start,
        }
    }

    /// Goes on from a checkpoint: with the ratio that was set then, unless another is configured by now, which starts balanced.
    pub(super) fn import(&mut self, state: &LimiterRecord, config: &ReplayConfig) {
        if state.configured == self.configured {
            let set = config.with_samples_per_insert(state.samples_per_insert, self.largest_batch);
            self.set_samples_per_insert(&set);
        }
        let same_ratio = state.samples_per_insert == self.samples_per_insert;
        self.since_start = match same_ratio {
            true => state.since_start,
            false => state.since_start.map(|_| Counts::default()),
        };
        if self.balance().abs() > self.tolerance {
            // A smaller tolerance than then: both sides would have to wait.
            self.since_start = Some(Counts::default());
        }
    }

    /// Whether enough samples were stored for sampling to start.
    pub fn started(&self) -> bool {
        self.since_start.is_some()
    }

    /// Samples that must be stored before sampling may start.
    pub fn min_samples(&self) -> usize {
        self.min_samples
    }

    /// How far the balance may be from 0.
    pub fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// Whether one more sample may be inserted now.
    pub fn may_insert(&self) -> bool {
        self.may_insert_beside(0, 0)
    }

    /// Whether one more may be inserted where `promised` are to come anyway and `left` places should stay for others. Less is left
    /// where a batch might wait for a sample that never comes.
    pub fn may_insert_beside(&self, promised: usize, left: usize) -> bool {
        let more = self.samples_per_insert * (1 + promised) as f64;
        let to_spare = 2.0 * self.tolerance - self.largest_batch as f64 - self.samples_per_insert;
        let left = (self.samples_per_insert * left as f64).min(to_spare.max(0.0));
        !self.started() || self.balance() + more <= self.tolerance - left
    }

    /// Whether `batch` samples may be drawn now.
    pub fn may_sample(&self, batch: usize) -> bool {
        self.started() && self.balance() - batch as f64 >= -self.tolerance
    }

    /// Counts an insert after which `stored` samples are there; `full` says that the store had to let one go for it, so
    /// that there will never be more.
    pub fn inserted(&mut self, stored: usize, full: bool) {
        match &mut self.since_start {
            Some(counts) => counts.inserted += 1,
            None if full || stored >= self.min_samples => self.since_start = Some(Counts::default()),
            None => {}
        }
    }

    /// Samples went without others in their place, so that `stored` are left. Less than a batch: sampling starts anew when there are
    /// enough, or both sides would wait for ever.
    pub fn lost(&mut self, stored: usize) {
        if stored < self.largest_batch {
            self.since_start = None;
        }
    }

    /// Counts `batch` drawn samples. Samples drawn before the start (all sources ended early) do not count.
    pub fn sampled(&mut self, batch: usize) {
        if let Some(counts) = &mut self.since_start {
            counts.sampled += batch as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limiter(samples_per_insert: f64, min_samples: usize, batch: usize) -> RateLimiter {
        let config = ReplayConfig {
            samples_per_insert,
            min_samples,
            ..ReplayConfig::default()
        };
        config.check(batch).unwrap();
        RateLimiter::new(&config, batch)
    }

    #[test]
    fn sampling_waits_for_the_first_samples_and_inserts_do_not() {
        let mut limiter = limiter(2.0, 5, 3);
        for stored in 1..=4 {
            assert!(limiter.may_insert());
            limiter.inserted(stored, false);
            assert!(!limiter.may_sample(3));
        }
        limiter.inserted(5, false);
        assert!(limiter.may_sample(3));
    }

    #[test]
    fn a_full_store_starts_sampling_even_if_it_cannot_hold_the_first_samples() {
        let mut limiter = limiter(2.0, 1000, 3);
        limiter.inserted(7, true);
        assert!(limiter.may_sample(3));
    }

    #[test]
    fn min_samples_is_at_least_a_batch() {
        assert_eq!(limiter(1.0, 2, 16).min_samples(), 16);
    }

    proptest! {
        /// However often the ratio is changed: one side may always go on, the balance stays within the tolerance, and from the
        /// last change on the new ratio is kept.
        #[test]
        fn a_changed_ratio_is_kept_from_then_on(
            ratios in prop::collection::vec(0.05f64..50.0, 2..6),
            batch in 1usize..70,
            tries in prop::collection::vec(any::<bool>(), 1..500),
        ) {
            let mut limiter = limiter(ratios[0], 1, batch);
            let mut stored = 0;
            for ratio in ratios {
                let config = ReplayConfig { samples_per_insert: ratio, ..ReplayConfig::default() };
                limiter.set_samples_per_insert(&config);
                let brought = limiter.balance();
                let (mut inserted, mut drawn) = (0u64, 0u64);
                for insert in &tries {
                    prop_assert!(limiter.may_insert() || limiter.may_sample(batch));
                    let started = limiter.started();
                    if *insert && limiter.may_insert() {
                        stored += 1;
                        inserted += u64::from(started);
                        limiter.inserted(stored, false);
                    } else if !insert && limiter.may_sample(batch) {
                        drawn += batch as u64;
                        limiter.sampled(batch);
                    }
                    prop_assert!(limiter.balance().abs() <= limiter.tolerance() + 1e-9);
                    let owed = brought + ratio * inserted as f64 - drawn as f64;
                    prop_assert!((limiter.balance() - owed).abs() < 1e-6);
                }
            }
        }

        /// Whatever the order in which both sides try, the balance stays within the tolerance, one side may always go on,
        /// and the ratio of drawn to inserted is the one asked for.
        #[test]
        fn any_interleaving_keeps_the_ratio_and_never_stalls_both_sides(
            samples_per_insert in 0.05f64..50.0,
            min_samples in 1usize..100,
            batch in 1usize..70,
            left in 0usize..100,
            tries in prop::collection::vec(any::<bool>(), 1..2000),
        ) {
            let mut limiter = limiter(samples_per_insert, min_samples, batch);
            let (mut stored, mut drawn) = (0u64, 0u64);
            for insert in tries {
                prop_assert!(limiter.may_insert_beside(0, left) || limiter.may_sample(batch));
                if insert && limiter.may_insert_beside(0, left) {
                    stored += 1;
                    limiter.inserted(stored as usize, false);
                } else if !insert && limiter.may_sample(batch) {
                    drawn += batch as u64;
                    limiter.sampled(batch);
                }
                prop_assert!(limiter.balance().abs() <= limiter.tolerance() + 1e-9);
                let first = limiter.min_samples() as u64;
                let ideal = samples_per_insert * stored.saturating_sub(first) as f64;
                prop_assert!((drawn as f64 - ideal).abs() <= limiter.tolerance() + 1e-6);
            }
        }
    }
}
