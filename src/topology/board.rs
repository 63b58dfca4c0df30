use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::Provenance;
use super::sight::Sightings;
use crate::checkpoint;
use crate::decode::DecodeQueue;
use crate::ingest::{ByteBudget, Ledger, StreamName, StreamReport, StreamState, StreamStatus};
use crate::replay::Replay;
use crate::server::{
    AccountView, CheckpointView, Daemon, ReplayView, SnapshotError, StatusView, StreamView, TaskView,
    TrainView,
};
use crate::telemetry::{self, Exposition, Heartbeat, Pulse};
use crate::train::{Command, StepReport};
use crate::window::{Glimpse, ScoutSnapshot, ScoutWatch};

/// The longest wait for a snapshot that was asked for.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

/// One stream as the outside sees it; what stays when its group is started again.
pub(super) struct StreamEntry {
    pub name: StreamName,
    /// Without credentials.
    pub source: String,
    pub ledger: Ledger,
    enabled: bool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    report: Option<StreamReport>,
    last_failure: Option<String>,
    status: Option<StreamStatus>,
    scout: Option<ScoutWatch>,
    group_restarts: u64,
}

impl StreamEntry {
    pub fn new(name: StreamName, source: String, enabled: bool) -> Self {
        Self {
            name,
            source,
            ledger: Ledger::new(),
            enabled,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn watch_scout(&self, scout: ScoutWatch) {
        self.seen().scout = Some(scout);
    }

    pub fn reported(&self, report: StreamReport) {
        let mut seen = self.seen();
        if report.failed || matches!(report.state, StreamState::Stalled | StreamState::BackingOff) {
            seen.last_failure = Some(report.reason.clone());
        }
        seen.report = Some(report);
    }

    pub fn told(&self, status: StreamStatus) {
        self.seen().status = Some(status);
    }

    pub fn group_failed(&self) {
        self.seen().group_restarts += 1;
    }

    /// The config keeps it from running.
    pub fn is_disabled(&self) -> bool {
        !self.enabled
    }

    /// The state, and the last failure.
    pub fn state(&self) -> (StreamState, Option<String>) {
        let seen = self.seen();
        let begun = match self.enabled {
            true => StreamState::Starting,
            false => StreamState::Disabled,
        };
        let state = seen.report.as_ref().map_or(begun, |report| report.state);
        (state, seen.last_failure.clone())
    }

    /// Restarts of its source and of its group.
    fn restarts(&self) -> u64 {
        let seen = self.seen();
        seen.group_restarts + seen.status.as_ref().map_or(0, |status| status.restarts)
    }

    /// What its scout did since the group started last.
    pub fn scout(&self) -> ScoutSnapshot {
        let scout = self.seen().scout.clone();
        scout.map(|scout| scout.snapshot()).unwrap_or_default()
    }

    /// Its newest key frame, and what follows it.
    pub fn glimpse(&self) -> Option<Glimpse> {
        let scout = self.seen().scout.clone();
        scout.and_then(|scout| scout.glimpse())
    }

    fn view(&self) -> StreamView {
        let (state, last_error) = self.state();
        StreamView {
            name: self.name.to_string(),
            source: self.source.clone(),
            state: state.label().to_owned(),
            last_error,
            restarts: self.restarts(),
            account: AccountView::from(&self.ledger.snapshot()),
        }
    }

    fn collect(&self, page: &mut Exposition) {
        telemetry::collect_ledger(page, &self.name, &self.ledger.snapshot());
        let (state, _) = self.state();
        let restarts = self.restarts();
        let status = self.seen().status.clone();
        if let Some(status) = &status {
            telemetry::collect_source(page, &self.name, status);
        }
        let segments = status.map_or(0, |status| status.segments);
        telemetry::collect_stream(page, &self.name, state, restarts, segments);
        telemetry::collect_scout(page, &self.name, &self.scout());
    }
}

/// What the learner said last.
#[derive(Clone, Default)]
pub(super) struct TrainBoard {
    pub preset: String,
    pub device: String,
    pub report: Option<StepReport>,
    /// Why training has ended, when it has.
    pub ended: Option<String>,
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
    pub streams: Vec<Arc<StreamEntry>>,
    pub replay: Arc<Replay>,
    pub decoders: DecodeQueue,
    pub budget: ByteBudget,
    pub provenance: Provenance,
    pub checkpoints: PathBuf,
    /// Memory of the networks, with gradients and optimiser.
    pub model_bytes: u64,
    pub sightings: Sightings,
    pub commands: Sender<Command>,
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

    /// Says why training has ended.
    pub fn training_ended(&self, reason: String) {
        lock(&self.train).ended = Some(reason);
    }

    pub fn enter(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    /// Writes everything that has a snapshot of its own.
    pub fn collect(&self, page: &mut Exposition) {
        for stream in &self.streams {
            stream.collect(page);
        }
        let (decoders, replay) = (self.decoders.snapshot(), self.replay.snapshot());
        telemetry::collect_byte_budget(page, &self.budget);
        telemetry::collect_decode(page, &decoders);
        telemetry::collect_replay(page, &replay);
        let windows: u64 = self
            .streams
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
        };
        telemetry::collect_memory(page, &memory);
    }
}

impl Board {
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
        self.heartbeats
            .iter()
            .map(|heartbeat| heartbeat.pulse(now))
            .collect()
    }

    fn not_ready(&self) -> Vec<String> {
        let mut missing = Vec::new();
        match *lock(&self.phase) {
            Phase::Starting => missing.push("the run is starting".to_owned()),
            Phase::Running => {}
            Phase::Stopping => missing.push("the run is stopping".to_owned()),
        }
        if let Some(reason) = self.train().ended {
            missing.push(format!("training has ended: {reason}"));
        }
        let enabled: Vec<_> = self
            .streams
            .iter()
            .filter(|stream| !stream.is_disabled())
            .collect();
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
        for stream in &self.streams {
            *streams.entry(stream.state().0.label().to_owned()).or_default() += 1;
        }
        let train = self.train();
        let train = train.report.map(|report| TrainView {
            preset: train.preset.clone(),
            device: train.device.clone(),
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
            learning_rate: report.learning_rate,
            nonfinite_steps: report.nonfinite_steps,
        });
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
        }
    }

    fn streams(&self) -> Vec<StreamView> {
        self.streams.iter().map(|stream| stream.view()).collect()
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
        if let Some(reason) = self.train().ended {
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
}
