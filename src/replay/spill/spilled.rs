use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::segment::{Segment, segments_in};
use super::{SpillError, SpillFolder};
use crate::replay::record::{SampleLayout, sample_of};
use crate::replay::{Sample, SampleHead};

/// Where a sample is in a folder of segments, and what its bytes are: what a checkpoint keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotPlace {
    /// The segment's number.
    pub segment: u64,
    /// The slot in it.
    pub slot: u32,
    /// CRC-32 of its record.
    pub crc32: u32,
}

/// A sample on disk. Its slot stays as it is while anyone holds this.
#[derive(Debug)]
pub struct SpilledSample {
    pub(super) head: SampleHead,
    pub(super) at: SlotPlace,
    pub(super) segment: Arc<Segment>,
    pub(super) folder: Arc<SpillFolder>,
    pub(super) wipe: AtomicBool,
}

impl SpilledSample {
    /// What is known of it without reading.
    pub fn head(&self) -> &SampleHead {
        &self.head
    }

    /// Where it is.
    pub fn at(&self) -> SlotPlace {
        self.at
    }

    /// The folder that it lies in.
    pub(crate) fn folder(&self) -> &Arc<SpillFolder> {
        &self.folder
    }

    /// Its bytes are to be gone when nobody holds it any more.
    pub(crate) fn wipe_when_free(&self) {
        self.wipe.store(true, Ordering::Relaxed);
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// It is damaged, or the disk does not give it.
    pub fn read(&self) -> Result<Sample, SpillError> {
        let began = Instant::now();
        let bytes = SampleLayout::of(&self.head.spec).bytes();
        let read = self.segment.read(self.at.slot, bytes, self.at.crc32, |record| {
            Ok(sample_of(&self.head, record)?)
        });
        self.folder.counts.read(began.elapsed());
        read
    }
}

impl PartialEq for SpilledSample {
    /// The same sample, wherever it lies.
    fn eq(&self, other: &Self) -> bool {
        (&self.head, self.at.crc32) == (&other.head, other.at.crc32)
    }
}

impl Drop for SpilledSample {
    fn drop(&mut self) {
        let mut stale = true;
        if *self.wipe.get_mut() {
            match self.segment.wipe(self.at.slot) {
                Ok(()) => stale = false,
                Err(error) => tracing::error!(%error, "a forgotten sample's bytes are still on disk"),
            }
        }
        self.folder.slots().let_go((self.at.segment, self.at.slot), stale);
    }
}

/// Reads samples in a folder that another process may have open.
pub(crate) struct SpillReader {
    root: PathBuf,
    segments: BTreeMap<u64, Segment>,
}

impl SpillReader {
    /// Opens the segments that are there.
    ///
    /// # Errors
    /// The folder or a segment cannot be read.
    pub fn open(root: &Path) -> Result<Self, SpillError> {
        let segments = segments_in(root)?
            .into_iter()
            .map(|(number, stride, path)| Ok((number, Segment::open(path, stride, false)?)));
        Ok(Self {
            root: root.to_owned(),
            segments: segments.collect::<Result<_, SpillError>>()?,
        })
    }

    /// Reads and checks one sample.
    ///
    /// # Errors
    /// It is not there, damaged, or the disk does not give it.
    pub fn read(&self, head: &SampleHead, at: SlotPlace) -> Result<Sample, SpillError> {
        let Some(segment) = self.segments.get(&at.segment) else {
            return Err(SpillError::NoSegment {
                path: self.root.clone(),
                segment: at.segment,
            });
        };
        let bytes = SampleLayout::of(&head.spec).bytes();
        segment.read(at.slot, bytes, at.crc32, |record| Ok(sample_of(head, record)?))
    }
}
