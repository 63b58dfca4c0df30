use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::Provenance;
use super::entry::Register;
use super::roster::Roster;
use super::sight::Sightings;
use crate::checkpoint;
use crate::decode::DecodeQueue;
use crate::ingest::{ByteBudget, StreamName, StreamState};
use crate::replay::Replay;
use crate::server::{
    ChangeError, CheckpointDue, CheckpointView, Daemon, ForgottenView, Keep, Pause, ProbeView, ReloadView,
    ReplayView, SnapshotError, StatusView, StreamView, Switch, TaskView, TrainChange, TrainStateView,
    TrainView,
};
use crate::telemetry::{self, Exposition, Heartbeat, Pulse};
use crate::train::{Command, RateChange, StepReport};

/// The longest wait for a snapshot that was asked for.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

/// What the learner said last.
#[derive(Clone, Default)]
pub(super) struct TrainBoard {
    pub preset: String,
    pub device: String,
    pub report: Option<StepReport>,
    /// It pauses.
    pub paused: bool,
    /// Why training has ended, when it has.
    pub ended: Option<String>,
    /// What the probe says, where there is one.
    pub probe: Option<ProbeView>,
    /// Memory of the probe's clips.
    pub probe_bytes: u64,
}

impl TrainBoard {
    fn view(&self) -> Option<TrainView> {
        self.report.as_ref().map(|report| TrainView {
            preset: self.preset.clone(),
            device: self.device.clone(),
            step: report.step,
            loss: report.loss,
            context: TaskView {
                loss: report.context_loss,
                top1: report.context_top1,
                chance: report.context_chance,
            },
            motion: TaskView {
                loss: report.motion_loss,
                top1: report.motion_top1,
                chance: report.motion_chance,
            },
            embedding_std: report.embedding_std,
            effective_rank: report.effective_rank,
            samples_per_second: report.samples_per_second,
            steps_per_second: report.steps as f64
                / (report.steps as f64 * report.step_seconds + report.data_wait_seconds),
            learning_rate: report.learning_rate,
            nonfinite_steps: report.nonfinite_steps,
        })
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Starting,
    Running,
    Stopping,
}

/// Everything of a run that the outside can see, and the few things that it can ask for.
pub(super) struct Board {
    pub started: Instant,
    pub streams: Register,
    /// Set once the streams have begun.
    pub roster: OnceLock<Roster>,
    pub replay: Arc<Replay>,
    pub decoders: DecodeQueue,
    pub budget: ByteBudget,
    pub provenance: Provenance,
    pub checkpoints: PathBuf,
    /// Memory of the networks, with gradients and optimiser.
    pub model_bytes: u64,
    /// Time from one checkpoint to the next.
    pub checkpoint_every: Duration,
    /// The newest of this run, and when it was tried.
    pub newest_checkpoint: Mutex<(Option<u64>, Instant)>,
    pub sightings: Sightings,
    pub commands: Sender<Command>,
    /// Beats with every step; while training pauses, nobody need beat it.
    pub train_heartbeat: Heartbeat,
    pub heartbeats: Vec<Heartbeat>,
    pub train: Mutex<TrainBoard>,
    pub phase: Mutex<Phase>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Board {
    /// What the learner said last. A copy: no answer holds the lock while it asks for more.
    pub fn train(&self) -> TrainBoard {
        lock(&self.train).clone()
    }

    /// Books a report of the learner.
    pub fn trained(&self, report: StepReport) {
        lock(&self.train).report = Some(report);
    }

    /// Books what the probe said.
    pub fn probed(&self, book: impl FnOnce(&mut TrainBoard)) {
        book(&mut lock(&self.train));
    }

    /// A checkpoint of this step is in place, or could not be written.
    pub fn checkpoint_tried(&self, written: Option<u64>) {
        let mut newest = lock(&self.newest_checkpoint);
        *newest = (written.or(newest.0), Instant::now());
    }

    fn checkpoint_due(&self) -> CheckpointDue {
        let (step, tried) = *lock(&self.newest_checkpoint);
        CheckpointDue {
            step,
            age_seconds: tried.elapsed().as_secs_f64(),
            every_seconds: self.checkpoint_every.as_secs_f64(),
        }
    }

    /// Training pauses, or goes on.
    pub fn training_pauses(&self, paused: bool) {
        // Its silence so far is no fault of its own.
        self.train_heartbeat.beat(Instant::now());
        lock(&self.train).paused = paused;
    }

    /// Says why training has ended.
    pub fn training_ended(&self, reason: String) {
        lock(&self.train).ended = Some(reason);
    }

    pub fn enter(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    /// Writes everything that has a snapshot of its own.
    pub fn collect(&self, page: &mut Exposition) {
        for stream in self.streams.all() {
            stream.collect(page);
        }
        let (decoders, replay) = (self.decoders.snapshot(), self.replay.snapshot());
        telemetry::collect_byte_budget(page, &self.budget);
        telemetry::collect_decode(page, &decoders);
        telemetry::collect_replay(page, &replay);
        let windows: u64 = self
            .streams
            .all()
            .iter()
            .map(|stream| stream.scout().chooser.held_bytes as u64)
            .sum();
        let memory = telemetry::MemoryByOwner {
            replay: replay.bytes as u64,
            // Windows hold their compressed video on credit: it is theirs.
            ingest: (self.budget.used_bytes() as u64).saturating_sub(windows),
            windows,
            decoders: decoders.picture_bytes,
            model: self.model_bytes,
            probe: lock(&self.train).probe_bytes,
        };
        telemetry::collect_memory(page, &memory);
    }
}

impl Board {
    pub fn roster(&self) -> Result<&Roster, ChangeError> {
        let starting = || ChangeError::NotNow("the run is starting; try again".to_owned());
        self.roster.get().ok_or_else(starting)
    }

    fn view_of(&self, name: &str) -> Result<StreamView, ChangeError> {
        let streams = self.streams.all();
        let found = streams.iter().find(|stream| stream.name.as_str() == name);
        let gone = || ChangeError::NotFound(name.to_owned());
        found.map(|stream| stream.view()).ok_or_else(gone)
    }

    /// Asks for a snapshot; the trainer's events tell what came of it.
    pub fn snapshot_by_signal(&self) {
        tracing::info!("a checkpoint is asked for by SIGUSR1");
        let (reply, _answer) = bounded(1);
        if self.commands.send(Command::Snapshot(reply)).is_err() {
            tracing::error!("there is no checkpoint: training has ended");
        }
    }
}

impl Daemon for Board {
    fn pulses(&self) -> Vec<Pulse> {
        let now = Instant::now();
        if lock(&self.train).paused {
            self.train_heartbeat.beat(now);
        }
        let stages = self.heartbeats.iter().map(|heartbeat| heartbeat.pulse(now));
        let streams = self.streams.all();
        // Of the streams only those that hang are named: there may be hundreds.
        stages
            .chain(streams.iter().filter_map(|stream| stream.overdue(now)))
            .collect()
    }

    fn not_ready(&self) -> Vec<String> {
        let mut missing = Vec::new();
        match *lock(&self.phase) {
            Phase::Starting => missing.push("the run is starting".to_owned()),
            Phase::Running => {}
            Phase::Stopping => missing.push("the run is stopping".to_owned()),
        }
        if let Some(reason) = Board::train(self).ended {
            missing.push(format!("training has ended: {reason}"));
        }
        let mut enabled = self.streams.all();
        enabled.retain(|stream| stream.about().enabled);
        let states: Vec<_> = enabled.iter().map(|stream| stream.state()).collect();
        let works = |state: &StreamState| matches!(state, StreamState::Running | StreamState::Ended);
        if !states.is_empty() && !states.iter().any(|(state, _)| works(state)) {
            for (stream, (state, failure)) in enabled.iter().zip(&states) {
                let reason = failure
                    .as_ref()
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                missing.push(format!("stream {} is {}{reason}", stream.name, state.label()));
            }
        }
        missing
    }

    fn status(&self) -> StatusView {
        let replay = self.replay.snapshot();
        let mut streams = BTreeMap::new();
        for stream in self.streams.all() {
            *streams.entry(stream.state().0.label().to_owned()).or_default() += 1;
        }
        let board = Board::train(self);
        let (train, probe) = (board.view(), board.probe);
        let state = match *lock(&self.phase) {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
        };
        StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: state.to_owned(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            not_ready: self.not_ready(),
            stages: self.pulses().into_iter().map(Into::into).collect(),
            streams,
            replay: Some(ReplayView::from(&replay)),
            train,
            checkpoint: Some(self.checkpoint_due()),
            probe,
        }
    }

    fn streams(&self) -> Vec<StreamView> {
        self.streams.all().iter().map(|stream| stream.view()).collect()
    }

    fn checkpoints(&self) -> Result<Vec<CheckpointView>, String> {
        let mut listed = match self.checkpoints.exists() {
            true => checkpoint::list(&self.checkpoints).map_err(|error| error.to_string())?,
            false => Vec::new(),
        };
        listed.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.step));
        Ok(listed.iter().map(CheckpointView::from).collect())
    }

