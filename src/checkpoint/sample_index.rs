use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::CheckpointError;
use crate::ingest::StreamName;
use crate::replay::{PolicyState, Sample, SampleHead, SampleId, SlotPlace, TimeRange, sample_of};
use crate::window::SampleSpec;

/// `samples.json` of a snapshot: what replay held, and where its pictures and motion are. Only the newest snapshots have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleIndex {
    /// What the policies know beside the samples' order.
    pub policies: PolicyState,
    /// The shape of every sample; none where there is none.
    pub spec: Option<SampleSpec>,
    /// Replay's folder of slots, if any of the samples is there; relative where it is in the folder of snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spill: Option<PathBuf>,
    /// Oldest first.
    pub samples: Vec<IndexedSample>,
}

/// One stored sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexedSample {
    pub id: u64,
    pub stream: String,
    pub segment: u64,
    /// Columns and rows of the source.
    pub source: (u32, u32),
    /// First and last, nanoseconds.
    pub pts_ns: Option<(u64, u64)>,
    /// First and last, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: (u64, u64),
    pub frame_rate: Option<f32>,
    pub at: SamplePlace,
}

/// Where a sample's pictures and motion are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SamplePlace {
    /// In a pack.
    Pack(PackPlace),
    /// In replay's folder of slots.
    Slot(SlotPlace),
}

impl SamplePlace {
    pub fn in_pack(&self) -> Option<&PackPlace> {
        match self {
            Self::Pack(place) => Some(place),
            Self::Slot(_) => None,
        }
    }

    pub fn in_slot(&self) -> Option<SlotPlace> {
        match self {
            Self::Pack(_) => None,
            Self::Slot(place) => Some(*place),
        }
    }
}

/// Where a sample is in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackPlace {
    /// The pack's number.
    pub pack: u64,
    /// The first byte in the file.
    pub offset: u64,
    pub bytes: u64,
    /// Of these bytes, in hexadecimal.
    pub sha256: String,
}

impl IndexedSample {
    pub fn new(head: &SampleHead, at: SamplePlace) -> Self {
        let pair = |range: TimeRange| (range.first_ns, range.last_ns);
        Self {
            id: head.id.0,
            stream: head.stream.to_string(),
            segment: head.segment,
            source: (head.source_width, head.source_height),
            pts_ns: head.pts.map(pair),
            arrival_unix_ns: pair(head.arrival),
            frame_rate: head.frame_rate,
            at,
        }
    }

    /// What the index says of it.
    pub fn head(&self, spec: SampleSpec, index: &Path) -> Result<SampleHead, CheckpointError> {
        let stream = StreamName::new(&self.stream)
            .ok_or_else(|| self.corrupt(index, &format!("`{}` is no name of a stream", self.stream)))?;
        let range = |(first_ns, last_ns)| TimeRange { first_ns, last_ns };
        Ok(SampleHead {
            id: SampleId(self.id),
            stream,
            segment: self.segment,
            spec,
            source_width: self.source.0,
            source_height: self.source.1,
            pts: self.pts_ns.map(range),
            arrival: range(self.arrival_unix_ns),
            frame_rate: self.frame_rate,
        })
    }

    /// The sample, from its record.
    pub fn sample(&self, spec: SampleSpec, record: &[u8], index: &Path) -> Result<Sample, CheckpointError> {
        let head = self.head(spec, index)?;
        sample_of(&head, record).map_err(|error| self.corrupt(index, &error.to_string()))
    }

    fn corrupt(&self, index: &Path, reason: &str) -> CheckpointError {
        CheckpointError::Manifest {
            path: index.to_owned(),
            reason: format!("sample {}: {reason}", self.id),
        }
    }
}
