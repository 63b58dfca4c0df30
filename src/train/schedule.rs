use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up. A stream has no epochs, so [`Schedule::Cosine`] and
/// [`Schedule::StableDecay`], which end, are told where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    Constant {},
    /// It falls to 0 in half a cosine wave, over the steps from the warm-up's end to `total_steps`, and stays there.
    Cosine {
        /// Step at which it is 0.
        total_steps: u64,
    },
    /// It stays, then falls to 0 in a straight line over the last `decay_steps` of `total_steps`, and stays there.
    StableDecay {
        /// Step at which it is 0.
        total_steps: u64,
        /// Steps of falling before that.
        decay_steps: u64,
    },
}

impl Schedule {
    /// The factor on the learning rate at a step (from 0): rises in a straight line over `warmup_steps`, then as the schedule says.
    pub fn factor(self, step: u64, warmup_steps: u64) -> f64 {
        let warm = if step < warmup_steps {
            (step + 1) as f64 / warmup_steps as f64
        } else {
            1.0
        };
        match self {
            Schedule::Constant {} => warm,
            Schedule::Cosine { total_steps } => {
                let length = total_steps.saturating_sub(warmup_steps).max(1) as f64;
                let done = (step.saturating_sub(warmup_steps) as f64 / length).min(1.0);
                warm * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            Schedule::StableDecay {
                total_steps,
                decay_steps,
            } => {
                let left = total_steps.saturating_sub(step) as f64;
                warm * (left / decay_steps.max(1) as f64).min(1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_and_stays() {
        let factors = [0, 1, 3, 4, 1_000_000].map(|step| Schedule::Constant {}.factor(step, 4));
        assert_eq!(factors, [0.25, 0.5, 1.0, 1.0, 1.0]);
        assert_eq!(Schedule::Constant {}.factor(0, 0), 1.0);
    }

    #[test]
    fn a_cosine_falls_slowly_then_fast_then_slowly() {
        let schedule = Schedule::Cosine { total_steps: 110 };
        let factors = [0, 9, 10, 35, 60, 85, 110, 500].map(|step| schedule.factor(step, 10));
        let quarter = 0.5 + 0.5 * std::f64::consts::FRAC_1_SQRT_2;
        let expected = [0.1, 1.0, 1.0, quarter, 0.5, 1.0 - quarter, 0.0, 0.0];
        for (factor, expected) in factors.iter().zip(expected) {
            assert!((factor - expected).abs() < 1e-12, "{factors:?}");
        }
    }

    #[test]
    fn falls_to_zero_at_the_end() {
        let schedule = Schedule::StableDecay {
            total_steps: 100,
            decay_steps: 20,
        };
        let factors = [50, 80, 90, 100, 200].map(|step| schedule.factor(step, 10));
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.0, 0.0]);
    }
}
