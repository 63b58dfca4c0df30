use std::path::PathBuf;

use super::report::SkippedVideo;
use super::similarity::BadFeature;
use crate::checkpoint::CheckpointError;
use crate::model::ModelError;

/// Why an evaluation came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The data set is not a folder.
    #[error(
        "{}: not a folder; a data set is a folder of class folders, or one with train/ and test/ that hold class folders",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// A folder could not be listed.
    #[error("{}: {source}", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What failed.
        source: walkdir::Error,
    },
    /// One half of a split is there without the other.
    #[error(
        "{}: has {present}/ but no {absent}/; a split needs both, a data set without a split only class folders",
        .root.display()
    )]
    HalfASplit {
        /// The data set.
        root: PathBuf,
        /// The folder that is there.
        present: &'static str,
        /// The one that is not.
        absent: &'static str,
    },
    /// A validation folder stands among class folders.
    #[error(
        "{}: has {folder}/ but neither train/ nor test/; if {folder} is a class, give the folder another name",
        .root.display()
    )]
    ValidationAlone {
        /// The data set.
        root: PathBuf,
        /// The folder's name.
        folder: String,
    },
    /// No video file in any class folder.
    #[error("{}: no video file in any class folder below it", .folder.display())]
    NoVideos {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// There is nothing to tell apart.
    #[error("{}: all videos are of one class ({class}); nothing can be told apart", .root.display())]
    OneClass {
        /// The data set.
        root: PathBuf,
        /// The class.
        class: String,
    },
    /// No video of a part could be decoded.
    #[error("none of the {videos} videos of {part} could be decoded; the first, {}: {}", .first.video, .first.reason)]
    NoneDecoded {
        /// What the videos were to be used for.
        part: &'static str,
        /// How many there are.
        videos: usize,
        /// One of them.
        first: SkippedVideo,
    },
    /// Too few videos are left to be set against each other.
    #[error("{videos} videos are not enough; {needed} are needed at least ({skipped} could not be decoded)")]
    TooFew {
        /// Videos left.
        videos: usize,
        /// Videos that the protocol needs.
        needed: usize,
        /// Videos that could not be decoded.
        skipped: usize,
    },
    /// A number that makes no sense.
    #[error("{option} is {value}; {allowed}")]
    Option {
        /// Its name on the command line.
        option: &'static str,
        /// What was given.
        value: u64,
        /// What would be right.
        allowed: &'static str,
    },
    /// The weights cannot be loaded.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The network cannot be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network's output is of no use.
    #[error("{}: {source}", .video.display())]
    Feature {
        /// The video.
        video: PathBuf,
        /// What is wrong with its feature.
        source: BadFeature,
    },
}
