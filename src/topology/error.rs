use std::io;
use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::decode::DecodeError;
use crate::eval::EvalError;
use crate::ingest::{IngestError, StreamName};
use crate::replay::{ReplayConfigError, SpillError};
use crate::server::ServerError;
use crate::train::TrainError;
use crate::window::ScoutError;

/// Why a run did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing to learn from was named.
    #[error("there is no stream: name a file, a folder or a URI, or add [[stream]] to the config")]
    NoStreams,
    /// A stream's source, or the pipelines, cannot be.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A stream's source cannot be read. Found before any work started.
    #[error("stream {stream}: {source}")]
    Source {
        /// The stream.
        stream: StreamName,
        /// What is wrong with it.
        source: IngestError,
    },
    /// The replay section.
    #[error(transparent)]
    Replay(#[from] ReplayConfigError),
    /// Replay's folder on disk.
    #[error("replay.spill: {0}")]
    Spill(#[from] SpillError),
    /// No decoder.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A scout did not start.
    #[error(transparent)]
    Scout(#[from] ScoutError),
    /// The probe folder. Found before any work started.
    #[error("probe.dir: {0}")]
    Probe(EvalError),
    /// The port or the token.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// There is nothing to go on from, or it is damaged.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Training did not start, or failed. The last snapshot stands.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An actor did not start.
    #[error("{what} did not start: {reason}")]
    Actor {
        /// Which.
        what: String,
        /// Why.
        reason: String,
    },
    /// Every stream is over and none of them gave a sample.
    #[error("nothing was learned: {0}")]
    NothingLearned(String),
    /// Training ended, but its last snapshot could not be written.
    #[error(
        "the last checkpoint, of step {step}, could not be written (the log says why); the newest complete one is {}",
        .saved_step.map_or("of an earlier run, if any".to_owned(), |saved| format!("that of step {saved}"))
    )]
    LastCheckpoint {
        /// Steps finished.
        step: u64,
        /// The newest one of this run that was written.
        saved_step: Option<u64>,
    },
    /// The folder holds what an earlier run learned.
    #[error(
        "{} holds checkpoints of an earlier run, the newest of step {step}: go on from it with --resume, or choose another \
         folder with --checkpoint-dir",
        .dir.display()
    )]
    CheckpointsPresent {
        /// `checkpoint.dir`.
        dir: PathBuf,
        /// Step of the newest one.
        step: u64,
    },
    /// It was told to stop a second time, and did so at once: what was learned since the last snapshot is lost.
    #[error("stopped at once, as told twice; what was learned since the last checkpoint is lost")]
    Impatience,
    /// The system refused something basic.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}
