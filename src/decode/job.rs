use std::sync::Arc;

use crate::ingest::{AccessUnit, StreamName, VideoFormat};
use crate::window::FrameSize;

/// One access unit to feed to a decoder.
#[derive(Clone, Debug)]
pub struct FeedUnit {
    /// The unit; its own time stamps are ignored.
    pub unit: Arc<AccessUnit>,
    /// Rank of its picture in display order, from 0 at the job's first picture. Unique in a job, but for
    /// the two fields of a frame where they came in two units. It is what the decoder is told as time stamp, so that missing, repeated or jumping source time stamps cannot misalign anything.
    pub display_rank: u32,
}

/// What to decode for one sample: from a key frame on, without the non-reference pictures that nobody wants.
#[derive(Clone, Debug)]
pub struct DecodeJob {
    /// The stream, for logs and errors.
    pub stream: StreamName,
    /// What the decoder is fed with.
    pub format: Arc<VideoFormat>,
    /// Units in decoding order, from an IDR picture on, or from a recovery point with two reference pictures before it, which
    /// come out wrong and only spare the decoder a jump of `frame_num`.
    pub feed: Vec<FeedUnit>,
    /// Display ranks of the pictures wanted, rising.
    pub wanted: Vec<u32>,
    /// Size of the pictures that come out.
    pub size: FrameSize,
}

/// A decoded picture, scaled: packed RGB, `[height, width, 3]`, one byte a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbPicture {
    /// Rank in display order, as in the job.
    pub display_rank: u32,
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}
