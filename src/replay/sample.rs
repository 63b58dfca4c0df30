use crate::ingest::StreamName;
use crate::window::{FrameSize, SampleSpec};

/// Motion components are stored in 1/64 source pixel per frame, saturating at ±511 pixels.
pub const MOTION_UNITS_PER_PIXEL: i16 = 64;

/// Both components of a cell whose motion is not known (intra blocks, I pictures): masked, which is not zero motion.
pub const MASKED: i16 = i16::MIN;

/// Rises with every sample that replay takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleId(pub u64);

/// First and last of some times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Nanoseconds.
    pub first_ns: u64,
    /// Nanoseconds; not before `first_ns`.
    pub last_ns: u64,
}

/// One training sample: a key frame, a clip, the motion that follows the clip, and other motion of the same segment.
///
/// All pictures have `spec.frame_size` (H rows, W columns), all motion maps `spec.motion_size` (h, w), whatever the source's
/// shape: crops are made in source geometry by the augmentation, which knows `source_width` and `source_height`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Given by replay; 0 before.
    pub id: SampleId,
    /// Where it comes from.
    pub stream: StreamName,
    /// Segment within the stream's run: samples of one segment are not each other's negatives.
    pub segment: u64,
    /// The shape of everything below.
    pub spec: SampleSpec,
    /// Width of the source in luma samples.
    pub source_width: u32,
    /// Height of the source in luma samples.
    pub source_height: u32,
    /// `[H, W, 3]`, RGB.
    pub key_frame: Vec<u8>,
    /// `[T, H, W, 3]`, RGB.
    pub clip: Vec<u8>,
    /// `[F, 2, h, w]`: x then y displacement, in 1/64 source pixel per frame; [`MASKED`] in both where unknown.
    pub target: Vec<i16>,
    /// `[N, F, 2, h, w]`, as `target`.
    pub negatives: Vec<i16>,
    /// Presentation times from the first picture of the clip to the last of the target, where the source has them.
    pub pts: Option<TimeRange>,
    /// Arrival times of the same pictures, since the Unix epoch.
    pub arrival: TimeRange,
    /// Frames per second of the source around the clip, where it can be told.
    pub frame_rate: Option<f32>,
}

impl Sample {
    /// Memory that a sample of this shape will hold.
    pub fn bytes_of(spec: &SampleSpec) -> usize {
        let cells = |size: FrameSize| size.width as usize * size.height as usize;
        let pictures = 1 + spec.clip_frames as usize;
        let maps = (1 + spec.hard_negatives as usize) * spec.target_frames as usize;
        size_of::<Self>()
            + 3 * pictures * cells(spec.frame_size)
            + 2 * size_of::<i16>() * maps * cells(spec.motion_size)
    }

    /// Memory that the sample holds, for replay's bound.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.key_frame.len()
            + self.clip.len()
            + 2 * (self.target.len() + self.negatives.len())
    }
}
