//! A [`Snapshot`] in memory ↔ a folder `DIR/<step>/` on disk, complete and verified or not there at all.
//!
//! A snapshot is written beside its place, every file synced, `manifest.json` last, then renamed; `DIR/latest` is swapped
//! after that. A kill at any moment leaves the snapshots from before, and whoever opens the folder next clears away what was
//! half written. A write that fails changes nothing and is an error to its caller. [`SnapshotWriter`] writes on a thread of
//! its own, so that training goes on meanwhile.

mod config;
mod error;
mod folder;
mod load;
mod manifest;
mod tensor_file;
mod write;
mod writer;

pub use config::CheckpointConfig;
pub use error::CheckpointError;
pub use folder::{CheckpointFolder, Listed, list, resolve};
pub use load::{Resumable, load_for_resume, load_weights, show, verify};
pub use manifest::{FileEntry, Manifest};
pub use tensor_file::NamedTensor;
pub use write::{Snapshot, Written};
pub use writer::{SnapshotWriter, WriteJob, WriteOutcome};
