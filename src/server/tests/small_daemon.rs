use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::ingest::Ledger;
use crate::server::*;
use crate::telemetry::{Heartbeat, Pulse};

/// A small program: one stream, a trainer with a heartbeat, checkpoints that can fail.
pub(super) struct SmallDaemon {
    pub started: Instant,
    pub trainer: Heartbeat,
    pub ledger: Ledger,
    pub streams_run: AtomicBool,
    pub disk_full: AtomicBool,
    /// Asked for a checkpoint, it panics.
    pub broken: AtomicBool,
    /// Names of streams that were added, switched or removed, and whether that was kept.
    pub changes: Mutex<Vec<String>>,
}

impl SmallDaemon {
    pub fn new() -> Arc<Self> {
        Self::with_trainer(Heartbeat::new("train", Duration::from_secs(3600), Instant::now()))
    }

    pub fn with_trainer(trainer: Heartbeat) -> Arc<Self> {
        let started = Instant::now();
        Arc::new(Self {
            started,
            trainer,
            ledger: Ledger::new(),
            streams_run: AtomicBool::new(true),
            disk_full: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            changes: Mutex::default(),
        })
    }
}

impl SmallDaemon {
    fn note(&self, change: String) {
        self.changes.lock().unwrap().push(change);
    }
}

impl Sight for SmallDaemon {}

impl Daemon for SmallDaemon {
    fn pulses(&self) -> Vec<Pulse> {
        vec![self.trainer.pulse(Instant::now())]
    }

    fn not_ready(&self) -> Vec<String> {
        match self.streams_run.load(Ordering::Relaxed) {
            true => Vec::new(),
            false => vec!["stream gate has not started".to_owned()],
        }
    }

    fn status(&self) -> StatusView {
        StatusView {
            version: "0".to_owned(),
            state: "running".to_owned(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            not_ready: self.not_ready(),
            stages: self.pulses().into_iter().map(StageView::from).collect(),
            streams: [("running".to_owned(), 1)].into(),
            replay: None,
            train: Some(TrainView {
                preset: "micro".to_owned(),
                device: "cpu".to_owned(),
                step: 10,
                loss: 1.5,
                context: TaskView {
                    loss: 1.0,
                    top1: 0.5,
                    chance: 0.25,
                },
                motion: TaskView {
                    loss: f64::NAN,
                    top1: f64::NAN,
                    chance: f64::NAN,
                },
                embedding_std: 0.5,
                effective_rank: 9.0,
                samples_per_second: 20.0,
                steps_per_second: 2.5,
                learning_rate: 0.1,
                nonfinite_steps: 0,
            }),
            checkpoint: None,
            probe: None,
        }
    }

    fn streams(&self) -> Vec<StreamView> {
        vec![StreamView {
            name: "gate".to_owned(),
            source: "rtsp://***@camera/".to_owned(),
            origin: "config".to_owned(),
            enabled: true,
            state: "running".to_owned(),
            reason: Some("key frames come".to_owned()),
            since: Some("2026-01-01T00:00:00.000Z".to_owned()),
            last_error: None,
            place: None,
            width: Some(320),
            height: Some(240),
            waiting: false,
            restarts: 0,
            restarts_by_reason: BTreeMap::new(),
            segments: 0,
            failed_files: 0,
            pipelines_left: 0,
            account: AccountView::from(&self.ledger.snapshot()),
        }]
    }

    fn checkpoints(&self) -> Result<Vec<CheckpointView>, String> {
        match self.disk_full.load(Ordering::Relaxed) {
            true => Err("checkpoints: Input/output error".to_owned()),
            false => Ok(Vec::new()),
        }
    }

    fn write_checkpoint(&self) -> Result<CheckpointView, SnapshotError> {
        assert!(!self.broken.load(Ordering::Relaxed), "the daemon broke");
        match self.disk_full.load(Ordering::Relaxed) {
            true => Err(SnapshotError::Failed("no space left on device".to_owned())),
            false => Ok(CheckpointView {
                step: 12,
                path: "checkpoints/00000012".to_owned(),
                latest: true,
                written_at: Some("2026-01-01T00:00:00Z".to_owned()),
                bytes: Some(9),
                error: None,
            }),
        }
    }

    fn replay(&self) -> ReplayView {
        ReplayView {
            samples: 1,
            bytes: 2,
            capacity_bytes: 3,
            spill: None,
            inserted: 4,
            sampled: 5,
            evicted: 0,
            refused: 0,
            samples_per_insert: 8.0,
            balance: 0.0,
        }
    }

    fn train(&self) -> TrainStateView {
        TrainStateView {
            state: "running".to_owned(),
            ended: None,
            report: None,
            probe: None,
        }
    }

    fn change_train(&self, change: TrainChange) -> Result<TrainStateView, ChangeError> {
        match change.learning_rate {
            Some(rate) if rate <= 0.0 => Err(ChangeError::Invalid("learning_rate: above 0".to_owned())),
            _ => Ok(self.train()),
        }
    }

    fn pause_train(&self, pause: Pause) -> Result<TrainStateView, ChangeError> {
        self.note(format!("{pause:?}"));
        Ok(self.train())
    }

    fn add_stream(&self, entry: toml::Table, keep: Keep) -> Result<StreamView, ChangeError> {
        self.note(format!("add {} {keep:?}", entry.to_string().trim()));
        Ok(self.streams().remove(0))
    }

    fn replace_stream(&self, name: &str, entry: toml::Table, keep: Keep) -> Result<StreamView, ChangeError> {
        self.note(format!("replace {name} {} {keep:?}", entry.to_string().trim()));
        Ok(self.streams().remove(0))
    }

    fn switch_stream(&self, name: &str, switch: Switch, keep: Keep) -> Result<StreamView, ChangeError> {
        self.note(format!("switch {name} {switch:?} {keep:?}"));
        match name {
            "gate" => Ok(self.streams().remove(0)),
            _ => Err(ChangeError::NotFound(name.to_owned())),
        }
    }

    fn remove_stream(&self, name: &str, keep: Keep) -> Result<(), ChangeError> {
        self.note(format!("remove {name} {keep:?}"));
        Ok(())
    }

    fn forget_stream(&self, name: &str) -> Result<ForgottenView, ChangeError> {
        self.note(format!("forget {name}"));
        match name {
            "gate" => Ok(ForgottenView::default()),
            _ => Err(ChangeError::NotFound(name.to_owned())),
        }
    }

    fn reload(&self) -> Result<ReloadView, ChangeError> {
        Ok(ReloadView::default())
    }
}
