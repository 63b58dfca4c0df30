use std::sync::Arc;

use super::spill::{SpillError, SpilledSample};
use super::{Sample, SampleHead, SampleId, TimeRange};
use crate::ingest::StreamName;

/// A stored sample, wherever its pictures and motion are. Cheap to copy.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredSample {
    /// In memory.
    Memory(Arc<Sample>),
    /// On disk.
    Disk(Arc<SpilledSample>),
}

impl StoredSample {
    /// Its id.
    pub fn id(&self) -> SampleId {
        match self {
            Self::Memory(sample) => sample.id,
            Self::Disk(spilled) => spilled.head().id,
        }
    }

    /// Where it comes from.
    pub fn stream(&self) -> &StreamName {
        match self {
            Self::Memory(sample) => &sample.stream,
            Self::Disk(spilled) => &spilled.head().stream,
        }
    }

    /// Its segment within the stream's run.
    pub fn segment(&self) -> u64 {
        match self {
            Self::Memory(sample) => sample.segment,
            Self::Disk(spilled) => spilled.head().segment,
        }
    }

    /// When its pictures arrived.
    pub fn arrival(&self) -> TimeRange {
        match self {
            Self::Memory(sample) => sample.arrival,
            Self::Disk(spilled) => spilled.head().arrival,
        }
    }

    /// When it begins, by its stream's clock where it has one.
    pub(super) fn begins_ns(&self) -> u64 {
        let pts = match self {
            Self::Memory(sample) => sample.pts,
            Self::Disk(spilled) => spilled.head().pts,
        };
        pts.unwrap_or(self.arrival()).first_ns
    }

    /// Memory that it takes where it is in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Memory(sample) => sample.bytes(),
            Self::Disk(spilled) => Sample::bytes_of(&spilled.head().spec),
        }
    }

    /// The sample, where it is in memory.
    pub fn in_memory(&self) -> Option<&Arc<Sample>> {
        match self {
            Self::Memory(sample) => Some(sample),
            Self::Disk(_) => None,
        }
    }

    /// What is known of it without its pictures and motion.
    pub fn head(&self) -> SampleHead {
        match self {
            Self::Memory(sample) => sample.head(),
            Self::Disk(spilled) => spilled.head().clone(),
        }
    }

    /// The sample, read where it is on disk.
    ///
    /// # Errors
    /// The disk does not give it, or not as it was written.
    pub fn load(&self) -> Result<Arc<Sample>, SpillError> {
        match self {
            Self::Memory(sample) => Ok(sample.clone()),
            Self::Disk(spilled) => spilled.read().map(Arc::new),
        }
    }
}
