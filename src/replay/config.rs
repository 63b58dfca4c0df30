use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::{
    Eviction, Fifo, MinimumRedundancy, Reservoir, Sample, Sampling, SpillConfig, StreamFair, TwoTier, Uniform,
};
use crate::ingest::exact_size;
use crate::window::SampleSpec;

/// Which samples stay when the memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvictionKind {
    /// The newest.
    Fifo,
    /// Of all that ever came, each with equal probability.
    Reservoir,
    /// The newest, and a reservoir of what they push out.
    TwoTier,
    /// Those that resemble each other least.
    MinimumRedundancy,
}

/// Which samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingKind {
    /// Every sample equally often.
    Uniform,
    /// Every stream equally often.
    StreamFair,
}

/// Section `[replay]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// Memory that stored samples may take together.
    #[serde(serialize_with = "exact_size")]
    pub capacity: ByteSize,
    /// Which samples stay when it is full.
    pub eviction: EvictionKind,
    /// Share of the capacity that the short term of [`EvictionKind::TwoTier`] gets.
    pub short_term_share: f64,
    /// Which samples are drawn.
    pub sampling: SamplingKind,
    /// Share of a batch that is taken from samples never drawn before, the oldest of them first, as far as there are any.
    pub fresh_share: f64,
    /// How often a sample is trained on, on average, while sources run.
    pub samples_per_insert: f64,
    /// Samples that must be there before the first batch is drawn (at least a batch, whatever this says).
    pub min_samples: usize,
    /// How many drawn samples training and inserting may be ahead of each other. Left out: twice the least that works, which
    /// is `(samples_per_insert + batch) / 2`.
    pub tolerance: Option<f64>,
    /// When every source has ended, training goes on until each sample that is still stored was drawn this often on average,
    /// taking it that those no longer stored had their `samples_per_insert`. Left out: four times `samples_per_insert`, since a
    /// small archive teaches little in fewer steps. `inf` goes on until a step limit ends the run.
    pub final_samples_per_insert: Option<f64>,
    /// Room on disk for what memory does not hold; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spill: Option<SpillConfig>,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            capacity: ByteSize::gib(2),
            eviction: EvictionKind::Reservoir,
            short_term_share: 0.25,
            sampling: SamplingKind::Uniform,
            fresh_share: 0.125,
            samples_per_insert: 8.0,
            min_samples: 64,
            tolerance: None,
            final_samples_per_insert: None,
            spill: None,
        }
    }
}

/// What is wrong with a [`ReplayConfig`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayConfigError {
    /// A ratio that no run can keep.
    #[error("replay.{key} = {value}: it must be a number above 0")]
    NotPositive {
        /// The key below `[replay]`.
        key: &'static str,
        /// What it says.
        value: f64,
    },
    /// A share that is none.
    #[error("replay.{key} = {value}: {right} is right")]
    NoShare {
        /// The key below `[replay]`.
        key: &'static str,
        /// What it says.
        value: f64,
        /// What would be.
        right: &'static str,
    },
    /// The capacity holds no batch, so that nothing could ever be trained on.
    #[error(
        "replay.capacity = {capacity}: a batch of {batch} samples of {sample} takes {least}; at least that is right",
        least = ByteSize(sample.as_u64() * *batch as u64)
    )]
    CapacityBelowBatch {
        /// What it says.
        capacity: ByteSize,
        /// Samples in a batch.
        batch: usize,
        /// Memory of one sample.
        sample: ByteSize,
    },
    /// The tolerance lets inserting and training wait for each other for ever.
    #[error(
        "replay.tolerance = {tolerance}: with samples_per_insert {samples_per_insert} and batches of {batch} it must be at \
         least {least}, or inserting and training would wait for each other"
    )]
    ToleranceTooSmall {
        /// What it says.
        tolerance: f64,
        /// The configured ratio.
        samples_per_insert: f64,
        /// Samples in a batch.
        batch: usize,
        /// The least that works.
        least: f64,
    },
    /// The disk's part holds nothing.
    #[error("replay.spill.{key} = {value}: at least {least} is right")]
    SpillTooSmall {
        /// The key below `[replay.spill]`.
        key: &'static str,
        /// What it says.
        value: ByteSize,
        /// What would do.
        least: ByteSize,
    },
    /// A batch of nothing.
    #[error("batches must have at least one sample")]
    EmptyBatch,
}

impl ReplayConfig {
    /// Checks the section for training with batches of up to `largest_batch` samples.
    pub fn check(&self, largest_batch: usize) -> Result<(), ReplayConfigError> {
        if largest_batch == 0 {
            return Err(ReplayConfigError::EmptyBatch);
        }
        let ratios = [
            ("samples_per_insert", Some(self.samples_per_insert), true),
            ("final_samples_per_insert", self.final_samples_per_insert, false),
        ];
        for (key, value, must_be_finite) in ratios {
            if let Some(value) = value
                && (value.is_nan() || value <= 0.0 || (must_be_finite && value.is_infinite()))
            {
                return Err(ReplayConfigError::NotPositive { key, value });
            }
        }
        let shares = [
            ("fresh_share", self.fresh_share, 0.0..=1.0, "a number from 0 to 1"),
            (
                "short_term_share",
                self.short_term_share,
                0.01..=0.99,
                "a number from 0.01 to 0.99",
            ),
        ];
        for (key, value, allowed, right) in shares {
            if !allowed.contains(&value) {
                return Err(ReplayConfigError::NoShare { key, value, right });
            }
        }
        let least = self.least_tolerance(largest_batch);
        match self.tolerance {
            Some(tolerance) if tolerance.is_nan() || tolerance < least => {
                Err(ReplayConfigError::ToleranceTooSmall {
                    tolerance,
                    samples_per_insert: self.samples_per_insert,
                    batch: largest_batch,
                    least,
                })
            }
            _ => Ok(()),
        }
    }

