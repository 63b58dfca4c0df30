use super::Choice;
use crate::ingest::StreamName;

/// What came of a picture.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Windows to decode, in order.
    pub choices: Vec<Choice>,
    /// What to tell people.
    pub notices: Vec<Notice>,
}

/// Something about a stream that a person should hear of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// A segment ended before a sample fitted.
    #[error(
        "stream {stream}, segment {segment}, {place}: {frames} frames are {lacking} too few for a sample of this preset; preset micro \
         takes the shortest videos"
    )]
    ShortVideo {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: u64,
        /// The file or URI, without credentials.
        place: String,
        /// Frames from its first key frame on.
        frames: u64,
        /// Frames that it lacks.
        lacking: u64,
    },
    /// A segment ended without a picture that decoding can start at.
    #[error(
        "stream {stream}, segment {segment}, {place}: none of its {pictures} pictures is one that decoding can start at"
    )]
    NoKeyFrame {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: u64,
        /// The file or URI, without credentials.
        place: String,
        /// Its pictures.
        pictures: u64,
    },
    /// A GOP does not fit the buffer; what follows of it is skipped.
    #[error(
        "stream {stream}, segment {segment}: a GOP of more than {pictures} pictures, {bytes} bytes, does not fit \
         window.buffer_pictures and window.buffer_bytes; the rest of it is skipped"
    )]
    GopTooLong {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: u64,
        /// Pictures held.
        pictures: usize,
        /// Bytes held.
        bytes: usize,
    },
    /// A picture's place in display was past or taken; the window starts anew at the next key frame.
    #[error("stream {stream}, segment {segment}, unit {unit}: picture order count {poc} is late or repeated")]
    OutOfOrder {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: u64,
        /// The unit's index.
        unit: u64,
        /// Its picture order count.
        poc: i32,
    },
}

/// What a chooser did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChooserStats {
    /// I pictures taken in.
    pub i_pictures: u64,
    /// P pictures taken in.
    pub p_pictures: u64,
    /// B pictures taken in.
    pub b_pictures: u64,
    /// Windows chosen.
    pub windows: u64,
    /// Of these, windows in which nothing moves.
    pub still_windows: u64,
    /// Windows that came while nobody wanted one.
    pub shed_windows: u64,
    /// Segments too short for a sample.
    pub short_videos: u64,
    /// GOPs too long for the buffer.
    pub long_gops: u64,
    /// Pictures out of order.
    pub out_of_order: u64,
    /// Pictures held now.
    pub held_pictures: usize,
    /// Bytes held now.
    pub held_bytes: usize,
}
