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

/// What is known of a sample without its pictures and motion; the fields are those of [`Sample`].
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "documented at Sample")]
pub struct SampleHead {
    pub id: SampleId,
    pub stream: StreamName,
    pub segment: u64,
    pub spec: SampleSpec,
    pub source_width: u32,
    pub source_height: u32,
    pub pts: Option<TimeRange>,
    pub arrival: TimeRange,
    pub frame_rate: Option<f32>,
}

impl Sample {
    /// All of it but the pictures and motion.
    pub fn head(&self) -> SampleHead {
        SampleHead {
            id: self.id,
            stream: self.stream.clone(),
            segment: self.segment,
            spec: self.spec,
            source_width: self.source_width,
            source_height: self.source_height,
            pts: self.pts,
            arrival: self.arrival,
            frame_rate: self.frame_rate,
        }
    }

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

#[cfg(test)]
impl Sample {
    /// A sample for tests: one pixel, one cell, and as many bytes of key frame and of clip as wanted.
    pub(crate) fn small(stream: &str, segment: u64, bytes: usize) -> Self {
        let size = FrameSize { width: 1, height: 1 };
        Self {
            id: SampleId(0),
            stream: StreamName::new(stream).unwrap(),
            segment,
            spec: SampleSpec {
                clip_frames: 1,
                clip_stride: 1,
                target_offset: 1,
                target_frames: 1,
                hard_negatives: 1,
                key_frame_margin: 0,
                frame_size: size,
                motion_size: size,
            },
            source_width: 16,
            source_height: 16,
            key_frame: vec![0; bytes],
            clip: vec![0; bytes],
            target: vec![0; 2],
            negatives: vec![0; 2],
            pts: None,
            arrival: TimeRange {
                first_ns: segment,
                last_ns: segment,
            },
            frame_rate: None,
        }
    }
}
