use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A stage's sign of life: the stage beats while it works and while it waits, `/healthz` reads the age.
///
/// A stage that hangs, or whose thread died without a word, stops beating. Clones share.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stage: String,
    silence_allowed: Duration,
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    last_beat_ms: AtomicU64,
}

/// A heartbeat as read at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Which stage.
    pub stage: String,
    /// Time since its last beat.
    pub silence: Duration,
    /// How long it may be silent.
    pub silence_allowed: Duration,
}

impl Heartbeat {
    /// A heartbeat whose first beat is `now`.
    pub fn new(stage: impl Into<String>, silence_allowed: Duration, now: Instant) -> Self {
        Self(Arc::new(Shared {
            stage: stage.into(),
            silence_allowed,
            started: now,
            last_beat_ms: AtomicU64::new(0),
        }))
    }

    /// Says that the stage is alive.
    pub fn beat(&self, now: Instant) {
        let since_start_ms = now.saturating_duration_since(self.0.started).as_millis() as u64;
        self.0.last_beat_ms.fetch_max(since_start_ms, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub fn pulse(&self, now: Instant) -> Pulse {
        let last_beat = self.0.started + Duration::from_millis(self.0.last_beat_ms.load(Ordering::Relaxed));
        Pulse {
            stage: self.0.stage.clone(),
            silence: now.saturating_duration_since(last_beat),
            silence_allowed: self.0.silence_allowed,
        }
    }
}

impl Pulse {
    /// Whether the stage has been silent for no longer than it may.
    pub fn is_alive(&self) -> bool {
        self.silence <= self.silence_allowed
    }

    /// What to say of a stage that has been silent for too long.
    pub fn complaint(&self) -> Option<String> {
        let silence_s = self.silence.as_secs();
        (!self.is_alive()).then(|| format!("{} gave no sign of life for {silence_s} s", self.stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_stops_beating_counts_as_dead() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let heart = Heartbeat::new("train", Duration::from_secs(10), start);
        assert!(heart.pulse(at(10)).is_alive());
        assert!(!heart.pulse(at(11)).is_alive());
        heart.beat(at(11));
        assert!(heart.pulse(at(21)).is_alive());
        assert_eq!(heart.pulse(at(31)).silence, Duration::from_secs(20));
    }
}