    fn write_checkpoint(&self) -> Result<CheckpointView, SnapshotError> {
        if let Some(reason) = Board::train(self).ended {
            return Err(SnapshotError::NotTraining(reason));
        }
        let (reply, answer) = bounded(1);
        let gone = || SnapshotError::NotTraining("it has just ended".to_owned());
        self.commands.send(Command::Snapshot(reply)).map_err(|_| gone())?;
        match answer.recv_timeout(SNAPSHOT_PATIENCE) {
            Ok(Ok(written)) => self
                .checkpoints()
                .map_err(SnapshotError::Failed)?
                .into_iter()
                .find(|snapshot| snapshot.step == written.step)
                .ok_or_else(|| SnapshotError::Failed("it is not in the checkpoint folder".to_owned())),
            Ok(Err(reason)) => Err(SnapshotError::Failed(reason)),
            Err(RecvTimeoutError::Timeout) => Err(SnapshotError::Failed(format!(
                "no answer within {} s; it may still come",
                SNAPSHOT_PATIENCE.as_secs()
            ))),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    fn replay(&self) -> ReplayView {
        ReplayView::from(&self.replay.snapshot())
    }

    fn train(&self) -> TrainStateView {
        let board = Board::train(self);
        let state = match (&board.ended, board.paused) {
            (Some(_), _) => "ended",
            (None, true) => "paused",
            (None, false) => "running",
        };
        TrainStateView {
            state: state.to_owned(),
            report: board.view(),
            probe: board.probe,
            ended: board.ended,
        }
    }

    fn change_train(&self, change: TrainChange) -> Result<TrainStateView, ChangeError> {
        if let Some(reason) = Board::train(self).ended {
            return Err(ChangeError::NotNow(format!("training has ended: {reason}")));
        }
        // What cannot be is refused before anything changes.
        let invalid = |key: &str, error: String| ChangeError::Invalid(format!("{key}: {error}"));
        let impossible = |value: f64| !(value.is_finite() && value > 0.0);
        for (key, value) in [
            ("learning_rate", change.learning_rate),
            ("samples_per_insert", change.samples_per_insert),
        ] {
            if value.is_some_and(impossible) {
                return Err(invalid(key, "it must be a number above 0".to_owned()));
            }
        }
        if let Some(rate) = change.learning_rate {
            let (reply, answer) = bounded(1);
            let command = Command::SetLearningRate(RateChange::To(rate), reply);
            let ended = || ChangeError::NotNow("training has just ended".to_owned());
            self.commands.send(command).map_err(|_| ended())?;
            match answer.recv_timeout(SNAPSHOT_PATIENCE) {
                Ok(set) => drop(set.map_err(|error| invalid("learning_rate", error))?),
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ChangeError::Failed(
                        "the step under way takes long; the learning rate changes after it".to_owned(),
                    ));
                }
            }
        }
        if let Some(ratio) = change.samples_per_insert {
            let set = self.replay.set_samples_per_insert(ratio);
            set.map_err(|error| invalid("samples_per_insert", error.to_string()))?;
            tracing::info!(ratio, "samples per insert were set");
        }
        Ok(Daemon::train(self))
    }

