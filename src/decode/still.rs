use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::decoder::Decoder;
use super::{DecodeError, DecodeJob, DecoderKind, FeedUnit, RgbPicture};
use crate::ingest::{AccessUnit, ByteBudget, Fate, Ledger, SkipReason, StreamName, VideoFormat};
use crate::window::FrameSize;

/// Decodes one key frame (Annex B) for people to look at, at `size`, on a decoder of its own: the pool is for samples.
/// Blocks for `deadline` at most; a decoder that hangs is left behind with its thread.
///
/// # Errors
/// [`DecodeError`], with `index` as the access unit's number.
pub fn decode_still(
    kind: DecoderKind,
    stream: &StreamName,
    format: Arc<VideoFormat>,
    index: u64,
    key_frame: Bytes,
    size: FrameSize,
    deadline: Duration,
) -> Result<RgbPicture, DecodeError> {
    // The unit was accounted for when it came; this copy of it has an account of its own.
    let bytes = key_frame.len();
    let closed = |_| DecodeError::Closed {
        stream: stream.clone(),
    };
    let unit = AccessUnit {
        data: key_frame,
        segment: 0,
        index,
        pts_ns: None,
        dts_ns: None,
        arrival_unix_ns: 0,
        key_unit: true,
        format: format.clone(),
        credit: ByteBudget::new(bytes.max(1)).try_acquire(bytes).map_err(closed)?,
        receipt: Ledger::new().receive(bytes),
    };
    unit.receipt.settle(Fate::Skipped(SkipReason::NotChosen));
    let job = DecodeJob {
        stream: stream.clone(),
        format,
        feed: vec![FeedUnit {
            unit: Arc::new(unit),
            display_rank: 0,
        }],
        wanted: vec![0],
        size,
    };
    let (done, outcome) = crossbeam_channel::bounded(1);
    thread::Builder::new()
        .name("decode-still".into())
        .spawn(move || {
            let decoded = Decoder::new(kind).and_then(|mut decoder| decoder.decode(&job));
            // Nobody waits for what came too late.
            let _ = done.send(decoded);
        })
        .map_err(|error| DecodeError::GStreamer {
            message: format!("no thread for a decoder: {error}"),
        })?;
    let hung = || DecodeError::Hung {
        stream: stream.clone(),
        first_unit: index,
        deadline,
        decoder: kind.element().to_owned(),
    };
    let mut decoded = outcome.recv_timeout(deadline).map_err(|_| hung())??;
    decoded.pictures.pop().ok_or_else(hung)
}
