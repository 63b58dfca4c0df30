use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::board::Board;
use super::watched_source::WatchedReplay;
use super::{Provenance, RunError};
use crate::checkpoint;
use crate::config::{Config, Resume};
use crate::probe::HandOver;
use crate::telemetry::{CheckpointMetrics, Registry, TrainMetrics};
use crate::train::{self, EndReason, TrainError, TrainEvent, TrainHandle, TrainSummary, TrainerParts};

/// Where training goes on from, as the config wants it.
fn resume_from(config: &Config) -> Result<Option<PathBuf>, RunError> {
    let dir = &config.checkpoint.dir;
    let newest = match dir.exists() {
        true => checkpoint::list(dir)?
            .into_iter()
            .max_by_key(|snapshot| snapshot.step),
        false => None,
    };
    match (config.run.resume, newest) {
        (Resume::Never, None) | (Resume::IfPresent, None) => Ok(None),
        // A run that begins anew in the same folder would mix with it, and its own snapshots would be the older ones.
        (Resume::Never, Some(newest)) => Err(RunError::CheckpointsPresent {
            dir: dir.clone(),
            step: newest.step,
        }),
        (Resume::IfPresent | Resume::Always, _) => Ok(Some(dir.clone())),
    }
}

pub(super) fn start_trainer(
    config: &Config,
    provenance: &Provenance,
    source: WatchedReplay,
    weights: Option<HandOver>,
    events: crossbeam_channel::Sender<TrainEvent>,
) -> Result<TrainHandle, RunError> {
    let resume = resume_from(config)?;
    let config_text = config.resolved_toml().map_err(|error| RunError::System {
        what: "the config has no TOML form",
        source: std::io::Error::other(error),
    })?;
    let (learned_from, to_go_on) = (provenance.clone(), provenance.clone());
    Ok(train::spawn(TrainerParts {
        config: config.train.clone(),
        checkpoint: Some(config.checkpoint.clone()),
        resume,
        config_text,
        on_resume: Box::new(move |earlier| match serde_json::from_value(earlier) {
            Ok(earlier) => to_go_on.continue_from(earlier),
            Err(error) => {
                tracing::warn!(%error, "the checkpoint does not say what it learned from; that begins anew")
            }
        }),
        provenance: Box::new(move || learned_from.to_json()),
        source: Box::new(source),
        weights: weights.map(|hand_over| Box::new(hand_over) as _),
        // Whoever follows the trainer outlives it.
        on_event: Box::new(move |event| drop(events.send(event))),
    })?)
}

/// Turns what the trainer says into logs, metrics and the board's figures, on a thread of its own.
pub(super) fn follow_trainer(
    said: crossbeam_channel::Receiver<TrainEvent>,
    board: Arc<Board>,
    registry: &Registry,
    first_step: u64,
) {
    let train = TrainMetrics::new(registry, first_step);
    let checkpoints = CheckpointMetrics::new(registry);
    let follow = move || {
        for event in said {
            match event {
                TrainEvent::Stepped { waited, phases } => train.stepped(waited, phases.as_ref()),
                TrainEvent::LearningRateSet(rate) => tracing::info!(rate, "the learning rate was set"),
                TrainEvent::Report(report) => {
                    train.report(&report, SystemTime::now());
                    tracing::info!(
                        step = report.step,
                        loss = %told(report.loss, 3),
                        context = %told(report.context_loss, 3),
                        motion = %told(report.motion_loss, 3),
                        context_top1 = %told(report.context_top1, 2),
                        motion_top1 = %told(report.motion_top1, 3),
                        samples_per_second = format_args!("{:.1}", report.samples_per_second),
                        "trained"
                    );
                    board.trained(report);
                }
                TrainEvent::SnapshotWritten(written) => {
                    checkpoints.replay_bytes(written.replay_bytes);
                    board.checkpoint_tried(Some(written.step));
                    checkpoints.written(written.step, written.bytes, written.took, SystemTime::now());
                    tracing::info!(step = written.step, path = %written.path.display(), "checkpoint written");
                }
                TrainEvent::SnapshotFailed { step, reason } => {
                    board.checkpoint_tried(None);
                    checkpoints.failed();
                    tracing::error!(
                        step,
                        reason,
                        "a checkpoint could not be written; the one before it stands"
                    );
                }
                TrainEvent::PruneFailed { reason } => {
                    tracing::warn!(reason, "old checkpoints could not be deleted");
                }
                TrainEvent::ReplayNotSaved { step, reason } => {
                    checkpoints.replay_failed();
                    tracing::error!(
                        step,
                        reason,
                        "a checkpoint was written without the samples of replay: a run that goes on from it fills replay anew"
                    );
                }
                TrainEvent::RolledBack {
                    nonfinite,
                    from_step,
                    to_step,
                } => {
                    train.rolled_back();
                    tracing::error!(
                        nonfinite,
                        from_step,
                        to_step,
                        "training diverged and went back to a checkpoint"
                    );
                }
                TrainEvent::Paused => {
                    board.training_pauses(true);
                    tracing::info!("training pauses");
                }
                TrainEvent::Resumed => {
                    board.training_pauses(false);
                    tracing::info!("training goes on");
                }
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("train-events".into()).spawn(follow) {
        tracing::error!(%error, "no thread to follow the trainer: its metrics and log lines are missing");
    }
}

/// Waits for the trainer's end on a thread of its own.
pub(super) fn join_apart(
    trainer: TrainHandle,
    board: Arc<Board>,
) -> mpsc::Receiver<Result<TrainSummary, TrainError>> {
    let (tell, told) = mpsc::channel(1);
    let wait = move || {
        let ended = trainer.join();
        board.training_ended(match &ended {
            Ok(summary) => reason_of(&summary.reason),
            Err(error) => error.to_string(),
        });
        // A run that was told to end at once has gone.
        let _ = tell.blocking_send(ended);
    };
    if let Err(error) = thread::Builder::new().name("train-end".into()).spawn(wait) {
        // The sender went with the closure: whoever waits sees that at once.
        tracing::error!(%error, "no thread to wait for the trainer");
    }
    told
}

pub(super) fn lost_trainer() -> TrainError {
    TrainError::Source("the trainer's end was not seen".to_owned())
}

pub(super) fn reason_of(end: &EndReason) -> String {
    match end {
        EndReason::Stopped => "training was told to stop".to_owned(),
        EndReason::MaxSteps => "the limit of steps is reached".to_owned(),
        EndReason::DataEnded(why) => why.clone(),
    }
}

/// A figure for the log; NaN is that of a task that had nothing to compare.
fn told(figure: f64, digits: usize) -> String {
    match figure.is_nan() {
        true => "nothing to compare".to_owned(),
        false => format!("{figure:.digits$}"),
    }
}
