use super::{CheckpointView, Sight, StatusView, StreamView};
use crate::telemetry::Pulse;

/// What the server asks of the running program. Called on blocking threads, from several at once.
pub trait Daemon: Sight + Send + Sync + 'static {
    /// The heartbeat of every stage that must be alive.
    fn pulses(&self) -> Vec<Pulse>;

    /// What is still missing before the program does its work, a sentence each; empty when it does.
    fn not_ready(&self) -> Vec<String>;

    /// The program as a whole.
    fn status(&self) -> StatusView;

    /// Every stream, in the config's order.
    fn streams(&self) -> Vec<StreamView>;

    /// Every snapshot in the checkpoint folder, newest first.
    ///
    /// # Errors
    /// What kept the folder from being read, for people.
    fn checkpoints(&self) -> Result<Vec<CheckpointView>, String>;

    /// Writes a snapshot after the step that is under way, and returns when it is in place.
    ///
    /// # Errors
    /// See [`SnapshotError`]; the snapshot before it still stands.
    fn write_checkpoint(&self) -> Result<CheckpointView, SnapshotError>;
}

/// Why no snapshot was written on demand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// One is being written.
    #[error("a checkpoint is being written already")]
    Busy,
    /// The trainer has ended or the program is stopping.
    #[error("the trainer is not running: {0}")]
    NotTraining(String),
    /// It was tried.
    #[error("the checkpoint could not be written: {0}")]
    Failed(String),
}
