use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{ChooserStats, Glimpse};
use crate::ingest::StreamName;

/// A stream's scout at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScoutSnapshot {
    /// Access units taken in.
    pub units: u64,
    /// When the last one was taken in, nanoseconds since the Unix epoch: a scout that hangs stands still.
    pub last_unit_unix_ns: Option<u64>,
    /// When the last picture that decoding can start at arrived, nanoseconds since the Unix epoch.
    pub last_key_frame_unix_ns: Option<u64>,
    /// Pictures, windows and what is held.
    pub chooser: ChooserStats,
    /// Windows that are being decoded or wait for it.
    pub in_flight: u64,
    /// Samples that replay took.
    pub samples: u64,
    /// Windows shed because every decoder was busy.
    pub decoders_busy: u64,
    /// Windows that did not become a sample after all: not decoded, or not wanted any more.
    pub plans_failed: u64,
    /// Errors by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// The last error, as it was logged.
    pub last_error: Option<String>,
}

/// What a scout shows of itself; the scout's own thread and the decode pool's write, anybody reads.
#[derive(Clone)]
pub struct ScoutWatch {
    stream: StreamName,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    snapshot: ScoutSnapshot,
    glimpse: Option<Glimpse>,
    logged: BTreeMap<&'static str, Logged>,
}

struct Logged {
    at_unix_ns: u64,
    since: u64,
}

/// The same kind of error of one stream is logged this often at most.
const LOG_INTERVAL_NS: u64 = 60_000_000_000;

impl ScoutWatch {
    pub(super) fn new(stream: StreamName) -> Self {
        Self {
            stream,
            state: Arc::default(),
        }
    }

    /// The stream.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// All figures at one instant.
    pub fn snapshot(&self) -> ScoutSnapshot {
        self.lock().snapshot.clone()
    }

    /// The newest key frame with what follows it.
    pub fn glimpse(&self) -> Option<Glimpse> {
        self.lock().glimpse.clone()
    }

    pub(super) fn show(&self, glimpse: Glimpse) {
        self.lock().glimpse = Some(glimpse);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut ScoutSnapshot)) {
        change(&mut self.lock().snapshot);
    }

    /// Counts an error and logs it, unless its kind was logged less than a minute ago.
    pub(super) fn complain(&self, kind: &'static str, error: &dyn std::fmt::Display, now_unix_ns: u64) {
        let mut state = self.lock();
        *state.snapshot.errors.entry(kind).or_default() += 1;
        state.snapshot.last_error = Some(error.to_string());
        let due = state
            .logged
            .get(kind)
            .is_none_or(|logged| now_unix_ns.saturating_sub(logged.at_unix_ns) >= LOG_INTERVAL_NS);
        if !due {
            if let Some(logged) = state.logged.get_mut(kind) {
                logged.since += 1;
            }
            return;
        }
        let now = Logged {
            at_unix_ns: now_unix_ns,
            since: 0,
        };
        let unlogged = state.logged.insert(kind, now).map_or(0, |logged| logged.since);
        drop(state);
        tracing::warn!(stream = %self.stream, kind, unlogged, "{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_counts_and_each_kind_is_logged_once_a_minute() {
        let watch = ScoutWatch::new(StreamName::new("door").unwrap());
        let second = 1_000_000_000;
        for (kind, at) in [("a", 0), ("a", 59), ("b", 59), ("a", 60), ("a", 61)] {
            watch.complain(kind, &"broken", at * second);
        }
        assert_eq!(watch.snapshot().errors, BTreeMap::from([("a", 4), ("b", 1)]));
        let logged = |kind| {
            let state = watch.lock();
            (state.logged[kind].at_unix_ns / second, state.logged[kind].since)
        };
        assert_eq!((logged("a"), logged("b")), ((60, 1), (59, 0)));
    }
}
