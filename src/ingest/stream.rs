use std::{collections::BTreeMap, sync::Arc};

use crossbeam_channel::Sender;
use serde::Serialize;

use super::{
    ByteBudget, FilePlace, FirstNumbers, HostPacer, IngestConfig, IngestItem, Ledger, LedgerSnapshot, Repeat,
    SourceKind, StreamConfig, StreamName, StreamState, Templates, WallClock,
    lifecycle::{Manner, OnEnd, OnFailure},
};

/// Everything a stream needs.
pub struct StreamParts {
    /// Its name.
    pub name: StreamName,
    /// Where its video comes from.
    pub source: SourceKind,
    /// Its entry in the config.
    pub config: StreamConfig,
    /// What all streams share.
    pub ingest: IngestConfig,
    /// The pipelines.
    pub templates: Templates,
    /// Accounts for every access unit.
    pub ledger: Ledger,
    /// Memory for access units, shared by all streams.
    pub budget: ByteBudget,
    /// Where access units go; bounded, with room for at least two items.
    pub items: Sender<IngestItem>,
    /// Spaces the attempts to open a host's streams again.
    pub pacer: HostPacer,
    /// What its first segment and unit are called.
    pub first: FirstNumbers,
    /// The file that a list of files begins with, if not its first.
    pub begin: Option<FilePlace>,
    /// Time of arrival.
    pub wall_clock: WallClock,
    /// Chooses the jitter of restarts.
    pub random_seed: u64,
    /// Told of every change of state. Must not block.
    pub report: Arc<dyn Fn(StreamReport) + Send + Sync>,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// The stream's name.
    pub stream: String,
    /// The new state.
    pub state: StreamState,
    /// Why, in words; no credentials.
    pub reason: String,
    /// Whether a failure led to it. A stream that ended like this gave nothing.
    pub failed: bool,
    /// Since when, nanoseconds since the Unix epoch.
    pub since_unix_ns: u64,
}

/// A stream at one instant.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// The state, and why.
    pub report: StreamReport,
    /// The source, without credentials.
    pub source: String,
    /// The file or URI that is open now, without credentials.
    pub place: Option<String>,
    /// Columns and rows of the last access unit.
    pub size: Option<(u32, u32)>,
    /// Access units that came, shed ones too.
    pub units: u64,
    /// Access units shed because comove did not keep up.
    pub shed_units: u64,
    /// Segments that have ended.
    pub segments: u64,
    /// Whether the source waits for comove now.
    pub waiting: bool,
    /// Times that a failed source was opened again, by the [`RestartReason`](super::RestartReason)'s label.
    pub restarts: BTreeMap<&'static str, u64>,
    /// Files that could not be read, or not to their end.
    pub failed_files: u64,
    /// Passes over the files begun.
    pub passes: u64,
    /// Pipelines that could not be stopped in time and were left behind.
    pub leaked_pipelines: u64,
    /// Those of them that have not stopped since.
    pub hanging_pipelines: u64,
    /// What became of the access units.
    pub ledger: LedgerSnapshot,
}

/// How a source of this kind behaves.
pub(super) fn manner(parts: &StreamParts) -> Manner {
    let endless = parts.config.repeat == Repeat::Endless;
    let (on_failure, on_end, watched) = match &parts.source {
        SourceKind::File(_) | SourceKind::Folder(_) => (OnFailure::NextFile, OnEnd::Next, false),
        SourceKind::Rtsp(_) => (OnFailure::BackOff, OnEnd::Failure, true),
        SourceKind::Http(_) if endless => (OnFailure::BackOff, OnEnd::Next, true),
        SourceKind::Http(_) => (OnFailure::BackOff, OnEnd::End, true),
        SourceKind::Synthetic(synthetic) => (OnFailure::End, OnEnd::End, synthetic.live),
    };
    let stall_timeout = parts.config.stall_timeout.unwrap_or(parts.ingest.stall_timeout);
    Manner {
        place: parts.source.to_string(),
        on_failure,
        on_end,
        endless,
        open_timeout: parts.ingest.open_timeout,
        stall_timeout: watched.then_some(stall_timeout),
    }
}
