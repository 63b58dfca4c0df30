use std::time::Duration;

use rand::Rng;

/// Waits between attempts to open a source that failed: doubled each time up to a longest one, with jitter, so that cameras
/// behind one switch do not all come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first: first.min(longest),
            longest,
            failures: 0,
        }
    }

    /// The wait after one more failure: between half and the whole of `first * 2^failures`.
    pub fn after_failure(&mut self, random: &mut impl Rng) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.longest).mul_f64(random.random_range(0.5..=1.0))
    }

    /// All is well: the next failure is the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_with_jitter_below() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for whole_s in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().chain([60; 40]) {
            let wait = backoff.after_failure(&mut random);
            let whole = Duration::from_secs(whole_s);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.after_failure(&mut random) <= Duration::from_secs(1));
    }
}
