use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::ingest::FilePlace;

/// A moment between two files at which a scout holds nothing, so that another one can go on from it as if it were the same:
/// with the same units it chooses the same windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumePoint {
    /// The file that comes next; none where the source is no list of files: then it is the source's beginning.
    pub file: Option<FilePlace>,
    /// Number of the segment that comes next.
    pub segment: u64,
    /// Index of the access unit that comes next.
    pub unit: u64,
    /// Windows chosen before.
    pub windows: u64,
    /// Frames of all runs before, which still windows keep their cadence by.
    pub frames_before: u64,
    /// Where the last window lay among those frames.
    pub last_window: Option<u64>,
    /// Draws what is random about windows.
    pub rng: ChaCha8Rng,
}
