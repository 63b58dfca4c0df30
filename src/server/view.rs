use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::checkpoint::Listed;
use crate::ingest::{Fate, LedgerSnapshot};
use crate::replay::{LossReason, ReplaySnapshot, SpillSnapshot};
use crate::telemetry::Pulse;

/// `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Version of the program.
    pub version: String,
    /// `starting`, `running` or `stopping`.
    pub state: String,
    /// Seconds since the program started.
    pub uptime_seconds: f64,
    /// What keeps it from being ready; empty when it is.
    pub not_ready: Vec<String>,
    /// Heartbeats.
    pub stages: Vec<StageView>,
    /// How many streams are in which state.
    pub streams: BTreeMap<String, usize>,
    /// The replay buffer.
    pub replay: Option<ReplayView>,
    /// The learner, from its first report on.
    pub train: Option<TrainView>,
    /// When the next checkpoint is due.
    #[serde(default)]
    pub checkpoint: Option<CheckpointDue>,
    /// What k-NN on the probe folder says; null where none is configured.
    #[serde(default)]
    pub probe: Option<ProbeView>,
}

/// k-NN on the probe folder by the features of now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeView {
    /// Videos of the folder that could be decoded; as many as it lists until that is known.
    pub videos: u64,
    /// Videos that could not.
    pub unreadable: u64,
    /// Classes of the folder.
    pub classes: u64,
    /// The last figure; null before the first.
    pub last: Option<ProbeFigures>,
    /// Why the newest probe came to nothing; null where it did not.
    pub failure: Option<String>,
}

/// What the last probe found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeFigures {
    /// Step behind the network.
    pub step: u64,
    /// Share of the videos asked about that were given their class.
    pub accuracy: f64,
    /// What that would be for always naming the commonest class.
    pub chance: f64,
    /// Videos asked about: those of `test/`, or each against all others.
    pub queries: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

impl std::fmt::Display for ProbeView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.last {
            Some(last) => write!(
                f,
                "{:.1} % of {} videos (chance {:.1} %), at step {}",
                100.0 * last.accuracy,
                last.queries,
                100.0 * last.chance,
                last.step
            )?,
            None => write!(f, "no figure yet")?,
        }
        match &self.failure {
            Some(reason) => write!(f, "; the newest failed: {reason}"),
            None => Ok(()),
        }
    }
}

/// When the next checkpoint is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointDue {
    /// Step of the newest of this run; null before the first.
    pub step: Option<u64>,
    /// Seconds since the newest, or since the start.
    pub age_seconds: f64,
    /// Seconds from one to the next.
    pub every_seconds: f64,
}

impl std::fmt::Display for CheckpointDue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let due = Duration::from_secs((self.every_seconds - self.age_seconds).max(0.0) as u64);
        let due = humantime::format_duration(due);
        match self.step {
            Some(step) => write!(f, "the next in {due}, the last at step {step}"),
            None => write!(f, "the first in {due}"),
        }
    }
}

/// A stage's sign of life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StageView {
    /// Which stage.
    pub stage: String,
    /// Whether it has been silent for no longer than it may.
    pub alive: bool,
    /// Seconds since its last beat.
    pub silent_seconds: f64,
    /// Seconds that it may be silent.
    pub silence_allowed_seconds: f64,
}

impl From<Pulse> for StageView {
    fn from(pulse: Pulse) -> Self {
        Self {
            alive: pulse.is_alive(),
            silent_seconds: pulse.silence.as_secs_f64(),
            silence_allowed_seconds: pulse.silence_allowed.as_secs_f64(),
            stage: pulse.stage,
        }
    }
}

/// The replay buffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplayView {
    /// Samples held.
    pub samples: u64,
    /// Memory that they take.
    pub bytes: u64,
    /// Memory that they may take.
    pub capacity_bytes: u64,
    /// The part on disk; null where none is configured.
    #[serde(default)]
    pub spill: Option<SpillView>,
    /// Samples taken since the start.
    pub inserted: u64,
    /// Draws since the start.
    pub sampled: u64,
    /// Samples that made room since the start.
    pub evicted: u64,
    /// Samples not taken since the start.
    pub refused: u64,
    /// How often a sample is to be trained on.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub samples_per_insert: f64,
    /// Draws that inserts have paid for and nobody has made yet.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub balance: f64,
}

/// Replay's part on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpillView {
    /// Samples there.
    pub samples: u64,
    /// Size of its files.
    pub bytes: u64,
    /// Size that they may have.
    pub capacity_bytes: u64,
    /// Samples that the disk did not take or give back since the start, by reason.
    pub lost: BTreeMap<String, u64>,
    /// The last write failed: samples that memory has no room for are lost.
    pub stopped: bool,
}

impl From<&SpillSnapshot> for SpillView {
    fn from(spill: &SpillSnapshot) -> Self {
        let lost = LossReason::ALL.into_iter().zip(spill.lost);
        Self {
            samples: spill.samples as u64,
            bytes: spill.bytes,
            capacity_bytes: spill.capacity_bytes,
            lost: lost
                .map(|(reason, lost)| (reason.label().to_owned(), lost))
                .collect(),
            stopped: spill.stopped,
        }
    }
}

