use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Histogram};

use super::{Registry, table};
use crate::train::{PhaseSeconds, StepReport};

/// What training says of itself.
pub struct TrainMetrics {
    registry: Registry,
    steps: Counter,
    samples: Counter,
    first_uses: Counter,
    rollbacks: Counter,
    step_seconds: Histogram,
    data_wait_seconds: Histogram,
    /// Step and samples at the last report.
    before: Mutex<(u64, Option<u64>)>,
}

impl TrainMetrics {
    /// Handles of `registry`, for a run that begins after `first_step` steps of earlier runs.
    pub fn new(registry: &Registry, first_step: u64) -> Self {
        registry.gauge(&table::TRAIN_STEP, &[]).set(first_step as f64);
        registry.gauge(&table::TRAIN_LAST_STEP, &[]).set(0.0);
        Self {
            registry: registry.clone(),
            steps: registry.counter(&table::TRAIN_STEPS, &[]),
            samples: registry.counter(&table::TRAIN_SAMPLES, &[]),
            rollbacks: registry.counter(&table::TRAIN_ROLLBACKS, &[]),
            first_uses: registry.counter(&table::TRAIN_PREQUENTIAL_SAMPLES, &[]),
            step_seconds: registry.histogram(&table::TRAIN_STEP_SECONDS, &[]),
            data_wait_seconds: registry.histogram(&table::TRAIN_DATA_WAIT_SECONDS, &[]),
            before: Mutex::new((first_step, None)),
        }
    }

    /// Training diverged and went back to a checkpoint.
    pub fn rolled_back(&self) {
        self.rollbacks.increment(1);
    }

    /// A step is done.
    pub fn stepped(&self, waited: f64, phases: Option<&PhaseSeconds>) {
        self.data_wait_seconds.record(waited);
        let Some(phases) = phases else {
            return;
        };
        // The report adds the steps that were not taken apart.
        self.step_seconds.record(phases.step());
        for (phase, seconds) in phases.each() {
            let histogram = self.registry.histogram(&table::TRAIN_PHASE_SECONDS, &[phase]);
            histogram.record(seconds);
        }
    }

    /// A report that came `at` this time. Figures of the moment appear with the first.
    pub fn report(&self, report: &StepReport, at: SystemTime) {
        let mut before = self
            .before
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let steps = report.step.saturating_sub(before.0);
        // A report counts the samples of all runs, and those of earlier ones are not told: all steps have equal batches.
        let samples_before = before.1.unwrap_or_else(|| match report.step {
            0 => 0,
            step => (u128::from(report.samples) * u128::from(before.0) / u128::from(step)) as u64,
        });
        *before = (report.step, Some(report.samples));
        drop(before);
        self.steps.increment(steps);
        self.samples
            .increment(report.samples.saturating_sub(samples_before));
        let untimed = report.steps.saturating_sub(report.timed_steps);
        if untimed > 0 {
            let timed = report.phases.step() * report.timed_steps as f64;
            let left = (report.step_seconds * report.steps as f64 - timed).max(0.0);
            let count = usize::try_from(untimed).unwrap_or(usize::MAX);
            self.step_seconds.record_many(left / untimed as f64, count);
        }
        self.first_uses.increment(report.prequential_samples);
        // Registered only now: a resumed run's count goes on where it was, and does not seem to leap up from 0.
        self.registry
            .counter(&table::TRAIN_NONFINITE, &[])
            .absolute(report.nonfinite_steps);
        let last_step = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let now = [
            (&table::TRAIN_STEP, report.step as f64),
            (&table::TRAIN_LAST_STEP, last_step),
            (&table::TRAIN_EMBEDDING_STD, report.embedding_std),
            (&table::TRAIN_EFFECTIVE_RANK, report.effective_rank),
            (&table::TRAIN_ALIGNMENT, report.alignment),
            (&table::TRAIN_UNIFORMITY, report.uniformity),
            (&table::TRAIN_LEARNING_RATE, report.learning_rate),
            (&table::TRAIN_GRADIENT_NORM, report.grad_norm),
        ];
        for (metric, value) in now {
            self.registry.gauge(metric, &[]).set(value);
        }
        let by_task = [
            (&table::TRAIN_PREQUENTIAL, "context", report.prequential_context),
            (&table::TRAIN_PREQUENTIAL, "motion", report.prequential_motion),
            (&table::TRAIN_LOSS, "joint", report.loss),
            (&table::TRAIN_LOSS, "context", report.context_loss),
            (&table::TRAIN_LOSS, "motion", report.motion_loss),
            (&table::TRAIN_TOP1, "context", report.context_top1),
            (&table::TRAIN_TOP1, "motion", report.motion_top1),
            (&table::TRAIN_CHANCE, "context", report.context_chance),
            (&table::TRAIN_CHANCE, "motion", report.motion_chance),
            (&table::TRAIN_QUERIES, "context", report.context_queries),
            (&table::TRAIN_QUERIES, "motion", report.motion_queries),
        ];
        for (metric, task, value) in by_task {
            self.registry.gauge(metric, &[task]).set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(step: u64, samples: u64) -> StepReport {
        StepReport {
            step,
            samples,
            steps: 10,
            loss: 2.0,
            context_loss: 1.5,
            motion_loss: 2.5,
            context_top1: 0.5,
            motion_top1: f64::NAN,
            context_chance: 0.25,
            motion_chance: 0.01,
            context_queries: 8.0,
            motion_queries: 100.0,
            embedding_std: 0.9,
            effective_rank: 30.0,
            samples_per_second: 20.0,
            data_wait_seconds: 2.5,
            step_seconds: 0.25,
            learning_rate: 0.1,
            grad_norm: 3.0,
            nonfinite_steps: 1,
            prequential_samples: 3,
            ..StepReport::default()
        }
    }

    #[test]
    fn a_resumed_run_counts_its_own_steps_and_samples() {
        let registry = Registry::new(UNIX_EPOCH);
        let train = TrainMetrics::new(&registry, 100);
        assert!(!registry.render().contains("comove_train_nonfinite_steps_total 0"));
        let phases = PhaseSeconds {
            wait: 0.5,
            forward: 0.1,
            backward: 0.2,
            ..PhaseSeconds::default()
        };
        for step in 0..20 {
            // As on a GPU, where the last step of each report is taken apart.
            train.stepped(0.5, (step % 10 == 9).then_some(&phases));
        }
        let report = |step, samples| StepReport {
            timed_steps: 1,
            phases,
            ..report(step, samples)
        };
        train.report(&report(110, 880), UNIX_EPOCH + Duration::from_secs(9));
        train.report(&report(120, 960), UNIX_EPOCH + Duration::from_secs(10));
        let page = registry.render();
        for line in [
            "comove_train_steps_total 20",
            "comove_train_samples_total 160",
            "comove_train_step 120",
            "comove_train_nonfinite_steps_total 1",
            "comove_train_last_step_timestamp_seconds 10",
            "comove_train_step_seconds_count 20",
            "comove_train_step_seconds_sum 5",
            "comove_train_data_wait_seconds_sum 10",
            "comove_train_phase_seconds_count{phase=\"backward\"} 2",
            "comove_train_phase_seconds_sum{phase=\"backward\"} 0.4",
            "comove_train_prequential_samples_total 6",
            "comove_train_loss{task=\"joint\"} 2",
            "comove_train_top1_ratio{task=\"motion\"} NaN",
        ] {
            assert!(
                page.lines().any(|have| have == line),
                "{line} is missing in {page}"
            );
        }
    }
}
