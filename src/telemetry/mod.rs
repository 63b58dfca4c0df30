//! Logs and metrics: what every other stage did, for people and for Prometheus.
//!
//! [`table`] is the one list of metric names. Stages count events through the typed handles here, and what already has a
//! consistent snapshot (ledgers, replay, the process) is written at scrape time by a collector of the [`Registry`].
//! Nothing here blocks: a handle is an atomic, a scrape copies. The `metrics` crate's own macros are banned by
//! clippy.toml: they count into a global recorder, and there is none.

mod checkpoint;
mod decode;
mod exposition;
mod heartbeat;
mod ledger;
mod log;
mod memory;
mod probe;
mod process;
mod reference;
mod registry;
mod replay;
mod stream;
pub mod table;
mod train;
mod window;

pub use checkpoint::CheckpointMetrics;
pub use decode::collect_decode;
pub use exposition::Exposition;
pub use heartbeat::{Heartbeat, Pulse};
pub use ledger::{collect_byte_budget, collect_ledger};
pub use log::{LogConfig, LogError, LogFormat, start_log, start_log_to};
pub use memory::{MemoryByOwner, collect_memory};
pub use probe::ProbeMetrics;
pub use reference::reference;
pub use registry::Registry;
pub use replay::collect_replay;
pub use stream::{SourceCounts, collect_stream};
pub use train::TrainMetrics;
pub use window::collect_scout;
