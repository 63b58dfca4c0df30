use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tch::Tensor;

use super::{PhaseSeconds, SampleOutcome, TrainError};
use crate::checkpoint::NamedTensor;

/// Wall-clock figures since the last report.
pub(super) struct Interval {
    pub began: Instant,
    pub waited: Duration,
    pub samples: u64,
    /// Sums over the steps that were taken apart.
    pub phases: PhaseSeconds,
    pub timed_steps: u64,
    pub first_uses: FirstUses,
}

/// The name of [`FirstUses`] among a snapshot's statistics.
const FIRST_USES: &str = "first_uses";

/// Losses of samples at their first use.
#[derive(Default)]
pub(super) struct FirstUses {
    pub samples: u64,
    pub context: Mean,
    pub motion: Mean,
}

#[derive(Default)]
pub(super) struct Mean {
    pub sum: f64,
    pub count: u64,
}

impl Mean {
    pub fn add(&mut self, value: Option<f32>) {
        if let Some(value) = value {
            self.sum += f64::from(value);
            self.count += 1;
        }
    }

    /// NaN of nothing.
    pub fn value(&self) -> f64 {
        self.sum / self.count as f64
    }
}

impl FirstUses {
    /// What a snapshot keeps.
    pub fn export(&self) -> Result<NamedTensor, TrainError> {
        let values = [
            self.samples as f64,
            self.context.sum,
            self.context.count as f64,
            self.motion.sum,
            self.motion.count as f64,
        ];
        Ok(NamedTensor::copy_of(FIRST_USES, &Tensor::from_slice(&values))?)
    }

    /// What [`Self::export`] gave; nothing, of a snapshot that has none.
    pub fn import(statistics: &BTreeMap<String, Tensor>) -> Self {
        let values = statistics.get(FIRST_USES).filter(|values| values.numel() == 5);
        let Some(values) = values else {
            return Self::default();
        };
        let value = |place: i64| values.double_value(&[place]);
        let mean = |place: i64| Mean {
            sum: value(place),
            count: value(place + 1) as u64,
        };
        Self {
            samples: value(0) as u64,
            context: mean(1),
            motion: mean(3),
        }
    }

    pub fn add(&mut self, outcomes: &[SampleOutcome], first: &[bool]) {
        for (outcome, _) in outcomes.iter().zip(first).filter(|(_, first)| **first) {
            self.samples += 1;
            self.context.add(outcome.context_loss);
            self.motion.add(outcome.motion_loss);
        }
    }
}

impl Interval {
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            waited: Duration::ZERO,
            samples: 0,
            phases: PhaseSeconds::default(),
            timed_steps: 0,
            first_uses: FirstUses::default(),
        }
    }
}
