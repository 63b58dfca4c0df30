use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::ingest::exact_size;

/// Section `[replay]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// Memory that stored samples may take together.
    #[serde(serialize_with = "exact_size")]
    pub capacity: ByteSize,
    /// How often a sample is trained on, on average, while sources run.
    pub samples_per_insert: f64,
    /// Samples that must be there before the first batch is drawn (at least a batch, whatever this says).
    pub min_samples: usize,
    /// How many drawn samples training and inserting may be ahead of each other. Left out: twice the least that works, which
    /// is `(samples_per_insert + batch) / 2`.
    pub tolerance: Option<f64>,
    /// When every source has ended, training goes on with what is stored until each sample was drawn this often on average.
    /// Left out: `samples_per_insert`. `inf` goes on until a step limit ends the run.
    pub final_samples_per_insert: Option<f64>,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            capacity: ByteSize::gib(2),
            samples_per_insert: 8.0,
            min_samples: 64,
            tolerance: None,
            final_samples_per_insert: None,
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

    /// Below this neither an insert nor a batch would be allowed in some state.
    fn least_tolerance(&self, largest_batch: usize) -> f64 {
        (self.samples_per_insert + largest_batch as f64) / 2.0
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
