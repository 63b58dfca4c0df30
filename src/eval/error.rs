use std::path::{Path, PathBuf};

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
    /// Files of labels or splits are not what they should be.
    #[error("{}{}: {reason}", .path.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Annotation {
        /// The file or folder.
        path: PathBuf,
        /// The line, from 1.
        line: Option<usize>,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not clear which labels are meant.
    #[error(
        "{}: {}; its columns of labels: {choices}",
        .path.display(),
        .asked.as_ref().map_or("one has to be chosen (--label, probe.label)".to_owned(), |asked| format!("the label {asked} is none of them"))
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        asked: Option<String>,
        /// What there is.
        choices: String,
    },
    /// `--label` without a file that has columns.
    #[error("--label {0}: the data set has no labels.csv, and --annotations names none")]
    LabelWithoutTable(String),
    /// `--report` or `--embeddings` with several labels.
    #[error("--report and --embeddings hold one label: name a single --label with them")]
    OneLabel,
    /// Columns of labels that do not name the same videos.
    #[error("--label {0}: its column names other videos than the first label's; judge it by itself")]
    LabelOfOthers(String),
    /// None of the listed videos is there.
    #[error("{}: none of the {listed} listed videos is below it; the first is {first}", .root.display())]
    NoneListed {
        /// The folder.
        root: PathBuf,
        /// Videos listed.
        listed: usize,
        /// One of them.
        first: String,
    },
    /// A video that no group rule covers.
    #[error("{}: {rule} gives it no group; every video needs one", .video.display())]
    NoGroup {
        /// The video.
        video: PathBuf,
        /// The option or file.
        rule: String,
    },
    /// All videos are cuts of one scene, or fewer scenes than folds.
    #[error("{groups} groups cannot be spread over {folds} folds")]
    TooFewGroups {
        /// Groups that there are.
        groups: usize,
        /// Folds wanted.
        folds: usize,
    },
    /// A file that was asked for could not be written.
    #[error("{}: cannot be written: {reason}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Training on the labels failed.
    #[error("training on the labels: {0}")]
    Torch(#[from] tch::TchError),
    /// Training on the labels diverged.
    #[error(
        "fine-tuning diverged in epoch {epoch}: the loss is not finite; a lower --learning-rate is needed"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: u32,
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
        /// What the videos were to be used for, or their class.
        part: String,
        /// How many there are.
        videos: usize,
        /// One of them.
        first: SkippedVideo,
    },
    /// More videos than a set that is held in memory may have.
    #[error(
        "{}: {videos} videos; a set that is judged again and again has {limit} at most: a part of them, evenly of each class, is right",
        .root.display()
    )]
    TooMany {
        /// The data set.
        root: PathBuf,
        /// Videos that it has.
        videos: usize,
        /// Videos that it may have.
        limit: usize,
    },
    /// The clips of a set that is held in memory take more than they may.
    #[error(
        "{}: the clips of its {videos} videos take up to {bytes} bytes of memory; {limit} is the limit: fewer videos, or fewer clips of \
         each, are right",
        .root.display()
    )]
    TooLarge {
        /// The data set.
        root: PathBuf,
        /// Videos that it has.
        videos: usize,
        /// Memory of their clips.
        bytes: u64,
        /// Memory that they may take.
        limit: u64,
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
    /// A number that makes no sense.
    #[error("{option} is {value}; {allowed}")]
    Number {
        /// Its name on the command line.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        allowed: &'static str,
    },
    /// A task that needs a network, asked of a baseline.
    #[error("--baseline goes with retrieval, knn and probe: {0}")]
    NeedsNetwork(&'static str),
    /// A video that could be read before cannot be read any more.
    #[error("{}: could be read before, now: {reason}", .video.display())]
    Changed {
        /// The video.
        video: PathBuf,
        /// What is wrong with it.
        reason: String,
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

impl EvalError {
    pub(super) fn annotation(path: &Path, line: Option<usize>, reason: String) -> Self {
        Self::Annotation {
            path: path.to_owned(),
            line,
            reason,
        }
    }
}
