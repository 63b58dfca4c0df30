use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::{Registry, table};
use crate::eval::HeldFigures;
use crate::probe::ProbeFailure;

/// What probing counts; there is nothing of it where no folder is configured.
pub struct ProbeMetrics {
    registry: Registry,
    probes: Counter,
    seconds: Histogram,
    copy_seconds: Histogram,
    held: Gauge,
    unreadable: Gauge,
}

impl ProbeMetrics {
    /// Handles of `registry`, for a folder that lists so many videos.
    pub fn new(registry: &Registry, videos: usize) -> Self {
        for failure in ProbeFailure::ALL {
            let _ = registry.counter(&table::PROBE_FAILURES, &[failure.label()]);
        }
        let metrics = Self {
            registry: registry.clone(),
            probes: registry.counter(&table::PROBES, &[]),
            seconds: registry.histogram(&table::PROBE_SECONDS, &[]),
            copy_seconds: registry.histogram(&table::PROBE_COPY_SECONDS, &[]),
            held: registry.gauge(&table::PROBE_VIDEOS, &["held"]),
            unreadable: registry.gauge(&table::PROBE_VIDEOS, &["unreadable"]),
        };
        metrics.videos(videos, 0);
        metrics
    }

    /// So many videos of the folder can be used, so many cannot.
    pub fn videos(&self, held: usize, unreadable: usize) {
        self.held.set(held as f64);
        self.unreadable.set(unreadable as f64);
    }

    /// A network was judged. Figures of the moment appear with the first.
    pub fn judged(&self, step: u64, figures: &HeldFigures, took: Duration, copied_in: Duration) {
        self.probes.increment(1);
        self.took(took, copied_in);
        let now = [
            (&table::PROBE_ACCURACY, figures.accuracy),
            (&table::PROBE_CHANCE, figures.chance),
            (&table::PROBE_STEP, step as f64),
        ];
        for (metric, value) in now {
            self.registry.gauge(metric, &[]).set(value);
        }
    }

    /// A probe came to nothing. The figures of the one before stand.
    pub fn failed(&self, failure: ProbeFailure, took: Duration, copied_in: Duration) {
        let failures = self.registry.counter(&table::PROBE_FAILURES, &[failure.label()]);
        failures.increment(1);
        if !took.is_zero() {
            self.took(took, copied_in);
        }
    }

    fn took(&self, took: Duration, copied_in: Duration) {
        self.seconds.record(took);
        self.copy_seconds.record(copied_in);
    }
}