    /// Checks that a batch of such samples fits: with less, nothing could ever be trained on. And that the disk's part holds some.
    pub fn check_capacity(&self, batch: usize, spec: &SampleSpec) -> Result<(), ReplayConfigError> {
        if let Some(spill) = &self.spill {
            spill.check(spec)?;
        }
        let sample_bytes = Sample::bytes_of(spec);
        let least = (sample_bytes as u64).saturating_mul(batch as u64);
        if self.capacity.as_u64() >= least {
            return Ok(());
        }
        Err(ReplayConfigError::CapacityBelowBatch {
            capacity: self.capacity,
            batch,
            sample: ByteSize(sample_bytes as u64),
        })
    }

    /// The policies that it names, for a store of `capacity` bytes.
    pub(super) fn policies(&self, capacity: usize) -> (Box<dyn Eviction>, Box<dyn Sampling>) {
        let eviction: Box<dyn Eviction> = match self.eviction {
            EvictionKind::Fifo => Box::<Fifo>::default(),
            EvictionKind::Reservoir => Box::<Reservoir>::default(),
            EvictionKind::TwoTier => Box::new(TwoTier::new(capacity, self.short_term_share)),
            EvictionKind::MinimumRedundancy => Box::<MinimumRedundancy>::default(),
        };
        let sampling: Box<dyn Sampling> = match self.sampling {
            SamplingKind::Uniform => Box::<Uniform>::default(),
            SamplingKind::StreamFair => Box::<StreamFair>::default(),
        };
        (eviction, sampling)
    }

    /// Samples that may be drawn in all once every source has ended, where `ratio` was kept so far.
    pub(super) fn final_samples(&self, ratio: f64, inserted: u64, stored: u64) -> f64 {
        let stored = stored.min(inserted);
        let each = self.final_ratio(ratio);
        each * stored as f64 + each.min(ratio) * (inserted - stored) as f64
    }

    /// How often each stored sample is drawn in the end, where `ratio` was kept so far.
    pub(super) fn final_ratio(&self, ratio: f64) -> f64 {
        self.final_samples_per_insert.unwrap_or(4.0 * ratio)
    }

    /// Below this neither an insert nor a batch would be allowed in some state.
    fn least_tolerance(&self, largest_batch: usize) -> f64 {
        (self.samples_per_insert + largest_batch as f64) / 2.0
    }

    /// The same section with another ratio, for a running limiter. A tolerance that was configured for a smaller ratio grows as
    /// far as it must.
    pub(super) fn with_samples_per_insert(&self, ratio: f64, largest_batch: usize) -> Self {
        let mut changed = self.clone();
        changed.samples_per_insert = ratio;
        let least = changed.least_tolerance(largest_batch);
        changed.tolerance = changed.tolerance.map(|tolerance| tolerance.max(least));
        changed
    }

    /// The tolerance in force.
    pub(super) fn tolerance_for(&self, largest_batch: usize) -> f64 {
        self.tolerance
            .unwrap_or(2.0 * self.least_tolerance(largest_batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_for_every_preset_batch() {
        for batch in [1, 8, 64, 512] {
            assert_eq!(ReplayConfig::default().check(batch), Ok(()));
        }
    }

    #[test]
    fn a_tolerance_that_could_stall_both_sides_is_refused_with_the_least_that_works() {
        let config = ReplayConfig {
            tolerance: Some(10.0),
            samples_per_insert: 8.0,
            ..ReplayConfig::default()
        };
        let error = config.check(16).unwrap_err();
        assert!(error.to_string().contains("at least 12"), "{error}");
        assert_eq!(config.check(12), Ok(()));
    }

    #[test]
    fn in_the_end_only_what_is_still_stored_is_drawn_more_often() {
        let config = ReplayConfig::default();
        assert_eq!(config.final_samples(8.0, 100, 100), 3200.0);
        assert_eq!(config.final_samples(8.0, 100, 10), 10.0 * 32.0 + 90.0 * 8.0);
        // Stored before a resume and not inserted since.
        assert_eq!(config.final_samples(8.0, 0, 10), 0.0);
        let fewer = ReplayConfig {
            final_samples_per_insert: Some(1.0),
            ..config
        };
        assert_eq!(fewer.final_samples(8.0, 100, 10), 100.0);
    }

    #[test]
    fn ratios_must_be_positive_numbers() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let config = ReplayConfig {
                samples_per_insert: bad,
                ..ReplayConfig::default()
            };
            let error = config.check(8).unwrap_err();
            assert!(error.to_string().contains("replay.samples_per_insert"), "{error}");
        }
        let endless = ReplayConfig {
            final_samples_per_insert: Some(f64::INFINITY),
            ..ReplayConfig::default()
        };
        assert_eq!(endless.check(8), Ok(()));
    }
}
