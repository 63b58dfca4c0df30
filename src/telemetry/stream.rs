use super::{Exposition, table};
use crate::ingest::{StreamName, StreamState, StreamStatus};

/// Writes where a stream is in its life: 1 for its state, 0 for every other.
pub fn collect_stream(
    page: &mut Exposition,
    stream: &StreamName,
    state: StreamState,
    restarts: u64,
    segments: u64,
) {
    let stream = stream.as_str();
    for other in StreamState::ALL {
        let is_it = f64::from(u8::from(other == state));
        page.put(&table::STREAM_STATE, &[stream, other.label()], is_it);
    }
    page.put(&table::STREAM_RESTARTS, &[stream], restarts as f64);
    page.put(&table::SEGMENTS, &[stream], segments as f64);
}

/// Writes what a stream's actor has counted of its files and pipelines.
pub fn collect_source(page: &mut Exposition, stream: &StreamName, status: &StreamStatus) {
    let stream = stream.as_str();
    page.put(&table::STREAM_FILES_FAILED, &[stream], status.failed_files as f64);
    page.put(&table::STREAM_PASSES, &[stream], status.passes as f64);
    page.put(
        &table::STREAM_PIPELINES_LEFT,
        &[stream],
        status.leaked_pipelines as f64,
    );
}
