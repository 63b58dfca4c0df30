use std::path::PathBuf;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::ingest::exact_size;
use crate::replay::ReplayConfigError;
use crate::replay::record::SampleLayout;
use crate::window::SampleSpec;

/// Slots begin at whole pages.
const PAGE: u64 = 4096;

/// One slot in so many is spare: samples that were let go keep theirs until no kept checkpoint names them.
const SPARE_ONE_IN: u64 = 8;

/// Section `[replay.spill]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpillConfig {
    /// The folder that the files lie in, made where it is missing. Left out: `spill` in the checkpoint folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Bytes that the files may take together.
    #[serde(serialize_with = "exact_size")]
    pub capacity: ByteSize,
    /// Bytes of one file.
    #[serde(serialize_with = "exact_size")]
    pub segment_size: ByteSize,
}

impl Default for SpillConfig {
    fn default() -> Self {
        Self {
            dir: None,
            capacity: ByteSize::gib(20),
            segment_size: ByteSize::mib(256),
        }
    }
}

/// How the files are cut for samples of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotPlan {
    /// Bytes of a record.
    pub record_bytes: usize,
    /// Bytes from one slot to the next.
    pub stride: u64,
    /// Slots in a new file.
    pub slots: u32,
    /// Files that may be.
    pub segments: u64,
}

impl SlotPlan {
    pub fn of(config: &SpillConfig, spec: &SampleSpec) -> Self {
        let record_bytes = SampleLayout::of(spec).bytes();
        let stride = (record_bytes.max(1) as u64).next_multiple_of(PAGE);
        let slots = (config.segment_size.as_u64() / stride).clamp(1, u64::from(u32::MAX));
        Self {
            record_bytes,
            stride,
            slots: slots as u32,
            segments: config.capacity.as_u64() / (slots * stride),
        }
    }

    /// Slots that stored samples may take.
    pub fn usable(&self) -> u64 {
        let all = self.segments * u64::from(self.slots);
        all - all / SPARE_ONE_IN
    }
}

impl SpillConfig {
    /// Checks that at least one file of whole samples fits.
    pub fn check(&self, spec: &SampleSpec) -> Result<(), ReplayConfigError> {
        let plan = SlotPlan::of(self, spec);
        let refused = |key, value, least| ReplayConfigError::SpillTooSmall { key, value, least };
        if self.segment_size.as_u64() < plan.stride {
            return Err(refused("segment_size", self.segment_size, ByteSize(plan.stride)));
        }
        match plan.segments {
            0 => Err(refused("capacity", self.capacity, self.segment_size)),
            _ => Ok(()),
        }
    }
}
