use std::io;
use std::path::PathBuf;

use crate::ingest::IngestError;

/// Why motion could not be extracted.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// Nothing to do.
    #[error("no video was named")]
    NoVideo,
    /// The path is a folder.
    #[error("{}: is a folder; name its videos, for example {}/*.mp4", .0.display(), .0.display())]
    Folder(PathBuf),
    /// Two videos have the same name.
    #[error("{} and {} would both be written to {}; extract them to different folders", .first.display(), .second.display(), .output.display())]
    SameOutput {
        /// One of them.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
        /// The file that both would be.
        output: PathBuf,
    },
    /// The output is there already.
    #[error("{}: is there already; --existing=replace or --existing=skip says what to do", .0.display())]
    Exists(PathBuf),
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
    /// More frames would have to be held than a decoder ever may.
    #[error("{}: frame {frame} is shown more than {limit} frames after it is decoded: its picture order counts are broken", .video.display())]
    OutOfOrder {
        /// The file.
        video: PathBuf,
        /// Which frame, in coding order.
        frame: usize,
        /// How many frames are held.
        limit: usize,
    },
    /// The second pass saw another video than the first.
    #[error("{}: changed while it was read", .0.display())]
    Changed(PathBuf),
    /// An output cannot be written.
    #[error("{}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

impl ExtractError {
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ExtractError {
        let path = path.into();
        move |source| ExtractError::Write { path, source }
    }
}
