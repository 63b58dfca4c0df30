use std::collections::BTreeMap;

use super::{Exposition, table};
use crate::ingest::{RestartReason, StreamName, StreamState};

/// What a stream's actors have counted of its source, over all restarts.
#[derive(Clone, Debug, Default)]
pub struct SourceCounts {
    /// Times that the source was opened again, by the label of the [`RestartReason`].
    pub restarts: BTreeMap<&'static str, u64>,
    /// Times that the stream's whole group was started again: defects in comove.
    pub group_restarts: u64,
    /// Files that could not be read, or not to their end.
    pub failed_files: u64,
    /// Passes over the files begun.
    pub passes: u64,
    /// Pipelines that could not be stopped in time.
    pub pipelines_left: u64,
    /// Those of them that hang still.
    pub pipelines_hanging: u64,
    /// Segments that have ended.
    pub segments: u64,
}

/// Writes where a stream is in its life, 1 for its state, 0 for every other, and what its actors have counted.
pub fn collect_stream(page: &mut Exposition, stream: &StreamName, state: StreamState, source: &SourceCounts) {
    let stream = stream.as_str();
    for other in StreamState::ALL {
        let is_it = f64::from(u8::from(other == state));
        page.put(&table::STREAM_STATE, &[stream, other.label()], is_it);
    }
    for reason in RestartReason::ALL.map(RestartReason::label) {
        let times = source.restarts.get(reason).copied().unwrap_or_default();
        page.put(&table::STREAM_RESTARTS, &[stream, reason], times as f64);
    }
    page.put(
        &table::STREAM_RESTARTS,
        &[stream, "group"],
        source.group_restarts as f64,
    );
    page.put(&table::SEGMENTS, &[stream], source.segments as f64);
    page.put(&table::STREAM_FILES_FAILED, &[stream], source.failed_files as f64);
    page.put(&table::STREAM_PASSES, &[stream], source.passes as f64);
    page.put(
        &table::STREAM_PIPELINES_HANGING,
        &[stream],
        source.pipelines_hanging as f64,
    );
    page.put(
        &table::STREAM_PIPELINES_LEFT,
        &[stream],
        source.pipelines_left as f64,
    );
}