impl From<&ReplaySnapshot> for ReplayView {
    fn from(replay: &ReplaySnapshot) -> Self {
        Self {
            samples: replay.samples as u64,
            bytes: replay.bytes as u64,
            capacity_bytes: replay.capacity_bytes as u64,
            spill: replay.spill.as_ref().map(SpillView::from),
            inserted: replay.inserted,
            sampled: replay.sampled,
            evicted: replay.evicted,
            refused: replay.refused + replay.refused_by_spill + replay.not_kept,
            samples_per_insert: replay.samples_per_insert_wanted,
            balance: replay.balance,
        }
    }
}

/// The learner at its last report. A figure that was not finite is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainView {
    /// Size of the networks.
    pub preset: String,
    /// Where they run.
    pub device: String,
    /// Optimiser step, counted over all resumes.
    pub step: u64,
    /// The loss that is minimised.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub loss: f64,
    /// The key frame's task.
    pub context: TaskView,
    /// The motion's task.
    pub motion: TaskView,
    /// Spread of the embeddings.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub embedding_std: f64,
    /// Effective rank of the embeddings.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub effective_rank: f64,
    /// Throughput.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub samples_per_second: f64,
    /// Optimiser steps a second, waiting counted.
    #[serde(default, deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub steps_per_second: f64,
    /// Learning rate.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub learning_rate: f64,
    /// Steps left out because something was not finite.
    pub nonfinite_steps: u64,
}

/// One of the two tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its loss.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub loss: f64,
    /// Share of queries whose positive came out nearest.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub top1: f64,
    /// What that would be without any knowledge.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(value_type = Option<f64>)]
    pub chance: f64,
}

/// One entry of `GET /api/v1/streams`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StreamView {
    /// Name in config, logs and metrics.
    pub name: String,
    /// Where it comes from, without credentials.
    pub source: String,
    /// Where its entry stands: `config`, `stream_folder`, `command_line` or `api`.
    pub origin: String,
    /// Whether it was told to run.
    pub enabled: bool,
    /// As in `comove_stream_state`.
    pub state: String,
    /// Why it is in this state, without credentials; null before it was first.
    pub reason: Option<String>,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// What ended it last, without credentials.
    pub last_error: Option<String>,
    /// The file or URI that is open now, without credentials.
    pub place: Option<String>,
    /// Columns of the last access unit.
    pub width: Option<u32>,
    /// Rows of the last access unit.
    pub height: Option<u32>,
    /// Whether the source waits for comove now.
    pub waiting: bool,
    /// Times its source, or its whole group, was started again.
    pub restarts: u64,
    /// The same by reason, as in `comove_stream_restarts_total`.
    pub restarts_by_reason: BTreeMap<String, u64>,
    /// Continuous pieces of video that ended.
    pub segments: u64,
    /// Files that could not be read, or not to their end.
    pub failed_files: u64,
    /// Pipelines that could not be stopped in time.
    pub pipelines_left: u64,
    /// Its access units.
    pub account: AccountView,
}

/// A stream's access units: received = used + all skipped + all dropped + buffered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Access units that left the demuxer.
    pub received: u64,
    /// Bytes that left the demuxer.
    pub received_bytes: u64,
    /// Part of at least one sample.
    pub used: u64,
    /// Left out on purpose, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Lost, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Still held by some stage.
    pub buffered: u64,
}

impl From<&LedgerSnapshot> for AccountView {
    fn from(account: &LedgerSnapshot) -> Self {
        let reasons = |wanted: fn(&Fate) -> bool| {
            let fates = Fate::ALL.into_iter().filter(wanted);
            fates
                .map(|fate| (fate.label().to_owned(), account.settled(fate)))
                .filter(|(_, units)| *units > 0)
                .collect()
        };
        Self {
            received: account.received,
            received_bytes: account.received_bytes,
            used: account.settled(Fate::Used),
            skipped: reasons(|fate| matches!(fate, Fate::Skipped(_))),
            dropped: reasons(|fate| matches!(fate, Fate::Dropped(_))),
            buffered: account.buffered,
        }
    }
}

/// One entry of `GET /api/v1/checkpoints`, and the answer to a POST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointView {
    /// Optimiser step.
    pub step: u64,
    /// Folder.
    pub path: String,
    /// Whether `latest` points at it.
    pub latest: bool,
    /// When it was written, RFC 3339; null where its manifest is damaged.
    pub written_at: Option<String>,
    /// Size of the files that its manifest names; null where that is damaged.
    pub bytes: Option<u64>,
    /// What is wrong with its manifest. The other files are not read: `comove checkpoint verify` does that.
    pub error: Option<String>,
}

impl From<&Listed> for CheckpointView {
    fn from(listed: &Listed) -> Self {
        let manifest = listed.manifest.as_ref();
        let sound = manifest.ok();
        Self {
            step: listed.step,
            path: listed.path.display().to_string(),
            latest: listed.latest,
            written_at: sound.map(|manifest| {
                let written = UNIX_EPOCH + Duration::from_secs(manifest.created_unix);
                humantime::format_rfc3339_seconds(written).to_string()
            }),
            bytes: sound.map(|manifest| manifest.files.iter().map(|file| file.bytes).sum()),
            error: manifest.err().map(ToString::to_string),
        }
    }
}

/// JSON has no NaN: what was not finite was written as null.
fn number_or_null<'de, D: Deserializer<'de>>(value: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(f64::NAN))
}
