use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Spaces the attempts to open a host's streams again: thirty-two channels of a recorder that is away are not all tried at
/// once, however their own waits fall. Clones share.
#[derive(Clone, Debug)]
pub struct HostPacer {
    spacing: Duration,
    hosts: Arc<Mutex<HashMap<String, BTreeSet<Instant>>>>,
}

impl HostPacer {
    /// Attempts at one host come at least `spacing` apart.
    pub fn new(spacing: Duration) -> Self {
        Self {
            spacing,
            hosts: Arc::default(),
        }
    }

    /// The wait until a stream of `host` may be tried again: at least `wait`, and `spacing` away from every other attempt that
    /// was promised.
    pub(super) fn wait(&self, host: &str, now: Instant, wait: Duration) -> Duration {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, promised| {
            // What lies behind by the spacing is in nobody's way.
            *promised = promised.split_off(&now.checked_sub(self.spacing).unwrap_or(now));
            !promised.is_empty()
        });
        let promised = hosts.entry(host.to_owned()).or_default();
        let mut at = now + wait;
        while let Some(other) = promised
            .range(at.checked_sub(self.spacing).unwrap_or(at)..at + self.spacing)
            .copied()
            .find(|other| at.max(*other) - at.min(*other) < self.spacing)
        {
            at = other + self.spacing;
        }
        promised.insert(at);
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_dead_hosts_streams_come_one_after_the_other_and_other_hosts_do_not_wait() {
        let (pacer, now) = (HostPacer::new(SECOND), Instant::now());
        let mut waits: Vec<_> = (0..32).map(|_| pacer.wait("recorder", now, SECOND)).collect();
        waits.sort();
        let expected: Vec<_> = (1..=32).map(|seconds| SECOND * seconds).collect();
        assert_eq!(waits, expected);
        assert_eq!(pacer.wait("door", now, SECOND), SECOND);
    }

    #[test]
    fn a_long_wait_promised_to_one_stream_does_not_hold_up_another() {
        let (pacer, now) = (HostPacer::new(SECOND), Instant::now());
        assert_eq!(pacer.wait("a", now, 60 * SECOND), 60 * SECOND);
        assert_eq!(pacer.wait("a", now, 2 * SECOND), 2 * SECOND);
        assert_eq!(pacer.wait("a", now, 59 * SECOND + SECOND / 2), 61 * SECOND);
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let (pacer, now) = (HostPacer::new(SECOND), Instant::now());
        for second in 0..1000 {
            assert_eq!(pacer.wait("a", now + 10 * SECOND * second, SECOND), SECOND);
        }
        assert_eq!(pacer.hosts.lock().unwrap()["a"].len(), 1);
        pacer.wait("b", now + 20_000 * SECOND, SECOND);
        assert_eq!(pacer.hosts.lock().unwrap().len(), 1);
    }
}