    fn pause_train(&self, pause: Pause) -> Result<TrainStateView, ChangeError> {
        if let Some(reason) = Board::train(self).ended {
            return Err(ChangeError::NotNow(format!("training has ended: {reason}")));
        }
        let command = match pause {
            Pause::Pause => Command::Pause,
            Pause::Resume => Command::Resume,
        };
        let ended = |_| ChangeError::NotNow("training has just ended".to_owned());
        self.commands.send(command).map_err(ended)?;
        // It obeys after the step under way, which may take long: what was asked for is told.
        let mut told = Daemon::train(self);
        told.state = match pause {
            Pause::Pause => "paused".to_owned(),
            Pause::Resume => "running".to_owned(),
        };
        Ok(told)
    }

    fn add_stream(&self, entry: toml::Table, keep: Keep) -> Result<StreamView, ChangeError> {
        let name = self.roster()?.add(entry, keep)?;
        self.view_of(name.as_str())
    }

    fn replace_stream(&self, name: &str, entry: toml::Table, keep: Keep) -> Result<StreamView, ChangeError> {
        self.roster()?.replace(name, entry, keep)?;
        self.view_of(name)
    }

    fn switch_stream(&self, name: &str, switch: Switch, keep: Keep) -> Result<StreamView, ChangeError> {
        self.roster()?.switch(name, switch == Switch::On, keep)?;
        self.view_of(name)
    }

