//! Looking at what is stored, for people: nothing here counts as drawn.

use std::sync::Arc;

use super::{Replay, Sample, SampleId};
use crate::ingest::StreamName;

impl Replay {
    /// The sample with this id, if it is still stored.
    pub fn look_at(&self, id: SampleId) -> Option<Arc<Sample>> {
        self.looking(|table| table.newest_first().find(|sample| sample.id == id).cloned())
    }

    /// A stream's newest samples, the newest first, `at_most` so many.
    pub fn newest_of(&self, stream: &StreamName, at_most: usize) -> Vec<Arc<Sample>> {
        self.looking(|table| {
            let of_stream = table.newest_first().filter(|sample| sample.stream == *stream);
            of_stream.take(at_most).cloned().collect()
        })
    }
}
