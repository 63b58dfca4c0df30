use std::sync::Arc;
use std::time::Duration;
use std::{fs, path::Path};

use crossbeam_channel::{Receiver, unbounded};

use super::super::moving_patterns::MovingPatterns;
use super::super::{
    BatchSource, Command, DeviceChoice, EndReason, NoData, RateChange, SampleOutcome, TrainConfig,
    TrainError, TrainEvent, TrainHandle, TrainerParts, spawn,
};
use super::tiny;
use crate::checkpoint::{CheckpointConfig, list, verify};
use crate::model::Preset;
use crate::replay::Sample;

const PATIENCE: Duration = Duration::from_secs(120);

fn parts(config: TrainConfig, folder: Option<&Path>) -> (TrainerParts, Receiver<TrainEvent>) {
    let (events, seen) = unbounded();
    let parts = TrainerParts {
        config,
        checkpoint: folder.map(|dir| CheckpointConfig {
            dir: dir.to_owned(),
            every_steps: Some(2),
            keep: 2,
            keep_best: 0,
            keep_replay: 0,
            ..CheckpointConfig::default()
        }),
        resume: None,
        config_text: "[train]\npreset = \"micro\"\n".into(),
        on_resume: Box::new(drop),
        provenance: Box::new(|| serde_json::json!({"patterns": {"samples": 7}})),
        source: Box::new(MovingPatterns::new(Preset::Micro.sample_spec(), 1)),
        weights: None,
        on_event: Box::new(move |event| events.send(event).unwrap()),
    };
    (parts, seen)
}

fn steps(count: u64) -> TrainConfig {
    TrainConfig {
        max_steps: Some(count),
        ..tiny()
    }
}

fn started(config: TrainConfig, folder: Option<&Path>) -> (TrainHandle, Receiver<TrainEvent>) {
    let (parts, seen) = parts(config, folder);
    (spawn(parts).unwrap(), seen)
}

fn wait_for(seen: &Receiver<TrainEvent>, wanted: impl Fn(&TrainEvent) -> bool) -> TrainEvent {
    loop {
        let event = seen.recv_timeout(PATIENCE).unwrap();
        if wanted(&event) {
            return event;
        }
    }
}

#[test]
fn a_run_reports_and_writes_snapshots_on_schedule_and_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, seen) = started(steps(5), Some(folder.path()));
    let summary = handle.join().unwrap();
    assert_eq!(
        (summary.reason, summary.step, summary.steps_taken),
        (EndReason::MaxSteps, 5, 5)
    );
    assert_eq!(summary.snapshots_failed, 0);
    let events: Vec<_> = seen.iter().collect();
    let reports: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Report(report) => Some(report.step),
            _ => None,
        })
        .collect();
    assert_eq!(
        reports,
        [2, 4, 5],
        "every second step, and what is left at the end"
    );
    let report = summary.report.unwrap();
    assert_eq!((report.samples, report.nonfinite_steps), (10, 0));
    assert!(report.loss.is_finite() && report.samples_per_second > 0.0 && report.step_seconds > 0.0);
    assert_eq!(report.context_chance, 0.5);
    let listed = list(folder.path()).unwrap();
    assert!(listed.len() <= 2, "all but two are deleted");
    let last = listed.last().unwrap();
    assert_eq!((last.step, last.latest), (5, true));
    let manifest = verify(folder.path()).unwrap();
    assert_eq!(manifest.provenance["patterns"]["samples"], 7);
    assert_eq!(manifest.metrics["step"], 5);
    assert!(manifest.config.contains("preset"));
    assert_eq!(summary.snapshot.unwrap().path, last.path);
}

#[test]
fn a_resumed_run_counts_on_and_takes_its_own_number_of_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, _seen) = started(steps(2), Some(folder.path()));
    handle.join().unwrap();
    let (mut parts, _seen) = parts(steps(2), Some(folder.path()));
    parts.resume = Some(folder.path().to_owned());
    let handle = spawn(parts).unwrap();
    assert_eq!(handle.first_step(), 2);
    let summary = handle.join().unwrap();
    assert_eq!((summary.step, summary.steps_taken), (4, 2));
    assert_eq!(verify(folder.path()).unwrap().step, 4);
}

#[test]
fn pauses_goes_on_writes_a_snapshot_on_demand_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, seen) = started(tiny(), Some(folder.path()));
    wait_for(&seen, |event| matches!(event, TrainEvent::Report(_)));
    handle.send(Command::Pause);
    wait_for(&seen, |event| *event == TrainEvent::Paused);
    let paused_at = handle.snapshot().recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(verify(&paused_at.path).unwrap().step, paused_at.step);
    let again = handle.snapshot().recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(
        again.step, paused_at.step,
        "paused, and the same snapshot may be written twice"
    );
    handle.send(Command::Resume);
    wait_for(
        &seen,
        |event| matches!(event, TrainEvent::Report(report) if report.step > paused_at.step),
    );
    handle.send(Command::Stop);
    let summary = handle.join().unwrap();
    assert_eq!(summary.reason, EndReason::Stopped);
    assert_eq!(verify(folder.path()).unwrap().step, summary.step);
}