    fn remove_stream(&self, name: &str, keep: Keep) -> Result<(), ChangeError> {
        self.roster()?.remove(name, keep)
    }

    fn forget_stream(&self, name: &str) -> Result<ForgottenView, ChangeError> {
        let unknown = || ChangeError::NotFound(name.to_owned());
        let stream = StreamName::new(name).ok_or_else(unknown)?;
        let known = self.streams.all().iter().any(|one| one.name == stream)
            || self.provenance.samples(&stream) > 0
            || self.replay.by_stream().contains_key(&stream);
        if !known {
            return Err(unknown());
        }
        tracing::info!(%stream, "a stream is to be forgotten");
        let failed = |error: String| ChangeError::Failed(format!("the samples are not all gone: {error}"));
        let samples = self
            .replay
            .forget(&stream)
            .map_err(|error| failed(error.to_string()))?;
        let (reply, answer) = bounded(1);
        let ended = || {
            ChangeError::NotNow(
                "training has ended: replay has let the samples go, the checkpoints are not marked; `comove forget` does that"
                    .to_owned(),
            )
        };
        let command = Command::Forget(stream, reply);
        self.commands.send(command).map_err(|_| ended())?;
        match answer.recv_timeout(SNAPSHOT_PATIENCE) {
            Ok(Ok(forgot)) => Ok(ForgottenView {
                samples,
                checkpoint_samples: forgot.samples,
                marked: forgot.marked,
            }),
            Ok(Err(reason)) => Err(failed(reason)),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
            Err(RecvTimeoutError::Timeout) => Err(failed(format!(
                "the checkpoints are not marked within {} s; the log says when they are",
                SNAPSHOT_PATIENCE.as_secs()
            ))),
        }
    }

    fn reload(&self) -> Result<ReloadView, ChangeError> {
        self.roster()?.reload()
    }
}
