use std::io;
use std::path::PathBuf;

use crate::decode::DecodeError;
use crate::ingest::IngestError;

/// Why a video could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The path is a folder.
    #[error("{}: is a folder; inspect looks at one video file at a time", .0.display())]
    Folder(PathBuf),
    /// The file cannot be opened as H.264 video, or broke off.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// No picture could be decoded at all.
    #[error("{}: no picture of its {access_units} access units could be decoded; the first error: {first}", .video.display())]
    NoPicture {
        /// The file.
        video: PathBuf,
        /// Access units in it.
        access_units: u64,
        /// What is wrong with the first one.
        first: String,
    },
    /// The overlay's folder cannot be written to.
    #[error("{}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The pixels for the overlay cannot be decoded.
    #[error("the pictures for --overlay: {0}")]
    Decode(#[from] DecodeError),
    /// A number that makes no sense.
    #[error("{option} is {value}; {allowed}")]
    Option {
        /// Its name on the command line.
        option: &'static str,
        /// What was given.
        value: u32,
        /// What would be right.
        allowed: &'static str,
    },
}
