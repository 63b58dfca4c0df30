use std::{any::Any, panic, panic::AssertUnwindSafe, path::PathBuf, thread};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::run::Run;
use super::{BatchSource, PhaseSeconds, RateChange, StepReport, TrainConfig, TrainError, WeightTaker};
use crate::checkpoint::{CheckpointConfig, Forgot, Written};
use crate::ingest::StreamName;

/// What the trainer's thread is made of.
pub struct TrainerParts {
    /// How to train.
    pub config: TrainConfig,
    /// Where and when to write snapshots; `None`: never.
    pub checkpoint: Option<CheckpointConfig>,
    /// A snapshot, or a folder of them, to go on from.
    pub resume: Option<PathBuf>,
    /// The run's resolved configuration as TOML, for the snapshots.
    pub config_text: String,
    /// Told, before the first step, what the snapshot that is gone on from says of what it learned from.
    pub on_resume: Box<dyn FnOnce(serde_json::Value) + Send>,
    /// What was learned from, stream by stream, for the snapshots. Asked on the trainer's thread.
    pub provenance: Box<dyn FnMut() -> serde_json::Value + Send>,
    /// Where batches come from.
    pub source: Box<dyn BatchSource>,
    /// Who gets copies of the V-Network; `None`: nobody.
    pub weights: Option<Box<dyn WeightTaker>>,
    /// Told on the trainer's thread, between steps: must not block.
    pub on_event: Box<dyn FnMut(TrainEvent) + Send>,
}

/// What the trainer does between two steps.
#[derive(Debug)]
pub enum Command {
    /// Write a snapshot and answer when it is on disk, or why it is not.
    Snapshot(Sender<Result<Written, String>>),
    /// Take no more steps until told to.
    Pause,
    /// Go on.
    Resume,
    /// Change the learning rate, and answer with the one in force, or with what is wrong with it.
    SetLearningRate(RateChange, Sender<Result<f64, String>>),
    /// Forget a stream: mark the snapshots that learned from it, and those to come, and delete its samples in them.
    Forget(StreamName, Sender<Result<Forgot, String>>),
    /// Write a last snapshot and end.
    Stop,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// A step is done.
    Stepped {
        /// Seconds of waiting for its batch.
        waited: f64,
        /// Where its time went. On a GPU only the last step before a report is taken apart: it costs waiting.
        phases: Option<PhaseSeconds>,
    },
    /// How the last steps went.
    Report(StepReport),
    /// A snapshot is on disk.
    SnapshotWritten(Written),
    /// A snapshot could not be written. Training goes on; the next occasion tries again.
    SnapshotFailed {
        /// Steps behind it.
        step: u64,
        /// Why.
        reason: String,
    },
    /// Old snapshots could not be deleted.
    PruneFailed {
        /// Why.
        reason: String,
    },
    /// Replay's samples are not part of a snapshot that was written.
    ReplayNotSaved {
        /// Steps behind it.
        step: u64,
        /// Why.
        reason: String,
    },
    /// Training diverged and went back to a snapshot.
    RolledBack {
        /// Steps in a row that were not finite.
        nonfinite: u64,
        /// Steps behind the networks given up.
        from_step: u64,
        /// Steps behind the snapshot.
        to_step: u64,
    },
    /// Training pauses.
    Paused,
    /// Training goes on.
    Resumed,
    /// The learning rate was changed to this, without the schedule's factor.
    LearningRateSet(f64),
}

/// Why training ended in good order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It was told to.
    Stopped,
    /// `max_steps` were taken.
    MaxSteps,
    /// There are no more batches, for the reason given.
    DataEnded(String),
}

/// A run that ended in good order.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSummary {
    /// Why.
    pub reason: EndReason,
    /// Steps finished, over all runs.
    pub step: u64,
    /// Steps finished in this run.
    pub steps_taken: u64,
    /// The last report, if there was any.
    pub report: Option<StepReport>,
    /// The last snapshot of this run, if there was any.
    pub snapshot: Option<Written>,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
}

