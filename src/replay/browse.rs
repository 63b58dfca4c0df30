//! Looking at what is stored, for people: nothing here counts as drawn.

use std::sync::Arc;

use super::{Replay, Sample};
use crate::ingest::StreamName;

impl Replay {
    /// A stream's newest samples, the newest first, `at_most` so many.
    pub fn newest_of(&self, stream: &StreamName, at_most: usize) -> Vec<Arc<Sample>> {
        let newest: Vec<_> = self.looking(|table| {
            let of_stream = table.newest_first().filter(|sample| sample.stream() == stream);
            of_stream.take(at_most).cloned().collect()
        });
        newest.iter().filter_map(|stored| self.fetch(stored)).collect()
    }

    /// The newest sample that was trained on, so that its feature is known.
    pub fn newest_with_feature(&self) -> Option<Arc<Sample>> {
        let newest = self.looking(|table| {
            let mut samples = table.newest_first();
            samples.find(|sample| table.has_feature(sample.id())).cloned()
        });
        self.fetch(&newest?)
    }
}
