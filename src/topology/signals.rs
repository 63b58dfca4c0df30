use tokio::signal::unix::{Signal, SignalKind, signal};

use super::RunError;

/// The signals that a run obeys: SIGINT and SIGTERM end it in good order, SIGUSR1 asks for a snapshot.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    user1: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end: the signal's name.
    End(&'static str),
    /// To write a snapshot.
    Snapshot,
}

impl Signals {
    /// Takes the signals over from the system's defaults.
    pub fn new() -> Result<Self, RunError> {
        let take = |kind| {
            signal(kind).map_err(|source| RunError::System {
                what: "a signal handler could not be set",
                source,
            })
        };
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            user1: take(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.user1.recv() => Asked::Snapshot,
        }
    }
}
