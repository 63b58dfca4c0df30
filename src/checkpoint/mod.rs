//! A [`Snapshot`] in memory ↔ a folder `DIR/<step>/` on disk, complete and verified or not there at all.
//!
//! A snapshot is written beside its place, every file synced, `manifest.json` last, then renamed; `DIR/latest` is swapped
//! after that. A kill at any moment leaves the snapshots from before, and whoever opens the folder next clears away what was
//! half written. A write that fails changes nothing and is an error to its caller. [`SnapshotWriter`] writes on a thread of
//! its own, so that training goes on meanwhile.
//!
//! Replay's samples lie beside the snapshots, in packs that are written once and shared (`DIR/replay/`); a snapshot writes what
//! is new since the last one, before anything else, and packs that no snapshot names are deleted after everything else. Samples that
//! replay has on disk itself are named where they are, and held there while a kept snapshot names them.

mod config;
mod error;
mod export;
mod export_card;
mod folder;
mod forget;
mod held_slots;
mod load;
mod manifest;
mod retention;
mod sample_index;
mod sample_packs;
mod tensor_file;
mod write;
mod writer;

pub use config::CheckpointConfig;
pub use error::CheckpointError;
pub use export::{EXPORTED_CARD, EXPORTED_SCRIPT, EXPORTED_TENSORS, Exported, export};
pub use folder::{CheckpointFolder, Listed, list, resolve};
pub use forget::Forgot;
pub use load::{Resumable, load_for_resume, load_samples, load_weights, show, verify};
pub use manifest::{FileEntry, Forgotten, Manifest};
pub use retention::{Retention, newest_first, pin};
pub use tensor_file::NamedTensor;
pub use write::{Snapshot, Written};
pub use writer::{ForgetJob, SnapshotWriter, WriteJob, WriteOutcome};
