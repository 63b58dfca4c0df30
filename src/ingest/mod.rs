//! GStreamer pipelines → [`AccessUnit`]s.
//!
//! Takes a URI, a file or a folder; gives compressed access units in decoding order with the segment that they belong
//! to, as [`IngestItem`]s on a bounded channel. Never decodes. GStreamer's streaming thread carries the units; an actor a
//! stream starts, watches and restarts the pipeline. Overloaded, a file source waits and a live one sheds whole GOPs. A file
//! that fails is skipped and counted; a network source is opened again after a growing wait.

mod access_unit;
mod actor;
mod backoff;
mod config;
mod container;
mod credit;
mod error;
mod exact_size;
mod host_pacer;
mod intake;
mod ledger;
mod lifecycle;
mod opener;
mod parameter_sets;
mod pipeline;
mod pipeline_slot;
mod playlist;
mod probe;
mod reader;
mod redact;
mod remote;
mod secrets;
mod segmenter;
mod source;
mod stream;
mod stream_state;
mod synthetic;
mod template;
mod tracks;

pub use access_unit::{AccessUnit, StreamName, VideoFormat};
pub use actor::{OwnMessage, StreamActor, StreamKeeper, StreamMessage};
pub use config::{IngestConfig, Repeat, StreamConfig, StreamOrigin, Transport, resolve_streams};
pub use container::{Container, VIDEO_EXTENSIONS};
pub use credit::{ByteBudget, ByteCredit, CreditError};
pub use error::IngestError;
pub use exact_size::exact_size;
pub use host_pacer::HostPacer;
pub use intake::{FirstNumbers, IngestItem, WallClock};
pub use ledger::{DropReason, Fate, Ledger, LedgerSnapshot, Receipt, SkipReason};
pub use playlist::{FilePlace, Playlist};
pub use probe::{Probe, probe};
pub use reader::UnitReader;
pub use redact::{RedactedUri, redact_uris};
pub use secrets::Secret;
pub use segmenter::SegmentEndReason;
pub use source::{SourceKind, SyntheticConfig};
pub use stream::{StreamParts, StreamReport, StreamStatus};
pub use stream_state::{RestartReason, StreamState};
pub use template::Templates;