#[test]
fn a_run_without_a_checkpoint_folder_says_so_when_asked_for_a_snapshot() {
    let (handle, _seen) = started(tiny(), None);
    let told = handle.snapshot().recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert_eq!(told, "this run has no checkpoint folder");
    handle.send(Command::Stop);
    assert_eq!(handle.join().unwrap().snapshot, None);
}

#[test]
fn training_survives_a_snapshot_that_cannot_be_written_and_tries_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("checkpoints");
    let (handle, seen) = started(tiny(), Some(&folder));
    wait_for(&seen, |event| matches!(event, TrainEvent::SnapshotWritten(_)));
    // Takes the folder away: even root cannot write into it then.
    let aside = parent.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let failed = wait_for(&seen, |event| matches!(event, TrainEvent::SnapshotFailed { .. }));
    let TrainEvent::SnapshotFailed { reason, .. } = failed else {
        unreachable!("it was waited for");
    };
    assert!(reason.contains("checkpoints"), "{reason}");
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    wait_for(&seen, |event| matches!(event, TrainEvent::SnapshotWritten(_)));
    handle.send(Command::Stop);
    let summary = handle.join().unwrap();
    assert!(summary.snapshots_failed >= 1);
    assert_eq!(verify(&folder).unwrap().step, summary.step);
}

#[test]
fn a_last_snapshot_that_cannot_be_written_is_the_runs_error() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("checkpoints");
    let (mut parts, seen) = parts(tiny(), Some(&folder));
    if let Some(checkpoint) = &mut parts.checkpoint {
        checkpoint.every_steps = None;
    }
    let handle = spawn(parts).unwrap();
    wait_for(&seen, |event| matches!(event, TrainEvent::Report(_)));
    fs::remove_dir_all(&folder).unwrap();
    handle.send(Command::Stop);
    let told = handle.join().unwrap_err();
    assert!(matches!(told, TrainError::LastSnapshot { .. }), "{told}");
    assert!(told.to_string().contains("checkpoints"), "{told}");
}

#[test]
fn what_cannot_begin_is_an_error_of_spawn() {
    let folder = tempfile::tempdir().unwrap();
    let told = |config: TrainConfig, change: &dyn Fn(&mut TrainerParts)| {
        let (mut parts, _seen) = parts(config, Some(folder.path()));
        change(&mut parts);
        spawn(parts).map(drop).unwrap_err()
    };
    let no_gpu = TrainConfig {
        device: DeviceChoice::Cuda(99),
        ..tiny()
    };
    assert!(
        told(no_gpu, &|_| ())
            .to_string()
            .starts_with("train.device is \"cuda:99\"")
    );
    let nothing = told(tiny(), &|parts| parts.resume = Some(folder.path().to_owned()));
    assert!(
        nothing.to_string().contains("is no snapshot and holds none"),
        "{nothing}"
    );
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let no_folder = told(tiny(), &|parts| {
        if let Some(checkpoint) = &mut parts.checkpoint {
            checkpoint.dir = file.join("below");
        }
    });
    assert!(no_folder.to_string().contains("file"), "{no_folder}");
    let (running, _seen) = started(tiny(), Some(folder.path()));
    let in_use = told(tiny(), &|_| ());
    assert!(
        in_use.to_string().contains("in use by another comove"),
        "{in_use}"
    );
    running.send(Command::Stop);
    running.join().unwrap();
}

/// Gives one answer after two batches.
struct Odd(MovingPatterns, u32, fn() -> Result<Vec<Arc<Sample>>, NoData>);

impl BatchSource for Odd {
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        self.1 += 1;
        if self.1 <= 2 {
            return self.0.next_batch(batch_size, timeout);
        }
        (self.2)()
    }
}

fn ended_by(
    answer: fn() -> Result<Vec<Arc<Sample>>, NoData>,
) -> Result<super::super::TrainSummary, TrainError> {
    let (mut parts, _seen) = parts(tiny(), None);
    parts.source = Box::new(Odd(
        MovingPatterns::new(Preset::Micro.sample_spec(), 1),
        0,
        answer,
    ));
    spawn(parts).unwrap().join()
}

#[test]
fn the_end_of_the_data_is_a_good_end() {
    let summary = ended_by(|| Err(NoData::Ended("all files were read".into()))).unwrap();
    assert_eq!(summary.reason, EndReason::DataEnded("all files were read".into()));
    assert_eq!(summary.step, 2);
}