/// The way to the trainer's thread.
#[derive(Debug)]
pub struct TrainHandle {
    commands: Sender<Command>,
    thread: thread::JoinHandle<Result<TrainSummary, TrainError>>,
    device: tch::Device,
    step: u64,
    model_bytes: u64,
}

impl TrainHandle {
    /// The device in use.
    pub fn device(&self) -> tch::Device {
        self.device
    }

    /// Steps behind the networks when this run began.
    pub fn first_step(&self) -> u64 {
        self.step
    }

    /// Memory of the networks on the device: parameters, one gradient of each trained one, the optimiser's state.
    pub fn model_bytes(&self) -> u64 {
        self.model_bytes
    }

    /// Sends a command. One sent to a trainer that has ended is lost, and a [`Command::Snapshot`]'s answer never comes: its
    /// channel closes.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// A sender of commands for others.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// Asks for a snapshot. The answer comes when it is on disk; the channel closes unanswered if the trainer has ended.
    pub fn snapshot(&self) -> Receiver<Result<Written, String>> {
        let (reply, answer) = bounded(1);
        self.send(Command::Snapshot(reply));
        answer
    }

    /// Changes the learning rate from the next step on. The answer is the rate in force without the schedule's factor, or what is
    /// wrong; the channel closes unanswered if the trainer has ended.
    pub fn set_learning_rate(&self, change: RateChange) -> Receiver<Result<f64, String>> {
        let (reply, answer) = bounded(1);
        self.send(Command::SetLearningRate(change, reply));
        answer
    }

    /// The thread has ended; [`Self::join`] will not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end, however it comes.
    pub fn join(self) -> Result<TrainSummary, TrainError> {
        drop(self.commands);
        self.thread.join().unwrap_or_else(|payload| {
            Err(TrainError::Panicked {
                step: self.step,
                message: panic_message(payload.as_ref()),
            })
        })
    }
}

/// Starts the trainer's thread and waits until it is ready for its first batch.
///
/// # Errors
/// A configuration that cannot be, a device that is not there, a snapshot that cannot be gone on from, a checkpoint folder that
/// cannot be written to.
pub fn spawn(parts: TrainerParts) -> Result<TrainHandle, TrainError> {
    let (commands, to_obey) = unbounded();
    let (ready, is_ready) = bounded(1);
    let work = move || {
        let mut step = 0;
        let mut prepared = None;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let run = match Run::prepare(parts, to_obey) {
                Ok(run) => prepared.insert(run),
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return None;
                }
            };
            step = run.step();
            let _ = ready.send(Ok((run.device(), step, run.model_bytes())));
            Some(run.work(&mut step))
        }));
        let ended = match outcome {
            // `spawn` has the error.
            Ok(None) => return Err(TrainError::Source("training did not begin".into())),
            Ok(Some(ended)) => ended,
            Err(payload) => Err(TrainError::Panicked {
                step,
                message: panic_message(payload.as_ref()),
            }),
        };
        if let (Err(error), Some(mut run)) = (&ended, prepared)
            && error.leaves_the_networks_sound()
        {
            // What failed may fail again, and a snapshot is not worth another panic.
            let rescued = panic::catch_unwind(AssertUnwindSafe(|| run.rescue()));
            if !matches!(rescued, Ok(Ok(()))) {
                tracing::error!("what was learned since the last checkpoint could not be saved");
            }
        }
        ended
    };
    let thread = thread::Builder::new()
        .name("train".into())
        .spawn(work)
        .map_err(TrainError::Thread)?;
    match is_ready.recv() {
        Ok(Ok((device, step, model_bytes))) => Ok(TrainHandle {
            commands,
            thread,
            device,
            step,
            model_bytes,
        }),
        Ok(Err(error)) => Err(error),
        // The thread panicked before it was ready.
        Err(_) => match thread.join() {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Err(TrainError::Source("training did not begin".into())),
            Err(payload) => Err(TrainError::Panicked {
                step: 0,
                message: panic_message(payload.as_ref()),
            }),
        },
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
