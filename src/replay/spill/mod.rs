//! Samples that memory has no room for, in files of fixed slots: bounded in bytes, checksummed, freed by letting go of them.
//!
//! A [`SpillFolder`] holds segment files, each a row of slots of one size; a slot holds one sample's record. Whoever holds a
//! [`SpilledSample`] (replay's table, a batch that is being read, a checkpoint that names it) keeps its slot from being written
//! again; the last one to let go frees it. So nothing is ever moved or compacted, the files' bytes are the bound, and what a kept
//! checkpoint names stays as it was. No thread, no policy: replay's table decides what comes here.
//!
//! Records are read with positioned reads, not through a memory map: slower by 0.1 ms from the page cache and faster from the disk
//! (docs/performance-replay.md), and a page that the disk does not give, or a file cut short, is an error that costs one sample,
//! where a map raises SIGBUS and ends the process.

mod config;
mod counts;
mod folder;
mod segment;
mod slots;
mod spilled;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::record::WrongRecordSize;

pub use config::SpillConfig;
pub use counts::{LossReason, READ_SECONDS, SpillSnapshot};
pub use folder::SpillFolder;
pub(crate) use spilled::SpillReader;
pub use spilled::{SlotPlace, SpilledSample};

/// What went wrong with a sample on disk, or with the folder.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The file system refused.
    #[error("{}: cannot {what}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// The bytes are not the ones that were written.
    #[error("{}: slot {slot} is damaged: its CRC-32 is {found:08x}, not {expected:08x}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The slot in it.
        slot: u32,
        /// As it was written.
        expected: u32,
        /// As it was read.
        found: u32,
    },
    /// A segment that is not there.
    #[error("{}: there is no segment {segment}", path.display())]
    NoSegment {
        /// The folder.
        path: PathBuf,
        /// Its number.
        segment: u64,
    },
    /// All slots are taken, by stored samples or by checkpoints.
    #[error("{}: every slot is taken", path.display())]
    NoSlot {
        /// The folder.
        path: PathBuf,
    },
    /// A sample of another shape than the run's.
    #[error("a sample of another shape: {0}")]
    WrongShape(#[from] WrongRecordSize),
    /// The checkpoints that name its slots are not watched any more, so nothing may be written.
    #[error("{}: the run is over", path.display())]
    Closed {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes there.
    #[error("{}: another comove has it open", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl SpillError {
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
