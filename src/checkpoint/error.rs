use std::{io, path::PathBuf};

use crate::model::ModelError;
use crate::replay::SpillError;

/// Why a snapshot could not be written or read. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "read", "rename", …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes to this folder.
    #[error("{} is in use by another comove; each needs a checkpoint folder of its own", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is no snapshot here.
    #[error("{} is no snapshot and holds none: there is neither a manifest.json nor a folder <step>/ with one", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The manifest is not what comove wrote.
    #[error("{} is corrupt: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The snapshot was written by a comove of another format.
    #[error("{} has format version {found}; this comove reads version {expected}", path.display())]
    FormatVersion {
        /// The manifest.
        path: PathBuf,
        /// What this comove reads.
        expected: u32,
        /// What it says.
        found: u64,
    },
    /// A file has another size than when it was written.
    #[error("{} is corrupt: it has {found} bytes, {expected} were written", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes written.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A file has another content than when it was written.
    #[error("{} is corrupt: its SHA-256 is {found}, {expected} was written", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Of what was written.
        expected: String,
        /// Of what was found.
        found: String,
    },
    /// A file cannot be written as, or read from, safetensors.
    #[error("{}: not a safetensors file that comove can use: {reason}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file holds other tensors than the network needs.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Which tensor, and what would be right.
        source: ModelError,
    },
    /// An export would be mixed with other files.
    #[error("{} is not empty; name a new folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The network cannot be exported as a program.
    #[error("{}: the network cannot be exported: {reason}", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Samples of replay on disk.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// The thread that writes snapshots is gone.
    #[error("the snapshot writer has stopped")]
    WriterStopped,
}

impl CheckpointError {
    /// For `map_err` around an operation of the file system.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