#[test]
fn a_source_that_fails_a_sample_that_does_not_fit_and_a_panic_end_the_run_with_an_error() {
    let told = ended_by(|| Err(NoData::Failed("nothing fits".into()))).unwrap_err();
    assert_eq!(told.to_string(), "no batches to train on: nothing fits");
    let told = ended_by(|| Ok(Vec::new())).unwrap_err();
    assert!(told.to_string().starts_with("a batch has 0 samples"), "{told}");
    // What tch does when libtorch refuses.
    let told = ended_by(|| {
        let sum = tch::Tensor::from_slice(&[1.0, 2.0]) + tch::Tensor::from_slice(&[1.0, 2.0, 3.0]);
        panic!("{sum:?} cannot be")
    });
    let Err(TrainError::Panicked { step, message }) = told else {
        panic!("{told:?}");
    };
    assert_eq!(step, 2);
    assert!(message.contains("must match the size"), "{message}");
}

#[test]
fn the_learning_rate_is_set_while_running_and_outlives_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, seen) = started(tiny(), Some(folder.path()));
    let configured = tiny().learning_rate();
    let answer = |change| handle.set_learning_rate(change).recv_timeout(PATIENCE).unwrap();
    assert_eq!(answer(RateChange::Times(0.5)), Ok(0.5 * configured));
    assert_eq!(answer(RateChange::To(0.125)), Ok(0.125));
    assert!(answer(RateChange::To(-1.0)).unwrap_err().contains("is -1"));
    wait_for(&seen, |event| *event == TrainEvent::LearningRateSet(0.125));
    let report = wait_for(
        &seen,
        |event| matches!(event, TrainEvent::Report(report) if report.step >= 6),
    );
    assert!(matches!(report, TrainEvent::Report(report) if report.learning_rate == 0.125));
    handle.send(Command::Stop);
    handle.join().unwrap();
    let resumed = |config: TrainConfig| {
        let (mut parts, seen) = parts(config, Some(folder.path()));
        parts.resume = Some(folder.path().to_owned());
        let handle = spawn(parts).unwrap();
        let report = wait_for(&seen, |event| matches!(event, TrainEvent::Report(_)));
        handle.send(Command::Stop);
        handle.join().unwrap();
        match report {
            TrainEvent::Report(report) => report.learning_rate,
            _ => unreachable!("it was waited for"),
        }
    };
    assert_eq!(resumed(tiny()), 0.125);
    let newly_configured = TrainConfig {
        learning_rate: Some(0.25),
        ..tiny()
    };
    assert_eq!(
        resumed(newly_configured),
        0.25,
        "the configuration has the last word"
    );
}

/// Says of every second sample that it is new, and keeps what it is told.
struct Listening(MovingPatterns, crossbeam_channel::Sender<Vec<SampleOutcome>>);

impl BatchSource for Listening {
    fn next_batch(&mut self, batch_size: usize, timeout: Duration) -> Result<Vec<Arc<Sample>>, NoData> {
        self.0.next_batch(batch_size, timeout)
    }

    fn learned(&mut self, outcomes: &[SampleOutcome]) -> Vec<bool> {
        self.1.send(outcomes.to_vec()).unwrap();
        (0..outcomes.len()).map(|index| index % 2 == 0).collect()
    }
}

#[test]
fn the_source_is_told_every_step_and_the_report_averages_first_uses() {
    let (told, hear) = unbounded();
    let (mut parts, seen) = parts(steps(2), None);
    let patterns = MovingPatterns::new(Preset::Micro.sample_spec(), 1);
    parts.source = Box::new(Listening(patterns, told));
    let summary = spawn(parts).unwrap().join().unwrap();
    let heard: Vec<_> = hear.iter().collect();
    assert_eq!(heard.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 0]);
    for outcome in heard.iter().flatten() {
        let length: f32 = outcome.feature.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        assert_eq!(outcome.feature.len(), 128);
    }
    let report = summary.report.unwrap();
    assert_eq!(
        (report.prequential_samples, report.steps, report.timed_steps),
        (2, 2, 2)
    );
    let mean = |loss: fn(&SampleOutcome) -> Option<f32>| {
        f64::from(
            heard[0..2]
                .iter()
                .map(|step| loss(&step[0]).unwrap())
                .sum::<f32>(),
        ) / 2.0
    };
    assert!((report.prequential_context - mean(|outcome| outcome.context_loss)).abs() < 1e-6);
    assert!((report.prequential_motion - mean(|outcome| outcome.motion_loss)).abs() < 1e-6);
    let phases = report.phases;
    assert!(
        phases.each()[1..].iter().all(|(_, seconds)| *seconds > 0.0),
        "{phases:?}"
    );
    let stepped = seen
        .iter()
        .filter(|event| matches!(event, TrainEvent::Stepped { .. }));
    assert_eq!(stepped.count(), 2);
}
