use super::{
    ChangeError, CheckpointView, ForgottenView, Keep, ReloadView, ReplayView, Sight, StatusView, StreamView,
    TrainChange, TrainStateView,
};
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

    /// The replay buffer.
    fn replay(&self) -> ReplayView;

    /// The learner.
    fn train(&self) -> TrainStateView;

    /// Changes how it learns, from the next step on.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn change_train(&self, change: TrainChange) -> Result<TrainStateView, ChangeError>;

    /// Lets training pause after the step under way, or go on.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn pause_train(&self, pause: Pause) -> Result<TrainStateView, ChangeError>;

    /// Adds a stream.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn add_stream(&self, entry: toml::Table, keep: Keep) -> Result<StreamView, ChangeError>;

    /// Puts a stream in the place of the one of this name, or adds it.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn replace_stream(&self, name: &str, entry: toml::Table, keep: Keep) -> Result<StreamView, ChangeError>;

    /// Starts or stops a stream.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn switch_stream(&self, name: &str, switch: Switch, keep: Keep) -> Result<StreamView, ChangeError>;

    /// Stops a stream and takes it out.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn remove_stream(&self, name: &str, keep: Keep) -> Result<(), ChangeError>;

    /// Lets all samples of a stream go, and marks the checkpoints that learned from it. A stream that runs gives new ones.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn forget_stream(&self, name: &str) -> Result<ForgottenView, ChangeError>;

    /// Reads the config again and does what differs.
    ///
    /// # Errors
    /// [`ChangeError`].
    fn reload(&self) -> Result<ReloadView, ChangeError>;
}

/// Whether training pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It does.
    Pause,
    /// It goes on.
    Resume,
}

/// Whether a stream runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It does.
    On,
    /// It does not.
    Off,
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
