use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{ByteCredit, FilePlace, Receipt};

/// A stream's name: unique in a run, bounded in length, safe as a metrics label and as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Accepts 1 to [`Self::MAX_LEN`] ASCII letters, digits, `-`, `_` and `.`; not beginning with `.`.
    pub fn new(name: &str) -> Option<Self> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = !name.is_empty() && name.len() <= Self::MAX_LEN && !name.starts_with('.');
        (fits && name.chars().all(legal)).then(|| Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the demuxer said about the video; one per segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// The caps of the parsed stream, as GStreamer writes them: what a decoder must be fed with.
    pub caps: String,
    /// The file or URI that it comes from, without credentials.
    pub place: String,
    /// Width in luma samples, after cropping.
    pub width: u32,
    /// Height in luma samples, after cropping.
    pub height: u32,
    /// Nominal frames per second as a fraction, where the stream says it (0/1: variable or unknown).
    pub frame_rate: (u32, u32),
    /// Which file of the stream's list it is, where the source is one.
    pub file: Option<FilePlace>,
}

/// One access unit, Annex B, in decoding order.
///
/// It carries the byte credit that let it into memory and the receipt that accounts for it; both are given back when the
/// last holder lets go.
#[derive(Debug)]
pub struct AccessUnit {
    /// Annex B bytes with start codes.
    pub data: Bytes,
    /// Rises whenever continuity ends (DISCONT, new caps, a gap, a restart). Nothing that is learned spans two segments.
    pub segment: u64,
    /// Position in decoding order since the stream started; never restarts, counts shed units too.
    pub index: u64,
    /// Presentation time in nanoseconds of the source's time base.
    pub pts_ns: Option<u64>,
    /// Decoding time in nanoseconds of the source's time base.
    pub dts_ns: Option<u64>,
    /// Wall clock at arrival, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: u64,
    /// The demuxer says that decoding can start here.
    pub key_unit: bool,
    /// The format of this segment.
    pub format: Arc<VideoFormat>,
    /// Bytes of memory that this unit may hold.
    pub credit: ByteCredit,
    /// Accounts for this unit exactly once.
    pub receipt: Receipt,
}
