use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up. A stream has no epochs, so nothing here needs to know its end but
/// [`Schedule::StableDecay`], which is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    Constant {},
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
    fn falls_to_zero_at_the_end() {
        let schedule = Schedule::StableDecay {
            total_steps: 100,
            decay_steps: 20,
        };
        let factors = [50, 80, 90, 100, 200].map(|step| schedule.factor(step, 10));
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.0, 0.0]);
    }
}
