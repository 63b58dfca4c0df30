use std::{path::PathBuf, time::Duration};

use crate::ingest::StreamName;

/// Why pictures could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// GStreamer itself does not work here.
    #[error("GStreamer cannot be used: {message}")]
    GStreamer {
        /// What it said.
        message: String,
    },
    /// The chosen decoder is not installed.
    #[error("GStreamer has no element `{element}`; install {package} or choose another decoder")]
    NoElement {
        /// The element's name.
        element: String,
        /// Where Debian and Ubuntu have it.
        package: &'static str,
    },
    /// A job that no decoder could do.
    #[error("stream {stream}: a decode job must {rule}")]
    InvalidJob {
        /// The job's stream.
        stream: StreamName,
        /// What would be right.
        rule: &'static str,
    },
    /// The decoder refused the bitstream.
    #[error("stream {stream}, unit {unit}: {decoder} stopped: {message}")]
    Decoder {
        /// The job's stream.
        stream: StreamName,
        /// Index in the stream of the unit that was being fed.
        unit: u64,
        /// The decoder's element name.
        decoder: String,
        /// What it said.
        message: String,
    },
    /// The decoder came to an end without all wanted pictures.
    #[error(
        "stream {stream}, units {first_unit} to {last_unit}: of {wanted} wanted pictures those of display rank {missing:?} did not come out of {decoder}"
    )]
    Missing {
        /// The job's stream.
        stream: StreamName,
        /// Index in the stream of the job's first unit.
        first_unit: u64,
        /// Index in the stream of the job's last unit.
        last_unit: u64,
        /// Pictures asked for.
        wanted: usize,
        /// Display ranks that are missing.
        missing: Vec<u32>,
        /// The decoder's element name.
        decoder: String,
    },
    /// The decoder says that a wanted picture is damaged (a reference was missing).
    #[error(
        "stream {stream}: {decoder} marks the picture of display rank {display_rank} (job from unit {first_unit}) as corrupt"
    )]
    Corrupt {
        /// The job's stream.
        stream: StreamName,
        /// Index in the stream of the job's first unit.
        first_unit: u64,
        /// The picture.
        display_rank: u32,
        /// The decoder's element name.
        decoder: String,
    },
    /// The decoder hangs; it was abandoned and replaced.
    #[error(
        "stream {stream}, units from {first_unit} on: {decoder} did not finish within {deadline:?} and was abandoned"
    )]
    Hung {
        /// The job's stream.
        stream: StreamName,
        /// Index in the stream of the job's first unit.
        first_unit: u64,
        /// The time it had.
        deadline: Duration,
        /// The decoder's element name.
        decoder: String,
    },
    /// The pool was closed before the job's turn came.
    #[error("stream {stream}: the decode pool is closed")]
    Closed {
        /// The job's stream.
        stream: StreamName,
    },
    /// A file could not be opened.
    #[error("{}: {message}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        message: String,
    },
    /// A file without video.
    #[error("{}: no video track (found: {found})", path.display())]
    NoVideo {
        /// The file.
        path: PathBuf,
        /// What else is in it.
        found: String,
    },
    /// A file broke off.
    #[error("{}, after frame {frames}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Frames that came out before.
        frames: u64,
        /// What GStreamer said.
        message: String,
    },
}

impl DecodeError {
    /// Starts GStreamer, once a process.
    pub(crate) fn init_gstreamer() -> Result<(), Self> {
        gstreamer::init().map_err(|error| Self::GStreamer {
            message: error.to_string(),
        })
    }
}
