//! What the daemon says to the outside over HTTP: `/metrics`, `/healthz`, `/readyz`, `/api/v1/…`, and the page at
//! `/`.
//!
//! Takes a [`Daemon`], which the topology implements, and a [`Registry`](crate::telemetry::Registry). Runs on the tokio
//! runtime; everything that it asks of the daemon runs on a blocking thread, so that a slow disk delays one answer and
//! nothing else. Overloaded it lets connections wait in the kernel's queue; a failed answer is an answer, never a crash.
//!
//! Reading is open to whoever reaches the port, which is loopback by default. Changing needs the bearer token where one is
//! configured; where none is, it is allowed from loopback only, and to no browser page and no proxied client (`guard`).

mod api;
mod change;
mod change_api;
mod client;
mod config;
mod daemon;
mod guard;
mod listener;
mod openapi;
mod page;
mod read_api;
mod refusals;
mod view;

#[cfg(test)]
mod tests;

pub use change::{
    ChangeError, ForgottenView, Keep, ReloadView, StreamEntryBody, SyntheticValue, TrainChange,
    TrainStateView,
};
pub use client::{Client, ClientError};
pub use config::{READ_TOKEN_VARIABLE, ServerConfig, TOKEN_VARIABLE};
pub use daemon::{Daemon, Pause, SnapshotError, Switch};
pub use guard::check_token;
pub use listener::{Server, ServerError};
pub use page::{HistoryPoint, KeyFrame, Neighbourhood, SampleCard, Sight, StreamPoint, TrainPoint};
pub use view::{
    AccountView, CheckpointDue, CheckpointView, ProbeFigures, ProbeView, ReplayView, SpillView, StageView,
    StatusView, StreamView, TaskView, TrainView,
};
