use std::sync::Arc;

use super::{MotionMap, SampleSpec};
use crate::decode::DecodeJob;
use crate::ingest::{AccessUnit, Fate, StreamName};
use crate::replay::TimeRange;

/// Everything about a sample except its pictures, which the plan's [`DecodeJob`] brings.
///
/// Whoever ends the plan, well or badly, must say so with [`Self::settle`].
#[derive(Clone, Debug)]
pub struct SamplePlan {
    /// The stream.
    pub stream: StreamName,
    /// Segment within the stream's run.
    pub segment: u64,
    /// The sample's shape.
    pub spec: SampleSpec,
    /// Width of the source in luma samples.
    pub source_width: u32,
    /// Height of the source in luma samples.
    pub source_height: u32,
    /// Display rank of the key frame, as in the job.
    pub key_rank: u32,
    /// Display ranks of the clip's pictures, as in the job.
    pub clip_ranks: Vec<u32>,
    /// Maps of the target, in display order.
    pub target: Vec<MotionMap>,
    /// Maps of each hard negative, in display order.
    pub negatives: Vec<Vec<MotionMap>>,
    /// What picture order counts rise by from frame to frame.
    pub poc_per_frame: i32,
    /// Presentation times from the first picture of the clip to the last of the target.
    pub pts: Option<TimeRange>,
    /// Arrival times of the same pictures.
    pub arrival: TimeRange,
    /// Frames per second around the clip.
    pub frame_rate: Option<f32>,
    /// Where the window lies in its run, for tests and logs: display ranks counted from the run's first picture.
    pub place: WindowPlace,
    pub(super) units: Vec<Arc<AccessUnit>>,
}

/// Display ranks of a window within its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPlace {
    /// The clip's first picture.
    pub clip_start: u64,
    /// The target's first picture.
    pub target_start: u64,
    /// The key frame.
    pub key_frame: u64,
    /// The first picture of each hard negative.
    pub negative_starts: Vec<u64>,
}

/// A window that is worth a sample.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What the sample will be.
    pub plan: SamplePlan,
    /// What must be decoded for it.
    pub job: DecodeJob,
}

impl SamplePlan {
    /// Says what became of every access unit that the sample is made of: those decoded for it or only for the sake of their
    /// references, and those that gave it motion.
    pub fn settle(&self, fate: Fate) {
        for unit in &self.units {
            unit.receipt.settle(fate);
        }
    }
}
