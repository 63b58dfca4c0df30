use std::fmt;

use serde::{Deserialize, Serialize};

use super::IngestError;

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// Its source is being opened.
    Starting,
    /// Access units come, but none yet that decoding can start with.
    WaitingForKeyFrame,
    /// Access units come.
    Running,
    /// Nothing has come for too long; the source is being closed.
    Stalled,
    /// It waits before its source is opened again.
    BackingOff,
    /// It was told to stop, or not to start.
    Disabled,
    /// Its source is over. It does not start again.
    Ended,
}

impl StreamState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::WaitingForKeyFrame,
        Self::Running,
        Self::Stalled,
        Self::BackingOff,
        Self::Disabled,
        Self::Ended,
    ];

    /// The state as a metrics label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::WaitingForKeyFrame => "waiting_for_key_frame",
            Self::Running => "running",
            Self::Stalled => "stalled",
            Self::BackingOff => "backing_off",
            Self::Disabled => "disabled",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The kind of failure after which a source is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestartReason {
    /// It could not be opened: refused, away, not found.
    Unreachable,
    /// It was opened, and no video came.
    NoVideo,
    /// Video came, and then nothing.
    Stalled,
    /// A live source said that it is over.
    Ended,
    /// What it gives is nothing that comove learns from.
    Unusable,
    /// It failed while it gave video.
    Failed,
}

impl RestartReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Unreachable,
        Self::NoVideo,
        Self::Stalled,
        Self::Ended,
        Self::Unusable,
        Self::Failed,
    ];

    /// The reason as a metrics label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoVideo => "no_video",
            Self::Stalled => "stalled",
            Self::Ended => "ended",
            Self::Unusable => "unusable",
            Self::Failed => "failed",
        }
    }

    /// Why a source in this state failed.
    pub(super) fn of(error: &IngestError, state: StreamState) -> Self {
        match error {
            IngestError::LiveEnded { .. } => Self::Ended,
            IngestError::Silent { .. } if state == StreamState::Starting => Self::NoVideo,
            IngestError::Silent { .. } => Self::Stalled,
            IngestError::Pipeline { .. } | IngestError::Unreadable { .. }
                if state == StreamState::Starting =>
            {
                Self::Unreachable
            }
            IngestError::Pipeline { .. } => Self::Failed,
            _ => Self::Unusable,
        }
    }
}
